"""Paired differences, sign flips and adjusted p-values against scipy and enumeration."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from brainreel.errors import UsageError
from brainreel.metrics.bootstrap import crossed_bootstrap, table_mean
from brainreel.metrics.paired import benjamini_hochberg, paired_difference, sign_flip_test


def test_pairing_removes_what_both_methods_share():
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 1, (13, 1)) + rng.normal(0, 1, (1, 40))
    first, second = shared + 0.05 + rng.normal(0, 0.02, (13, 40)), shared
    found = paired_difference(first, second, seed=0)
    assert 0.03 < found.interval.low < 0.05 < found.interval.high < 0.07
    apart = [crossed_bootstrap(table, seed=0) for table in (first, second)]
    assert apart[0].low < apart[1].high
    assert found.signs() == "13 of 13"


def test_only_cells_of_both_take_part():
    first = np.array([[1.0, 9.0, np.nan], [2.0, 2.0, 2.0], [np.nan, np.nan, 5.0], [0.0, 1.0, 3.0]])
    second = np.array([[0.0, np.nan, 9.0], [2.0, 1.0, 3.0], [5.0, np.nan, np.nan], [1.0, 1.0, 3.0]])
    found = paired_difference(first, second, seed=0)
    assert found.interval.value == pytest.approx(np.mean([1.0, 0.0, -1 / 3]))
    assert (found.above, found.below, found.equal, found.unpaired) == (1, 1, 1, 4)
    assert found.signs() == "1 of 3"
    assert found.signs(higher_is_better=False) == "1 of 3"


def test_exchanging_the_methods_mirrors_everything():
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.3, 1, (5, 12)), rng.normal(0, 1, (5, 12))
    there, back = paired_difference(first, second, seed=4), paired_difference(second, first, seed=4)
    assert there.interval.low == pytest.approx(-back.interval.high)
    assert (there.above, there.below) == (back.below, back.above)
    assert there.signs() == back.signs(higher_is_better=False)


def test_the_bootstrap_is_chosen_by_name():
    table = np.random.default_rng(2).normal(size=(4, 12))
    nested = paired_difference(table, 0 * table, seed=0, bootstrap="nested")
    assert nested.interval.bootstrap == "nested"
    blocks = paired_difference(table, 0 * table, seed=0, block=np.repeat(np.arange(4), 3))
    assert (blocks.interval.bootstrap, blocks.interval.n) == ("crossed-blocks", 4)
    with pytest.raises(UsageError, match="known: crossed, nested"):
        paired_difference(table, table, seed=0, bootstrap="plain")


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_exact_sign_flips_are_scipys(alternative):
    units = np.random.default_rng(3).normal(0.4, 1, 11)
    found = sign_flip_test(units[None], seed=0, alternative=alternative)
    oracle = stats.permutation_test(
        (units,),
        lambda x: x.mean(),
        permutation_type="samples",
        n_resamples=np.inf,
        alternative=alternative,
    )
    assert found.exact
    assert found.flips == 2**11
    assert found.p == pytest.approx(oracle.pvalue, abs=1e-12)
    assert found.statistic == pytest.approx(units.mean())


def test_one_sign_per_unit_for_all_subjects_with_missing_cells():
    rng = np.random.default_rng(4)
    table = rng.normal(0.5, 1, (4, 7))
    table[0, 1] = table[2, 3] = table[2, 5] = np.nan
    signs = np.array(list(product([1, -1], repeat=7)))
    flipped = np.array([table_mean(table * sign) for sign in signs])
    expected = np.mean(np.abs(flipped) >= abs(table_mean(table)) - 1e-12)
    found = sign_flip_test(table, seed=0)
    assert found.p == pytest.approx(expected)
    assert found.statistic == pytest.approx(table_mean(table))


def test_random_flips_agree_with_all_of_them_and_never_reach_zero():
    units = np.random.default_rng(5).normal(0.35, 1, 24)
    found = sign_flip_test(units[None], seed=0, flips=40_000)
    signs = 1 - 2 * ((np.arange(2**24, dtype=np.int32)[::37, None] >> np.arange(24)) & 1).astype(np.int8)
    expected = np.mean(np.abs(signs @ units) >= abs(units.sum()) - 1e-9)
    assert not found.exact
    assert found.p == pytest.approx(expected, abs=0.01)
    assert sign_flip_test(np.ones((1, 60)), seed=0, flips=999).p == pytest.approx(1 / 1000)
    assert sign_flip_test(units[None], seed=0, flips=500) == sign_flip_test(units[None], seed=0, flips=500)


def test_p_values_are_uniform_when_nothing_differs():
    rng = np.random.default_rng(6)
    p = [sign_flip_test(rng.normal(size=(3, 9)), seed=0).p for _ in range(400)]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(p) == pytest.approx(0.5, abs=0.05)


def test_blocks_flip_together():
    table = np.random.default_rng(7).normal(0.3, 1, (2, 30))
    label = np.repeat(np.arange(5), 6)
    found = sign_flip_test(table, seed=0, block=label)
    sums = np.stack([table[:, label == name].mean(axis=1) for name in range(5)], axis=1)
    assert (found.n, found.flips) == (5, 32)
    assert found.p == pytest.approx(sign_flip_test(sums, seed=0).p)


def test_edges_of_the_sign_flip():
    nothing = sign_flip_test(np.full((2, 3), np.nan), seed=0)
    assert np.isnan([nothing.p, nothing.statistic]).all()
    assert nothing.n == 0
    assert sign_flip_test(np.array([[0.7]]), seed=0).p == 1
    assert sign_flip_test(np.zeros((3, 5)), seed=0).p == 1
    assert sign_flip_test(np.full((1, 5), 0.1), seed=0).p == pytest.approx(2 / 32)
    with pytest.raises(UsageError, match="known: two-sided, greater, less"):
        sign_flip_test(np.ones((1, 2)), seed=0, alternative="both")
    with pytest.raises(UsageError, match="flips = 0"):
        sign_flip_test(np.ones((1, 2)), seed=0, flips=0)
    with pytest.raises(UsageError, match="infinite"):
        sign_flip_test(np.array([[np.inf, 1.0]]), seed=0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_adjusted_p_values_are_scipys(values):
    p = np.array(values)
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p), abs=1e-12)


def test_a_nan_is_no_test():
    p = np.array([0.01, np.nan, 0.03, 0.5])
    adjusted = benjamini_hochberg(p)
    assert np.isnan(adjusted[1])
    assert adjusted[[0, 2, 3]] == pytest.approx(stats.false_discovery_control(p[[0, 2, 3]]))
    assert benjamini_hochberg(np.array([])).size == 0
    with pytest.raises(UsageError, match="from 0 to 1"):
        benjamini_hochberg(np.array([0.2, 1.5]))
