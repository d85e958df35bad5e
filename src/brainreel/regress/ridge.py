"""Ridge regression from embeddings to components: the rival that the network has to beat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from brainreel.regress.config import RivalConfig
from brainreel.regress.examples import Examples
from brainreel.regress.parts import Split, clip_parts


@dataclass(frozen=True)
class Ridge:
    """A linear map with an intercept.

    Attributes:
        weights: Slopes.
        bias: Intercept.
        penalty: Which of the penalties was chosen.
    """

    weights: Float[np.ndarray, "dim components"]
    bias: Float[np.ndarray, " components"]
    penalty: float

    def __call__(self, embedding: Float[np.ndarray, "trials dim"]) -> Float[np.ndarray, "trials components"]:
        """Components of standardised embeddings."""
        return embedding @ self.weights + self.bias

    def tensors(self) -> dict[str, np.ndarray]:
        """What `rebuild` needs, for a safetensors file."""
        return {"weights": self.weights, "bias": self.bias, "penalty": np.array(self.penalty, np.float64)}

    @classmethod
    def rebuild(cls, tensors: Mapping[str, np.ndarray]) -> Ridge:
        """A map from what `tensors` gave."""
        return cls(tensors["weights"], tensors["bias"], float(tensors["penalty"]))


def fit_ridges(examples: Examples, config: RivalConfig) -> dict[str, Ridge]:
    """One ridge per condition, each with a penalty of its own, chosen on training clips left out.

    Raises:
        FoldError: if there are too few clips to leave some out.
    """
    folds = clip_parts(examples.places, examples.clip, config.inner_folds, config.gap_s)
    return {
        name: fit_ridge(examples.embedding, values[examples.clip], folds, config.penalties)
        for name, values in examples.targets.items()
    }


def fit_ridge(
    x: Float[np.ndarray, "trials dim"],
    y: Float[np.ndarray, "trials components"],
    folds: Sequence[Split],
    penalties: Sequence[float],
) -> Ridge:
    """argmin ‖Y − XW − b‖² + α‖W‖², α of the smallest squared error over the held-out trials.

    One eigendecomposition of XᵀX serves all penalties (Hastie, Tibshirani & Friedman 2009, eq. 3.47).
    """
    errors = np.zeros(len(penalties))
    for train, validation in folds:
        for index, (weights, bias) in enumerate(_solutions(x[train], y[train], penalties)):
            errors[index] += np.square(y[validation] - x[validation] @ weights - bias).sum()
    penalty = penalties[int(np.argmin(errors))]
    weights, bias = next(_solutions(x, y, [penalty]))
    return Ridge(weights.astype(np.float32), bias.astype(np.float32), float(penalty))


def _solutions(x: np.ndarray, y: np.ndarray, penalties: Sequence[float]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    x_mean, y_mean = x.mean(0, dtype=np.float64), y.mean(0, dtype=np.float64)
    centred = x - x_mean
    power, axes = np.linalg.eigh(centred.T @ centred)
    cross = axes.T @ (centred.T @ (y - y_mean))
    for penalty in penalties:
        weights = axes @ (cross / (np.maximum(power, 0.0) + penalty)[:, None])
        yield weights, y_mean - x_mean @ weights
