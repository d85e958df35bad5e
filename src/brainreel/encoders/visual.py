"""Frozen networks that look at videos: CLIP's image side, an image classifier, a video classifier.

Their features and logits are what semantic scores compare. Weights are safetensors from a hub id or a folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32

from brainreel.encoders.visual_pixels import Preparation, prepare, read_preparation
from brainreel.encoders.weights import folder_or_id, loading, need_all, which_weights
from brainreel.errors import UsageError, WeightsError, alternatives
from brainreel.metrics.videos import Videos, at_rate, check_videos

Kind = Literal["clip", "vit", "videomae"]
# Images per forward pass; a video of 16 frames counts as 16. A fixed number, so that results do not depend on
# how much memory there is.
BATCH = 32
_EXPECTED = "a hub id, or a folder with config.json, preprocessor_config.json and model.safetensors"


@dataclass(frozen=True)
class Family:
    """A kind of network: its class in transformers and how it answers.

    Attributes:
        model: Name of the class.
        features: From the model and its pixels to one vector per image or video.
        classifies: Whether it has logits.
        videos: Whether it takes whole videos rather than frames.
        square: What a bare number means in its image processor (see `read_preparation`).
    """

    model: str
    features: Callable[[Any, Any], Any]
    classifies: bool = True
    videos: bool = False
    square: bool = False


def _projected(model: Any, pixels: Any) -> Any:
    found = model.get_image_features(pixel_values=pixels)
    # transformers 4 returns the tensor itself.
    return getattr(found, "pooler_output", found)


FAMILIES: dict[str, Family] = {
    "clip": Family("CLIPModel", _projected, classifies=False),
    "vit": Family(
        "ViTForImageClassification",
        lambda model, pixels: model.base_model(pixel_values=pixels).last_hidden_state[:, 0],
        square=True,
    ),
    "videomae": Family(
        "VideoMAEForVideoClassification",
        lambda model, pixels: model.base_model(pixel_values=pixels).last_hidden_state.mean(1),
        videos=True,
    ),
}


class VisualEncoder:
    """A loaded network; make one with `load_visual`.

    Attributes:
        kind: A key of `FAMILIES`.
        model: The network, in evaluation mode.
        identity: What makes its numbers these: checksums or hub id and revision, preprocessing, frames taken.
        labels: Names of the classes, in the order of the logits; empty without logits.
    """

    def __init__(self, kind: str, model: Any, steps: Preparation, identity: dict[str, Any], device: str) -> None:
        self.kind, self.identity = kind, identity
        self._family, self.model, self._steps, self._device = FAMILIES[kind], model, steps, device
        names = model.config.id2label if self._family.classifies else {}
        self.labels = tuple(names[index] for index in sorted(names))

    def features(self, videos: Videos) -> Float32[np.ndarray, "clips views dim"]:
        """One vector per frame (CLIP: projected image embedding; ViT: class token) or, for a video network, per
        clip (mean over tokens). Not scaled to unit length.

        Args:
            videos: (clips, frames, H, W, 3) uint8 RGB. A video network takes its own number of frames, the
                nearest in time, the earlier on ties.

        Raises:
            UsageError: videos of another type or shape.
        """
        return self._run(videos, self._family.features)

    def logits(self, videos: Videos) -> Float32[np.ndarray, "clips views classes"]:
        """One row of logits per frame, or per clip for a video network; arguments as in `features`.

        Raises:
            UsageError: the network is no classifier, or videos of another type or shape.
        """
        if not self._family.classifies:
            known = [kind for kind, family in FAMILIES.items() if family.classifies]
            raise UsageError(f"{self.kind!r} has no logits", expected=f"a classifier ({', '.join(known)})")
        return self._run(videos, lambda model, pixels: model(pixel_values=pixels).logits)

    def _run(self, videos: Videos, answer: Callable[[Any, Any], Any]) -> np.ndarray:
        import torch

        check_videos(videos)
        clips, frames = videos.shape[:2]
        if self._family.videos:
            wanted = self.model.config.num_frames
            units = videos[:, at_rate(frames, frames, wanted)]
        else:
            wanted = 1
            units = videos.reshape(-1, 1, *videos.shape[2:])
        at_once = max(1, BATCH // wanted)
        parts = []
        with torch.inference_mode():
            for start in range(0, len(units), at_once):
                some = units[start : start + at_once]
                pixels = prepare(some.reshape(-1, *some.shape[2:]), self._steps)
                batch = torch.from_numpy(pixels).to(self._device)
                if self._family.videos:
                    batch = batch.reshape(len(some), wanted, *batch.shape[1:])
                parts.append(answer(self.model, batch).float().cpu().numpy())
        return np.concatenate(parts).reshape(clips, 1 if self._family.videos else frames, -1)


def load_visual(kind: Kind | str, weights: str, device: str = "cpu") -> VisualEncoder:
    """Load a network's weights and its image processor's numbers.

    Args:
        kind: ``clip`` (`CLIPModel`), ``vit`` (`ViTForImageClassification`, frame by frame) or ``videomae``
            (`VideoMAEForVideoClassification`, clip by clip).
        weights: A hub id, or a folder with config.json, preprocessor_config.json and safetensors.
        device: Where to compute.

    Raises:
        UsageError: no such kind.
        WeightsError: nothing of that kind there, no safetensors, weights missing from the file, or an image
            processor that does not give what the network takes.
    """
    if kind not in FAMILIES:
        raise UsageError(f"there is no visual encoder {alternatives(kind, FAMILIES)}")
    import torch
    import transformers
    from transformers.image_processing_base import ImageProcessingMixin

    source = folder_or_id(weights, _EXPECTED)
    with loading(FAMILIES[kind].model, source, _EXPECTED):
        config = transformers.AutoConfig.from_pretrained(source)
        numbers, _ = ImageProcessingMixin.get_image_processor_dict(source)
        if config.model_type != kind:
            raise WeightsError(
                f"{weights} holds a model of type {config.model_type!r}",
                expected=f"{kind!r}, a {FAMILIES[kind].model}",
                do="choose the encoder that fits the weights, or other weights",
            )
        model, loaded = getattr(transformers, FAMILIES[kind].model).from_pretrained(
            source, config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True
        )
    need_all(f"a {FAMILIES[kind].model}", weights, loaded["missing_keys"])
    steps = read_preparation(numbers, square=FAMILIES[kind].square)
    _check_size(weights, steps, config.vision_config.image_size if kind == "clip" else config.image_size)
    model.eval().requires_grad_(False).to(device)
    return VisualEncoder(kind, model, steps, _identify(kind, source, config, steps), device)


def _identify(kind: str, source: str, config: Any, steps: Preparation) -> dict[str, Any]:
    which = which_weights(source, ("model*.safetensors",))
    if "hub" in which:
        which["revision"] = getattr(config, "_commit_hash", None)
    frames = {"frames": config.num_frames} if FAMILIES[kind].videos else {}
    asked = {key: list(value) if isinstance(value, tuple) else value for key, value in steps._asdict().items()}
    return {"encoder": kind, "class": FAMILIES[kind].model, **which, "preprocessing": asked, **frames}


def _check_size(weights: str, steps: Preparation, wanted: int | tuple[int, int] | list[int]) -> None:
    rows, columns = (wanted, wanted) if isinstance(wanted, int) else wanted
    given = prepare(np.zeros((1, 2 * rows, 2 * columns, 3), np.uint8), steps).shape[2:]
    if given != (rows, columns):
        raise WeightsError(
            f"the image processor of {weights} gives {given[0]}×{given[1]} pixels",
            expected=f"{rows}×{columns}, which the network takes",
            do="correct size and crop_size in its preprocessor_config.json",
        )
