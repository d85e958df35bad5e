"""The video autoencoder: squared error, more of it on the object, and a little Kullback-Leibler divergence.

Kingma & Welling 2014 (variational autoencoders); the architecture is Wan's (Wan team 2025).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from brainreel.sandbox.networks import autoencoder
from brainreel.sandbox.pool import Pool, choose
from brainreel.training.loop import train
from brainreel.training.randomness import generator

STEPS, CLIPS, LEARNING_RATE = 5500, 4, 2e-3
OBJECT_WEIGHT = 4.0
DIVERGENCE = 1e-6


def train_autoencoder(pool: Pool, folder: Path, steps: int = STEPS) -> Any:
    """Train, and put the mean and spread of the latents of training clips into the configuration."""
    torch.manual_seed(0)
    model = autoencoder()
    optimiser = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=0.0, betas=(0.9, 0.98))

    def batch_loss(step: int) -> Tensor:
        rows = choose("autoencoder", step, len(pool.videos), CLIPS)
        # Whole clips: trained on half of them, the causal convolutions drift in the frames they never saw.
        videos = pixels(np.stack([pool.videos[row] for row in rows]))
        weight = 1 + OBJECT_WEIGHT * torch.from_numpy(np.stack([pool.masks[row] for row in rows]))[:, None]
        posterior = model.encode(videos).latent_dist
        shown = model.decode(posterior.sample(generator=generator("latent", step))).sample
        error = (weight * (shown - videos).square()).sum() / weight.sum() / 3
        return error + DIVERGENCE * posterior.kl().mean()

    train(model, optimiser, batch_loss, steps=steps, folder=folder)
    model.eval().requires_grad_(False)
    sample = torch.cat(
        [latents(model, pool.videos[start : start + 32]) for start in range(0, min(512, len(pool.videos)), 32)]
    )
    mean, std = sample.mean((0, 2, 3, 4)), sample.std((0, 2, 3, 4))
    model.register_to_config(latents_mean=mean.tolist(), latents_std=std.tolist())
    return model


def pixels(videos: np.ndarray) -> Float[Tensor, "clips 3 frames height width"]:
    """uint8 RGB to the autoencoder's range, -1 to 1."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(videos, -1, 1))).float() / 127.5 - 1


@torch.no_grad()
def latents(model: Any, videos: np.ndarray) -> Float[Tensor, "clips channels frames height width"]:
    """The mode of each clip's posterior, not normalised."""
    return model.encode(pixels(np.asarray(videos))).latent_dist.mode()


@torch.no_grad()
def psnr_db(model: Any, videos: np.ndarray) -> float:
    """Peak signal-to-noise ratio of clips after the round trip, from their mean squared error, in dB."""
    given = pixels(videos)
    error = (model.decode(model.encode(given).latent_dist.mode()).sample.clamp(-1, 1) - given).square().mean()
    return float(10 * torch.log10(4 / error))
