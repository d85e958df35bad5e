"""The bootstraps against naive loops, theory and simulated coverage."""

from __future__ import annotations

import time

import numpy as np
import pytest

from brainreel.errors import UsageError
from brainreel.metrics import bootstrap
from brainreel.metrics.bootstrap import (
    contiguous_blocks,
    crossed_bootstrap,
    nested_bootstrap,
    resample_counts,
    table_mean,
    unit_sums,
)


def holed(seed: int, subjects: int = 6, units: int = 15) -> np.ndarray:
    rng = np.random.default_rng(seed)
    table = rng.normal(0.7, 0.1, (subjects, units)) + rng.normal(0, 0.1, (subjects, 1))
    table[rng.random(table.shape) < 0.2] = np.nan
    return table


def naive_crossed(table: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    """Gather, cell by cell."""
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(resamples):
        units = rng.integers(0, table.shape[1], table.shape[1])
        subjects = rng.integers(0, table.shape[0], table.shape[0])
        rows = [row[units][~np.isnan(row[units])] for row in table[subjects]]
        means.append(np.mean([row.mean() for row in rows if row.size]))
    return np.array(means)


def naive_nested(table: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(resamples):
        rows = [table[s][~np.isnan(table[s])] for s in rng.integers(0, len(table), len(table))]
        means.append(np.mean([rng.choice(row, row.size).mean() for row in rows]))
    return np.array(means)


@pytest.mark.parametrize(("fast", "naive"), [(crossed_bootstrap, naive_crossed), (nested_bootstrap, naive_nested)])
def test_the_interval_is_that_of_a_naive_loop(fast, naive):
    table = holed(0)
    low, high = np.quantile(naive(table, 1, 4000), [0.025, 0.975])
    found = fast(table, seed=2, resamples=40_000)
    width = high - low
    assert found.low == pytest.approx(low, abs=0.06 * width)
    assert found.high == pytest.approx(high, abs=0.06 * width)
    assert found.value == pytest.approx(np.mean([np.nanmean(row) for row in table]))
    assert found.n == {"crossed": 15, "nested": np.isfinite(table).sum()}[found.bootstrap]
    assert (found.subjects, found.missing, found.note) == (6, np.isnan(table).sum(), "")


def test_the_crossed_spread_is_owens():
    """One subject effect, one unit effect: Var = σs²/S + σu²/U, where a cell-wise bootstrap sees neither."""
    subjects, units = np.linspace(-1, 1, 12)[:, None], np.linspace(-3, 3, 20)[None, :]
    found = crossed_bootstrap(subjects + units, seed=0, resamples=40_000, level=0.6826894921)
    expected = np.sqrt(subjects.var() / 12 + units.var() / 20)
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.03)
    cells_alone = np.sqrt((subjects + units).var() / 240)
    assert expected > 3 * cells_alone


def test_one_resample_of_units_holds_for_all_subjects():
    """A unit effect shared by everybody must not average away over subjects."""
    units = np.random.default_rng(0).normal(size=(1, 30))
    one = crossed_bootstrap(units, seed=0)
    many = crossed_bootstrap(np.repeat(units, 50, axis=0), seed=0)
    assert many.high - many.low == pytest.approx(one.high - one.low, rel=0.05)
    nested = nested_bootstrap(np.repeat(units, 50, axis=0), seed=0)
    assert nested.high - nested.low < 0.2 * (one.high - one.low)


def test_a_subject_drawn_twice_is_resampled_twice_in_the_nested_bootstrap():
    """Var of the mean over S like subjects with n units: σ²/(S·n), not twice that."""
    table = np.tile(np.linspace(-1, 1, 10), (5, 1))
    found = nested_bootstrap(table, seed=0, resamples=40_000, level=0.6826894921)
    expected = np.sqrt(table[0].var() / 10 / 5)
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.03)


def test_the_nested_spread_counts_cell_noise_twice():
    """What the docstring says: Var = (variance of subject means + variance of cells / units) / subjects."""
    table = np.random.default_rng(8).normal(size=(30, 12)) + np.linspace(-0.3, 0.3, 30)[:, None]
    found = nested_bootstrap(table, seed=0, resamples=40_000, level=0.6826894921)
    expected = np.sqrt((table.mean(axis=1).var() + table.var(axis=1).mean() / 12) / 30)
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.03)


def test_coverage_of_the_crossed_interval():
    rng = np.random.default_rng(1)
    covered = []
    for world in range(300):
        table = 0.6 + rng.normal(0, 0.05, (12, 1)) + rng.normal(0, 0.10, (1, 25)) + rng.normal(0, 0.15, (12, 25))
        found = crossed_bootstrap(table, seed=world, resamples=400)
        covered.append(found.low <= 0.6 <= found.high)
    assert 0.90 <= np.mean(covered) <= 0.985


