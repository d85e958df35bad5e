"""The video classifier of the semantic scores: every kind in every motion, told from blurred and noisy clips too.

It shares neither weights nor training targets with anything that a reconstruction is made from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, cross_entropy, interpolate

from brainreel.metrics.videos import at_rate
from brainreel.sandbox.networks import CLASSIFIER_FRAMES, classifier
from brainreel.sandbox.pool import Pool, choose, pixels
from brainreel.training.loop import train
from brainreel.training.muon import Muon, sorted_parameters
from brainreel.training.randomness import generator
from brainreel.world.scenes import MOTIONS

STEPS, CLIPS, LEARNING_RATE, OTHERS_RATE = 6000, 96, 0.01, 1.5e-3
_SHIFT = 4


def train_classifier(pool: Pool, folder: Path, steps: int = STEPS) -> Any:
    """Train on clips that are shifted, blurred and noisy, so that it judges what is shown and not how sharply."""
    torch.manual_seed(1)
    model = classifier()
    optimiser = Muon(*sorted_parameters(model, _inner), lr=LEARNING_RATE, others_lr=OTHERS_RATE, weight_decay=0.05)
    frames = at_rate(pool.videos.shape[1], pool.videos.shape[1], CLASSIFIER_FRAMES)
    label = torch.from_numpy(pool.scenes.kind * len(MOTIONS) + pool.scenes.motion)

    def batch_loss(step: int) -> Tensor:
        rows = choose("classifier", step, len(pool.videos), CLIPS)
        videos = pixels(np.stack([pool.videos[row][frames] for row in rows])).transpose(1, 2)
        shown = disturbed(videos, generator("disturb", step))
        return cross_entropy(model(pixel_values=shown).logits, label[rows], label_smoothing=0.05)

    train(model, optimiser, batch_loss, steps=steps, folder=folder)
    return model.eval().requires_grad_(False)


def _inner(name: str, value: Tensor) -> bool:
    return value.ndim == 2 and ".layer" in name and "norm" not in name


def disturbed(
    videos: Float[Tensor, "clips frames 3 height width"], noise: torch.Generator
) -> Float[Tensor, "clips frames 3 height width"]:
    """Each clip shifted by some pixels, a third of them blurred, with noise and another brightness."""
    clips, side = len(videos), torch.arange(videos.shape[-1])
    drawn = torch.rand(3, clips, 1, 1, 1, 1, generator=noise)
    shift = torch.randint(-_SHIFT, _SHIFT + 1, (2, clips, 1), generator=noise)
    rows, columns = ((side + by) % len(side) for by in shift)
    moved = videos[torch.arange(clips)[:, None, None], :, :, rows[:, :, None], columns[:, None, :]].movedim(
        (1, 2), (3, 4)
    )
    small = avg_pool2d(moved.flatten(0, 1), 2)
    blurred = interpolate(small, scale_factor=2, mode="bilinear").view_as(moved)
    seen = torch.where(drawn[0] < 1 / 3, blurred, moved)
    return (0.9 + 0.2 * drawn[1]) * seen + 0.1 * drawn[2] * torch.randn(seen.shape, generator=noise)
