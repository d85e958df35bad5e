"""Wan (Wan Team 2025, arXiv:2503.20314), and everything in its format: flow matching in a causal autoencoder's latents.

Both passes are diffusers' `WanPipeline` itself, so Wan 2.1, both Wan 2.2s (two transformers, or a time per token) and
the sandbox's small networks go the same way. `WanVideoToVideoPipeline` knows neither of the two and would encode pixels
again; here its pass begins at the regressed latents: x_σ = (1 − σ) x + σ ε at the first noise level σ of the schedule
that is not above ``strength``, denoised from there.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from brainreel.errors import UsageError
from brainreel.generate.protocol import Mode, Videos, batches, choose_mode
from brainreel.generate.wan_weights import Size, count_parameters, identify, load_pipeline, read_size
from brainreel.regress.conditions import Conditions
from brainreel.training.randomness import generator

# As many clips at once as have this many pixels in all frames together, at most 8: 8 small ones, 1 large one.
_PIXELS = 2_000_000
_MOST = 8
# WanPipeline's own.
_MOST_TOKENS = 512

Latents = Float[Tensor, "clips channels frames height width"]


class WanGenerator:
    """Takes ``text`` (prompt embeddings, (clips, tokens, dim), zero past the sentence) and ``latent`` ((clips, channels,
    frames, height, width), normalised by the autoencoder's `latents_mean` and `latents_std`).

    Args:
        weights: Hub id or folder of a diffusers pipeline.
        device: Where to compute.
        dtype: Default: ``bfloat16`` on CUDA, else ``float32``.
        size: Of videos from text alone, and their rate. Default: what the folder's ``video.json`` says, else Wan 2.1's.

    Raises:
        WeightsError: one sentence, if they cannot be loaded.
    """

    takes = frozenset({"text", "latent"})

    def __init__(
        self, weights: str | Path, device: str = "cpu", *, dtype: str | None = None, size: Size | None = None
    ) -> None:
        dtype = dtype or default_dtype(device)
        self._stated = size or read_size(weights)
        self.size = self._stated or Size()
        self._pipeline = load_pipeline(weights, device, dtype)
        self._scheduler = self._pipeline.scheduler
        self.identity = {**identify(weights, dtype), "size": self.size._asdict()}
        self._empty: dict[int, Tensor] = {}

    @staticmethod
    def identify(weights: str | Path, device: str = "cpu") -> dict[str, Any]:
        """The identity that a generator with these arguments would have, without loading it."""
        size = read_size(weights) or Size()
        return {**identify(weights, default_dtype(device)), "size": size._asdict()}

    @staticmethod
    def parameters(weights: str | Path) -> dict[str, float]:
        """How many parameters each network has, without loading them; empty if they are not on this machine."""
        return count_parameters(weights)

    def together(self, conditions: Conditions) -> int:
        """See `Generator.together`."""
        frames, height, width = self._video_size(conditions)
        return max(1, min(_MOST, _PIXELS // (frames * height * width)))

    @torch.no_grad()
    def generate(
        self,
        conditions: Conditions,
        *,
        steps: int,
        strength: float,
        guidance: float,
        seed: int,
        mode: Mode | None = None,
    ) -> Videos:
        """See `Generator.generate`."""
        mode = choose_mode(conditions, self.takes, mode)
        size = self._video_size(conditions)
        self._check_text(conditions)
        parts = [np.zeros((0, *size, 3), np.uint8)]
        for some in batches(conditions, self.together(conditions)):
            latents, first = self._start(some, size, mode, steps=steps, strength=strength, seed=seed)
            parts.append(self._denoise(latents, self._text(some), size, first, steps, guidance))
        # Latents of a clip fill its own time, whatever rate the model was trained at.
        fps = conditions.facts.get("fps", self.size.fps) if mode == "video-to-video" else self.size.fps
        return Videos(np.concatenate(parts), float(fps))

    def _start(
        self,
        some: Conditions,
        size: tuple[int, int, int],
        mode: Mode,
        *,
        steps: int,
        strength: float,
        seed: int,
    ) -> tuple[Latents, int]:
        """The noisy latents that denoising begins with, and the step it begins at."""
        shape = self._latent_shape(size)
        # Drawn on the CPU: a GPU's generator gives other numbers.
        noise = torch.stack([torch.randn(shape, generator=generator("generate", seed, clip)) for clip in some.clip_id])
        if mode == "text-to-video":
            return noise, 0
        self._scheduler.set_timesteps(steps)
        sigmas = self._scheduler.sigmas.cpu()
        # One too low by rounding (UniPC's first is 1 − 1e-6) is meant to be hit.
        first = int((sigmas[:-1] > strength + 1e-6).sum())
        given = torch.from_numpy(np.ascontiguousarray(some.vectors["latent"], np.float32))
        return (1 - sigmas[first]) * given + sigmas[first] * noise, first

    def _denoise(
        self,
        latents: Latents,
        text: Float[Tensor, "clips tokens dim"],
        size: tuple[int, int, int],
        first: int,
        steps: int,
        guidance: float,
    ) -> np.ndarray:
        frames, height, width = size
        self._pipeline.scheduler = starting_at(self._scheduler, first)
        found = self._pipeline(
            prompt_embeds=text,
            negative_prompt_embeds=self._unconditional(text) if guidance > 1 else None,
            latents=latents,
            num_frames=frames,
            height=height,
            width=width,
            num_inference_steps=steps,
            guidance_scale=guidance,
            output_type="np",
        ).frames
        return np.rint(np.asarray(found, np.float32) * 255).astype(np.uint8)

    def _text(self, some: Conditions) -> Float[Tensor, "clips tokens dim"]:
        if "text" in some.vectors:
            given = torch.from_numpy(np.ascontiguousarray(some.vectors["text"], np.float32))
            return given.to(self._pipeline.device)
        return self._prompts(some.captions, self._tokens)

    def _prompts(self, said: list[str], tokens: int) -> Float[Tensor, "clips tokens dim"]:
        return self._pipeline.encode_prompt(prompt=said, do_classifier_free_guidance=False, max_sequence_length=tokens)[
            0
        ]

    def _unconditional(self, text: Float[Tensor, "clips tokens dim"]) -> Float[Tensor, "clips tokens dim"]:
        """The empty prompt's embeddings, computed once."""
        clips, tokens = text.shape[:2]
        if tokens not in self._empty:
            self._empty[tokens] = self._prompts([""], tokens)
        return self._empty[tokens].expand(clips, -1, -1)

    @property
    def _tokens(self) -> int:
        return min(_MOST_TOKENS, self._pipeline.tokenizer.model_max_length)

    @property
    def _network(self) -> Any:
        return self._pipeline.transformer or self._pipeline.transformer_2

    def _latent_shape(self, size: tuple[int, int, int]) -> tuple[int, int, int, int]:
        frames, height, width = size
        in_time, in_space = self._pipeline.vae_scale_factor_temporal, self._pipeline.vae_scale_factor_spatial
        channels = self._network.config.in_channels
        return channels, (frames - 1) // in_time + 1, height // in_space, width // in_space

    def _video_size(self, conditions: Conditions) -> tuple[int, int, int]:
        """Frames, height and width: the latents' where there are any."""
        size: tuple[int, int, int] = self.size[:3]
        in_time, in_space = self._pipeline.vae_scale_factor_temporal, self._pipeline.vae_scale_factor_spatial
        if "latent" in conditions.vectors:
            shape = conditions.vectors["latent"].shape[1:]
            if len(shape) == 4 and all(shape) and self._stated is None:
                size = ((shape[1] - 1) * in_time + 1, shape[2] * in_space, shape[3] * in_space)
            if shape != self._latent_shape(size):
                raise UsageError(
                    f"latents of shape {shape} per clip",
                    expected=f"{self._latent_shape(size)} (channels, frames, height, width)",
                    do="regress the latents of this generator's own autoencoder",
                )
        patch = self._network.config.patch_size
        # WanPipeline itself takes multiples of 16 only.
        unit = [max(16, in_space * side) for side in patch[1:]]
        if size[0] % in_time != 1 % in_time or any(side % by for side, by in zip(size[1:], unit, strict=True)):
            raise UsageError(
                f"videos of {size[0]} frames of {size[1]}×{size[2]} pixels",
                expected=f"{in_time}k + 1 frames, sides in multiples of {unit[0]} and {unit[1]}",
                do="choose another size",
            )
        return size

    def _check_text(self, conditions: Conditions) -> None:
        if "text" in conditions.vectors:
            shape, dim = conditions.vectors["text"].shape[1:], self._network.config.text_dim
            if len(shape) != 2 or shape[1] != dim or not all(shape):
                raise UsageError(
                    f"a text condition of shape {shape} per clip",
                    expected=f"(tokens, {dim})",
                    do="regress the prompt embeddings of this generator's own text encoder",
                )


def default_dtype(device: str) -> str:
    """bfloat16 where GPUs are fast with it, else float32."""
    return "bfloat16" if device.startswith("cuda") else "float32"


def starting_at(scheduler: Any, first: int) -> Any:
    """A scheduler of its own whose schedule lacks the first steps; multistep ones begin anew there."""
    late = copy.deepcopy(scheduler)
    whole = late.set_timesteps

    def set_timesteps(*args: Any, **kwargs: Any) -> None:
        whole(*args, **kwargs)
        late.timesteps, late.sigmas = late.timesteps[first:], late.sigmas[first:]
        late.num_inference_steps = len(late.timesteps)

    late.set_timesteps = set_timesteps
    return late
