"""The refit (`brainreel.align.contrastive.refit`) of responses on disk: one subject at a time, in pieces of trials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from brainreel.align.budget import refuse_beyond
from brainreel.align.examples import DiskBlock
from brainreel.align.network import Adapters, AlignNetwork
from brainreel.align.refit import clip_sums
from brainreel.align.spool import Spooled


def refit_in_pieces(
    network: AlignNetwork, data: Sequence[DiskBlock], clips: int, penalty: float, rounds: int
) -> AlignNetwork:
    """Solve every adapter of ``network``, in place, towards the mean latent of the other subjects.

    Raises:
        UsageError: if the Gram matrix of a subject alone exceeds the budget.
    """
    for _ in range(rounds):
        total, seen = _totals(network, data, clips)
        for block in data:
            adapter = network.adapter(block.space)
            for row, member in enumerate(block.members):
                clip = torch.from_numpy(member.clip).to(total.device)
                means, saw = _clip_means(_latents(adapter, row, member), clip, clips)
                others = (seen - saw)[clip]
                there = (others > 0).to(total.dtype)
                # Who shares no clip with anybody keeps the adapter that was trained.
                if not there.any():
                    continue
                goal = (total - means)[clip] / others.clamp(min=1)[:, None]
                bias = (goal * there[:, None]).sum(0) / there.sum()
                rest = (goal - bias) * there[:, None]
                for some, responses in _pieces(member, total.device):
                    rest[some] -= (responses @ adapter.common) * there[some, None]
                adapter.delta[row] = ridge_in_pieces(member, rest, there, penalty)
                adapter.bias[row] = bias
    return network


def mean_latents_in_pieces(
    network: AlignNetwork, data: Sequence[DiskBlock], clips: int
) -> Float[Tensor, "clips latent"]:
    """The mean over subjects of each clip's latent; NaN for clips that nobody saw."""
    total, seen = _totals(network, data, clips)
    return torch.where(seen[:, None] > 0, total / seen.clamp(min=1)[:, None], torch.nan)


def ridge_in_pieces(
    member: Spooled, outcome: Float[Tensor, "trials dim"], there: Float[Tensor, " trials"], penalty: float
) -> Float[Tensor, "features dim"]:
    """`refit.ridge_solve` of a subject's responses, those that are ``there``; two pieces are in memory at a time.

    The Gram matrix, over features or over trials, whichever are fewer, is added up piece by piece.
    """
    trials, device = len(member.clip), outcome.device
    order = min(trials, member.features)
    refuse_beyond(
        member.layout.budget,
        2 * 4 * order**2,
        f"the Gram matrix of {member.subject} ({order} × {order}) with its factor",
        "raise it, or train with --no-contrastive.refit",
    )
    gram = torch.zeros(order, order, device=device)
    if member.features <= trials:
        cross = torch.zeros(member.features, outcome.shape[1], device=device)
        for some, responses in _pieces(member, device):
            responses = responses * there[some, None]
            gram += responses.T @ responses
            cross += responses.T @ outcome[some]
        gram.diagonal().add_(penalty)
        return torch.cholesky_solve(cross, torch.linalg.cholesky(gram))
    for rows, one in _pieces(member, device):
        for columns, other in _pieces(member, device, rows.start):
            block = (one @ other.T) * there[rows, None] * there[columns]
            gram[rows, columns] = block
            gram[columns, rows] = block.T
    gram.diagonal().add_(penalty)
    dual = torch.cholesky_solve(outcome, torch.linalg.cholesky(gram)) * there[:, None]
    out = torch.zeros(member.features, outcome.shape[1], device=device)
    for some, responses in _pieces(member, device):
        out += responses.T @ dual[some]
    return out


def _pieces(
    member: Spooled, device: torch.device, start: int = 0
) -> Iterator[tuple[slice, Float[Tensor, "some features"]]]:
    """The subject's responses from trial ``start`` on, of which two pieces and as much for work fit the budget."""
    rows = max(1, member.layout.budget // (4 * 4 * member.features))
    for some in member.stretches(rows):
        if some.start >= start:
            yield some, torch.from_numpy(member.read(some)).to(device)


def _latents(adapter: Adapters, row: int, member: Spooled) -> Float[Tensor, "trials latent"]:
    weights = adapter.common + adapter.delta[row]
    parts = [responses @ weights + adapter.bias[row] for _, responses in _pieces(member, weights.device)]
    return torch.cat(parts)


def _clip_means(
    latent: Float[Tensor, "trials dim"], clip: Int[Tensor, " trials"], clips: int
) -> tuple[Float[Tensor, "clips dim"], Float[Tensor, " clips"]]:
    """One subject's mean at every clip, and 1 where there is one."""
    sums, counts = clip_sums(latent[None], clip[None], clips)
    return (sums / counts.clamp(min=1)[..., None])[0], (counts[0] > 0).to(latent.dtype)


def _totals(
    network: AlignNetwork, data: Sequence[DiskBlock], clips: int
) -> tuple[Float[Tensor, "clips latent"], Float[Tensor, " clips"]]:
    """The sum over subjects of their mean latents at every clip, and how many there are."""
    device = network.log_temperature.device
    total = torch.zeros(clips, network.adapter(data[0].space).common.shape[1], device=device)
    seen = torch.zeros(clips, device=device)
    for block in data:
        adapter = network.adapter(block.space)
        for row, member in enumerate(block.members):
            clip = torch.from_numpy(member.clip).to(device)
            means, saw = _clip_means(_latents(adapter, row, member), clip, clips)
            total += means
            seen += saw
    return total, seen
