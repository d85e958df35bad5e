"""From clips' parts to rows of metrics.json: value, interval over clips, controls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from brainreel.errors import UsageError
from brainreel.evaluate.score_measures import ENERGY, MEASURES, MOVING, Measure, correlations
from brainreel.evaluate.score_nulls import NULLS
from brainreel.evaluate.score_pass import Measured, Pairs
from brainreel.metrics import FACTS
from brainreel.metrics.bootstrap import FEW_UNITS, resample_counts
from brainreel.metrics.controls import mismatched, shuffled

RESAMPLES = 10_000
DERANGEMENTS = 100
# Where a pair costs next to nothing, wrong pairs are still not all taken from very many clips.
MOST_SHIFTS = 100


@dataclass(frozen=True)
class Column:
    """One method's clips under one measure.

    Attributes:
        measure: What is measured.
        strategy: The method.
        parts: Each clip's numerator and denominator; NaN where undefined.
        facts: Keys of its row: controls, chance, encoder, why it is missing.
    """

    measure: Measure
    strategy: str
    parts: Float[np.ndarray, "clips 2"]
    facts: dict[str, Any] = field(default_factory=dict)

    def values(self) -> Float[np.ndarray, " clips"]:
        """Each clip's own value."""
        return self.measure.of(self.parts)


def columns(measured: Measured, pairs: Pairs, *, seed: int) -> list[Column]:
    """Every method's pixel and motion measures, with their wrong pairs and null videos."""
    found = []
    for method, name in enumerate(pairs.recons):
        for place, measure in enumerate(MEASURES):
            wrong = measured.wrong[method, :, :, place]
            nulls = {null: total(measure, measured.nulls[row, :, place]) for row, null in enumerate(NULLS)}
            each = [total(measure, shift) for shift in wrong]
            facts = {
                **nulls,
                "constant": nulls["null_mean_clip"],
                "mismatched": total(measure, wrong.reshape(-1, 2)),
                "mismatched_pairs": int((~np.isnan(wrong)).all(axis=-1).sum()),
                "shuffled": float(np.mean(each)) if each else None,
                "null_clips": measured.null_clips,
                "circular": False,
            }
            if measure.metric in MOVING:
                facts["zero_motion"] = nulls["null_flat_grey"]
            reason = measured.without.get((measure.metric, measure.definition))
            found.append(Column(measure, name, measured.own[method, :, place], _because(facts, reason)))
        found.append(_energy(measured, pairs, name, seed))
    return found


def pairwise(
    score: Callable[[np.ndarray], np.ndarray], same: Int[np.ndarray, " clips"], *, seed: int
) -> dict[str, float | None]:
    """`mismatched` and `shuffled` of a score whose wrong pairs are cheap: up to 100 shifts, and 100 derangements.

    Args:
        score: From rows to the scores of truth i with reconstruction `rows[i]`.
        same: A number that clips of the same content share; they are no wrong pairs.
    """
    if len(np.unique(same)) < 2:
        return {"mismatched": None, "shuffled": None}
    n = len(same)
    wrong = mismatched(score, n, clip_id=same, shifts=min(n - 1, MOST_SHIFTS), seed=seed)
    return {
        "mismatched": _mean(wrong),
        "shuffled": shuffled(score, n, seed=seed, count=DERANGEMENTS, clip_id=same).value,
    }


def as_parts(values: Float[np.ndarray, " clips"]) -> Float[np.ndarray, "clips 2"]:
    """Parts of a plain mean over the clips where it is defined."""
    return np.stack([values, np.where(np.isnan(values), np.nan, 1.0)], axis=1)


def total(measure: Measure, parts: Float[np.ndarray, "clips 2"]) -> float:
    """The value of a set of clips."""
    return float(measure.of(np.nansum(parts, axis=0)))


