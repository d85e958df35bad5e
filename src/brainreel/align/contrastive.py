"""Stage 1 by contrastive learning: everybody's trials of a clip are pulled to that clip's target."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from brainreel.align.batches import overlap_tensor, subject_weights
from brainreel.align.config import AlignConfig, ContrastiveConfig
from brainreel.align.decoders import NetworkDecoder
from brainreel.align.examples import Block, Blocks, DiskBlock, Trials, blocks
from brainreel.align.goals import Goals
from brainreel.align.losses import contrastive_loss, mse_loss
from brainreel.align.network import AlignNetwork
from brainreel.align.refit import clip_sums, mean_of_others, pad, solve_adapter
from brainreel.align.refit_pieces import mean_latents_in_pieces, refit_in_pieces
from brainreel.align.supply import Supply, supply
from brainreel.training.accumulate import accumulated
from brainreel.training.loop import train
from brainreel.training.randomness import generator


def fit_contrastive(
    recordings: Sequence[Trials],
    goals: Goals,
    config: AlignConfig,
    folder: Path | None = None,
    device: torch.device | None = None,
) -> tuple[NetworkDecoder, NetworkDecoder]:
    """Train the network(s), solve every adapter again in closed form, and train on from there if asked to.

    Args:
        recordings: Training trials of all subjects.
        goals: Their targets.
        config: Settings; ``config.seed`` decides everything that is random.
        folder: For checkpoints and the learning curve; a training found there goes on.
        device: Where to compute.

    Returns:
        The decoder, and the decoder before the refit (the same object if nothing follows the first training).
    """
    device = device or torch.device("cpu")
    data = blocks(recordings, device)
    spaces = {block.space: (len(block.subjects), block.features) for block in data}
    settings = config.contrastive
    shape = {
        "spaces": spaces,
        "latent": settings.latent,
        "embedding": goals.dim,
        "depth": settings.depth,
        "dropout_in": settings.dropout_in,
        "dropout_hidden": settings.dropout_hidden,
    }
    members = []
    for member in range(settings.members):
        place = ("align", config.seed, member)
        network = AlignNetwork(**shape, noise=generator(*place, "weights")).to(device)
        where = None if folder is None else folder / f"member-{member}"
        fit_network(network, data, goals, settings, place, where)
        members.append(network.eval().requires_grad_(False))
    trained = NetworkDecoder(
        scalings={r.subject: r.scaling for r in recordings},
        seats={subject: (block.space, row) for block in data for row, subject in enumerate(block.subjects)},
        weights={r.space: r.weight for r in recordings},
        members=members,
        shape=shape,
    )
    total = len(goals.values)
    trained.clip_latents = [mean_latents(member, data, total) for member in members]
    # A single person has no others to be solved towards.
    solve = settings.refit and len(recordings) > 1
    if not solve and not settings.polish_steps:
        return trained, trained
    refitted = copy.copy(trained)
    refitted.members = [refit(member, data, total, settings) if solve else copy.deepcopy(member) for member in members]
    if settings.polish_steps:
        again = settings.model_copy(update={"steps": settings.polish_steps, "lr": settings.polish_lr})
        for member, network in enumerate(refitted.members):
            where = None if folder is None else folder / f"member-{member}-polish"
            network.requires_grad_(True)
            fit_network(network, data, goals, again, ("align", config.seed, member, "polish"), where)
            network.eval().requires_grad_(False)
    refitted.clip_latents = [mean_latents(member, data, total) for member in refitted.members]
    return refitted, trained


def fit_network(
    network: AlignNetwork,
    data: Blocks,
    goals: Goals,
    settings: ContrastiveConfig,
    place: tuple[int | str, ...],
    folder: Path | None,
) -> list[dict[str, int | float]]:
    """Train one network in place; returns the learning curve."""
    with supply(data, goals, settings.clips_per_batch, settings.dataset_balance, place) as (batches, factors):
        weights = [w * f for w, f in zip(subject_weights(data, settings.balance), factors, strict=True)]
        return _fit(network, data, batches, weights, goals, settings, place, folder)


def _fit(
    network: AlignNetwork,
    data: Blocks,
    batches: Supply,
    weights: Sequence[Float[Tensor, "_ 1"]],
    goals: Goals,
    settings: ContrastiveConfig,
    place: tuple[int | str, ...],
    folder: Path | None,
) -> list[dict[str, int | float]]:
    device = network.log_temperature.device
    values = goals.tensor(device)
    pieces = [
        (index, slice(start, start + (settings.subjects_at_once or len(block.subjects))))
        for index, block in enumerate(data)
        for start in range(0, len(block.subjects), settings.subjects_at_once or len(block.subjects))
    ]

    def batch_loss(step: int) -> Tensor:
        clips, trials = batches(step)
        chosen = torch.from_numpy(clips).to(device)
        clip = torch.cat([where.flatten() for _, where in trials])
        weight = torch.cat(
            [(w * torch.ones_like(where)).flatten() for w, (_, where) in zip(weights, trials, strict=True)]
        )
        related = overlap_tensor(goals, clips, device)

        def loss_of(embedding: Float[Tensor, "trials dim"]) -> Tensor:
            scale = network.log_temperature.exp()
            loss = contrastive_loss(embedding, values[chosen], clip, scale, weight, related)
            return loss + settings.mse * mse_loss(embedding, values[chosen], clip, weight) if settings.mse else loss

        def embed(piece: int) -> Float[Tensor, "trials dim"]:
            index, rows = pieces[piece]
            # A piece that is computed twice must meet the same noise.
            noise = generator(*place, "noise", step, piece, device=device)
            return network(index, trials[index][0][rows], noise, rows).flatten(0, 1)

        if settings.subjects_at_once is None:
            return loss_of(torch.cat([embed(piece) for piece in range(len(pieces))]))
        return accumulated([partial(embed, piece) for piece in range(len(pieces))], loss_of)

    # One kernel per step instead of a dozen passes over every adapter; MPS has no such kernel.
    fused = device.type in ("cpu", "cuda")
    optimiser = torch.optim.AdamW(network.parameters(), settings.lr, weight_decay=settings.weight_decay, fused=fused)
    return train(network, optimiser, batch_loss, steps=settings.steps, folder=folder)


@torch.no_grad()
def refit(network: AlignNetwork, data: Blocks, clips: int, settings: ContrastiveConfig) -> AlignNetwork:
    """A copy whose adapters are ridges towards the mean latent of the other subjects, the common map as prior.

    One round is one step of generalised Procrustes-like alternation (Haxby et al. 2011's hyperalignment, with a
    ridge in the place of the rotation); the trunk stays as it was trained.
    """
    network = copy.deepcopy(network)
    if disk := [block for block in data if isinstance(block, DiskBlock)]:
        return refit_in_pieces(network, disk, clips, settings.refit_penalty, settings.refit_rounds)
    memory = [block for block in data if isinstance(block, Block)]
    longest = max(block.clip.shape[1] for block in memory)
    clip = torch.cat([pad(block.clip[..., None], longest, -1)[..., 0] for block in memory])
    sizes = [len(block.subjects) for block in memory]
    for _ in range(settings.refit_rounds):
        latent = torch.cat([pad(network.adapter(block.space)(block.responses), longest, 0) for block in memory])
        goal, there = mean_of_others(latent, clip, clips)
        for block, mine, known in zip(memory, goal.split(sizes), there.split(sizes), strict=True):
            adapter = network.adapter(block.space)
            trials = block.clip.shape[1]
            solved = solve_adapter(
                block.responses, mine[:, :trials], known[:, :trials], adapter.common, settings.refit_penalty
            )
            # Who shares no clip with anybody keeps the adapter that was trained.
            common_ground = known.any(1)[:, None, None]
            adapter.delta.copy_(torch.where(common_ground, solved[0], adapter.delta))
            adapter.bias.copy_(torch.where(common_ground, solved[1], adapter.bias))
    return network


@torch.no_grad()
def mean_latents(network: AlignNetwork, data: Blocks, clips: int) -> Float[Tensor, "clips latent"]:
    """The mean over subjects of each clip's latent; NaN for clips that nobody saw."""
    if disk := [block for block in data if isinstance(block, DiskBlock)]:
        return mean_latents_in_pieces(network, disk, clips)
    total, seen = torch.zeros(()), torch.zeros(())
    for block in [block for block in data if isinstance(block, Block)]:
        sums, counts = clip_sums(network.adapter(block.space)(block.responses), block.clip, clips)
        total = total + (sums / counts.clamp(min=1)[..., None]).sum(0)
        seen = seen + (counts > 0).sum(0)
    return torch.where(seen[:, None] > 0, total / seen.clamp(min=1)[:, None], torch.nan)
