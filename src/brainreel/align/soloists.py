"""Everybody on their own, all at once: one contrastive decoder per subject that shares nothing with the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from brainreel.align.batches import ClipBatches, distinct, gather
from brainreel.align.config import ContrastiveConfig
from brainreel.align.examples import Block
from brainreel.align.goals import Goals
from brainreel.align.losses import contrastive_loss
from brainreel.training.loop import train
from brainreel.training.randomness import dropout, generator


class Soloists(nn.Module):
    """Adapter, output and temperature of every subject of one space; subjects meet in matrix products only."""

    def __init__(self, subjects: int, features: int, latent: int, embedding: int, noise: torch.Generator) -> None:
        super().__init__()
        self.adapter = nn.Parameter(torch.randn(subjects, features, latent, generator=noise) / math.sqrt(features))
        self.bias = nn.Parameter(torch.zeros(subjects, 1, latent))
        self.out = nn.Parameter(torch.randn(subjects, latent, embedding, generator=noise) / math.sqrt(latent))
        self.log_temperature = nn.Parameter(torch.full((subjects,), math.log(10.0)))

    def forward(
        self,
        responses: Float[Tensor, "subjects trials features"],
        rates: tuple[float, float] = (0.0, 0.0),
        noise: torch.Generator | None = None,
    ) -> Float[Tensor, "subjects trials embedding"]:
        """Everybody's embeddings; ``rates``: dropout on responses and on the latent."""
        latent = torch.baddbmm(self.bias, dropout(responses, rates[0], noise), self.adapter)
        return dropout(latent, rates[1], noise) @ self.out

    @torch.no_grad()
    def maps(self) -> Float[Tensor, "subjects features_1 embedding"]:
        """Each subject's decoder as one linear map, intercept in the last row."""
        return torch.cat([self.adapter, self.bias], dim=1) @ self.out


def fit_soloists(
    block: Block, goals: Goals, settings: ContrastiveConfig, place: tuple[int | str, ...], folder: Path | None
) -> Soloists:
    """Train everybody of one space; nobody's loss or gradient depends on anybody else's data."""
    device = block.responses.device
    model = Soloists(
        len(block.subjects), block.responses.shape[-1], settings.latent, goals.dim, generator(*place, "weights")
    ).to(device)
    batches = ClipBatches(goals, distinct([block]), settings.clips_per_batch, place)
    values = goals.tensor(device)
    rates = (settings.dropout_in, settings.dropout_hidden)

    def batch_loss(step: int) -> Tensor:
        clips = torch.from_numpy(batches(step)).to(device)
        responses, clip = gather([block], clips, len(values))[0]
        embedding = model(responses, rates, generator(*place, "noise", step, device=device))
        return solo_losses(embedding, values[clips], clip, model.log_temperature.exp()).sum()

    # One map where a network with a common part has two that are added: the same step needs twice the rate.
    fast, slow = settings.lr * 2, settings.lr
    parameters = [
        {"params": [model.adapter], "lr": fast, "weight_decay": settings.weight_decay / 2},
        {"params": [model.bias, model.out, model.log_temperature], "lr": slow},
    ]
    fused = device.type in ("cpu", "cuda")
    optimiser = torch.optim.AdamW(parameters, slow, weight_decay=settings.weight_decay, fused=fused)
    train(model, optimiser, batch_loss, steps=settings.steps, folder=folder)
    return model.eval().requires_grad_(False)


def solo_losses(
    embedding: Float[Tensor, "subjects trials dim"],
    target: Float[Tensor, "clips dim"],
    clip: Int[Tensor, "subjects trials"],
    scale: Float[Tensor, " subjects"],
) -> Float[Tensor, " subjects"]:
    """`contrastive_loss` of every subject over their own trials alone; 0 for who has none in the batch."""
    losses = torch.vmap(contrastive_loss, in_dims=(0, None, 0, 0))(embedding, target, clip, scale)
    return torch.where((clip >= 0).any(1), losses, 0.0)


def solo_blocks(
    data: Sequence[Block], goals: Goals, settings: ContrastiveConfig, seed: int, folder: Path | None
) -> list[Soloists]:
    """Soloists of every space."""
    return [
        fit_soloists(
            block, goals, settings, ("solo", seed, index), None if folder is None else folder / f"solo-{index}"
        )
        for index, block in enumerate(data)
    ]
