"""Distances of feature sets against matrix roots, naive sums, and known distributions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from brainreel.errors import UsageError
from brainreel.metrics.distribution import frechet, kid


def test_frechet_is_the_formula_with_a_matrix_root():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(60, 8)) @ rng.normal(size=(8, 8))
    b = rng.normal(1, 2, (45, 8))
    c1, c2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    shift = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum()
    expected = shift + np.trace(c1 + c2 - 2 * np.real(linalg.sqrtm(c1 @ c2)))
    found = frechet(a, b)
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert float(found) == found.value
    assert frechet(b, a).value == pytest.approx(expected, rel=1e-9)
    assert (found.n, found.dim, found.note) == (45, 8, "")


def test_frechet_of_known_gaussians():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, (40_000, 3)), rng.normal([1, 0, 0], [1, 2, 3], (40_000, 3))
    assert frechet(a, b).value == pytest.approx(1 + 1 + 4, abs=0.1)


def test_frechet_is_zero_for_the_same_set_in_any_order():
    a = np.random.default_rng(2).normal(size=(30, 5)).astype(np.float32)
    assert frechet(a, a[::-1].copy()).value == pytest.approx(0, abs=1e-9)
    flat = np.ones((20, 2))
    assert frechet(flat, flat).value == 0


@pytest.mark.parametrize(("truth", "recon", "defined"), [(16, 16, True), (15, 40, False), (40, 15, False)])
def test_frechet_needs_twice_as_many_clips_as_dimensions(truth, recon, defined):
    rng = np.random.default_rng(3)
    found = frechet(rng.normal(size=(truth, 8)), rng.normal(size=(recon, 8)))
    assert np.isnan(found.value) != defined
    assert found.note == ("" if defined else "15 clips for 8 dimensions: at least 16 are needed")


def naive_mmd(x: np.ndarray, y: np.ndarray) -> float:
    def kernel(a, b):
        return (a @ b / len(a) + 1) ** 3

    within = [np.mean([kernel(f[i], f[j]) for i in range(len(f)) for j in range(len(f)) if i != j]) for f in (x, y)]
    return sum(within) - 2 * np.mean([kernel(a, b) for a in x for b in y])


def test_kid_is_the_unbiased_sum():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(9, 5)), rng.normal(0.3, 1.2, (7, 5))
    found = kid(x, y, seed=0)
    assert found.value == pytest.approx(naive_mmd(x, y))
    assert (found.n, found.dim, found.note) == (7, 5, "")
    assert found.low < found.value < found.high


def test_kid_is_zero_on_average_for_one_distribution():
    rng = np.random.default_rng(5)
    values = [kid(rng.normal(size=(12, 4)), rng.normal(size=(12, 4)), seed=0, resamples=2).value for _ in range(400)]
    assert np.mean(values) == pytest.approx(0, abs=4 * np.std(values) / 20)
    assert np.min(values) < 0


@pytest.mark.parametrize(("n", "m"), [(40, 40), (41, 41), (40, 61)])
def test_the_interval_covers_the_true_distance(n, m):
    rng = np.random.default_rng(6)
    shift = 0.8

    # E k(x, y) for independent unit Gaussians of dimension 1 with means a, b: E(1 + xy)³.
    def expected(a, b):
        second = (1 + a**2) * (1 + b**2)
        third = (a**3 + 3 * a) * (b**3 + 3 * b)
        return 1 + 3 * a * b + 3 * second + third

    truth = expected(0, 0) + expected(shift, shift) - 2 * expected(0, shift)
    covered, values, widths = [], [], []
    for world in range(250):
        found = kid(rng.normal(size=(n, 1)), rng.normal(shift, 1, (m, 1)), seed=world, resamples=200)
        covered.append(found.low <= truth <= found.high)
        values.append(found.value)
        widths.append(found.high - found.low)
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.std(values), rel=0.2)
    assert 0.85 <= np.mean(covered) <= 0.99


def test_seeds_decide_the_interval_but_not_the_value():
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
    assert kid(x, y, seed=0) == kid(x, y, seed=0)
    assert kid(x, y, seed=0).value == kid(x, y, seed=1).value
    assert kid(x, y, seed=0).low != kid(x, y, seed=1).low


def test_what_cannot_be_measured_says_why():
    x = np.random.default_rng(8).normal(size=(10, 3))
    assert kid(x[:1], x, seed=0).note == "1 clip: at least 2 are needed"
    assert np.isnan(kid(x[:1], x, seed=0).value)
    few = kid(x[:3], x, seed=0)
    assert few.value == pytest.approx(naive_mmd(x[:3], x))
    assert np.isnan([few.low, few.high]).all()
    assert few.note == "3 clips: no interval below 4"
    broken = x.copy()
    broken[4, 1] = np.nan
    for found in (frechet(broken, x), kid(x, broken, seed=0)):
        assert np.isnan(found.value)
        assert found.note == "feature vectors that are not finite: 1"


def test_what_does_not_fit_is_refused():
    x = np.ones((10, 3))
    with pytest.raises(UsageError, match="3 and 2 dimensions"):
        frechet(x, x[:, :2])
    with pytest.raises(UsageError, match="3 and 2 dimensions"):
        kid(x, x[:, :2], seed=0)
    with pytest.raises(UsageError, match="resamples = 1"):
        kid(x, x, seed=0, resamples=1)
