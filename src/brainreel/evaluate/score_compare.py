"""Is one method better than another? Paired differences over the same clips, tested, with the number of tests in mind.

Sign flips per clip (exact up to 20 clips, 10,000 seeded ones beyond), Benjamini-Hochberg over all tests of a call.
The PSNR of a set is a function of its mean squared error, so its test is that one's and counts once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float

from brainreel.evaluate.score_rows import Column, Resamples, interval, number, total
from brainreel.metrics import FACTS
from brainreel.metrics.paired import benjamini_hochberg, sign_flip_test


def differences(found: Sequence[Column], resamples: Resamples, *, seed: int) -> list[dict[str, Any]]:
    """First method minus second, for every measure and every two methods; empty for a single method."""
    by_measure: dict[str, list[Column]] = {}
    for column in found:
        by_measure.setdefault(
            column.facts.get("label", f"{column.measure.metric}/{column.measure.definition}"), []
        ).append(column)
    rows = [
        _difference(first, second, resamples, seed)
        for alike in by_measure.values()
        for first, second in combinations(alike, 2)
    ]
    tests = [row for row in rows if row["p_sign_flip"] is not None and "tested_as" not in row]
    adjusted = benjamini_hochberg(np.array([row["p_sign_flip"] for row in tests], dtype=float))
    of = {}
    for row, p in zip(tests, adjusted, strict=True):
        row["p_adjusted"] = number(p)
        of[row["metric"], row["first"], row["second"]] = row["p_adjusted"]
    for row in rows:
        if "tested_as" in row:
            row["p_adjusted"] = of.get((row["tested_as"], row["first"], row["second"]))
        row["tests_in_family"] = len(tests)
    return rows


def _difference(first: Column, second: Column, resamples: Resamples, seed: int) -> dict[str, Any]:
    measure = first.measure
    fact = FACTS.get(measure.metric, {}).get(measure.definition)
    direction = "higher" if fact is None else fact.direction
    both = np.isnan(first.parts + second.parts).sum(axis=1) == 0
    one, other = (np.where(both[:, None], column.parts, np.nan) for column in (first, second))
    infinite = bool(np.isinf(one).any() or np.isinf(other).any())
    value = np.nan if infinite else total(measure, one) - total(measure, other)
    # Denominators are the truth's (or 1), so numerators carry the whole difference.
    apart = np.full((1, len(both)), np.nan) if infinite else (one[:, 0] - other[:, 0])[None]
    test = sign_flip_test(apart, seed=seed)
    ends = None
    if test.n > 1 and np.isfinite(value):
        ends = interval(resamples.values(measure, one) - resamples.values(measure, other))
    return {
        "metric": measure.metric,
        "definition": measure.definition,
        **{key: first.facts[key] for key in ("ways", "k", "encoder") if key in first.facts},
        "stage": "generate",
        "dataset": None,
        "first": first.strategy,
        "second": second.strategy,
        "value": number(value),
        "ci95": ends,
        "bootstrap": "clips",
        "first_better": _better(apart[0], measure.kind == "decibel" or direction == "lower"),
        "n": test.n,
        "p_sign_flip": number(test.p),
        "p_adjusted": None,
        "exact": test.exact,
        "direction": direction,
        "unit": "" if fact is None else fact.unit,
        "published": bool(fact and fact.published),
        **({"tested_as": "mse"} if measure.kind == "decibel" else {}),
    }


def _better(apart: Float[np.ndarray, " clips"], lower: bool) -> int:
    """Clips for which the first method is better; a decibel column's numerators are errors."""
    return int(np.count_nonzero(apart < 0 if lower else apart > 0))
