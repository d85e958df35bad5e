"""Latents of a video autoencoder: what the video model denoises, and stage 2 regresses for its second pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from brainreel.encoders.protocol import Encoded, Progress, silent
from brainreel.encoders.weights import folder_or_id, loading, need_all, which_weights
from brainreel.errors import StoreError, UsageError, WeightsError
from brainreel.store.clips import clip_frames, need_videos
from brainreel.store.reader import Store
from brainreel.video import Grid, even_times, resample

HUB_ID = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
# Pixels per forward pass: sixteen clips of the sandbox, one of a full-size model. A fixed number, so that results do
# not depend on how much memory there is.
PIXELS = 16 * 17 * 64 * 64
_FILES = ("*.safetensors", "config.json")
_EXPECTED = (
    "a hub id, or the folder of a diffusers autoencoder (AutoencoderKLWan or AutoencoderKL) or of a pipeline with vae/"
)

Clips = UInt8[np.ndarray, "clips frames height width 3"]
Values = Float32[np.ndarray, "clips channels latent_frames rows columns"]


class Shape(NamedTuple):
    """What videos are resampled to."""

    frames: int
    height: int
    width: int


class Latents:
    """Mode of the posterior, normalised as the autoencoder's configuration says, so that it is about N(0, 1).

    `AutoencoderKLWan` (Wan team 2025): (z - latents_mean) / latents_std. `AutoencoderKL` (Rombach et al. 2022), frame
    by frame: (z - shift_factor) * scaling_factor.

    Args:
        weights: A hub id or a local folder, of the autoencoder or of a pipeline; None takes Wan 2.1's.
        device: Where to compute.
        size: (height, width) that videos are resampled to, multiples of the autoencoder's factor; None: the first
            clip's, down to multiples of twice the factor, since video models take patches of two latents.
        frames: How many frames each clip is resampled to, 4k + 1 for Wan; None: as many of the first clip's as fit.

    Raises:
        WeightsError: if no such autoencoder can be loaded from there.
        UsageError: a size or a number of frames that it does not take.
    """

    name = "latents"

    def __init__(
        self,
        weights: str | None = None,
        device: str = "cpu",
        *,
        size: tuple[int, int] | None = None,
        frames: int | None = None,
    ) -> None:
        # diffusers is slow to import, and asking for an identity does not need it.
        import torch
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

        classes: dict[str, Any] = {"AutoencoderKLWan": AutoencoderKLWan, "AutoencoderKL": AutoencoderKL}
        source, below = _resolve(weights)
        with loading("autoencoder", source, _EXPECTED):
            config, below = _config(source, below)
            kind = config.get("_class_name")
            if kind not in classes:
                raise WeightsError(
                    f"{source} holds {f'a model of class {kind!r}' if kind else 'no model of diffusers'}",
                    expected=_EXPECTED,
                    do="give the autoencoder of the model that will make the videos",
                )
            # Loaded the plain way, so that missing weights are reported and not left without memory.
            self._model, loaded = classes[kind].from_pretrained(
                source, subfolder=below, torch_dtype=torch.float32, use_safetensors=True, output_loading_info=True,
                low_cpu_mem_usage=False,
            )  # fmt: skip
        need_all(kind, source, loaded["missing_keys"])
        self._model.eval().requires_grad_(False).to(device)
        self._device, self._video = device, kind == "AutoencoderKLWan"
        self._size, self._frames = size, frames
        self.spatial, self.temporal = _factors(self._model.config, self._video)
        self._check_settings()
        self.identity = self.identify(weights, size=size, frames=frames)

    @staticmethod
    def identify(
        weights: str | None, *, size: tuple[int, int] | None = None, frames: int | None = None
    ) -> dict[str, Any]:
        """What makes these latents these: checksums of local files or the id on the hub, and the resampling."""
        source, below = _resolve(weights)
        which = which_weights(str(Path(source) / below) if below and Path(source).is_dir() else source, _FILES)
        asked = {
            "size": list(size) if size else "fits the first clip",
            "frames": "fits the first clip" if frames is None else frames,
        }
        return {"encoder": Latents.name, "posterior": "mode, normalised", **asked, **which}

    def encode_store(self, store: Store, progress: Progress = silent) -> Encoded:
        """All clips, resampled alike and read a few at a time.

        Raises:
            StoreError: a clip's video is not there, or the first one is too small.
            SourceError: a clip's video is damaged.
        """
        need_videos(store)
        clips = store.clips["clip_id"].tolist()
        shape = self.fitting(*clip_frames(store, clips[0])[0].shape[:3])
        at_once = _at_once(shape)
        values, waiting = [], []
        for clip in progress(clips, len(clips)):
            frames, fps = clip_frames(store, clip)
            waiting.append(resampled(frames, fps, shape))
            if len(waiting) == at_once or len(values) * at_once + len(waiting) == len(clips):
                values.append(self.encode(np.stack(waiting)))
                waiting = []
        return Encoded(np.concatenate(values))

    def fitting(self, frames: int, height: int, width: int) -> Shape:
        """What clips are resampled to, if the first one is like this.

        Raises:
            StoreError: it is too small for any latent.
        """
        unit = 2 * self.spatial
        tall, wide = self._size or (height // unit * unit, width // unit * unit)
        if not tall or not wide:
            raise StoreError(
                f"the first clip has {height}×{width} pixels",
                expected=f"at least {unit}×{unit}",
                do="state a size, to enlarge the clips",
            )
        return Shape(self._frames or (frames - 1) // self.temporal * self.temporal + 1, tall, wide)

    def encode(self, videos: Clips) -> Values:
        """Normalised latents of clips whose shape fits the autoencoder."""
        import torch

        parts = []
        at_once = _at_once(Shape(*videos.shape[1:4]))
        with torch.inference_mode():
            for start in range(0, len(videos), at_once):
                some = torch.from_numpy(np.ascontiguousarray(videos[start : start + at_once])).to(self._device)
                pixels = some.movedim(-1, 1).float() / 127.5 - 1
                clips = len(pixels)
                # A network for images takes every frame as one.
                given = pixels if self._video else pixels.movedim(2, 1).flatten(0, 1)
                found = self._model.encode(given).latent_dist.mode()
                if not self._video:
                    found = found.unflatten(0, (clips, -1)).movedim(1, 2)
                mean, std = self._spread(found)
                parts.append(((found - mean) / std).cpu().numpy())
        return np.concatenate(parts)

    def decode(self, values: Values) -> Clips:
        """The videos that normalised latents stand for."""
        import torch

        frames = (values.shape[2] - 1) * self.temporal + 1
        at_once = _at_once(Shape(frames, values.shape[3] * self.spatial, values.shape[4] * self.spatial))
        parts = []
        with torch.inference_mode():
            for start in range(0, len(values), at_once):
                some = torch.from_numpy(np.ascontiguousarray(values[start : start + at_once])).to(self._device)
                mean, std = self._spread(some)
                latents = some * std + mean
                if self._video:
                    pixels = self._model.decode(latents).sample
                else:
                    found = self._model.decode(latents.movedim(2, 1).flatten(0, 1)).sample
                    pixels = found.unflatten(0, (len(latents), -1)).movedim(1, 2)
                levels = ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte()
                parts.append(levels.movedim(1, -1).cpu().numpy())
        return np.concatenate(parts)

    def _spread(self, like: Any) -> tuple[Any, Any]:
        """What is taken off latents and what they are divided by, per channel."""
        import torch

        config = self._model.config
        if self._video:
            mean, std = config["latents_mean"], config["latents_std"]
        else:
            mean, std = [config.get("shift_factor") or 0.0], [1 / config["scaling_factor"]]
        mean, std = (torch.tensor(x, device=like.device).view(1, -1, 1, 1, 1) for x in (mean, std))
        return mean, std

    def _check_settings(self) -> None:
        if self._size is not None and (min(self._size) < 1 or any(side % self.spatial for side in self._size)):
            raise UsageError(
                f"size {self._size[0]}×{self._size[1]}", expected=f"sides that are multiples of {self.spatial}"
            )
        if self._frames is not None and (self._frames < 1 or (self._frames - 1) % self.temporal):
            raise UsageError(f"frames {self._frames}", expected=f"1, or 1 more than a multiple of {self.temporal}")


def resampled(
    frames: UInt8[np.ndarray, "_frames _height _width 3"], fps: float, shape: Shape
) -> UInt8[np.ndarray, "_wanted _rows _columns 3"]:
    """A clip at another size and with another number of frames that fill the same time; the nearest in time."""
    duration_s = len(frames) / fps
    grid = Grid(shape.height, shape.width, even_times(shape.frames, shape.frames / duration_s))
    return resample(frames, even_times(len(frames), fps), grid)


def _at_once(shape: Shape) -> int:
    return max(1, PIXELS // (shape.frames * shape.height * shape.width))


def _factors(config: Any, video: bool) -> tuple[int, int]:
    """How many pixels, and how many frames, one latent stands for."""
    if video:
        return config["scale_factor_spatial"], config["scale_factor_temporal"]
    return 2 ** (len(config["block_out_channels"]) - 1), 1


def _resolve(weights: str | None) -> tuple[str, str | None]:
    """Folder or id, and the folder below it that has the autoencoder; None if only loading will tell."""
    source = folder_or_id(weights or HUB_ID, _EXPECTED)
    if not Path(source).is_dir():
        return source, "vae" if weights is None else None
    return source, "vae" if (Path(source) / "vae").is_dir() else ""


def _config(source: str, below: str | None) -> tuple[dict[str, Any], str]:
    """The autoencoder's configuration and where it lies; an id may be a pipeline's or the autoencoder's own."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    # Reading a configuration is the same whatever the class.
    load: Any = AutoencoderKL.load_config
    if below is not None:
        return load(source, subfolder=below), below
    try:
        return load(source, subfolder="vae"), "vae"
    except OSError:
        return load(source), ""
