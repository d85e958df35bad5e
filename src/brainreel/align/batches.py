"""Which trials meet in a training step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from brainreel.align.examples import Blocks
from brainreel.align.goals import Goals
from brainreel.training.randomness import generator


class ClipBatches:
    """Batches of clips: everybody's trials of a clip come together, clips that overlap in time do not.

    An epoch is a partition of the clips that depends on the seed and the epoch's number only, so that any step can
    be drawn again after an interruption.

    Args:
        goals: For the clips' places in time.
        clips: The clips that some subject saw in training.
        size: Distinct clips of a batch, at most.
        place: Seeds of this training.
    """

    def __init__(self, goals: Goals, clips: Int[np.ndarray, " clips"], size: int, place: tuple[int | str, ...]) -> None:
        self._phases = goals.phases(clips)
        self._counts = [-(-len(phase) // size) for phase in self._phases]
        self._place = place
        self._epoch = -1
        self._batches: list[np.ndarray] = []

    @property
    def epoch_steps(self) -> int:
        """In how many steps every clip comes up once."""
        return sum(self._counts)

    def __call__(self, step: int) -> Int[np.ndarray, " clips"]:
        """The clips of a step."""
        epoch, within = divmod(step, self.epoch_steps)
        if epoch != self._epoch:
            noise = np.random.default_rng(generator(*self._place, "epoch", epoch).initial_seed())
            parts = [
                part
                for phase, count in zip(self._phases, self._counts, strict=True)
                for part in np.array_split(noise.permutation(phase), count)
            ]
            self._batches = [parts[index] for index in noise.permutation(len(parts))]
            self._epoch = epoch
        return np.sort(self._batches[within])


@runtime_checkable
class Pickable(Protocol):
    """Trials in memory: a `Block`, or a pool of those on disk."""

    @property
    def clip(self) -> Int[Tensor, "subjects trials"]:
        """Clips of trials; -1: padding."""
        ...

    def pick(self, columns: Int[Tensor, "subjects some"]) -> Float[Tensor, "subjects some features"]:
        """Responses of some trials of every subject."""
        ...


def gather(
    blocks: Sequence[Pickable], clips: Int[Tensor, " clips"], total: int
) -> list[tuple[Float[Tensor, "subjects some _features"], Int[Tensor, "subjects some"]]]:
    """Each block's trials of some clips, and the position of their clip in ``clips`` (-1: padding).

    Args:
        blocks: All training trials, or at least those of the clips.
        clips: Clips of the batch.
        total: Number of clips that exist.
    """
    position = torch.full((total + 1,), -1, device=clips.device)
    position[clips] = torch.arange(len(clips), device=clips.device)
    out = []
    for block in blocks:
        where = position[block.clip]
        width = max(1, int((where >= 0).sum(1).max()))
        # Trials of the batch first, in their own order.
        columns = torch.argsort((where < 0).to(torch.int8), dim=1, stable=True)[:, :width]
        out.append((block.pick(columns), where.gather(1, columns)))
    return out


def subject_weights(blocks: Blocks, balance: float) -> list[Float[Tensor, "subjects 1"]]:
    """A trial's weight, so that a subject with n trials counts n ** balance in all; 1 on average over trials."""
    counts = [block.there.sum(1) for block in blocks]
    everything = torch.cat(counts)
    norm = everything.sum() / (everything**balance).sum()
    return [(count ** (balance - 1) * norm)[:, None] for count in counts]


def distinct(blocks: Blocks) -> Int[np.ndarray, " clips"]:
    """The clips that occur in the blocks."""
    return np.unique(np.concatenate([block.clip[block.clip >= 0].cpu().numpy() for block in blocks]))


def overlap_tensor(goals: Goals, clips: np.ndarray, device: torch.device) -> Bool[Tensor, "clips clips"] | None:
    """`Goals.overlap` on a device; None when nothing overlaps but each clip with itself."""
    related = goals.overlap(clips)
    return torch.from_numpy(related).to(device) if related.sum() > len(clips) else None
