"""Is one method better than another? Differences over the same cells, never overlapping intervals.

No test here reads a bootstrap distribution: the means of resamples are as many as one likes, so a test that
treats them as data can reach any p. Tests permute the units themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from brainreel.errors import UsageError, alternatives
from brainreel.metrics.bootstrap import Interval, crossed_bootstrap, nested_bootstrap, unit_sums

BOOTSTRAPS = {"crossed": crossed_bootstrap, "nested": nested_bootstrap}
ALTERNATIVES = ("two-sided", "greater", "less")
EXACT_UNITS = 20
FLIPS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class PairedDifference:
    """First method minus second, over the cells that both have.

    Attributes:
        interval: Mean difference and its interval, in the metric's units.
        above, below, equal: Subjects whose mean difference is positive, negative, exactly 0.
        unpaired: Cells that only one of the two methods has; they take no part.
    """

    interval: Interval
    above: int
    below: int
    equal: int
    unpaired: int

    def signs(self, *, higher_is_better: bool = True) -> str:
        """«12 of 13»: subjects for whom the first method is better, of all subjects with a pair."""
        return f"{self.above if higher_is_better else self.below} of {self.above + self.below + self.equal}"


@dataclass(frozen=True)
class SignFlip:
    """A sign-flip permutation test.

    Attributes:
        p: The p-value, 2^-n at least where exact, 1/(flips + 1) at least otherwise; NaN without a unit.
        statistic: The observed mean difference.
        n: Units that could be flipped.
        flips: Sign patterns looked at.
        exact: Whether these were all there are.
    """

    p: float
    statistic: float
    n: int
    flips: int
    exact: bool


def paired_difference(
    first: Float[np.ndarray, "subjects units"],
    second: Float[np.ndarray, "subjects units"],
    *,
    seed: int,
    bootstrap: str = "crossed",
    block: Sequence | Shaped[np.ndarray, " units"] | None = None,
    resamples: int = 10_000,
    level: float = 0.95,
) -> PairedDifference:
    """Bootstrap of `first` − `second` over the same cells (NaN in either: no pair), as in `bootstrap.py`."""
    if bootstrap not in BOOTSTRAPS:
        raise UsageError(f"bootstrap {alternatives(bootstrap, BOOTSTRAPS)}")
    difference = first.astype(np.float64) - second.astype(np.float64)
    interval = BOOTSTRAPS[bootstrap](difference, seed=seed, block=block, resamples=resamples, level=level)
    cells = np.isfinite(difference)
    means = np.where(cells, difference, 0.0).sum(axis=1)[cells.any(axis=1)]
    return PairedDifference(
        interval=interval,
        above=int(np.count_nonzero(means > 0)),
        below=int(np.count_nonzero(means < 0)),
        equal=int(np.count_nonzero(means == 0)),
        unpaired=int(np.count_nonzero(np.isnan(first) != np.isnan(second))),
    )


def sign_flip_test(
    difference: Float[np.ndarray, "subjects units"],
    *,
    seed: int,
    block: Sequence | Shaped[np.ndarray, " units"] | None = None,
    alternative: str = "two-sided",
    flips: int = 10_000,
) -> SignFlip:
    """Could the sign of each unit's difference be chance?

    The statistic is the mean over subjects of each subject's mean difference. Under the null hypothesis the
    two methods are exchangeable in every unit (clip, block, fold), so the sign of a unit, one for all
    subjects, may be flipped. All 2^n patterns up to n = 20 units, `flips` seeded ones beyond, the observed
    one counted in both (Phipson & Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9:39). The conclusion is about
    these subjects and further units.

    Args:
        difference: First minus second method per subject and unit, NaN where there is no pair.
        seed: Seeds the patterns beyond 20 units; an exact test does not use it.
        block: Label of each unit; all units of a label flip together.
        alternative: `two-sided`, `greater` (the mean difference is above 0) or `less`.
        flips: Sign patterns drawn where not all are looked at.
    """
    if alternative not in ALTERNATIVES:
        raise UsageError(f"alternative {alternatives(alternative, ALTERNATIVES)}")
    if flips < 1:
        raise UsageError(f"flips = {flips}", expected="at least 1")
    cells = np.isfinite(difference)
    if np.isinf(difference).any():
        raise UsageError("an infinite difference", expected="finite differences or NaN")
    counts = cells.sum(axis=1, keepdims=True)
    subjects = np.count_nonzero(counts)
    # The statistic is linear in the signs: each unit adds or subtracts its part of the mean.
    share = np.where(cells, difference, 0.0).astype(np.float64) / np.maximum(counts, 1) / max(subjects, 1)
    parts = unit_sums(share, block).sum(axis=0)[unit_sums(cells.astype(np.float64), block).any(axis=0)]
    n = parts.size
    if n == 0:
        return SignFlip(p=float("nan"), statistic=float("nan"), n=0, flips=0, exact=True)
    observed = float(parts.sum())
    # Patterns that equal the observed one but for rounding are ties and count.
    tolerance = 1e-12 * float(np.abs(parts).sum())
    if n <= EXACT_UNITS:
        sums = _every_sign(parts)
        hits = _as_extreme(sums, observed, alternative, tolerance)
        return SignFlip(p=hits / sums.size, statistic=observed, n=n, flips=sums.size, exact=True)
    rng = np.random.default_rng(seed)
    hits, left = 0, flips
    while left:
        size = min(left, max(1, FLIPS_AT_ONCE // n))
        signs = 2.0 * rng.integers(0, 2, size=(size, n)) - 1.0
        hits += _as_extreme(signs @ parts, observed, alternative, tolerance)
        left -= size
    return SignFlip(p=(hits + 1) / (flips + 1), statistic=observed, n=n, flips=flips, exact=False)


def benjamini_hochberg(p: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """P-values adjusted for the false discovery rate (Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57:289).

    Rejecting where the result is ≤ q keeps the expected share of false discoveries ≤ q. Range 0 … 1. A NaN
    stays NaN and is not counted as a test.
    """
    tested = ~np.isnan(p)
    values = p[tested].astype(np.float64)
    if np.any((values < 0) | (values > 1)):
        raise UsageError(f"p-values from {values.min()} to {values.max()}", expected="values from 0 to 1")
    order = np.argsort(values)
    scaled = values[order] * values.size / np.arange(1, values.size + 1)
    adjusted = np.full(p.shape, np.nan)
    places = np.flatnonzero(tested)[order]
    adjusted[places] = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return adjusted


def _every_sign(parts: np.ndarray) -> np.ndarray:
    """The statistic under all 2^n sign patterns, by doubling."""
    sums = np.zeros(1)
    for part in parts:
        sums = np.concatenate([sums + part, sums - part])
    return sums


def _as_extreme(sums: np.ndarray, observed: float, alternative: str, tolerance: float) -> int:
    if alternative == "greater":
        return int(np.count_nonzero(sums >= observed - tolerance))
    if alternative == "less":
        return int(np.count_nonzero(sums <= observed + tolerance))
    return int(np.count_nonzero(np.abs(sums) >= abs(observed) - tolerance))