class Resamples:
    """One set of resampled clips for all measures and methods, so that differences are paired."""

    def __init__(self, clips: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        sizes = [min(1000, RESAMPLES - start) for start in range(0, RESAMPLES, 1000)]
        # A clip is seldom drawn more than a few times, so that one byte is enough.
        self.counts = np.concatenate(
            [resample_counts(rng, size, clips).astype(np.uint16) for size in sizes] if clips else [np.zeros((0, 0))]
        )

    def values(self, measure: Measure, parts: Float[np.ndarray, "clips 2"]) -> Float[np.ndarray, " resamples"]:
        """The value of each resample."""
        known = np.nan_to_num(parts, nan=0.0, posinf=0.0)
        return measure.of(self.counts @ known)


def interval(values: Float[np.ndarray, " resamples"]) -> list[float] | None:
    """Ends of the 95 % percentile interval; None where it has none."""
    defined = values[~np.isnan(values)]
    if defined.size == 0 or not np.isfinite(defined).all():
        return None
    return [number(end) for end in np.quantile(defined, [0.025, 0.975])]  # type: ignore[misc]


def rows(found: Sequence[Column], resamples: Resamples) -> list[dict[str, Any]]:
    """Rows of metrics.json, with everything that the contract asks for."""
    return [row(column, resamples) for column in found]


def row(column: Column, resamples: Resamples) -> dict[str, Any]:
    """One row. What is infinite or unknown is null, and says why."""
    measure = column.measure
    facts = {key: each for key, each in column.facts.items() if key != "label"}
    fact = FACTS.get(measure.metric, {}).get(measure.definition)
    own = column.values()
    undefined, infinite = int(np.isnan(own).sum()), int(np.isinf(column.parts).any(axis=1).sum())
    value = total(measure, column.parts)
    n = len(own)
    clips = int((~np.isnan(column.parts)).all(axis=1).sum())
    ends = (
        interval(resamples.values(measure, column.parts)) if clips > 1 and np.isfinite(value) and not infinite else None
    )
    notes = [facts.pop("note")] if "note" in facts else []
    if np.isinf(value):
        notes.append("infinite: identical " + ("frames" if infinite else "clips"))
    if clips and undefined:
        notes.append(f"undefined in {undefined} of {n} clips")
    if clips < FEW_UNITS:
        notes.append(f"{clips} clips: " + ("no interval" if clips < 2 else "the interval is rough"))
    chance = fact.chance if fact is not None else None
    return {
        "metric": measure.metric,
        "stage": "generate",
        "strategy": column.strategy,
        "dataset": None,
        "subject": None,
        "split": "test",
        "definition": measure.definition,
        "value": number(value),
        "ci95": ends,
        "bootstrap": "clips",
        "chance": None if callable(chance) else number(chance),
        "constant": None,
        "mismatched": None,
        "shuffled": None,
        "ceiling": None,
        "direction": "higher" if fact is None else fact.direction,
        "n": n,
        "unit": "" if fact is None else fact.unit,
        "circular": None,
        "published": bool(fact and fact.published),
        "undefined": undefined,
        **{key: number(each) if isinstance(each, float) else each for key, each in facts.items()},
        "note": "; ".join(notes),
    }


def number(value: float | None) -> float | None:
    """Eight digits are more than any interval; NaN and infinity are null in JSON."""
    return None if value is None or not np.isfinite(value) else float(f"{value:.8g}")


def _energy(measured: Measured, pairs: Pairs, name: str, seed: int) -> Column:
    clips = len(pairs.order)
    reason = measured.without.get((ENERGY.metric, ENERGY.definition))
    training = measured.training_energy
    if reason is None and training is None:
        reason = "needs training clips, which z-score the filters; give --train"
    if reason is not None or training is None:
        return Column(ENERGY, name, np.full((clips, 2), np.nan), _because({"circular": False}, reason))
    if not (training[1] > 0).any():
        raise UsageError("no motion-energy filter varies over the training clips", expected="clips that differ")
    each = {key: correlations(measured.energy["truth"], energy, training) for key, energy in measured.energy.items()}
    mine = each[f"method {name}"]
    nulls = {null: _mean(np.diagonal(each[null])) if null in each else None for null in NULLS}
    controls = pairwise(lambda chosen: mine[np.arange(clips), chosen], pairs.same[pairs.order], seed=seed)
    facts = {**nulls, **controls, "constant": nulls["null_mean_clip"], "circular": False}
    facts["null_clips"] = measured.null_clips
    facts["zero_motion"] = nulls["null_flat_grey"]
    return Column(ENERGY, name, as_parts(np.diagonal(mine).copy()), facts)


def _because(facts: dict[str, Any], reason: str | None) -> dict[str, Any]:
    return facts if reason is None else {**facts, "note": reason}


def _mean(values: np.ndarray) -> float | None:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else None
