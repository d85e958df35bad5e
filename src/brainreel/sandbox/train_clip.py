"""A CLIP for single frames and captions (Radford et al. 2021), the target space of stage 1 in the sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from brainreel.sandbox.networks import clip
from brainreel.sandbox.pool import Pool, choose, pixels
from brainreel.sandbox.words import tokenizer
from brainreel.training.loop import train
from brainreel.training.muon import Muon, sorted_parameters
from brainreel.training.randomness import generator

STEPS, CLIPS, LEARNING_RATE, OTHERS_RATE = 700, 192, 0.01, 1e-3


def train_clip(pool: Pool, folder: Path, steps: int = STEPS) -> Any:
    """Train on one random frame and one random caption of each clip."""
    torch.manual_seed(2)
    model, words = clip(), tokenizer(start=True)
    optimiser = Muon(*sorted_parameters(model, _inner), lr=LEARNING_RATE, others_lr=OTHERS_RATE, weight_decay=0.05)

    def batch_loss(step: int) -> Tensor:
        rows = choose("clip", step, len(pool.videos), CLIPS)
        noise = generator("frame", step)
        frame = torch.randint(0, pool.videos.shape[1], (len(rows),), generator=noise).tolist()
        which = torch.randint(0, len(pool.captions[0]), (len(rows),), generator=noise).tolist()
        images = pixels(np.stack([pool.videos[row, f] for row, f in zip(rows, frame, strict=True)])[:, None])[:, :, 0]
        said = [pool.captions[row][w] for row, w in zip(rows, which, strict=True)]
        tokens = words(said, padding=True, return_tensors="pt", return_token_type_ids=False)
        found = model(pixel_values=images, **tokens)
        logits = model.logit_scale.exp() * normalize(found.text_embeds) @ normalize(found.image_embeds).T
        own = torch.arange(len(rows))
        return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2

    train(model, optimiser, batch_loss, steps=steps, folder=folder)
    return model.eval().requires_grad_(False)


def _inner(name: str, value: Tensor) -> bool:
    return value.ndim == 2 and ".layers." in name
