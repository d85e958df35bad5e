"""Principal components of patches of four frames and 8 x 8 pixels: the latent space that the autoencoder learns.

A linear map says what the latent is before anything is trained, so that the autoencoder and the diffusion transformer
can be trained side by side, and every number of the latent has its place in an order, from coarse to fine.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Shaped
from safetensors.torch import load_file, save
from torch import Tensor

from brainreel.files import write_bytes
from brainreel.sandbox.networks import LATENT_CHANNELS, LATENT_SHAPE
from brainreel.sandbox.pool import Pool, pixels

_FRAMES, _SIDE = 4, 8
_FITTED_CLIPS = 768
# Patches of the object count more: it is small, and all of it is detail.
_OBJECT_WEIGHT = 3.0
# Spread of the normalised channels: its components' own to this power. At 0 the finest detail would be as loud as
# the scene; at 1 the detail would stay below the noise until the sampler's last step.
_POWER = 0.5


class Patches(NamedTuple):
    """A linear map from patches to numbers and back.

    Attributes:
        middle: (768,) the mean patch.
        basis: (768, channels) orthonormal components, from large to small spread.
        mean, std: (channels,) what is subtracted from the components, and what they are divided by.
    """

    middle: Tensor
    basis: Tensor
    mean: Tensor
    std: Tensor

    def encode(self, videos: Float[Tensor, "clips 3 frames height width"]) -> Float[Tensor, "clips c t h w"]:
        """Clips from -1 to 1 to latents."""
        found = ((split(videos) - self.middle) @ self.basis - self.mean) / self.std
        return found.permute(0, 4, 1, 2, 3).contiguous()

    def decode(self, latents: Float[Tensor, "clips c t h w"]) -> Float[Tensor, "clips 3 frames height width"]:
        """Latents to clips; the linear floor that a trained decoder has to beat."""
        found = latents.permute(0, 2, 3, 4, 1) * self.std + self.mean
        return joined(found @ self.basis.T + self.middle)


def split(videos: Shaped[Tensor, "clips 3 frames height width"]) -> Shaped[Tensor, "clips t h w 768"]:
    """Patches; the first frame is a group of its own, shown four times."""
    first = videos[:, :, :1].expand(-1, -1, _FRAMES - 1, -1, -1)
    clips, (_, t, h, w) = len(videos), LATENT_SHAPE
    patches = torch.cat([first, videos], 2).reshape(clips, 3, t, _FRAMES, h, _SIDE, w, _SIDE)
    return patches.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(clips, t, h, w, -1)


def joined(patches: Float[Tensor, "clips t h w 768"]) -> Float[Tensor, "clips 3 frames height width"]:
    """The reverse of `split`."""
    clips, t, h, w, _ = patches.shape
    videos = patches.view(clips, t, h, w, 3, _FRAMES, _SIDE, _SIDE).permute(0, 4, 1, 5, 2, 6, 3, 7)
    return videos.reshape(clips, 3, t * _FRAMES, h * _SIDE, w * _SIDE)[:, :, _FRAMES - 1 :]


def fit_patches(pool: Pool, folder: Path) -> Patches:
    """The components of some of the pool's clips, or those that were found before."""
    path = folder / f"patches-{len(pool.videos)}.safetensors"
    if not path.is_file():
        write_bytes(path, save(_fitted(pool)._asdict()))
    return Patches(**load_file(path))


def _fitted(pool: Pool) -> Patches:
    some = slice(0, _FITTED_CLIPS)
    patches = split(pixels(pool.videos[some]))
    object_there = split(torch.from_numpy(np.array(pool.masks[some]))[:, None].expand(-1, 3, -1, -1, -1)).any(-1)
    weight = (1 + (_OBJECT_WEIGHT - 1) * object_there.float()).flatten()
    flat = patches.flatten(0, 3)
    middle = (weight[:, None] * flat).sum(0) / weight.sum()
    centred = (flat - middle) * weight.sqrt()[:, None]
    _, vectors = torch.linalg.eigh((centred.T @ centred / weight.sum()).double())
    basis = vectors.float().flip(1)[:, :LATENT_CHANNELS].contiguous()
    latents = (flat - middle) @ basis
    mean, spread = latents.mean(0), latents.std(0)
    # Altogether the normalised latent has a variance of 1, as the sampler's noise has.
    std = spread ** (1 - _POWER)
    return Patches(middle, basis, mean, std * (spread / std).square().mean().sqrt())
