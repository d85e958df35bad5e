"""Clips of 2 s and of 3 s are scored in one table, and only clips of one length are set against each other."""

from __future__ import annotations

import numpy as np
import pytest

from brainreel.errors import SourceError
from brainreel.evaluate.score import score_sources
from brainreel.evaluate.score_nulls import Nulls, digest
from brainreel.evaluate.score_pairs import length_groups
from brainreel.evaluate.score_pass import Pairs
from brainreel.evaluate.score_sources import Looked
from brainreel.evaluate.video_clips import CalledClips
from brainreel.evaluate.video_fold import CELL, blocks, score_fold
from brainreel.metrics.videos import mean_clip
from brainreel.video import Format, even_times

from .clips import moving

FPS = 8
SHORT, LONG = moving(6, frames=16, seed=3), moving(5, frames=24, seed=4)


def looked(*seconds: float | None) -> list[Looked]:
    return [Looked(Format(16, 8, 8, each), None if each is None else even_times(16, 16 / each)) for each in seconds]


def clips(where: str, *groups: np.ndarray) -> CalledClips:
    """Clips of several lengths, taking turns."""
    videos = {f"{row}-{group}": clip for group, some in enumerate(groups) for row, clip in enumerate(some)}
    return CalledClips(where, sorted(videos), lambda name: (videos[name], FPS))


def test_groups_end_where_the_next_clip_is_a_tenth_longer():
    assert length_groups(looked(2.0, 3.0, 2.04, 3.1, 2.0)).tolist() == [0, 1, 0, 1, 0]
    assert length_groups(looked(2.0, None, 2.0, None)).tolist() == [0, 1, 0, 1]
    assert length_groups(looked(None, None)).tolist() == [0, 0]
    assert length_groups(looked(2.5)).tolist() == [0]
    assert length_groups([]).tolist() == []


def test_blocks_are_what_they_were_if_all_clips_last_equally_long():
    order = np.random.default_rng(3).permutation(60)
    assert blocks(np.zeros(60, int), 3) == [block.tolist() for block in np.array_split(order, 2)]
    lengths = np.arange(60) % 2
    found = blocks(lengths, 3)
    assert sorted(np.concatenate(found).tolist()) == list(range(60))
    assert all(len({lengths[index] for index in block}) == 1 for block in found)


def test_a_clips_null_videos_are_made_of_training_clips_of_its_length():
    truth, train = clips("truth", SHORT[:2], LONG[:2]), clips("train", SHORT[2:], LONG[2:])
    assert truth.names == ("0-0", "0-1", "1-0", "1-1")
    digests = [digest(truth.read(index).frames) for index in range(4)]
    nulls = Nulls(truth, train, digests, energies=False)
    for index, same in enumerate((SHORT, LONG, SHORT, LONG)):
        grey, mean, near = nulls.of(index, truth.read(index).frames)
        assert grey is not None
        assert near is not None
        assert grey.shape == near.shape == same.shape[1:]
        np.testing.assert_array_equal(mean, mean_clip(same[2:]))


def test_too_few_training_clips_of_a_length_are_refused():
    truth, train = clips("truth", SHORT[:2], LONG[:2]), clips("train", SHORT[2:], LONG[2:3])
    with pytest.raises(SourceError, match=r"lasts 3 s and .* of train 2 s"):
        Nulls(truth, train, [], energies=False)


def test_wrong_pairs_last_equally_long():
    truth = clips("truth", SHORT, LONG)
    pairs = Pairs.of(truth, {"same": truth}, seed=0)
    assert sorted(pairs.lengths.tolist()) == [0] * 6 + [1] * 5
    for shift in range(4):
        met = [pairs.wrong(position, shift) for position in range(len(truth))]
        assert sorted(met) == list(range(len(truth))), "a derangement within each length"
        for position, other in enumerate(met):
            index = int(pairs.order[position])
            assert other != index
            assert pairs.lengths[other] == pairs.lengths[index]


def test_a_length_alone_says_nothing():
    """Reconstructions that show the same in every clip and differ in length alone are as good for wrong clips."""
    truth, blank = clips("truth", SHORT, LONG), clips("blank", np.full_like(SHORT, 90), np.full_like(LONG, 90))
    document = score_sources(truth, {"blank": blank}, wrong_pairs=40).document
    rows = [row for row in document["scores"] if row["value"] is not None and row["mismatched"] is not None]
    assert {row["metric"] for row in rows} >= {"ssim", "mse"}
    for row in rows:
        assert row["mismatched"] == pytest.approx(row["value"]), row["metric"]


def test_an_experiments_videos_of_both_lengths_have_all_their_controls():
    truth, train = clips("truth", SHORT, LONG), clips("train", 255 - SHORT, 255 - LONG)
    scored = score_fold(truth, {"perfect": truth}, train=train)
    ssim = [one.measure.metric for one in scored.asked].index("ssim")
    for name in truth.names:
        cell = scored.cells["perfect", name]
        assert cell[CELL["value"], ssim, 0] == pytest.approx(1)
        for control in ("shuffled", "mismatched", "null_flat_grey", "null_mean_clip", "null_blurred_nearest"):
            assert cell[CELL[control], ssim, 0] < 0.95, control
