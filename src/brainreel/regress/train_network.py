"""Training the network of stage 2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from brainreel.align.batches import ClipBatches, overlap_tensor
from brainreel.regress.config import RegressConfig
from brainreel.regress.examples import Examples
from brainreel.regress.losses import head_loss
from brainreel.regress.network import RegressNetwork
from brainreel.training.loop import train
from brainreel.training.randomness import generator


def fit_network(
    examples: Examples, config: RegressConfig, folder: Path | None = None, device: torch.device | str = "cpu"
) -> RegressNetwork:
    """A trained network.

    The number of steps is fixed: under a one-cycle learning rate the last step is the one to use, and a choice of
    steps would cost every dataset part of its training clips.

    Args:
        examples: Training trials.
        config: Settings; ``config.seed`` decides everything that is random.
        folder: For checkpoints and ``log.jsonl``; a training found there goes on.
        device: Where to compute.
    """
    place = ("regress", config.seed)
    heads = {name: values.shape[1] for name, values in examples.targets.items()}
    network = empty_network(examples.embedding.shape[1], heads, config, generator(*place, "weights")).to(device)
    batches = ClipBatches(examples.places, np.unique(examples.clip), config.clips_per_batch, place)
    embedding, clip = (torch.from_numpy(values).to(device) for values in (examples.embedding, examples.clip))
    targets = {name: torch.from_numpy(values).to(device) for name, values in examples.targets.items()}
    total = int(examples.clip.max()) + 1

    def batch_loss(step: int) -> Tensor:
        clips = batches(step)
        chosen = torch.from_numpy(clips).to(device)
        position = torch.full((total,), -1, device=device)
        position[chosen] = torch.arange(len(chosen), device=device)
        trials = torch.nonzero(position[clip] >= 0)[:, 0]
        related = overlap_tensor(examples.places, clips, torch.device(device))
        predicted = network(embedding[trials], generator(*place, "noise", step, device=device))
        losses = [
            head_loss(
                predicted[name],
                targets[name][chosen],
                position[clip[trials]],
                network.log_temperature[name].exp(),
                mse=config.mse,
                contrastive=config.contrastive,
                related=related,
            )
            for name in targets
        ]
        return torch.stack(losses).mean()

    # MPS has no fused kernel.
    fused = torch.device(device).type in ("cpu", "cuda")
    optimiser = torch.optim.AdamW(network.parameters(), config.lr, weight_decay=config.weight_decay, fused=fused)
    train(network, optimiser, batch_loss, steps=config.steps, folder=folder)
    return network.eval().requires_grad_(False)


def empty_network(dim: int, heads: dict[str, int], config: RegressConfig, noise: torch.Generator) -> RegressNetwork:
    """A network of the configured shape that has learnt nothing."""
    return RegressNetwork(dim, heads, config.width, config.depth, config.dropout_in, config.dropout_hidden, noise)
