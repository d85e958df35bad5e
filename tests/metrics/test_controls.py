"""Controls: nobody keeps their own clip, every wrong pair counts once, the constant is exactly chance."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from brainreel.errors import UsageError
from brainreel.metrics.controls import (
    circular_shifts,
    constant_prediction,
    derangements,
    mismatched,
    shuffled,
)
from brainreel.metrics.identification import retrieval, two_way_identification


def test_derangements_are_uniform():
    every = [p for p in permutations(range(4)) if all(i != j for i, j in enumerate(p))]
    rows = derangements(4, 9000, 0)
    counts = [int(np.all(rows == p, axis=1).sum()) for p in every]
    assert len(every) == 9
    assert sum(counts) == 9000
    assert stats.chisquare(counts).pvalue > 1e-3


@given(st.integers(2, 60), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_every_row_is_a_permutation_without_a_fixed_point(n, seed):
    rows = derangements(n, 20, seed)
    assert (np.sort(rows, axis=1) == np.arange(n)).all()
    assert (rows != np.arange(n)).all()
    assert (rows == derangements(n, 20, seed)).all()


@given(st.integers(2, 12), st.integers(1, 4), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_trials_of_a_clip_move_together_and_stay_permutations(clips, repetitions, seed):
    clip_id = np.random.default_rng(seed).permutation(np.repeat(np.arange(clips), repetitions))
    rows = derangements(clip_id.size, 15, seed, clip_id=clip_id)
    assert (np.sort(rows, axis=1) == np.arange(clip_id.size)).all()
    given_clips = clip_id[rows]
    assert (given_clips != clip_id).all()
    for clip in range(clips):
        mine = given_clips[:, clip_id == clip]
        assert (mine == mine[:, :1]).all()


def test_a_table_sorted_by_subject_keeps_subjects_together():
    clip_id, subject = np.tile(list("abcde"), 3), np.repeat([0, 1, 2], 5)
    rows = derangements(15, 50, 0, clip_id=clip_id)
    assert (subject[rows] == subject).all()


def test_unequal_repetitions_are_counted_round():
    clip_id = np.array(["a", "b", "a", "a"])
    rows = derangements(4, 3, 0, clip_id=clip_id)
    assert (rows == [1, 0, 1, 1]).all()


def test_blocks_hold_and_are_independent():
    block = np.array([0, 1, 0, 1, 0, 1, 1])
    rows = derangements(7, 4000, 0, block=block)
    assert (block[rows] == block).all()
    assert (rows != np.arange(7)).all()
    # 2 derangements of three clips times 9 of four.
    kinds, counts = np.unique(rows, axis=0, return_counts=True)
    assert len(kinds) == 18
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 1}, "a single clip"),
        ({"n": 3, "clip_id": ["a"] * 3}, "a single clip"),
        ({"n": 3, "block": [0, 0, 1]}, "a single clip"),
        ({"n": 3, "clip_id": ["a", "b", "a"], "block": [0, 0, 1]}, "two blocks"),
        ({"n": 3, "clip_id": ["a", "b"]}, "each of 3 trials"),
        ({"n": 3, "count": 0}, "count = 0"),
    ],
)
def test_what_cannot_be_deranged_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        derangements(**({"count": 5, "seed": 0} | arguments))


def test_shuffled_predictions_score_chance_and_true_ones_do_not():
    rng = np.random.default_rng(0)
    target = rng.normal(size=(40, 20))
    prediction = target + rng.normal(0, 1.5, target.shape)
    null = shuffled(lambda rows: two_way_identification(prediction[rows], target), 40, seed=1)
    real = two_way_identification(prediction, target).mean()
    assert real > 0.85
    assert null.values.shape == (100,)
    assert null.value == pytest.approx(null.values.mean())
    assert null.value == pytest.approx(0.5, abs=0.03)
    assert null.values.max() < real


def test_shuffled_leaves_undefined_scores_out_and_says_when_none_is_left():
    clips = np.arange(6.0)
    clips[2] = np.nan
    partly = shuffled(lambda rows: clips[rows] * 0 + 1, 6, seed=0, count=10)
    assert partly.values.tolist() == [1.0] * 10
    nothing = shuffled(lambda rows: np.full(6, np.nan), 6, seed=0, count=10)
    assert np.isnan(nothing.value)
    assert np.isnan(nothing.values).all()


def test_mismatched_is_the_mean_over_all_wrong_pairs():
    pairs = np.random.default_rng(1).normal(size=(9, 9))
    clip_id = np.array([0, 1, 2, 0, 3, 4, 1, 5, 0])
    found = mismatched(lambda rows: pairs[np.arange(9), rows], 9, clip_id=clip_id)
    expected = [pairs[i, clip_id != clip_id[i]].mean() for i in range(9)]
    assert found == pytest.approx(np.array(expected))


def test_mismatched_ignores_undefined_pairs():
    pairs = np.ones((4, 4))
    pairs[0, 1] = np.nan
    pairs[2, :] = np.nan
    found = mismatched(lambda rows: pairs[np.arange(4), rows], 4)
    assert found[[0, 1, 3]].tolist() == [1.0, 1.0, 1.0]
    assert np.isnan(found[2])
    assert np.isnan(mismatched(lambda rows: np.ones(1), 1)).all()
    assert np.isnan(mismatched(lambda rows: np.ones(3), 3, clip_id=["a"] * 3)).all()


def test_fewer_shifts_sample_the_pairs():
    calls = []

    def score(rows):
        calls.append(tuple(rows))
        return np.ones(30)

    mismatched(score, 30, shifts=7, seed=0)
    assert len(set(calls)) == 7
    assert tuple(range(30)) not in calls
    calls.clear()
    mismatched(score, 30, shifts=500, seed=0)
    assert len(set(calls)) == 29
    with pytest.raises(UsageError, match="and a seed"):
        mismatched(score, 30, shifts=7)


def test_a_score_of_the_wrong_shape_is_refused():
    with pytest.raises(UsageError, match="each of 5 trials"):
        shuffled(lambda rows: np.ones(3), 5, seed=0)


def test_the_constant_scores_exactly_chance():
    rng = np.random.default_rng(2)
    train, target = rng.normal(3, 1, (50, 8)), rng.normal(3, 1, (20, 8))
    centre = train.mean(axis=0)
    centred = retrieval(constant_prediction(train, 20), target, centre=centre)
    assert centred.two_way.tolist() == [0.5] * 20
    assert centred.top_k(5).tolist() == [0.25] * 20
    raw = constant_prediction(train, 20, centred=False)
    assert raw == pytest.approx(np.tile(centre, (20, 1)))
    correlated = retrieval(raw, target, definition="correlation")
    assert correlated.two_way.mean() == pytest.approx(0.5, abs=1e-12)
    assert correlated.top_k(5).mean() == pytest.approx(0.25, abs=1e-12)


def test_circular_shifts_are_all_different_and_far_enough():
    shifts = circular_shifts(1976, 200, 0)
    assert len(set(shifts.tolist())) == 200
    assert shifts.min() >= 60
    assert shifts.max() <= 1976 - 60
    assert sorted(circular_shifts(125, 6, 3).tolist()) == [60, 61, 62, 63, 64, 65]
    assert circular_shifts(1976, 5, 1).tolist() != circular_shifts(1976, 5, 2).tolist()
    with pytest.raises(UsageError, match="at most 6 different shifts"):
        circular_shifts(125, 7, 0)
    with pytest.raises(UsageError, match="at most 0"):
        circular_shifts(100, 1, 0)