def test_coverage_of_the_nested_interval():
    rng = np.random.default_rng(2)
    covered = []
    for world in range(200):
        table = 0.6 + rng.normal(0, 0.1, (20, 1)) + rng.normal(0, 0.1, (20, 20))
        found = nested_bootstrap(table, seed=world, resamples=250)
        covered.append(found.low <= 0.6 <= found.high)
    assert 0.90 <= np.mean(covered) <= 0.985


def test_coverage_of_blocks_where_neighbours_depend_on_each_other():
    rng = np.random.default_rng(3)
    covered, naive = [], []
    label = np.repeat(np.arange(20), 6)
    for world in range(200):
        table = 0.5 + np.repeat(rng.normal(0, 0.2, (1, 20)), 6, axis=1) + rng.normal(0, 0.1, (1, 120))
        found = crossed_bootstrap(table, seed=world, block=label, resamples=400)
        covered.append(found.low <= 0.5 <= found.high)
        windows = crossed_bootstrap(table, seed=world, resamples=400)
        naive.append(windows.low <= 0.5 <= windows.high)
    assert 0.88 <= np.mean(covered) <= 0.985
    assert np.mean(naive) < 0.75


def test_blocks_keep_all_rows_of_a_label():
    """Labels of equal size: the same as the table of label means, to the last resample."""
    table = np.random.default_rng(4).normal(size=(5, 24))
    label = np.tile(["x", "b", "q", "a"], 6)
    found = crossed_bootstrap(table, seed=5, block=label)
    means = np.stack([table[:, label == name].mean(axis=1) for name in sorted("xbqa")], axis=1)
    plain = crossed_bootstrap(means, seed=5)
    assert (found.value, found.low, found.high) == pytest.approx((plain.value, plain.low, plain.high))
    assert (found.bootstrap, found.n) == ("crossed-blocks", 4)
    assert "only 4 blocks" in found.note
    nested = nested_bootstrap(table, seed=5, block=label)
    assert (nested.bootstrap, nested.n) == ("nested-blocks", 20)


def test_unequal_blocks_weigh_by_their_rows():
    table = np.array([[1.0, 1.0, 1.0, 5.0]])
    found = crossed_bootstrap(table, seed=0, block=[0, 0, 0, 1], resamples=2000, level=0.99)
    assert found.value == 2
    assert (found.low, found.high) == (1, 5)


def test_weights_make_a_ratio_of_sums():
    rng = np.random.default_rng(5)
    error, truth = rng.uniform(1, 2, (1, 40)), rng.uniform(0.1, 4, (1, 40))
    found = crossed_bootstrap(error / truth, seed=0, weight=truth, resamples=20_000)
    assert found.value == pytest.approx(error.sum() / truth.sum())
    draws = rng.integers(0, 40, (20_000, 40))
    ratios = error[0][draws].sum(axis=1) / truth[0][draws].sum(axis=1)
    assert (found.low, found.high) == pytest.approx(np.quantile(ratios, [0.025, 0.975]), rel=0.01)


def test_every_subject_counts_the_same():
    table = np.array([[1.0, np.nan, np.nan, np.nan], [0.0, 0.0, 0.0, 0.0]])
    assert table_mean(table) == 0.5
    assert crossed_bootstrap(table, seed=0).value == 0.5


def test_seeds_decide_and_chunks_do_not_bias(monkeypatch):
    table = holed(6)
    again = [crossed_bootstrap(table, seed=s, resamples=500) for s in (0, 0, 1)]
    assert again[0] == again[1]
    assert again[0] != again[2]
    whole = crossed_bootstrap(table, seed=0, resamples=20_000)
    monkeypatch.setattr(bootstrap, "DRAWS_AT_ONCE", 500)
    pieces = crossed_bootstrap(table, seed=0, resamples=20_000)
    assert (pieces.low, pieces.high) == pytest.approx((whole.low, whole.high), abs=0.05 * (whole.high - whole.low))


