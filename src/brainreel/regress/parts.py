"""Inner divisions of the training clips: every dataset and every film is in all parts."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from brainreel.align.goals import Goals
from brainreel.errors import FoldError

Split = tuple[Int[np.ndarray, " _train"], Int[np.ndarray, " _held"]]


def clip_parts(places: Goals, clip: Int[np.ndarray, " trials"], count: int, gap_s: float) -> list[Split]:
    """Indices of training and held-out trials, for each of ``count`` parts or as many as there are clips.

    All trials of a clip, whoever saw it, are on one side, and each trial is held out once. Clips of their own go to
    the parts in turn, so that every dataset is in all of them; a film is divided into contiguous stretches, with
    ``gap_s`` left free around the one that is held out (no gap where the film is too short for one).

    Raises:
        FoldError: if there are fewer than two clips that do not overlap.
    """
    clips = np.unique(clip)
    part = np.full(int(clips.max(initial=0)) + 1, -1)
    alone = 0
    films = []
    for stimulus in np.unique(places.stimulus[clips]):
        here = clips[places.stimulus[clips] == stimulus]
        if len(here) == 1:
            part[here] = alone % count
            alone += 1
            continue
        films.append(here)
        onsets = np.unique(places.onset_s[here])
        stretch = np.searchsorted(onsets, places.onset_s[here]) * min(count, len(onsets)) // len(onsets)
        part[here] = stretch
    out = []
    for number in range(count):
        usable = part != number
        for film in films:
            usable[film] &= _away(places, film, part[film] == number, gap_s)
        train, held = np.flatnonzero(usable[clip]), np.flatnonzero(part[clip] == number)
        if len(train) and len(held):
            out.append((train, held))
    if len(out) < 2:
        raise FoldError(
            f"{len(clip)} training trials cannot be divided into parts that do not overlap",
            expected="trials of at least two clips",
            do="train on more data",
        )
    return out


def _away(
    places: Goals, film: Int[np.ndarray, " clips"], held: Bool[np.ndarray, " clips"], gap_s: float
) -> Bool[np.ndarray, " clips"]:
    """Clips of a film that lie ``gap_s`` away from its held-out stretch; if none does, those that do not overlap."""
    if not held.any():
        return np.ones(len(film), bool)
    start, end = places.onset_s[film], places.end_s[film]
    first, last = start[held].min(), end[held].max()
    away = (end <= first - gap_s + 1e-6) | (start >= last + gap_s - 1e-6)
    return away if away.any() else (end <= first + 1e-6) | (start >= last - 1e-6)
