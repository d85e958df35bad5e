"""What stage 1 leaves: a decoder that turns responses into embeddings, saved as safetensors and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from brainreel.align.examples import population_scaling
from brainreel.align.network import AlignNetwork
from brainreel.cortex.standardise import Scaling
from brainreel.errors import ExperimentError, UsageError, alternatives
from brainreel.training.randomness import generator


@runtime_checkable
class Decoder(Protocol):
    """Responses → embeddings (centred: zero is the mean target of the training clips)."""

    scalings: dict[str, Scaling]

    def embed(self, subject: str, responses: Float[np.ndarray, "trials features"]) -> Float[np.ndarray, "trials dim"]:
        """Embeddings of a subject that was trained on, from responses that are not standardised yet."""
        ...

    def embed_newcomer(
        self, space: str, responses: Float[np.ndarray, "trials features"], scaling: Scaling | None = None
    ) -> Float[np.ndarray, "trials dim"]:
        """Embeddings of somebody who was never seen; without ``scaling``, by the population's statistics."""
        ...

    def population(self, space: str) -> Scaling:
        """Mean statistics of the subjects of a space: what is known of a newcomer before any of their data."""
        ...

    def rebased(self, place: Int[np.ndarray, " clips"]) -> Decoder:
        """The same decoder for other goals: ``place`` says where each of their clips was (-1: nowhere)."""
        ...

    def tensors(self) -> dict[str, np.ndarray]:
        """What is saved, beside the scalings."""
        ...

    def facts(self) -> dict[str, Any]:
        """What else is needed to build the decoder again."""
        ...


@dataclass
class LinearDecoder:
    """A linear map per subject, intercept in the last row.

    Attributes:
        scalings: Of every subject.
        spaces: subject → space.
        maps: subject → weights.
        newcomers: space → weights for people who were not trained on; empty if the strategy has none.
        answers: The mean embedding that the trained subjects answer each clip of the goals with (NaN where nobody
            saw it): what a newcomer who saw the same clips is fitted to. None if the strategy has none.
    """

    scalings: dict[str, Scaling]
    spaces: dict[str, str]
    maps: Mapping[str, Float[np.ndarray, "_features_1 dim"]]
    newcomers: Mapping[str, Float[np.ndarray, "_features_1 dim"]] = field(default_factory=dict)
    answers: Float[np.ndarray, "clips dim"] | None = None

    def embed(self, subject: str, responses: Float[np.ndarray, "trials features"]) -> Float[np.ndarray, "trials dim"]:
        """See `Decoder`."""
        return _apply(_of(subject, self.maps), _of(subject, self.scalings)(responses))

    def embed_newcomer(
        self, space: str, responses: Float[np.ndarray, "trials features"], scaling: Scaling | None = None
    ) -> Float[np.ndarray, "trials dim"]:
        """See `Decoder`."""
        return _apply(self.newcomer_map(space), (scaling or self.population(space))(responses))

    def newcomer_map(self, space: str) -> Float[np.ndarray, "_features_1 dim"]:
        """The map for the unseen people of a space."""
        if not self.newcomers:
            raise UsageError(
                "ridge per subject knows nothing about people it was not trained on",
                do="use consensus, pooled-ridge or contrastive",
            )
        return _of(space, self.newcomers)

    def population(self, space: str) -> Scaling:
        """Mean statistics of the subjects of a space."""
        return population_scaling({s: self.scalings[s] for s, where in self.spaces.items() if where == space})

    def tensors(self) -> dict[str, np.ndarray]:
        """See `Decoder`; a subject that shares the newcomers' map has none of its own."""
        out = {f"newcomer/{space}": values for space, values in self.newcomers.items()}
        for subject, values in self.maps.items():
            if values is not self.newcomers.get(self.spaces[subject]):
                out[f"map/{subject}"] = values
        return out if self.answers is None else {**out, "answers": self.answers}

    def facts(self) -> dict[str, Any]:
        """See `Decoder`."""
        return {"kind": "linear", "spaces": self.spaces}

    @classmethod
    def rebuild(cls, scalings: dict[str, Scaling], arrays: dict[str, np.ndarray], facts: Mapping[str, Any]) -> Any:
        """The decoder that `tensors` and `facts` describe."""
        spaces = dict(facts["spaces"])
        prefix = "newcomer/"
        newcomers = {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}
        maps = {
            subject: arrays[f"map/{subject}"] if f"map/{subject}" in arrays else newcomers[space]
            for subject, space in spaces.items()
        }
        return cls(scalings, spaces, maps, newcomers, arrays.get("answers"))

    def rebased(self, place: Int[np.ndarray, " clips"]) -> LinearDecoder:
        """See `Decoder`."""
        if self.answers is None:
            return self
        return replace(self, answers=np.where((place >= 0)[:, None], self.answers[place], np.nan))


