"""The video autoencoder: its latent is that of linear patches, and its decoder shows it better than they do.

The encoder learns the patches' principal components (`brainreel.sandbox.patches`), the decoder to show them and what the
encoder makes of them: squared error, more of it on the object. The architecture is Wan's (Wan team 2025).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from brainreel.sandbox.networks import autoencoder
from brainreel.sandbox.patches import Patches
from brainreel.sandbox.pool import Pool, choose, pixels
from brainreel.training.loop import train
from brainreel.training.muon import Muon, sorted_parameters

STEPS, CLIPS, LEARNING_RATE, OTHERS_RATE = 3000, 4, 0.02, 2e-3
OBJECT_WEIGHT = 4.0
# Of the encoder's squared error, beside that of pixels.
LATENT_WEIGHT = 0.1
_FIRST_SCALE = 0.05


def train_autoencoder(pool: Pool, patches: Patches, folder: Path, steps: int = STEPS) -> Any:
    """Train the encoder and the decoder side by side."""
    torch.manual_seed(0)
    model = autoencoder()
    # The decoder cuts what lies outside -1 to 1, and nothing is learned from what is cut.
    model.decoder.conv_out.weight.data.mul_(_FIRST_SCALE)
    optimiser = Muon(*sorted_parameters(model, _inner), lr=LEARNING_RATE, others_lr=OTHERS_RATE)

    def batch_loss(step: int) -> Tensor:
        rows = choose("autoencoder", step, len(pool.videos), CLIPS)
        # Whole clips: trained on half of them, the causal convolutions drift in the frames they never saw.
        videos = pixels(np.stack([pool.videos[row] for row in rows]))
        weight = 1 + OBJECT_WEIGHT * torch.from_numpy(np.stack([pool.masks[row] for row in rows]))[:, None]
        wanted = patches.encode(videos)
        found = model.encode(videos).latent_dist.mode()
        # Half of what the decoder sees is what the diffusion transformer is to give it, half the encoder's own.
        given = torch.cat([wanted[: CLIPS // 2], found[CLIPS // 2 :]])
        error = (weight * (model.decode(given).sample - videos).square()).sum() / weight.sum() / 3
        return error + LATENT_WEIGHT * (found - wanted).square().mean()

    train(model, optimiser, batch_loss, steps=steps, folder=folder)
    return model.eval().requires_grad_(False)


def _inner(name: str, value: Tensor) -> bool:
    """Kernels; not those of the last layers."""
    return value.ndim > 3 and "conv_out" not in name and "gamma" not in name


@torch.no_grad()
def psnr_db(model: Any, videos: np.ndarray) -> float:
    """Peak signal-to-noise ratio of clips after the round trip, from their mean squared error, in dB."""
    given = pixels(videos)
    return _decibels(model.decode(model.encode(given).latent_dist.mode()).sample, given)


def floor_db(patches: Patches, videos: np.ndarray) -> float:
    """The same of the linear patches."""
    given = pixels(videos)
    return _decibels(patches.decode(patches.encode(given)), given)


def _decibels(shown: Tensor, given: Tensor) -> float:
    return float(10 * torch.log10(4 / (shown.clamp(-1, 1) - given).square().mean()))
