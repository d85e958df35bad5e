"""Do reconstructions, as a set, look like real videos? Fréchet and kernel distance of an encoder's features.

Both compare sets and not pairs: a set of good videos in the wrong order is perfect here. Name the encoder and
n beside the number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from brainreel.errors import UsageError

DEFINITIONS: dict[str, dict[str, str]] = {
    "frechet": {
        "gaussian": "Squared Wasserstein-2 distance of the Gaussians fitted to the two sets of features; "
        "lower is better, 0 = equal mean and covariance, NaN unless both sets have at least 2 × dimension "
        "clips."
    },
    "kid": {
        "polynomial-3": "Unbiased squared maximum mean discrepancy with the kernel (x·y/d + 1)³; lower is "
        "better, expected 0 for two samples of one distribution, may be negative."
    },
}


@dataclass(frozen=True)
class Distance:
    """A distance between two sets of features; `float(distance)` is its value.

    Attributes:
        value: The distance; NaN where undefined. No chance level exists: compare with real against real.
        low, high: Ends of the interval; NaN where there is none.
        n: Clips of the smaller set.
        dim: Dimension of the features.
        note: Why the value or the interval is missing, as a sentence; empty if neither is.
    """

    value: float
    low: float
    high: float
    n: int
    dim: int
    note: str

    def __float__(self) -> float:
        return self.value


def frechet(truth: Float[np.ndarray, "clips dim"], reconstruction: Float[np.ndarray, "videos other_dim"]) -> Distance:
    """‖μ₁ − μ₂‖² + tr(C₁ + C₂ − 2(C₁C₂)^½): ≥ 0, lower is better (Heusel et al. 2017, eq. 6; ddof 1).

    With fewer clips than dimensions the covariances are singular, and the distance is biased upwards
    by more than methods differ: NaN with a reason unless both sets have at least 2 × dim clips. No interval:
    the bias depends on n, so resampled sets, in which clips repeat, are further off than the whole.

    Raises:
        UsageError: The two sets have different dimensions.
    """
    n, dim = _sizes(truth, reconstruction)
    note = _not_finite(truth, reconstruction)
    if n < 2 * dim:
        note = f"{n} clips for {dim} dimensions: at least {2 * dim} are needed"
    if note:
        return Distance(np.nan, np.nan, np.nan, n, dim, note)
    sets = [features.astype(np.float64) for features in (truth, reconstruction)]
    first, second = (features.mean(axis=0) for features in sets)
    # C = RᵀR, so the trace of the root of C₁C₂ is the nuclear norm of R₁R₂ᵀ: no root of a matrix is taken.
    roots = [np.linalg.qr(f - f.mean(axis=0), mode="r") / np.sqrt(len(f) - 1) for f in sets]
    spread = sum(float(np.square(root).sum()) for root in roots)
    shared = float(np.linalg.norm(roots[0] @ roots[1].T, "nuc"))
    value = float(np.square(first - second).sum()) + spread - 2 * shared
    return Distance(max(0.0, value), np.nan, np.nan, n, dim, "")


def kid(
    truth: Float[np.ndarray, "clips dim"],
    reconstruction: Float[np.ndarray, "videos other_dim"],
    *,
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
) -> Distance:
    """Unbiased MMD² with k(x, y) = (x·y/d + 1)³ (Bińkowski et al. 2018, §4); lower is better.

    The interval comes from random halves drawn without replacement: a half of n strays from the whole as the
    whole strays from the truth (delete-half jackknife); for equal distributions it is wider than it need be.
    A bootstrap would repeat clips, and a clip is more similar to itself than to any other. Where the sets are
    of equal size, row i of both is taken as the same clip and drawn together.

    The value is expected to be 0 for two samples of one distribution, so it may be negative. NaN with fewer
    than two clips in a set; no interval with fewer than four.

    Raises:
        UsageError: The two sets have different dimensions, or `resamples` or `level` make no interval.
    """
    n, dim = _sizes(truth, reconstruction)
    if resamples < 2 or not 0 < level < 1:
        raise UsageError(f"resamples = {resamples}, level = {level}", expected="2 or more, and between 0 and 1")
    note = _not_finite(truth, reconstruction)
    if n < 2:
        note = f"{n} clip{'s' * (n != 1)}: at least 2 are needed"
    if note:
        return Distance(np.nan, np.nan, np.nan, n, dim, note)
    x, y = truth.astype(np.float64), reconstruction.astype(np.float64)
    within_x, within_y, between = (_kernel(a, b) for a, b in ((x, x), (y, y), (x, y)))
    np.fill_diagonal(within_x, 0.0)
    np.fill_diagonal(within_y, 0.0)

    def discrepancy(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """MMD² of the clips marked 1, for each pair of masks."""
        a, b = rows.sum(axis=1), columns.sum(axis=1)
        own_x = ((rows @ within_x) * rows).sum(axis=1) / (a * (a - 1))
        own_y = ((columns @ within_y) * columns).sum(axis=1) / (b * (b - 1))
        return own_x + own_y - 2 * ((rows @ between) * columns).sum(axis=1) / (a * b)

    value = float(discrepancy(np.ones((1, len(x))), np.ones((1, len(y))))[0])
    if n < 4:
        return Distance(value, np.nan, np.nan, n, dim, f"{n} clips: no interval below 4")
    rng = np.random.default_rng(seed)
    rows = _halves(rng, resamples, len(x))
    halves = discrepancy(rows, rows if len(x) == len(y) else _halves(rng, resamples, len(y)))
    # Var(half − whole) = Var(whole)·(n − h)/h, which is 1 × for even n.
    stray = (halves - value) * np.sqrt((n // 2) / (n - n // 2))
    low, high = value + np.quantile(stray, [(1 - level) / 2, (1 + level) / 2])
    return Distance(value, float(low), float(high), n, dim, "")


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a @ b.T / a.shape[1] + 1) ** 3


def _halves(rng: np.random.Generator, resamples: int, n: int) -> np.ndarray:
    """Masks of n // 2 of n clips, drawn without replacement."""
    mask = (np.arange(n) < n // 2).astype(np.float64)
    return rng.permuted(np.tile(mask, (resamples, 1)), axis=1)


def _sizes(truth: np.ndarray, reconstruction: np.ndarray) -> tuple[int, int]:
    if truth.shape[1] != reconstruction.shape[1]:
        raise UsageError(
            f"features of {truth.shape[1]} and {reconstruction.shape[1]} dimensions",
            expected="the same encoder for both",
        )
    return min(len(truth), len(reconstruction)), truth.shape[1]


def _not_finite(*sets: np.ndarray) -> str:
    broken = sum(int(np.count_nonzero(~np.isfinite(features).all(axis=1))) for features in sets)
    return f"feature vectors that are not finite: {broken}" if broken else ""
