import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import gamma

from brainreel.world.cortex import (
    Cortex,
    Field,
    Physiology,
    autocorrelated,
    double_gamma,
    drift,
    haemodynamic,
)
from brainreel.world.story import design, tell

POSITION = np.argwhere(np.ones((8, 8, 6))).astype(float)[::6]


@pytest.fixture(scope="module")
def shown():
    return design(tell(600, n_shots=300, n_scenes=20, seed=0)).astype(float)


@pytest.fixture(scope="module")
def viewers(shown):
    """Z-scored movies of six people: (people, trs, vertices)."""
    cortex = Cortex.grow(POSITION, np.ones(shown.shape[1]), seed=1)
    movies = np.stack([cortex.bold(cortex.person(s), shown, tr_s=1.5, seed=100 + s) for s in range(6)])
    return (movies - movies.mean(1, keepdims=True)) / movies.std(1, keepdims=True)


def test_haemodynamic_response_is_spms():
    t = np.arange(0, 30, 0.1)
    expected = gamma.pdf(t, 6) - gamma.pdf(t, 16) / 6
    np.testing.assert_allclose(double_gamma(0.1), expected / expected.sum(), atol=1e-12)
    assert t[np.argmax(double_gamma(0.1))] == pytest.approx(5.0, abs=0.1)


def test_convolution_agrees_with_scipy_and_shift_moves_it_back():
    signal = np.random.default_rng(0).normal(size=(80, 3))
    expected = lfilter(double_gamma(1.5), [1.0], signal, axis=0)
    np.testing.assert_allclose(haemodynamic(signal, tr_s=1.5), expected, atol=1e-12)
    shifted = haemodynamic(signal, tr_s=1.5, shift_trs=3)
    assert shifted.shape == signal.shape
    np.testing.assert_allclose(shifted[:-3], expected[3:], atol=1e-12)


def test_noise_has_the_autocorrelation_asked_for():
    noise = autocorrelated(np.random.default_rng(0), 4000, 20, 0.6)
    assert noise.std() == pytest.approx(1.0, abs=0.03)
    for lag in (1, 2, 3):
        assert (noise[:-lag] * noise[lag:]).mean() == pytest.approx(0.6**lag, abs=0.03)


def test_drift_is_slow():
    slow = drift(np.random.default_rng(0), 500, 30)
    power = np.abs(np.fft.rfft(slow - slow.mean(0), axis=0)) ** 2
    assert power[:5].sum() / power.sum() > 0.9


def test_a_field_has_the_covariance_asked_for():
    rng = np.random.default_rng(0)
    line = np.array([[0.0], [2.0], [4.0], [40.0]])
    draws = np.stack([Field.draw(rng, dims=1, outputs=1, length=2.0)(line)[:, 0] for _ in range(3000)])
    expected = np.exp(-((line - line.T) ** 2) / (2 * 2.0**2))
    np.testing.assert_allclose(np.cov(draws.T), expected, atol=0.08)


def test_people_share_tuning_but_not_exactly():
    cortex = Cortex.grow(POSITION, np.ones(70), seed=0)
    one, two = (cortex.tuning(cortex.person(s)).ravel() for s in (1, 2))
    assert 0.4 < np.corrcoef(one, two)[0, 1] < 0.95
    twin = Cortex.grow(POSITION, np.ones(70), seed=0, physiology=Physiology(own_share=0.0, displacement=0.0))
    one, two = (twin.tuning(twin.person(s)) for s in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_importance_zero_silences_an_attribute():
    importance = np.ones(70)
    importance[3] = 0
    tuning = (cortex := Cortex.grow(POSITION, importance, seed=0)).tuning(cortex.person(0))
    assert not tuning[3].any()
    assert tuning[4].any()


def test_ceilings_between_people_are_like_real_recordings(viewers):
    """Mean correlation between two people = share of variance that another person's same vertex explains."""
    pairs = np.triu_indices(len(viewers), 1)
    alike = np.stack([np.corrcoef(v)[pairs].mean() for v in viewers.transpose(2, 0, 1)])
    assert 0.10 < np.median(alike) < 0.30
    assert (alike > 0.02).all()


def _attribute_scores(movie, shown):
    """Correlation on the last quarter of ridge predictions with the lagged attributes, fitted on the rest."""
    target = haemodynamic(shown - shown.mean(0), tr_s=1.5)
    train, test = slice(0, 420), slice(450, 600)
    x, y = movie[train], target[train]
    weights = np.linalg.solve(x.T @ x + 300 * np.eye(x.shape[1]), x.T @ (y - y.mean(0)))
    guess, truth = movie[test] @ weights, target[test] - y.mean(0)
    shows = truth.std(0) > 1e-6
    return np.mean([np.corrcoef(g, t)[0, 1] for g, t in zip(guess.T[shows], truth.T[shows], strict=True)])


def test_attributes_are_decoded_from_the_movie_but_not_from_a_shifted_one(viewers, shown):
    real = np.mean([_attribute_scores(v, shown) for v in viewers])
    null = [np.mean([_attribute_scores(v, np.roll(shown, k, axis=0)) for v in viewers]) for k in (150, 250, 350)]
    assert real > max(null) + 0.05
    assert real < 0.8
    assert abs(np.mean(null)) < 0.08


def test_event_responses_follow_the_attributes_and_repeat():
    rng = np.random.default_rng(0)
    shown = rng.integers(0, 2, size=(200, 30)).astype(float)
    cortex = Cortex.grow(POSITION, np.ones(30), seed=0)
    person = cortex.person(5)
    one, two = (cortex.betas(person, shown, seed=s) for s in (1, 2))
    reliability = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(one.T, two.T, strict=True)])
    assert reliability == pytest.approx(person.signal_share, abs=0.1)
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(one, cortex.betas(person, shown, seed=1))