@dataclass
class NetworkDecoder:
    """Networks of stage 1 whose predictions are averaged as unit vectors (one member: that network).

    Attributes:
        scalings: Of every subject.
        seats: subject → (space, row in the adapters of that space).
        weights: space → factor on each standardised feature.
        members: The networks.
        shape: Arguments that build an empty network of this shape.
        clip_latents: Per member, the mean latent of the trained subjects at every clip of the goals (NaN where
            nobody saw it): what a newcomer who saw the same clips is fitted to. No single brain is in it.
    """

    scalings: dict[str, Scaling]
    seats: dict[str, tuple[str, int]]
    weights: dict[str, Float[np.ndarray, " features"]]
    members: list[AlignNetwork]
    shape: dict[str, Any] = field(default_factory=dict)
    clip_latents: list[Float[torch.Tensor, "clips latent"]] = field(default_factory=list)

    def embed(self, subject: str, responses: Float[np.ndarray, "trials features"]) -> Float[np.ndarray, "trials dim"]:
        """See `Decoder`."""
        space, row = _of(subject, self.seats)
        values = self._input(space, self.scalings[subject](responses))
        return self._mean([member.trunk(seat_latent(member, space, row, values)) for member in self.members])

    def embed_newcomer(
        self, space: str, responses: Float[np.ndarray, "trials features"], scaling: Scaling | None = None
    ) -> Float[np.ndarray, "trials dim"]:
        """See `Decoder`: through the common part of the adapters alone."""
        _of(space, self.weights)
        values = self._input(space, (scaling or self.population(space))(responses))
        return self._mean([member.trunk(member.adapter(space).newcomer(values)) for member in self.members])

    def population(self, space: str) -> Scaling:
        """Mean statistics of the subjects of a space."""
        return population_scaling({s: self.scalings[s] for s, (where, _) in self.seats.items() if where == space})

    def _input(self, space: str, standardised: np.ndarray) -> torch.Tensor:
        device = next(self.members[0].parameters()).device
        return torch.from_numpy(standardised * self.weights[space]).to(device)

    def _mean(self, embeddings: list[torch.Tensor]) -> np.ndarray:
        unit = [torch.nn.functional.normalize(embedding.detach(), dim=-1) for embedding in embeddings]
        return torch.stack(unit).mean(0).cpu().numpy()

    def tensors(self) -> dict[str, np.ndarray]:
        """See `Decoder`."""
        out = {f"weight/{space}": values for space, values in self.weights.items()}
        for index, member in enumerate(self.members):
            out |= {f"member/{index}/{name}": value.cpu().numpy() for name, value in member.state_dict().items()}
        return out | {f"clips/{index}": values.cpu().numpy() for index, values in enumerate(self.clip_latents)}

    def facts(self) -> dict[str, Any]:
        """See `Decoder`."""
        return {"kind": "network", "shape": self.shape, "members": len(self.members), "seats": self.seats}

    @classmethod
    def rebuild(cls, scalings: dict[str, Scaling], arrays: dict[str, np.ndarray], facts: Mapping[str, Any]) -> Any:
        """The decoder that `tensors` and `facts` describe."""
        members = []
        _same_shape(facts["shape"], arrays)
        shape = {**facts["shape"], "spaces": {space: tuple(size) for space, size in facts["shape"]["spaces"].items()}}
        for index in range(facts["members"]):
            prefix = f"member/{index}/"
            network = AlignNetwork(**shape, noise=generator("empty"))
            state = {
                name.removeprefix(prefix): torch.from_numpy(value)
                for name, value in arrays.items()
                if name.startswith(prefix)
            }
            network.load_state_dict(state)
            members.append(network.eval().requires_grad_(False))
        seats = {subject: (space, row) for subject, (space, row) in facts["seats"].items()}
        weights = {space: arrays[f"weight/{space}"] for space in shape["spaces"]}
        latents = [torch.from_numpy(arrays[f"clips/{index}"]) for index in range(facts["members"])]
        return cls(scalings, seats, weights, members, shape, latents)

    def rebased(self, place: Int[np.ndarray, " clips"]) -> NetworkDecoder:
        """See `Decoder`."""
        index = torch.from_numpy(place)
        latents = [torch.where((index >= 0)[:, None], values[index], torch.nan) for values in self.clip_latents]
        return replace(self, clip_latents=latents)


