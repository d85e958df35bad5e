"""One pass over all clips, a few at a time: right pairs, wrong pairs and null videos, reduced to their parts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from brainreel.evaluate.score_flows import MOTION_FPS, KeptFlows, still
from brainreel.evaluate.score_measures import MEASURES, Truth, frames_move, not_installed
from brainreel.evaluate.score_nulls import NULLS, Nulls, digest, grid_of_any
from brainreel.evaluate.score_pairs import frames_at, grid_for, length_groups, pair_up, resampling
from brainreel.evaluate.score_sources import Source
from brainreel.evaluate.score_threads import on_threads, threads_for
from brainreel.progress import track
from brainreel.video import Frames

# Clips that meet wrong reconstructions, and clips that meet null videos (which need flows of their own): controls are
# means over clips, and these give them to a fraction of what any claim rests on.
WRONG_CLIPS, NULL_CLIPS = 160, 80


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
        lengths: `length_groups` of the true clips.
    """

    truth: Source
    recons: dict[str, Source]
    which: dict[str, Int[np.ndarray, " clips"]]
    order: Int[np.ndarray, " clips"]
    same: Int[np.ndarray, " clips"]
    digests: list[bytes] = field(repr=False)
    lengths: Int[np.ndarray, " clips"] = field(repr=False)

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
        lengths = length_groups([truth.look(index) for index in range(len(truth))])
        return cls(truth, recons, which, order, same.reshape(-1), digests, lengths)

    def wrong(self, position: int, shift: int) -> int:
        """The clip whose reconstruction the clip at a position of `order` meets: ``shift`` + 1 further, counted round,
        among the clips that last as long."""
        as_long = self.order[self.lengths[self.order] == self.lengths[self.order[position]]]
        here = int(np.flatnonzero(as_long == self.order[position])[0])
        return int(as_long[(here + shift + 1) % len(as_long)])

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
    """The parts of every clip, clips in the order of `Pairs.order`; NaN where undefined or not measured.

    `energy` is that of "truth", "method NAME" and the null videos; a null video's holds the first clips in that order, those that met null videos.
    """

    own: Float[np.ndarray, "methods clips measures 2"]
    wrong: Float[np.ndarray, "methods shifts clips measures 2"]
    nulls: Float[np.ndarray, "nulls clips measures 2"]
    energy: dict[str, Float[np.ndarray, "_clips filters"]]
    training_energy: Float[np.ndarray, "2 filters"] | None
    without: dict[tuple[str, str], str]
    null_clips: int


@dataclass(frozen=True)
class Plan:
    """Which controls are measured: the first clips in the order of `Pairs.order`, which is drawn from the seed.

    Attributes:
        shifts: How many wrong reconstructions a clip meets.
        wrong_clips: How many clips meet wrong reconstructions.
        null_clips: How many clips meet null videos.
    """

    shifts: int
    wrong_clips: int
    null_clips: int

    @classmethod
    def of(cls, clips: int, wrong_pairs: int) -> Plan:
        """At least `wrong_pairs`, if there are as many, and everything in small test sets."""
        meet = min(clips, max(WRONG_CLIPS, wrong_pairs))
        return cls(min(clips - 1, ceil(wrong_pairs / meet)), meet, min(clips, NULL_CLIPS))


def measure(pairs: Pairs, nulls: Nulls, *, plan: Plan, without: dict[tuple[str, str], str]) -> Measured:
    """Measure every clip with every method's reconstruction, and the plan's clips with null videos and wrong ones.

    Clip p in that order meets the reconstructions of clips p + 1 … p + shifts of those that last as long, counted round:
    each shift is (the beginning of) a derangement, unrelated to what the clips are called.
    """
    order, truth = pairs.order, pairs.truth
    work = partial(_clip, pairs=pairs, nulls=nulls, plan=plan, kept=KeptFlows(frozenset(without)))
    results = list(track(on_threads(work, range(len(order)), threads_for(truth)), "scoring", total=len(order)))
    own, wrong, null = (np.stack([result[kind] for result in results], axis=-3) for kind in ("own", "wrong", "nulls"))
    energy = {}
    for name in ("truth", *(f"method {name}" for name in pairs.recons), *NULLS):
        found = [result["energy"][name] for result in results if name in result["energy"]]
        if found:
            energy[name] = np.stack(found)
    return Measured(own, wrong, null, energy, nulls.energy, without, plan.null_clips)


def _clip(position: int, *, pairs: Pairs, nulls: Nulls, plan: Plan, kept: KeptFlows) -> dict[str, Any]:
    index = int(pairs.order[position])
    frames, moving = pairs.truth.read(index).frames, frames_at(pairs.truth.look(index), MOTION_FPS)
    truth = Truth(frames, moving, kept.without)
    recons = [pairs.read(method, index) for method in pairs.recons]
    own = np.array([truth.measure(recon, kept.of(recon, moving)) for recon in recons])
    videos = {"truth": frames, **{f"method {name}": recon for name, recon in zip(pairs.recons, recons, strict=True)}}
    wrong = np.full((len(pairs.recons), plan.shifts, len(MEASURES), 2), np.nan)
    for row, method in enumerate(pairs.recons):
        for shift in range(plan.shifts if position < plan.wrong_clips else 0):
            other = pairs.wrong(position, shift)
            if pairs.same[other] != pairs.same[index]:
                video = pairs.read(method, index, other)
                wrong[row, shift] = truth.measure(video, kept.of(video, moving))
    null = np.full((len(NULLS), len(MEASURES), 2), np.nan)
    if position < plan.null_clips:
        for row, (name, video) in enumerate(zip(NULLS, nulls.of(index, frames), strict=True)):
            if video is not None:
                flat = name == "null_flat_grey"
                flows = still(frames, moving, kept.without) if flat else kept.of(video, moving)
                null[row] = truth.measure(video, flows)
                videos[name] = video
    energies = truth.energies(list(videos.values()))
    energy = {} if energies is None else dict(zip(videos, energies, strict=True))
    return {"own": own, "wrong": wrong, "nulls": null, "energy": energy}