@pytest.mark.parametrize("method", [crossed_bootstrap, nested_bootstrap])
class TestEdges:
    def test_one_subject(self, method):
        table = np.random.default_rng(0).normal(size=(1, 200))
        found = method(table, seed=0)
        half = 1.96 * table.std() / np.sqrt(200)
        assert found.high - found.low == pytest.approx(2 * half, rel=0.05)
        assert found.note == "one subject: the interval speaks of this subject only"

    def test_one_cell_has_no_interval(self, method):
        found = method(np.array([[0.4]]), seed=0)
        assert found.value == 0.4
        assert np.isnan([found.low, found.high]).all()
        assert "no interval" in found.note

    def test_nothing_defined(self, method):
        found = method(np.full((3, 4), np.nan), seed=0)
        assert np.isnan([found.value, found.low, found.high]).all()
        assert (found.n, found.subjects, found.missing) == (0, 0, 12)

    def test_empty_subjects_and_units_change_nothing_but_the_count(self, method):
        table = holed(7)
        padded = np.full((8, 18), np.nan)
        padded[1:7, 2:17] = table
        plain, found = method(table, seed=3), method(padded, seed=3)
        assert (found.value, found.low, found.high) == (plain.value, plain.low, plain.high)
        assert (found.n, found.subjects) == (plain.n, plain.subjects)
        assert found.missing == np.isnan(padded).sum()

    def test_equal_cells_give_an_interval_of_no_width(self, method):
        found = method(np.full((4, 12), 0.25), seed=0)
        assert (found.value, found.low, found.high) == (0.25, 0.25, 0.25)

    def test_what_does_not_fit_is_refused(self, method):
        table = np.ones((2, 3))
        with pytest.raises(UsageError, match="infinite"):
            method(np.array([[np.inf, 1.0]]), seed=0)
        with pytest.raises(UsageError, match="between 0 and 1"):
            method(table, seed=0, level=95.0)
        with pytest.raises(UsageError, match="non-negative weights"):
            method(table, seed=0, weight=-table)


def test_one_unit_seen_by_many_has_no_crossed_interval():
    found = crossed_bootstrap(np.arange(5.0)[:, None], seed=0)
    assert found.value == 2
    assert np.isnan(found.low)
    assert "1 unit: no interval" in found.note


@pytest.mark.parametrize(("units", "few"), [(2, True), (9, True), (10, False)])
def test_few_units_are_said_so(units, few):
    found = crossed_bootstrap(np.random.default_rng(0).normal(size=(3, units)), seed=0, resamples=50)
    assert (f"only {units} units" in found.note) == few


def test_resamples_without_a_cell_are_counted():
    table = np.full((2, 3), np.nan)
    table[0, 0] = 1.0
    table[1, 1] = 1.0
    found = crossed_bootstrap(table, seed=0, resamples=1000)
    assert "of 1000 resamples held no cell" in found.note
    assert (found.low, found.high) == (1, 1)


def test_counts_are_draws_with_replacement():
    counts = resample_counts(np.random.default_rng(0), 20_000, 5)
    assert (counts.sum(axis=1) == 5).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(5), abs=0.03)
    assert counts.var(axis=0) == pytest.approx(np.full(5, 0.8), abs=0.03)


def test_ten_thousand_resamples_are_fast():
    table = np.random.default_rng(0).normal(size=(13, 200))
    crossed_bootstrap(table, seed=0, resamples=10)
    start = time.process_time()
    crossed_bootstrap(table, seed=0)
    assert time.process_time() - start < 1


class TestBlocks:
    def test_blocks_last_at_least_their_length(self):
        onset = np.arange(0, 300, 15.0)
        assert contiguous_blocks(onset, 15.0).tolist() == np.repeat(np.arange(10), 2).tolist()
        assert contiguous_blocks(onset[:5], 15.0).tolist() == [0, 0, 1, 1, 1]

    def test_sums_of_floats_do_not_shorten_a_block(self):
        onset = np.cumsum(np.full(600, 0.1)) - 0.1
        labels = contiguous_blocks(onset, 0.1, length_s=3.0)
        assert (np.bincount(labels) == 30).all()

    def test_a_block_never_spans_two_scans(self):
        onset = np.concatenate([np.arange(0, 60, 10.0), np.arange(0, 70, 10.0)])
        scan = ["z"] * 6 + ["a"] * 7
        assert contiguous_blocks(onset, 10.0, scan=scan).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3]

    def test_a_short_scan_is_one_block_and_gaps_get_no_label(self):
        assert contiguous_blocks(np.array([0.0, 5.0]), 5.0).tolist() == [0, 0]
        assert contiguous_blocks(np.array([0.0, 200.0, 210.0, 290.0]), 10.0).tolist() == [0, 1, 2, 3]

    def test_units_need_not_be_sorted(self):
        assert contiguous_blocks(np.array([45.0, 0.0, 30.0, 15.0]), 15.0).tolist() == [1, 0, 1, 0]

    def test_refusals(self):
        with pytest.raises(UsageError, match="above 0"):
            contiguous_blocks(np.zeros(2), 1.0, length_s=0.0)
        with pytest.raises(UsageError, match="one for each of 2"):
            contiguous_blocks(np.zeros(2), 1.0, scan=["a"])
        with pytest.raises(UsageError, match="3 block labels"):
            unit_sums(np.ones((1, 2)), [0, 1, 2])
