import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import zscore

from brainreel.cortex.standardise import fit_scaling
from brainreel.errors import UsageError


@given(st.integers(2, 30), st.integers(1, 5), st.sampled_from([1e-9, 1.0, 1e4]), st.integers(0, 99))
def test_standardising_is_scipys_zscore_in_any_unit(trials, features, unit, seed):
    values = (unit * np.random.default_rng(seed).normal(3, 2, (trials, features))).astype(np.float32)
    found = fit_scaling(values)(values)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, zscore(values.astype(np.float64), axis=0), rtol=2e-3, atol=1e-4)


def test_other_trials_are_scaled_by_the_training_trials():
    scaling = fit_scaling(np.array([[0.0, 10.0], [2.0, 30.0]], np.float32))
    np.testing.assert_allclose(scaling(np.array([[3.0, 20.0]], np.float32)), [[2.0, 0.0]])


@pytest.mark.parametrize("level", [0.0, 0.1, 1e6, -3e-7])
def test_a_constant_feature_keeps_its_scale(level):
    values = np.stack([np.full(50, level), np.arange(50)], axis=1).astype(np.float32)
    scaling = fit_scaling(values)
    assert scaling.std[0] == 1
    assert scaling.std[1] == pytest.approx(np.arange(50).std())
    np.testing.assert_allclose(scaling(values)[:, 0], 0, atol=1e-6)


def test_one_trial_has_no_spread():
    scaling = fit_scaling(np.array([[3.0, -4.0]], np.float32))
    assert scaling.std.tolist() == [1, 1]
    assert scaling.mean.tolist() == [3, -4]


def test_large_levels_do_not_lose_the_spread():
    values = (1e4 + np.random.default_rng(0).normal(0, 1, (4000, 1))).astype(np.float32)
    assert fit_scaling(values).std[0] == pytest.approx(values.astype(np.float64).std(), rel=1e-5)


def test_no_trials_are_refused():
    with pytest.raises(UsageError, match="no trial"):
        fit_scaling(np.zeros((0, 3), np.float32))
