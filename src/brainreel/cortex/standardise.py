"""Standardising responses with statistics of training trials only."""

from __future__ import annotations

from typing import NamedTuple

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
        raise UsageError("no trial to standardise with", expected="at least one training trial")
    mean = responses.mean(axis=0, dtype=np.float64)
    std = responses.std(axis=0, dtype=np.float64)
    std = np.where(std > 1e-8 * np.maximum(std.max(initial=0.0), np.abs(mean)), std, 1.0)
    return Scaling(mean.astype(np.float32), std.astype(np.float32))
