"""In which order trials are read that do not fit in memory: block-shuffled, as in CorgiPile (Xu et al. 2022, §4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from brainreel.errors import UsageError
from brainreel.training.randomness import generator

# Blocks that meet in a pool. More: nearer to uniform shuffling, and shorter stretches to read.
BLOCKS = 32


class Batch(NamedTuple):
    """One step: which pool of its epoch it is drawn from, and places of its clips on disk."""

    epoch: int
    pool: int
    places: Int[np.ndarray, " clips"]


class PooledBatches:
    """Batches of clips for which only a pool of clips must be in memory.

    Clips lie on disk in an order that was shuffled once. An epoch shuffles blocks of neighbours, cuts their sequence
    into pools, shuffles the clips of every pool and cuts it into batches; pools come in a shuffled order. Every clip
    occurs once an epoch, batches are as many and as large as `ClipBatches`', and clips of different phases (those that
    overlap in time) never meet. Everything depends on ``place`` and the epoch alone, so any step can be drawn again.

    Args:
        phases: Number of clips of each phase, in the order in which they lie on disk.
        size: Clips of a batch, at most.
        room: Clips of a pool, at most.
        place: Seeds of this training.

    Raises:
        UsageError: if not even one batch fits into a pool.
    """

    def __init__(self, phases: Sequence[int], size: int, room: int, place: tuple[int | str, ...]) -> None:
        self._place = place
        self._starts = np.concatenate([[0], np.cumsum(phases)]).astype(int)
        self._sizes = [_split(count, -(-count // size)) for count in phases]
        largest = max(int(sizes.max()) for sizes in self._sizes)
        if room < largest:
            raise UsageError(f"{room} clips fit in memory", expected=f"a batch of {largest}")
        self._block = max(1, room // BLOCKS)
        # Batches that each pool of each phase has.
        self._shares = [_split(len(sizes), -(-len(sizes) // (room // int(sizes.max())))) for sizes in self._sizes]
        self.steps = sum(len(sizes) for sizes in self._sizes)
        self._epoch = -1
        self._batches: list[tuple[int, np.ndarray]] = []
        self._pools: list[np.ndarray] = []

    def __call__(self, step: int) -> Batch:
        """The batch of a step; places are sorted."""
        epoch, within = divmod(step, self.steps)
        self._draw(epoch)
        pool, places = self._batches[within]
        return Batch(epoch, pool, places)

    def pool(self, epoch: int, number: int) -> Int[np.ndarray, " clips"]:
        """Places of the clips of a pool, sorted."""
        self._draw(epoch)
        return self._pools[number]

    def after(self, epoch: int, number: int) -> tuple[int, int]:
        """The pool that follows: epoch and number."""
        count = sum(len(shares) for shares in self._shares)
        return (epoch, number + 1) if number + 1 < count else (epoch + 1, 0)

    def _draw(self, epoch: int) -> None:
        if epoch == self._epoch:
            return
        noise = np.random.default_rng(generator(*self._place, "epoch", epoch).initial_seed())
        pools: list[list[np.ndarray]] = []
        for start, sizes, shares in zip(self._starts, self._sizes, self._shares, strict=False):
            blocks = np.split(np.arange(sizes.sum()), np.arange(self._block, sizes.sum(), self._block))
            order = start + np.concatenate([blocks[index] for index in noise.permutation(len(blocks))])
            first = 0
            for mine in np.split(sizes, np.cumsum(shares)[:-1]):
                clips = noise.permutation(order[first : first + mine.sum()])
                pools.append([np.sort(part) for part in np.split(clips, np.cumsum(mine)[:-1])])
                first += int(mine.sum())
        shuffled = [pools[index] for index in noise.permutation(len(pools))]
        self._pools = [np.sort(np.concatenate(batches)) for batches in shuffled]
        self._batches = [(number, places) for number, batches in enumerate(shuffled) for places in batches]
        self._epoch = epoch


def _split(count: int, parts: int) -> Int[np.ndarray, " parts"]:
    """Sizes of as equal parts as possible."""
    return np.full(parts, count // parts) + (np.arange(parts) < count % parts)
