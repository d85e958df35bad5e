"""The losses of stage 1."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize, softplus


def contrastive_loss(
    embedding: Float[Tensor, "trials dim"],
    target: Float[Tensor, "clips dim"],
    clip: Int[Tensor, " trials"],
    scale: Float[Tensor, ""],
    weight: Float[Tensor, " trials"] | None = None,
    related: Bool[Tensor, "clips clips"] | None = None,
) -> Float[Tensor, ""]:
    """Symmetric InfoNCE (van den Oord et al. 2018; Radford et al. 2021) with every trial of a clip a positive.

    Brain → clip: each trial picks its clip among all clips of the batch. Clip → brain: each trial competes, for its
    clip, with the trials of *other* clips only, averaged over the trials that a clip has, so that repetitions and
    other subjects are positives and never negatives.

    Args:
        embedding: One row per trial.
        target: One row per distinct clip of the batch.
        clip: Row of ``target`` of each trial; -1 marks padding.
        scale: Inverse temperature.
        weight: How much each trial's own loss counts, in proportion; default: equally.
        related: Pairs of clips that must not be negatives of each other (overlapping in time, say).

    Returns:
        The mean over trials, in nats.
    """
    there = clip >= 0
    weight = there.to(embedding.dtype) if weight is None else weight * there
    logits = scale * normalize(embedding, dim=-1) @ normalize(target, dim=-1).T
    own = clip.clamp(min=0)[:, None] == torch.arange(len(target), device=clip.device)
    positive = logits.gather(1, clip.clamp(min=0)[:, None])[:, 0]
    hidden = torch.zeros_like(own) if related is None else related[clip.clamp(min=0)] & ~own
    to_clip = logits.masked_fill(hidden, -torch.inf).logsumexp(1) - positive
    negatives = logits.masked_fill(own | hidden | ~there[:, None], -torch.inf).logsumexp(0)
    trials_per_clip = there.sum().to(logits.dtype) / len(target)
    to_brain = softplus(negatives[clip.clamp(min=0)] - trials_per_clip.log() - positive)
    return ((to_clip + to_brain) * weight).sum() / (2 * weight.sum())


def mse_loss(
    embedding: Float[Tensor, "trials dim"],
    target: Float[Tensor, "clips dim"],
    clip: Int[Tensor, " trials"],
    weight: Float[Tensor, " trials"] | None = None,
) -> Float[Tensor, ""]:
    """Mean squared error to the clip's target, in units of the targets' mean square (0 is 1)."""
    there = clip >= 0
    weight = there.to(embedding.dtype) if weight is None else weight * there
    error = (embedding - target[clip.clamp(min=0)]).square().mean(1)
    return (error * weight).sum() / (weight.sum() * target.square().mean())
