"""`Regressor`: stage 2 from embeddings to conditions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from brainreel.align.goals import Goals
from brainreel.cortex.standardise import Scaling, fit_scaling
from brainreel.errors import ExperimentError, UsageError, alternatives
from brainreel.files import write_bytes
from brainreel.regress.components import Components, fit_components
from brainreel.regress.config import RegressConfig
from brainreel.regress.examples import Examples, apart
from brainreel.regress.ridge import Ridge, fit_ridges
from brainreel.regress.train_network import empty_network, fit_network
from brainreel.training.devices import pick_device
from brainreel.training.randomness import generator

MODELS = ("network", "ridge")


class Regressor:
    """Maps embeddings of stage 1 to the conditions that a video model takes.

    Args:
        config: All settings; or give single ones by name (``Regressor(steps=500, seed=0)``).
        device: Where to train; affects speed only.
        **settings: Fields of `RegressConfig`.

    Attributes:
        scaling_: After `fit`: mean and spread of the training embeddings.
        components_: After `fit`: condition → compression of its targets.
        network_: After `fit`: the trained network.
        ridge_: After `fit`: condition → its rival.
    """

    def __init__(self, config: RegressConfig | None = None, *, device: str = "auto", **settings: Any) -> None:
        config = config or RegressConfig()
        self.config = RegressConfig(**{**config.model_dump(), **settings}) if settings else config
        self._device = pick_device(device)

    def fit(
        self,
        embedding: Float[np.ndarray, "trials dim"],
        clip: Int[np.ndarray, " trials"],
        targets: Mapping[str, Float[np.ndarray, "_clips ..."]],
        *,
        places: Goals | None = None,
        folder: Path | None = None,
    ) -> Regressor:
        """Fit compression, network and ridge on training trials.

        Args:
            embedding: Of single repetitions, of all subjects.
            clip: Row of the targets that each trial belongs to.
            targets: condition → (clips, …). Only rows of clips that a trial is of are read, each once.
            places: Where clips lie in continuous stimuli; None: no two clips overlap.
            folder: For checkpoints and ``log.jsonl``; a training found there goes on.

        Raises:
            UsageError: if the arrays do not fit each other or there is nothing to learn.
            FoldError: if there are too few clips to choose the ridge's penalty on.
        """
        if not targets:
            raise UsageError("no targets", expected="at least one condition")
        if not len(clip):
            raise UsageError("no trial to train on", expected="at least one training trial")
        _check(clip, targets)
        trained = np.unique(clip)
        self.scaling_ = fit_scaling(embedding)
        self.components_ = {
            name: fit_components(values[trained], self.config.components) for name, values in targets.items()
        }
        compressed = {}
        for name, fitted in self.components_.items():
            compressed[name] = np.zeros((len(targets[name]), len(fitted)), np.float32)
            compressed[name][trained] = fitted.compress(targets[name][trained])
        clips = max(len(values) for values in targets.values())
        examples = Examples(self.scaling_(embedding), clip, compressed, places or apart(clips))
        self.ridge_ = fit_ridges(examples, self.config.ridge)
        self.network_ = fit_network(examples, self.config, folder, self._device).cpu()
        return self

    @property
    def conditions(self) -> list[str]:
        """Names of the conditions that are predicted."""
        return list(self.components_)

    def predict(
        self, embedding: Float[np.ndarray, "trials dim"], model: str | None = None
    ) -> dict[str, Float[np.ndarray, "trials ..."]]:
        """condition → one array per trial, in the targets' own shape and units.

        Args:
            embedding: Centred embeddings as stage 1 gives them.
            model: ``network`` or ``ridge``; default: ``config.model``.
        """
        return self.expand(self.predict_components(embedding, model))

    def predict_components(
        self, embedding: Float[np.ndarray, "trials dim"], model: str | None = None
    ) -> dict[str, Float[np.ndarray, "trials _components"]]:
        """The same before decompression, which is linear: averages may be taken here, where they are small."""
        model = model or self.config.model
        if model not in MODELS:
            raise UsageError(f"there is no model {alternatives(model, MODELS)}")
        if embedding.shape[1] != len(self.scaling_.mean):
            raise UsageError(
                f"embeddings of {embedding.shape[1]} dimensions",
                expected=f"{len(self.scaling_.mean)}, as in training",
                do="use the stage 1 model that this was fitted on",
            )
        values = self.scaling_(embedding)
        if model == "ridge":
            return {name: ridge(values) for name, ridge in self.ridge_.items()}
        with torch.no_grad():
            return {name: found.numpy() for name, found in self.network_(torch.from_numpy(values)).items()}

    def expand(
        self, components: Mapping[str, Float[np.ndarray, "_trials _components"]]
    ) -> dict[str, Float[np.ndarray, "_trials ..."]]:
        """Components of every condition → conditions."""
        return {name: self.components_[name].expand(values) for name, values in components.items()}

    def save(self, path: Path) -> None:
        """Write everything that `predict` needs as one safetensors file; nothing of any brain is in it."""
        arrays = {"scaling/mean": self.scaling_.mean, "scaling/std": self.scaling_.std}
        for name in self.conditions:
            for kind, part in (("components", self.components_[name]), ("ridge", self.ridge_[name])):
                arrays |= {f"{kind}/{name}/{key}": value for key, value in part.tensors().items()}
        arrays |= {f"network/{key}": value.numpy() for key, value in self.network_.state_dict().items()}
        about = {"config": self.config.model_dump(mode="json"), "conditions": self.conditions}
        write_bytes(
            path,
            save(
                {key: np.asarray(value, order="C") for key, value in arrays.items()},
                {"regressor": json.dumps(about)},
            ),
        )

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> Regressor:
        """Read what `save` wrote.

        Raises:
            ExperimentError: if the file is not a regressor of this version.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                about = json.loads(file.metadata()["regressor"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
            model = cls(RegressConfig.model_validate(about["config"]), device=device)
            model.scaling_ = Scaling(arrays["scaling/mean"], arrays["scaling/std"])
            names = about["conditions"]
            model.components_ = {name: Components.rebuild(_below(arrays, f"components/{name}/")) for name in names}
            model.ridge_ = {name: Ridge.rebuild(_below(arrays, f"ridge/{name}/")) for name in names}
            heads = {name: len(fitted) for name, fitted in model.components_.items()}
            network = empty_network(len(model.scaling_.mean), heads, model.config, generator("empty"))
            state = {key: torch.from_numpy(value) for key, value in _below(arrays, "network/").items()}
            network.load_state_dict(state)
            model.network_ = network.eval().requires_grad_(False)
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise ExperimentError(
                f"{path} is not a regressor of this version of brainreel ({str(error).splitlines()[0]})",
                do="run `brainreel regress` again",
            ) from error
        return model


def _below(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}


def _check(clip: np.ndarray, targets: Mapping[str, np.ndarray]) -> None:
    for name, values in targets.items():
        if not (clip.min() >= 0 and clip.max() < len(values)):
            raise UsageError(
                f"clips from {clip.min()} to {clip.max()}", expected=f"rows of the {len(values)} targets of {name!r}"
            )
        if "/" in name:
            raise UsageError(f"{name!r} cannot be the name of a condition", expected="a name without slashes")
