"""One pass over all clips, a few at a time: right pairs, wrong pairs and null videos, reduced to their parts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from brainreel.evaluate.score_measures import ENERGY, MEASURES, MOTION_FPS, Truth, frames_move, not_installed
from brainreel.evaluate.score_nulls import NULLS, Nulls, digest, grid_of_any
from brainreel.evaluate.score_pairs import frames_at, grid_for, pair_up, resampling
from brainreel.evaluate.score_sources import Source
from brainreel.progress import track
from brainreel.video import Frames

# Videos, flows and temporary arrays of the clips at work stay below this.
WORKING_BYTES = 2**30


@dataclass(frozen=True)
class Pairs:
    """Everything that is known before anything is measured; making it has read every file once.

    Attributes:
        truth: The true clips.
        recons: The reconstructions, by method.
        which: For each method, which of its clips belongs to each true clip.
        order: The true clips in an order drawn from their content and the seed, so that no result depends on names.
        same: For each true clip, a number that clips of the same content share.
        digests: `digest` of each true clip.
    """

    truth: Source
    recons: dict[str, Source]
    which: dict[str, Int[np.ndarray, " clips"]]
    order: Int[np.ndarray, " clips"]
    same: Int[np.ndarray, " clips"]
    digests: list[bytes] = field(repr=False)

    @classmethod
    def of(cls, truth: Source, recons: dict[str, Source], *, seed: int) -> Pairs:
        """Pair clips by name, and check every one: what is wrong is found before an hour of work."""
        which = {name: pair_up(truth, recon) for name, recon in recons.items()}
        digests: list[bytes] = []
        for index in track(range(len(truth)), "checking", total=len(truth)):
            looked = truth.look(index)
            digests.append(digest(truth.read(index).frames))
            for name, recon in recons.items():
                other = int(which[name][index])
                grid_for(looked, recon.look(other), (truth.called(index), recon.called(other)))
        _, same = np.unique(np.array(digests, dtype="S64"), return_inverse=True)
        drawn = [hashlib.blake2b(each, salt=str(seed).encode()[:16]).digest() for each in digests]
        order = np.array(sorted(range(len(truth)), key=drawn.__getitem__))
        return cls(truth, recons, which, order, same.reshape(-1), digests)

    def resampling(self) -> list[dict[str, Any]]:
        """What is resampled, in words, by method and group of clips."""
        return [
            row for name, recon in self.recons.items() for row in resampling(self.truth, recon, self.which[name], name)
        ]

    def without(self) -> dict[tuple[str, str], str]:
        """Why which measures cannot be had, of some clip or at all."""
        reasons: dict[tuple[str, str], str] = {}
        for index in range(len(self.truth)):
            looked = self.truth.look(index)
            reasons |= frames_move(looked.format.frames, frames_at(looked, MOTION_FPS))
        return reasons | not_installed()

    def read(self, method: str, index: int, other: int | None = None) -> Frames:
        """The reconstruction of a true clip, or the one of another clip, on this clip's grid."""
        recon = self.recons[method]
        place = int(self.which[method][index if other is None else other])
        looked = self.truth.look(index), recon.look(place)
        if other is None:
            grid = grid_for(*looked, (self.truth.called(index), recon.called(place)))
        else:
            grid = grid_of_any(*looked)
        return recon.read(place, grid).frames


@dataclass(frozen=True)
class Measured:
    """The parts of every clip, clips in the order of `Pairs.order`; NaN where undefined."""

    own: Float[np.ndarray, "methods clips measures 2"]
    wrong: Float[np.ndarray, "methods shifts clips measures 2"]
    nulls: Float[np.ndarray, "nulls clips measures 2"]
    energy: dict[str, Float[np.ndarray, "clips filters"]]
    training_energy: Float[np.ndarray, "2 filters"] | None
    without: dict[tuple[str, str], str]


def measure(pairs: Pairs, nulls: Nulls, *, shifts: int, without: dict[tuple[str, str], str]) -> Measured:
    """Measure every clip with every method's reconstruction, with null videos and with `shifts` wrong ones.

    Clip p in that order meets the reconstructions of clips p + 1 … p + shifts, counted round: each shift
    is a derangement, unrelated to what the clips are called.
    """
    order, truth = pairs.order, pairs.truth
    work = partial(_clip, pairs=pairs, nulls=nulls, shifts=shifts, without=frozenset(without))
    results = list(track(_on_threads(work, range(len(order)), _threads(truth)), "scoring", total=len(order)))
    own, wrong, null = (np.stack([result[kind] for result in results], axis=-3) for kind in ("own", "wrong", "nulls"))
    energy = {}
    if (ENERGY.metric, ENERGY.definition) not in without:
        for row, name in enumerate(("truth", *pairs.recons, *NULLS)):
            found = [result["energy"][row] for result in results]
            if all(each is not None for each in found):
                energy[name] = np.stack(found)
    return Measured(own, wrong, null, energy, nulls.energy, without)


def _clip(
    position: int, *, pairs: Pairs, nulls: Nulls, shifts: int, without: frozenset[tuple[str, str]]
) -> dict[str, Any]:
    index = int(pairs.order[position])
    frames = pairs.truth.read(index).frames
    truth = Truth(frames, frames_at(pairs.truth.look(index), MOTION_FPS), without)
    undefined = np.full((len(MEASURES), 2), np.nan)
    own, wrong, energy = [], [], [truth.energy()]
    for method in pairs.recons:
        video = pairs.read(method, index)
        own.append(truth.measure(video))
        energy.append(truth.energy(video))
        rows = []
        for shift in range(1, shifts + 1):
            other = int(pairs.order[(position + shift) % len(pairs.order)])
            differ = pairs.same[other] != pairs.same[index]
            rows.append(truth.measure(pairs.read(method, index, other)) if differ else undefined)
        wrong.append(np.array(rows).reshape(shifts, len(MEASURES), 2))
    null = []
    for video in nulls.of(index, frames):
        null.append(undefined if video is None else truth.measure(video))
        energy.append(None if video is None else truth.energy(video))
    return {"own": np.array(own), "wrong": np.array(wrong), "nulls": np.array(null), "energy": energy}


def _threads(truth: Source) -> int:
    """As many as there are cores, unless the clips are so large that memory sets the limit."""
    largest = max(np.prod(truth.look(index).format[:3]) * 3 for index in range(len(truth)))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(WORKING_BYTES // (12 * largest))))


def _on_threads(work: Any, items: Sequence[int], threads: int) -> Iterator[Any]:
    """Results in order."""
    if threads == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        try:
            yield from pool.map(work, items)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
