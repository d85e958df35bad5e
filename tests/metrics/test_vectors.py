"""Vector scores against scipy and scikit-learn's definition, and what has no variance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from brainreel.errors import UsageError
from brainreel.metrics.identification import two_way_identification
from brainreel.metrics.vectors import (
    correlation_per_dimension,
    correlation_per_trial,
    head_scores,
    r2,
    r2_pooled,
)


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    target = rng.normal(2, [1, 3, 0.1, 5], (40, 4))
    return target + rng.normal(0, 1, target.shape), target


def test_r2_is_scikit_learns(pair):
    from sklearn.metrics import r2_score

    prediction, target = pair
    assert r2(prediction, target) == pytest.approx(r2_score(target, prediction, multioutput="raw_values"))
    pooled = r2_score(target, prediction, multioutput="variance_weighted")
    assert r2_pooled(prediction, target) == pytest.approx(pooled)


def test_the_training_mean_is_the_reference_where_given(pair):
    prediction, target = pair
    centre = np.array([0.0, 1.0, 2.0, 3.0])
    expected = 1 - ((target - prediction) ** 2).sum(axis=0) / ((target - centre) ** 2).sum(axis=0)
    assert r2(prediction, target, centre=centre) == pytest.approx(expected)
    constant = np.tile(centre, (40, 1))
    assert r2(constant, target, centre=centre) == pytest.approx(np.zeros(4))
    assert r2_pooled(constant, target, centre=centre) == pytest.approx(0)
    assert (r2(constant, target) < 0).all()
    assert r2(target, target, centre=centre).tolist() == [1.0] * 4


def test_correlations_are_scipys(pair):
    prediction, target = pair
    trials = [stats.pearsonr(a, b)[0] for a, b in zip(prediction, target, strict=True)]
    dimensions = [stats.pearsonr(a, b)[0] for a, b in zip(prediction.T, target.T, strict=True)]
    assert correlation_per_trial(prediction, target) == pytest.approx(np.array(trials))
    assert correlation_per_dimension(prediction, target) == pytest.approx(np.array(dimensions))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_without_variance_or_finite_values_it_is_nan(dtype):
    target = np.random.default_rng(1).normal(size=(6, 4)).astype(dtype)
    prediction = target.copy()
    target[:, 1] = 0.1
    prediction[2, 3] = np.nan
    assert np.isnan(r2(prediction, target)).tolist() == [False, True, False, True]
    assert np.isnan(correlation_per_dimension(prediction, target)).tolist() == [False, True, False, True]
    assert np.isnan(correlation_per_trial(prediction, target)).tolist() == [
        False,
        False,
        True,
        False,
        False,
        False,
    ]
    prediction[4] = 0.3
    assert np.isnan(correlation_per_trial(prediction, target)[4])
    assert np.isnan(r2_pooled(prediction, target))


def test_one_trial_or_none():
    one = np.array([[1.0, 2.0, 4.0]])
    assert np.isnan(r2(one, one)).all()
    assert r2(one, one, centre=np.zeros(3)).tolist() == [1.0] * 3
    assert np.isnan(correlation_per_dimension(one, one)).all()
    assert correlation_per_trial(one, one) == pytest.approx([1.0])
    assert np.isnan(r2(one[:0], one[:0])).all()
    assert np.isnan(correlation_per_dimension(one[:0], one[:0])).all()
    assert correlation_per_trial(one[:0], one[:0]).shape == (0,)


@pytest.mark.parametrize("score", [r2, r2_pooled, correlation_per_trial, correlation_per_dimension])
def test_unequal_shapes_are_refused(score):
    with pytest.raises(UsageError, match="equal shapes"):
        score(np.ones((3, 2)), np.ones((4, 2)))


def test_heads_are_scored_flat_and_each_in_its_own_space():
    rng = np.random.default_rng(2)
    target = {"text": rng.normal(3, 1, (10, 4, 5)), "latent": rng.normal(-2, 1, (10, 2, 3, 3))}
    prediction = {head: values + rng.normal(0, 1, values.shape) for head, values in target.items()}
    centre = {head: np.full(values.shape[1:], values.mean()) for head, values in target.items()}
    own = np.array([0, 3, 3, 9, 1, 2, 4, 5, 6, 7])
    found = head_scores({head: values[own] for head, values in prediction.items()}, target, centre=centre, own=own)
    assert list(found) == ["text", "latent"]
    for head, scores in found.items():
        answer, truth = prediction[head][own].reshape(10, -1), target[head][own].reshape(10, -1)
        mean = centre[head].reshape(-1)
        assert scores.r2 == pytest.approx(r2(answer, truth, centre=mean))
        assert scores.r2_pooled == pytest.approx(r2_pooled(answer, truth, centre=mean))
        assert scores.correlation_per_trial == pytest.approx(correlation_per_trial(answer, truth))
        assert scores.correlation_per_dimension == pytest.approx(correlation_per_dimension(answer, truth), nan_ok=True)
        gallery = target[head].reshape(10, -1)
        expected = two_way_identification(answer - mean, gallery, own=own, centre=mean)
        assert scores.two_way.tolist() == expected.tolist()
        assert scores.two_way.mean() > 0.8


def test_repeated_clips_of_a_head_are_no_distractors():
    target = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = head_scores({"a": target}, {"a": target}, centre={"a": np.zeros(2)}, clip_id=["x", "x", "y"])
    assert found["a"].two_way.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("target", "centre", "message"),
    [
        ({"b": np.ones((2, 3))}, {"a": np.ones(3)}, r"no target for head 'a' \(known: b\)"),
        ({"a": np.ones((2, 3))}, {}, r"no centre for head 'a' \(known: none\)"),
        ({"a": np.ones((2, 4))}, {"a": np.ones(4)}, "equal shapes after the trials"),
        ({"a": np.ones((3, 3))}, {"a": np.ones(3)}, "equal shapes"),
    ],
)
def test_heads_that_do_not_fit_are_refused(target, centre, message):
    with pytest.raises(UsageError, match=message):
        head_scores({"a": np.ones((2, 3))}, target, centre=centre)
