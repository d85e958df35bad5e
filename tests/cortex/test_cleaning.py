import numpy as np
import pytest

from brainreel.cortex.cleaning import cleaned, polynomials
from brainreel.errors import UsageError


def _oracle(series, order):
    """Wen et al.'s steps, one after the other: fit and subtract a polynomial, subtract the mean, divide by the SD."""
    t = np.linspace(-1, 1, series.shape[1])
    rest = series - np.stack([np.polyval(np.polyfit(t, row, order), t) for row in series.astype(np.float64)])
    rest -= rest.mean(axis=1, keepdims=True)
    return rest / rest.std(axis=1, keepdims=True)


@pytest.mark.parametrize("order", [0, 1, 4])
def test_cleaning_equals_a_polynomial_fit(order):
    rng = np.random.default_rng(0)
    t = np.linspace(0, 1, 240)
    series = 10_000 + 100 * rng.normal(size=(20, 240)) + 500 * t**3 - 300 * t + rng.uniform(-4000, 4000, (20, 1))
    found = cleaned(series.astype(np.float32), order)
    np.testing.assert_allclose(found, _oracle(series.astype(np.float32), order), atol=2e-4)
    assert found.dtype == np.float32


def test_any_trend_of_that_order_is_gone():
    rng = np.random.default_rng(1)
    noise, t = rng.normal(size=(5, 100)), np.linspace(0, 3, 100)
    trend = rng.normal(size=(5, 5)) @ np.vander(t, 5).T
    np.testing.assert_allclose(cleaned(noise + 5 * trend), cleaned(noise), atol=1e-3)


def test_what_is_nothing_but_trend_becomes_zero():
    t = np.linspace(-1, 1, 50)
    found = cleaned(np.stack([np.full(50, 9000.0), 9000 + 20 * t**4, np.zeros(50)]))
    np.testing.assert_array_equal(found, 0)


def test_the_basis_is_orthonormal_and_short_runs_are_refused():
    basis = polynomials(30, 4)
    np.testing.assert_allclose(basis.T @ basis, np.eye(5), atol=1e-12)
    with pytest.raises(UsageError, match="order 4 in a run of 5 volumes; expected an order from 0 to 3"):
        polynomials(5, 4)
