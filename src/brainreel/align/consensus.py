"""Stage 1 by consensus: everybody learns alone, then everybody is fitted to what the others answered.

A clip's target says what was on the screen; the mean answer of the other viewers says what brains make of it, with the
noise of single brains averaged out and nothing of the subject's own noise in it. It is the idea of the refit (adapters
towards the others' mean latent) carried to the embedding itself, where people need not share vertices: the answers of
two groups with different voxels meet in one space. Compare Haxby et al. 2011 (a common space from many brains) and
Hinton et al. 2015 (fitting to an ensemble's answers).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from brainreel.align.config import AlignConfig
from brainreel.align.decoders import LinearDecoder
from brainreel.align.examples import Block, Trials, in_memory, scalings_of, spaces_of
from brainreel.align.goals import Goals
from brainreel.align.refit import clip_sums, mean_of_others, pad, ridge_solve
from brainreel.align.soloists import solo_blocks


def fit_consensus(
    recordings: Sequence[Trials],
    goals: Goals,
    config: AlignConfig,
    folder: Path | None = None,
    device: torch.device | None = None,
    soloists: LinearDecoder | None = None,
) -> tuple[LinearDecoder, LinearDecoder]:
    """Train everybody alone, then solve everybody towards the mean answer of the others.

    Args:
        recordings: Training trials of all subjects.
        goals: Their targets.
        config: Settings; ``config.seed`` decides everything that is random.
        folder: For checkpoints and learning curves; a training found there goes on.
        device: Where to compute.
        soloists: What these people learned alone from these goals, if that is known already. Nobody's soloist
            depends on who else is there, so that groups of the same people can share them.

    Returns:
        The decoder, and the soloists (the same object for a single person).
    """
    data = in_memory(recordings, device or torch.device("cpu"))
    weights = {recording.space: recording.weight for recording in recordings}
    if soloists is None:
        alone = solo_blocks(data, goals, config.contrastive, config.seed, folder)
        solo_maps = {block.space: model.maps() for block, model in zip(data, alone, strict=True)}
        soloists = LinearDecoder(scalings_of(recordings), spaces_of(recordings), _named(data, solo_maps, weights))
    maps = {recording.subject: soloists.maps[recording.subject] for recording in recordings}
    solo = LinearDecoder(scalings_of(recordings), spaces_of(recordings), maps)
    if len(recordings) < 2:
        return solo, solo
    answers = [_answers(block, solo, weights[block.space]) for block in data]
    others = everybodys_others(data, answers, len(goals.values))
    mean = mean_answers(data, answers, len(goals.values))
    own_maps, newcomers = {}, {}
    for block, (goal, there) in zip(data, others, strict=True):
        own_maps[block.space] = solve_maps(block.responses, goal, there, config.consensus.penalty)
        newcomers[block.space] = _newcomer_map(block, mean, config.consensus.newcomer_penalty)
    own = _named(data, own_maps, weights)
    # Who shares no clip with anybody has nobody to be fitted to.
    lonely = {
        s
        for b, (_, there) in zip(data, others, strict=True)
        for s, t in zip(b.subjects, there, strict=True)
        if not t.any()
    }
    maps = {subject: solo.maps[subject] if subject in lonely else own[subject] for subject in own}
    unseen = {space: _on_standardised(found, weights[space]) for space, found in newcomers.items()}
    return LinearDecoder(solo.scalings, solo.spaces, maps, unseen, mean.cpu().numpy()), solo


def _answers(block: Block, solo: LinearDecoder, weight: np.ndarray) -> Float[Tensor, "subjects trials dim"]:
    """What the soloists of a space answer to their own training trials, as unit vectors."""
    maps = np.stack([solo.maps[subject] for subject in block.subjects]) / np.append(weight, 1.0)[:, None]
    found = torch.from_numpy(maps.astype(np.float32)).to(block.responses.device)
    return normalize(torch.baddbmm(found[:, -1:], block.responses, found[:, :-1]), dim=-1)


def everybodys_others(
    data: Sequence[Block], answers: Sequence[Float[Tensor, "subjects trials dim"]], clips: int
) -> list[tuple[Tensor, Tensor]]:
    """`mean_of_others` over all spaces together: per space the goal (subjects, trials, dim) and where there is one."""
    longest = max(block.clip.shape[1] for block in data)
    clip = torch.cat([pad(block.clip[..., None], longest, -1)[..., 0] for block in data])
    goal, there = mean_of_others(torch.cat([pad(values, longest, 0) for values in answers]), clip, clips)
    sizes = [len(block.subjects) for block in data]
    parts = zip(data, goal.split(sizes), there.split(sizes), strict=True)
    return [(mine[:, : b.clip.shape[1]], known[:, : b.clip.shape[1]]) for b, mine, known in parts]


def mean_answers(
    data: Sequence[Block], answers: Sequence[Float[Tensor, "subjects trials dim"]], clips: int
) -> Float[Tensor, "clips dim"]:
    """The mean over subjects of their answers to each clip; NaN where nobody saw it."""
    total = torch.zeros((clips, answers[0].shape[-1]), device=answers[0].device)
    seen = torch.zeros(clips, device=answers[0].device)
    for block, values in zip(data, answers, strict=True):
        sums, counts = clip_sums(values, block.clip, clips)
        total += (sums / counts.clamp(min=1)[..., None]).sum(0)
        seen += (counts > 0).sum(0)
    return torch.where(seen[:, None] > 0, total / seen.clamp(min=1)[:, None], torch.nan)


def solve_maps(
    responses: Float[Tensor, "subjects trials features"],
    goal: Float[Tensor, "subjects trials dim"],
    there: Float[Tensor, "subjects trials"],
    penalty: float,
) -> Float[Tensor, "subjects features_1 dim"]:
    """Ridge of standardised responses towards a goal, intercept (the goal's mean) in the last row."""
    mask = there[..., None]
    intercept = (goal * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
    weights = ridge_solve(responses * mask, (goal - intercept) * mask, penalty)
    return torch.cat([weights, intercept], dim=1)


def _newcomer_map(block: Block, mean: Float[Tensor, "clips dim"], penalty: float) -> Float[Tensor, "features_1 dim"]:
    """One ridge for everybody of a space towards the mean answer; the penalty is per subject in it."""
    there = block.there.flatten()
    responses = block.responses.flatten(0, 1)
    goal = mean[block.clip.clamp(min=0)].flatten(0, 1).nan_to_num()
    return solve_maps(responses[None], goal[None], there[None], penalty * len(block.subjects))[0]


def _named(
    data: Sequence[Block], maps: dict[str, Tensor], weights: dict[str, np.ndarray]
) -> dict[str, Float[np.ndarray, "_features_1 dim"]]:
    """subject → map on responses that are only standardised."""
    return {
        subject: _on_standardised(own, weights[block.space])
        for block in data
        for subject, own in zip(block.subjects, maps[block.space], strict=True)
    }


def _on_standardised(found: Tensor, weight: np.ndarray) -> np.ndarray:
    return found.cpu().numpy() * np.append(weight, 1.0).astype(np.float32)[:, None]
