"""Standardising responses with statistics of training trials only."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from brainreel.errors import UsageError


class Scaling(NamedTuple):
    """Mean and standard deviation of each feature, fitted on training trials."""

    mean: Float[np.ndarray, " features"]
    std: Float[np.ndarray, " features"]

    def __call__(self, responses: Float[np.ndarray, "trials features"]) -> Float[np.ndarray, "trials features"]:
        """(responses - mean) / std."""
        return ((responses - self.mean) / self.std).astype(np.float32)


def fit_scaling(responses: Float[np.ndarray, "trials features"]) -> Scaling:
    """The features' means and standard deviations; a feature that is constant in training keeps the scale 1.

    Constant is what varies 1e8 times less than its own level or than the liveliest feature, in any unit. With a
    single trial there is no spread to measure: every scale is 1.

    Raises:
        UsageError: if there is no trial.
    """
    if not len(responses):
        raise _nothing()
    mean = responses.mean(axis=0, dtype=np.float64)
    return _scaling(mean, responses.std(axis=0, dtype=np.float64))


class Moments:
    """`fit_scaling` of trials that come in pieces (Chan, Golub & LeVeque 1979), to the last digits of float64."""

    def __init__(self) -> None:
        self._count = 0
        self._mean: Any = 0.0
        self._squares: Any = 0.0

    def add(self, responses: Float[np.ndarray, "trials features"]) -> None:
        """Count some more trials."""
        count = len(responses)
        if not count:
            return
        mean = responses.mean(axis=0, dtype=np.float64)
        change, total = mean - self._mean, self._count + count
        self._squares = self._squares + responses.var(axis=0, dtype=np.float64) * count
        self._squares = self._squares + change**2 * (self._count * count / total)
        self._mean = self._mean + change * (count / total)
        self._count = total

    def scaling(self) -> Scaling:
        """The statistics of everything that was added.

        Raises:
            UsageError: if that is no trial.
        """
        if not self._count:
            raise _nothing()
        return _scaling(self._mean, np.sqrt(self._squares / self._count))


def _nothing() -> UsageError:
    return UsageError("no trial to standardise with", expected="at least one training trial")


def _scaling(mean: Float[np.ndarray, " features"], std: Float[np.ndarray, " features"]) -> Scaling:
    std = np.where(std > 1e-8 * np.maximum(std.max(initial=0.0), np.abs(mean)), std, 1.0)
    return Scaling(mean.astype(np.float32), std.astype(np.float32))
