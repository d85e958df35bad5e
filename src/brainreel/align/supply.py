"""Where a training step's trials come from: memory, or a pool that is read while the one before it is trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from brainreel.align.balance import batches_for, evenly, refuse_streamed
from brainreel.align.batches import gather
from brainreel.align.budget import size as told
from brainreel.align.examples import Blocks, DiskBlock, padded
from brainreel.align.goals import Goals
from brainreel.align.pools import PooledBatches
from brainreel.align.spool import Spooled
from brainreel.errors import UsageError

Batch = tuple[Int[np.ndarray, " clips"], list[tuple[Tensor, Tensor]]]
"""Clips of a step, and for each block its trials and the position of their clip among those (`gather`)."""
Supply = Callable[[int], Batch]


@contextmanager
def supply(
    data: Blocks, goals: Goals, size: int, dataset_balance: float, place: tuple[int | str, ...]
) -> Iterator[tuple[Supply, list[Float[Tensor, "subjects 1"]]]]:
    """The batch of any step, and by how much more a trial of each subject counts.

    The batch depends on ``place`` and the step's number alone.

    Args:
        data: All training trials.
        goals: Of their clips.
        size: Distinct clips of a batch, at most.
        dataset_balance: As in `ContrastiveConfig`.
        place: Seeds of this training.

    Raises:
        UsageError: if datasets are to be balanced that are read from disk, or the budget is too small.
    """
    device = data[0].clip.device
    total = len(goals.values)
    disk = [block for block in data if isinstance(block, DiskBlock)]
    if disk:
        refuse_streamed([subject for block in disk for subject in block.subjects], dataset_balance)
        with ThreadPoolExecutor(1, "prefetch") as reader:
            yield Streamed(disk, size, place, total, reader), evenly(disk)
        return
    memory = [block for block in data if not isinstance(block, DiskBlock)]
    batches, factors = batches_for(goals, memory, size, dataset_balance, place)

    def batch(step: int) -> Batch:
        clips = batches(step)
        return clips, gather(memory, torch.from_numpy(clips).to(device), total)

    yield batch, factors


@dataclass(frozen=True)
class Pool:
    """Trials of some clips of one space: `Block` without padding.

    Attributes:
        responses: Everybody's trials, one person's after the other's.
        row: For each person, where their trials are in it.
        clip: The trials' clips; -1: padding.
    """

    responses: Float[Tensor, "rows features"]
    row: Int[Tensor, "subjects trials"]
    clip: Int[Tensor, "subjects trials"]

    def pick(self, columns: Int[Tensor, "subjects some"]) -> Float[Tensor, "subjects some features"]:
        """Some trials of every subject."""
        return self.responses[self.row.gather(1, columns)]


class Streamed:
    """Batches from pools on disk: one pool is trained on while the next is read. See `PooledBatches`.

    Raises:
        UsageError: if the budget does not hold two pools and a batch.
    """

    def __init__(
        self,
        data: Sequence[DiskBlock],
        size: int,
        place: tuple[int | str, ...],
        total: int,
        reader: ThreadPoolExecutor,
    ) -> None:
        layout = data[0].members[0].layout
        self._data, self._layout, self._total, self._reader = data, layout, total, reader
        size = min(size, max(layout.phases))
        weight = -np.sort(-clip_bytes(data, layout.order))
        # However unlucky the draw, no pool is larger than this.
        room = int(np.searchsorted(np.cumsum(weight), (layout.budget - weight[:size].sum()) / 2, side="right"))
        if room < size:
            least = int(3 * weight[:size].sum())
            raise UsageError(
                f"a batch of {size} clips is {told(least // 3)} of responses, too much for the memory budget",
                expected=f"--memory-budget {told(least).replace(' ', '')} (three batches) or more than that",
                do=f"give that instead of {told(layout.budget)}, or fewer --contrastive.clips-per-batch",
            )
        self.batches = PooledBatches(layout.phases, size, room, place)
        self._pools: dict[tuple[int, int], Future[list[Pool]]] = {}

    def __call__(self, step: int) -> Batch:
        """See `supply`."""
        batch = self.batches(step)
        here = (batch.epoch, batch.pool)
        if here not in self._pools:
            self._pools = {here: self._submit(here)}
        pools = self._pools[here].result()
        following = self.batches.after(*here)
        if following not in self._pools:
            # The pool before this one is let go before another is read.
            self._pools = {here: self._pools[here]}
            self._pools[following] = self._submit(following)
        clips = np.sort(self._layout.order[batch.places])
        device = self._data[0].clip.device
        found = gather(pools, torch.from_numpy(clips), self._total)
        return clips, [(responses.to(device), where.to(device)) for responses, where in found]

    def _submit(self, pool: tuple[int, int]) -> Future[list[Pool]]:
        places = self.batches.pool(*pool)
        return self._reader.submit(lambda: [read_pool(block, places) for block in self._data])


def clip_bytes(data: Sequence[DiskBlock], clips: Int[np.ndarray, " some"]) -> Int[np.ndarray, " some"]:
    """Bytes of everybody's responses to each of some clips."""
    out = np.zeros(len(clips), int)
    for block in data:
        found = block.clip[block.clip >= 0].cpu().numpy()
        out += 4 * block.features * np.bincount(found, minlength=int(clips.max()) + 1)[clips]
    return out


def read_pool(block: DiskBlock, places: Int[np.ndarray, " clips"]) -> Pool:
    """Read everybody's trials of clips at some sorted places, each stretch of neighbours at once."""
    neighbours = np.split(places, np.flatnonzero(np.diff(places) != 1) + 1)
    stretches = [_stretches(member, neighbours) for member in block.members]
    counts = [sum(s.stop - s.start for s in mine) for mine in stretches]
    starts = np.cumsum([0, *counts])
    responses = np.empty((starts[-1], block.features), np.float32)
    for member, mine, start in zip(block.members, stretches, starts.tolist(), strict=False):
        for stretch in mine:
            length = stretch.stop - stretch.start
            member.read(stretch, responses[start : start + length])
            start += length
    rows = [np.arange(start, start + count) for start, count in zip(starts, counts, strict=False)]
    clip = [
        np.concatenate([member.clip[:0], *(member.clip[s] for s in mine)])
        for member, mine in zip(block.members, stretches, strict=True)
    ]
    row, clip = padded(rows, 0), padded(clip, -1)
    if not row.shape[1]:
        # Nobody of this space saw any of these clips: one trial that is padding.
        responses = np.zeros((1, block.features), np.float32)
        row, clip = np.zeros((len(rows), 1), int), np.full((len(rows), 1), -1)
    return Pool(torch.from_numpy(responses), torch.from_numpy(row), torch.from_numpy(clip))


def _stretches(member: Spooled, neighbours: Sequence[Int[np.ndarray, " _places"]]) -> list[slice]:
    place = member.layout.places(member.clip)
    first = np.searchsorted(place, [part[0] for part in neighbours])
    last = np.searchsorted(place, [part[-1] for part in neighbours], side="right")
    return [slice(start, stop) for start, stop in zip(first.tolist(), last.tolist(), strict=True) if stop > start]