def _same_shape(shape: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse a description that its own arrays belie, before memory is taken for what it describes."""
    blocks = sum(name.startswith("member/0/trunk.blocks.") and name.endswith(".enter") for name in arrays)
    latent = int(shape["latent"])
    found = [arrays["member/0/trunk.out"].shape, blocks]
    told = [(latent, shape["embedding"]), shape["depth"]]
    for index, (count, features) in enumerate(shape["spaces"].values()):
        found.append(arrays[f"member/0/adapters.{index}.delta"].shape)
        told.append((count, features, latent))
    if found != told:
        raise ValueError(f"its arrays have the shapes {found}, its description says {told}")


_KINDS: dict[str, Any] = {"linear": LinearDecoder, "network": NetworkDecoder}


def seat_latent(network: AlignNetwork, space: str, row: int, values: torch.Tensor) -> torch.Tensor:
    """One trained subject's latent."""
    adapter = network.adapter(space)
    return values @ (adapter.common + adapter.delta[row]) + adapter.bias[row]


def dump_decoder(decoder: Decoder, facts: Mapping[str, Any]) -> bytes:
    """A decoder as a safetensors file, with everything that using it needs; ``facts`` is kept beside its own."""
    arrays = {name: np.ascontiguousarray(value) for name, value in decoder.tensors().items()}
    for subject, scaling in decoder.scalings.items():
        arrays |= {f"mean/{subject}": scaling.mean, f"std/{subject}": scaling.std}
    return save(arrays, {"brainreel": json.dumps({**facts, "decoder": decoder.facts()})})


def load_decoder(path: Path) -> tuple[Decoder, dict[str, Any]]:
    """Read what `dump_decoder` made: the decoder and the facts."""
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads(file.metadata()["brainreel"])
        arrays = load_file(path)
        scalings = {
            name.removeprefix("mean/"): Scaling(mean, arrays[f"std/{name.removeprefix('mean/')}"])
            for name, mean in arrays.items()
            if name.startswith("mean/")
        }
        return _KINDS[facts["decoder"]["kind"]].rebuild(scalings, arrays, facts["decoder"]), facts
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise ExperimentError(
            f"{path} is not a decoder of brainreel ({str(error).splitlines()[0]})", do="run `brainreel align` again"
        ) from error


def _apply(weights: np.ndarray, standardised: np.ndarray) -> np.ndarray:
    return standardised @ weights[:-1] + weights[-1]


def _of(name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise UsageError(
            f"the model does not know {alternatives(name, known)}", do="use `brainreel adapt` for newcomers"
        )
    return known[name]
