"""How close predicted conditions are to the true ones: rows of scores.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from brainreel.metrics.vectors import HeadScores, head_scores
from brainreel.regress.conditions import Conditions

Row = dict[str, Any]


def regress_scores(
    predicted: Mapping[str, Conditions], truth: Conditions, centre: Mapping[str, Float[np.ndarray, ...]]
) -> list[Row]:
    """Scores of one person's conditions, one row per model, condition and metric.

    ``r2`` (pooled over dimensions, 0 for the mean training target), ``correlation`` (per trial over dimensions, and
    per dimension over clips) and ``two_way_identification`` among the person's test clips (chance 0.5);
    ``constant`` is what the mean training target scores; null where that is undefined.

    Args:
        predicted: model → conditions averaged over repetitions.
        truth: True conditions of at least the same clips.
        centre: condition → mean target of the training clips.
    """
    rows = []
    for model, conditions in predicted.items():
        order = [truth.clip_id.index(name) for name in conditions.clip_id]
        true = {name: truth.vectors[name][order] for name in conditions.vectors}
        scores = head_scores(conditions.vectors, true, centre=centre)
        flat = {name: np.broadcast_to(centre[name], values.shape).copy() for name, values in true.items()}
        constants = head_scores(flat, true, centre=centre)
        for name, found in scores.items():
            constant = _summary(constants[name])
            for key, value in _summary(found).items():
                rows.append(_row(model, name, key, value, constant[key], len(conditions)))
    return rows


def mean_over_subjects(rows: Sequence[Row]) -> list[Row]:
    """A row with ``subject`` null for every dataset, model, condition and metric."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("dataset", "model", "condition", "metric", "definition"))
        groups.setdefault(key, []).append(row)
    return [
        {**members[0], "subject": None, "subjects": len(members)}
        | {name: _mean([member[name] for member in members]) for name in ("value", "constant")}
        for members in groups.values()
    ]


_METRICS: dict[tuple[str, str], tuple[float | None, str]] = {
    ("r2", "pooled"): (0.0, "R²"),
    ("correlation", "per-trial"): (None, "r"),
    ("correlation", "per-dimension"): (0.0, "r"),
    ("two_way_identification", "centred-cosine"): (0.5, "fraction"),
}


def _summary(scores: HeadScores) -> dict[tuple[str, str], float | None]:
    return {
        ("r2", "pooled"): _finite(scores.r2_pooled),
        ("correlation", "per-trial"): _defined(scores.correlation_per_trial),
        ("correlation", "per-dimension"): _defined(scores.correlation_per_dimension),
        ("two_way_identification", "centred-cosine"): _defined(scores.two_way),
    }


def _row(
    model: str, condition: str, key: tuple[str, str], value: float | None, constant: float | None, clips: int
) -> Row:
    chance, unit = _METRICS[key]
    return {
        "metric": key[0],
        "definition": key[1],
        "stage": "regress",
        "model": model,
        "condition": condition,
        "split": "test",
        "value": value,
        "chance": chance,
        "constant": constant,
        "direction": "higher",
        "n": clips,
        "unit": unit,
    }


def _defined(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return round(float(known.mean()), 6) if len(known) else None


def _finite(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 6) if known else None
