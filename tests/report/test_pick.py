"""Examples are picked by score: properties of the ranking."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainreel.report.pick import median_by_score, pick_by_score, pick_with_drawn_ties

SCORES = st.lists(st.one_of(st.none(), st.just(math.nan), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])), max_size=40)


def known(scores):
    return [i for i, s in enumerate(scores) if s is not None and not math.isnan(s)]


@given(SCORES, st.integers(1, 6))
def test_groups_are_disjoint_known_and_of_equal_size(scores, count):
    best, median, worst = pick_by_score(scores, count)
    picked = [*best, *median, *worst]
    assert len(set(picked)) == len(picked)
    assert set(picked) <= set(known(scores))
    assert len(best) == len(median) == len(worst) == min(count, len(known(scores)) // 3)


@given(SCORES, st.integers(1, 6))
def test_best_and_worst_bound_everything_left(scores, count):
    best, _, worst = pick_by_score(scores, count)
    rest = [scores[i] for i in known(scores) if i not in best and i not in worst]
    for score in rest:
        assert all(scores[i] >= score for i in best)
        assert all(scores[i] <= score for i in worst)
    assert [scores[i] for i in best] == sorted((scores[i] for i in best), reverse=True)
    assert [scores[i] for i in worst] == sorted(scores[i] for i in worst)


@given(SCORES, st.integers(1, 6))
def test_the_median_group_has_as_many_above_as_below_and_holds_the_median(scores, count):
    ranking = sorted(known(scores), key=lambda i: (-scores[i], i))
    _, median, _ = pick_by_score(scores, count)
    if median:
        above, below = ranking.index(median[0]), len(ranking) - 1 - ranking.index(median[-1])
        assert 0 <= below - above <= 1
        middle = sorted(scores[i] for i in ranking)
        assert middle[(len(middle) - 1) // 2] <= scores[median_by_score(scores)] <= middle[len(middle) // 2]


@given(st.integers(3, 30), st.integers(1, 5))
def test_equal_scores_are_taken_in_film_order(windows, count):
    best, median, worst = pick_by_score([0.5] * windows, count)
    ranking = list(range(windows))
    assert list(best) == ranking[: len(best)]
    assert list(worst) == ranking[::-1][: len(worst)]
    assert list(median) == sorted(median)


def test_an_example_worked_by_hand():
    #         0    1    2    3    4    5     6    7
    scores = [0.2, 0.9, 0.5, None, 0.9, 0.1, 0.5, 0.7]
    # ranking: 1 4 7 2 6 0 5
    assert pick_by_score(scores, 1) == ((1,), (2,), (5,))
    assert pick_by_score(scores, 2) == ((1, 4), (7, 2), (5, 0))
    assert median_by_score(scores) == 2


@pytest.mark.parametrize("scores", [[], [None], [math.nan, None]])
def test_nothing_known_nothing_picked(scores):
    assert pick_by_score(scores, 3) == ((), (), ())
    assert median_by_score(scores) is None


@given(SCORES, st.integers(1, 6), st.integers(0, 5))
def test_drawn_ties_leave_the_scores_of_every_group_as_they_are(scores, count, seed):
    by_order, drawn = pick_by_score(scores, count), pick_with_drawn_ties(scores, count, seed)
    for group, other in zip(by_order, drawn, strict=True):
        assert [scores[i] for i in group] == [scores[i] for i in other]
    assert pick_with_drawn_ties(scores, count, seed) == drawn


def test_equals_are_drawn_by_the_seed_and_not_by_their_order():
    picked = {pick_with_drawn_ties([1.0] * 9, 1, seed).best[0] for seed in range(40)}
    assert len(picked) > 4
