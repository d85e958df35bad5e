"""Solving adapters in closed form, the trunk frozen."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor


def ridge_solve(
    design: Float[Tensor, "*s trials features"],
    outcome: Float[Tensor, "*s trials dim"],
    penalty: float,
) -> Float[Tensor, "*s features dim"]:
    """argmin_W ‖design W − outcome‖² + penalty ‖W‖² (Hoerl & Kennard 1970), for all subjects at once.

    Solved over features or over trials, whichever are fewer; the two are the same by the push-through identity.
    """
    trials, features = design.shape[-2:]
    if features <= trials:
        gram = design.mT @ design
        gram.diagonal(dim1=-2, dim2=-1).add_(penalty)
        return torch.cholesky_solve(design.mT @ outcome, torch.linalg.cholesky(gram))
    gram = design @ design.mT
    gram.diagonal(dim1=-2, dim2=-1).add_(penalty)
    return design.mT @ torch.cholesky_solve(outcome, torch.linalg.cholesky(gram))


def clip_sums(
    values: Float[Tensor, "subjects trials dim"], clip: Int[Tensor, "subjects trials"], clips: int
) -> tuple[Float[Tensor, "subjects clips dim"], Float[Tensor, "subjects clips"]]:
    """Per subject and clip: the sum of the trials' values, and how many trials there are."""
    subjects, _, dim = values.shape
    there = (clip >= 0).to(values.dtype)
    slot = clip.clamp(min=0) + clips * torch.arange(subjects, device=clip.device)[:, None]
    sums = values.new_zeros(subjects * clips, dim)
    sums.index_add_(0, slot.flatten(), (values * there[..., None]).flatten(0, 1))
    counts = values.new_zeros(subjects * clips)
    counts.index_add_(0, slot.flatten(), there.flatten())
    return sums.view(subjects, clips, dim), counts.view(subjects, clips)


def mean_of_others(
    latent: Float[Tensor, "subjects trials dim"], clip: Int[Tensor, "subjects trials"], clips: int
) -> tuple[Float[Tensor, "subjects trials dim"], Float[Tensor, "subjects trials"]]:
    """For each trial, the mean latent of the *other* subjects at the same clip, and whether there is one.

    Subjects count equally, however many repetitions each has.
    """
    sums, counts = clip_sums(latent, clip, clips)
    means = sums / counts.clamp(min=1)[..., None]
    saw = (counts > 0).to(latent.dtype)
    others = (saw.sum(0) - saw).gather(1, clip.clamp(min=0))
    total = means.sum(0, keepdim=True) - means
    index = clip.clamp(min=0)[..., None].expand(-1, -1, latent.shape[-1])
    there = (clip >= 0) & (others > 0)
    return total.gather(1, index) / others.clamp(min=1)[..., None], there.to(latent.dtype)


def solve_adapter(
    responses: Float[Tensor, "subjects trials features"],
    goal: Float[Tensor, "subjects trials latent"],
    there: Float[Tensor, "subjects trials"],
    common: Float[Tensor, "features latent"],
    penalty: float,
    bias: Float[Tensor, "subjects 1 latent"] | None = None,
) -> tuple[Float[Tensor, "subjects features latent"], Float[Tensor, "subjects 1 latent"]]:
    """Ridge of the responses towards a goal in latent space, with the common map as the prior: (ΔW, bias).

    min_ΔW Σ_trials ‖x (W_common + ΔW) + b − goal‖² + penalty ‖ΔW‖². The bias is the mean of the goal, since the
    responses are standardised, unless it is given (few trials do not pin down a mean).
    """
    mask = there[..., None]
    if bias is None:
        bias = (goal * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
    rest = (goal - bias - responses @ common) * mask
    return ridge_solve(responses * mask, rest, penalty), bias


def pad(values: Shaped[Tensor, "subjects trials dim"], length: int, fill: int) -> Shaped[Tensor, "subjects length dim"]:
    """The same values with ``fill`` after the last trial, so that spaces of different lengths can be stacked."""
    return torch.nn.functional.pad(values, (0, 0, 0, length - values.shape[1]), value=fill)
