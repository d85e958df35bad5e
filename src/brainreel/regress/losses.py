"""The loss of a head of stage 2."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from brainreel.align.losses import contrastive_loss, mse_loss


def head_loss(
    predicted: Float[Tensor, "trials components"],
    target: Float[Tensor, "clips components"],
    clip: Int[Tensor, " trials"],
    scale: Float[Tensor, ""],
    *,
    mse: float,
    contrastive: float,
    related: Bool[Tensor, "clips clips"] | None = None,
) -> Float[Tensor, ""]:
    """``mse`` · missed variance + ``contrastive`` · symmetric InfoNCE, all trials of a clip its positives.

    The squared error alone answers uncertain trials with the mean target, which looks like no clip; the contrastive
    part asks that an answer be nearest to its own clip (Scotti et al. 2023, §3.2, give both to their heads too).

    Args:
        predicted: One row per trial.
        target: One row per distinct clip of the batch.
        clip: Row of ``target`` of each trial.
        scale: Inverse temperature of this head.
        mse: Weight of the squared error, in units of the targets' mean square.
        contrastive: Weight of the contrastive loss, in nats.
        related: Pairs of clips that must not be negatives of each other (overlapping in time, say).
    """
    loss = torch.zeros((), device=predicted.device)
    if mse:
        loss = loss + mse * mse_loss(predicted, target, clip)
    if contrastive:
        loss = loss + contrastive * contrastive_loss(predicted, target, clip, scale, related=related)
    return loss
