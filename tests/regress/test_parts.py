"""Inner parts of the training clips: no clip and no moment on both sides, every dataset in all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from brainreel.errors import FoldError
from brainreel.regress.examples import apart
from brainreel.regress.parts import clip_parts


def film_and_clips(clips: int = 12, windows: int = 20, last: int = 10):
    """Clips of one dataset, windows of 4 s every 2 s of a film, clips of another dataset."""
    places = apart(clips + windows + last)
    film = slice(clips, clips + windows)
    stimulus, onset, end = places.stimulus.copy(), places.onset_s.copy(), places.end_s.copy()
    stimulus[film], onset[film], end[film] = clips, 2.0 * np.arange(windows), 2.0 * np.arange(windows) + 4.0
    return replace(places, stimulus=stimulus, onset_s=onset, end_s=end)


@pytest.mark.parametrize("gap_s", [0.0, 5.0, 1000.0])
def test_nothing_is_on_both_sides(gap_s):
    places = film_and_clips()
    clip = np.random.default_rng(0).permutation(np.repeat(np.arange(42), 2))
    parts = clip_parts(places, clip, 4, gap_s)
    assert len(parts) == 4
    assert sorted(np.concatenate([held for _, held in parts])) == list(range(84))
    for train, held in parts:
        assert not set(clip[train]) & set(clip[held])
        both = np.concatenate([np.unique(clip[train]), np.unique(clip[held])])
        cut = len(np.unique(clip[train]))
        assert not places.overlap(both)[:cut, cut:].any()
        # Both datasets and the film are on both sides.
        for side in (clip[train], clip[held]):
            assert (side < 12).any()
            assert ((side >= 12) & (side < 32)).any()
            assert (side >= 32).any()


def test_gap_is_kept():
    places = film_and_clips(clips=0, last=0)
    for train, held in clip_parts(places, np.arange(20), 4, 6.0):
        before = places.onset_s[held].min() - places.end_s[train]
        after = places.onset_s[train] - places.end_s[held].max()
        assert (np.maximum(before, after) >= 6.0).all()


def test_fewer_clips_than_parts():
    assert len(clip_parts(apart(3), np.array([0, 1, 2, 2]), 5, 0.0)) == 3
    with pytest.raises(FoldError, match="cannot be divided"):
        clip_parts(apart(3), np.array([1, 1, 1]), 5, 0.0)
