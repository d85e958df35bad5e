"""How close are predicted vectors to the true ones? R², correlation and identification, per head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from brainreel.errors import UsageError, alternatives
from brainreel.metrics.identification import two_way_identification

DEFINITIONS: dict[str, dict[str, str]] = {
    "r2": {
        "per-dimension": "1 − squared error / squared distance of the targets from the reference (the "
        "training mean if given, else their own mean), per dimension; at most 1, 0 for predicting the "
        "reference.",
        "pooled": "1 − squared error / squared distance of the targets from the reference, both summed over "
        "dimensions before dividing.",
    },
    "correlation": {
        "per-trial": "Pearson correlation of prediction and target over the dimensions of a trial.",
        "per-dimension": "Pearson correlation of prediction and target over the trials, per dimension.",
    },
}


@dataclass(frozen=True)
class HeadScores:
    """Scores of one head's predictions.

    Attributes:
        r2: Per dimension (trailing axes of the target flattened).
        r2_pooled: Over all dimensions together.
        correlation_per_trial, correlation_per_dimension: Pearson; NaN where one side is constant.
        two_way: Two-way identification per trial by `centred-cosine`.
    """

    r2: Float[np.ndarray, " dim"]
    r2_pooled: float
    correlation_per_trial: Float[np.ndarray, " trials"]
    correlation_per_dimension: Float[np.ndarray, " dim"]
    two_way: Float[np.ndarray, " trials"]


def r2(
    prediction: Float[np.ndarray, "trials dim"],
    target: Float[np.ndarray, "rows target_dim"],
    *,
    centre: Float[np.ndarray, " target_dim"] | None = None,
) -> Float[np.ndarray, " dim"]:
    """1 − Σ(target − prediction)² / Σ(target − reference)² over the trials, per dimension.

    At most 1, higher is better, unbounded below; 0 is the score of predicting the reference always. The
    reference is `centre`, the training mean, where given (a prediction cannot know the test mean), else the
    mean of these targets. NaN where the targets equal the reference, or for a value that is not finite.

    Raises:
        UsageError: Prediction and target differ in shape.
    """
    error, spread = _squares(prediction, target, centre)
    return _one_minus(error, spread)


def r2_pooled(
    prediction: Float[np.ndarray, "trials dim"],
    target: Float[np.ndarray, "rows target_dim"],
    *,
    centre: Float[np.ndarray, " target_dim"] | None = None,
) -> float:
    """R² with errors and spreads summed over all dimensions, so that quiet ones do not dominate; see `r2`."""
    error, spread = _squares(prediction, target, centre)
    return float(_one_minus(error.sum(keepdims=True), spread.sum(keepdims=True))[0])


def correlation_per_trial(
    prediction: Float[np.ndarray, "trials dim"], target: Float[np.ndarray, "rows target_dim"]
) -> Float[np.ndarray, " trials"]:
    """Pearson correlation over the dimensions of each trial: −1 … 1, higher is better.

    Chance is 0 only where targets are centred; otherwise a shared mean vector correlates with everything, and
    `mismatched` is the level to compare with. NaN where a vector is constant or not finite.
    """
    _require_equal(prediction, target)
    return _pearson_rows(prediction, target)


def correlation_per_dimension(
    prediction: Float[np.ndarray, "trials dim"], target: Float[np.ndarray, "rows target_dim"]
) -> Float[np.ndarray, " dim"]:
    """Pearson correlation over the trials, per dimension: −1 … 1, chance 0, higher is better.

    NaN where a dimension is constant, has a value that is not finite, or there is one trial.
    """
    _require_equal(prediction, target)
    return _pearson_rows(prediction.T, target.T)


def head_scores(
    prediction: Mapping[str, Float[np.ndarray, "trials ..."]],
    target: Mapping[str, Float[np.ndarray, "rows ..."]],
    *,
    centre: Mapping[str, Float[np.ndarray, "_ ..."]],
    clip_id: Sequence | Shaped[np.ndarray, " trials"] | None = None,
    own: Int[np.ndarray, " trials"] | None = None,
) -> dict[str, HeadScores]:
    """Scores of each head, its targets (trials, …) flattened.

    A head answers in the space of its targets, so for identification the training mean is subtracted from
    both sides.

    Args:
        prediction: Per head, one array per trial.
        target: Per head of `prediction`, one array per trial, or per unique clip when `own` is given.
        centre: Per head, the mean of the training targets.
        clip_id, own: Which trials are of the same clip, as in `two_way_identification`.

    Raises:
        UsageError: A head lacks its target or centre, or their shapes differ.
    """
    scores = {}
    for head, answer in prediction.items():
        for name, known in (("target", target), ("centre", centre)):
            if head not in known:
                raise UsageError(f"no {name} for head {alternatives(head, known)}")
        if not answer.shape[1:] == target[head].shape[1:] == centre[head].shape:
            raise UsageError(
                f"head {head!r}: predictions {answer.shape}, targets {target[head].shape}, centre {centre[head].shape}",
                expected="equal shapes after the trials",
            )
        answers, mean = answer.reshape(len(answer), -1), centre[head].reshape(-1)
        gallery = target[head].reshape(len(target[head]), -1)
        truth = gallery if own is None else gallery[own]
        scores[head] = HeadScores(
            r2=r2(answers, truth, centre=mean),
            r2_pooled=r2_pooled(answers, truth, centre=mean),
            correlation_per_trial=correlation_per_trial(answers, truth),
            correlation_per_dimension=correlation_per_dimension(answers, truth),
            two_way=two_way_identification(answers - mean, gallery, clip_id=clip_id, own=own, centre=mean),
        )
    return scores


def _require_equal(prediction: np.ndarray, target: np.ndarray) -> None:
    if prediction.shape != target.shape:
        raise UsageError(f"predictions {prediction.shape} and targets {target.shape}", expected="equal shapes")


def _squares(prediction: np.ndarray, target: np.ndarray, centre: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    _require_equal(prediction, target)
    truth = target.astype(np.float64)
    if not len(truth):
        return np.full(truth.shape[1], np.nan), np.full(truth.shape[1], np.nan)
    if centre is None:
        # A constant dimension has no spread, though its mean may be off by rounding.
        constant = np.all(truth == truth[:1], axis=0)
        reference = np.where(constant, truth[0], truth.mean(axis=0))
    else:
        reference = centre.astype(np.float64)
    return np.square(truth - prediction).sum(axis=0), np.square(truth - reference).sum(axis=0)


def _one_minus(error: np.ndarray, spread: np.ndarray) -> np.ndarray:
    defined = np.isfinite(error) & np.isfinite(spread) & (spread > 0)
    return np.where(defined, 1 - np.where(defined, error, 0.0) / np.where(defined, spread, 1.0), np.nan)


def _pearson_rows(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson correlation of each row of one array with the same row of the other."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    defined = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
    defined &= np.any(a != a[:, :1], axis=1) & np.any(b != b[:, :1], axis=1)
    a, b = np.where(defined[:, None], a, 0.0), np.where(defined[:, None], b, 0.0)
    # Width 0 leaves nothing defined; the guard keeps its mean from warning.
    width = max(a.shape[1], 1)
    a, b = (v - v.sum(axis=1, keepdims=True) / width for v in (a, b))
    scale = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.where(defined, np.clip((a * b).sum(axis=1) / np.where(scale > 0, scale, 1.0), -1, 1), np.nan)
