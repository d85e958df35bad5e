"""From scored trials to the rows of metrics.json: value, interval, chance and controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from brainreel import __version__
from brainreel.evaluate.identification import by_dataset, cell_table
from brainreel.evaluate.methods import Method
from brainreel.metrics.bootstrap import crossed_bootstrap
from brainreel.metrics.paired import paired_difference, sign_flip_test

COLUMNS = {"two_way_identification": "two_way", "retrieval_top5": "top5", "retrieval_top1": "top1"}


def score_rows(
    trials: pd.DataFrame, method: Method, *, target: str, continuous: bool, seed: int
) -> list[dict[str, Any]]:
    """Rows of metrics.json for one method: every metric for the mean over subjects, and for each subject.

    Continuous stimuli are resampled by fold (contiguous blocks), event stimuli by clip, crossed with subjects. A
    single subject's interval resamples the units only.
    """
    units = "fold" if continuous else "clip_id"
    rows = []
    for dataset, part in by_dataset(trials):
        subjects = list(dict.fromkeys(part["subject"]))
        for metric, column in COLUMNS.items():
            table = cell_table(part, column, units, subjects)
            common = {
                "metric": metric,
                "stage": "align",
                "strategy": method.name,
                "target": target,
                "dataset": dataset,
                "split": "test",
                "definition": "centred-cosine",
                "direction": "higher",
                "unit": "fraction",
                "circular": False,
                "seeds": sorted(int(value) for value in part["seed"].unique()),
                **method.facts,
            }
            everyone = None if len(subjects) > 1 or method.facts.get("viewers") else subjects[0]
            rows.append({**common, "subject": everyone, **_value(part, table, metric, column, continuous, seed)})
            if len(subjects) > 1:
                for index, subject in enumerate(subjects):
                    mine = part[part["subject"] == subject]
                    one = _value(mine, table[index : index + 1], metric, column, continuous, seed)
                    rows.append({**common, "subject": subject, **one})
    return rows


def _value(
    part: pd.DataFrame, table: np.ndarray, metric: str, column: str, continuous: bool, seed: int
) -> dict[str, Any]:
    interval = crossed_bootstrap(table, seed=seed)
    k = {"top1": 1, "top5": 5}.get(column)
    chance = 0.5 if k is None else float((np.minimum(k, part["gallery"]) / part["gallery"]).mean())
    two_way = k is None
    name = ("crossed" if len(table) > 1 else "units") + (
        " (subjects × blocks)" if continuous else " (subjects × clips)"
    )
    return {
        "value": _round(interval.value),
        "ci95": None if np.isnan(interval.low) else [_round(interval.low), _round(interval.high)],
        "bootstrap": name if len(table) > 1 else ("blocks" if continuous else "clips"),
        "chance": _round(chance),
        # The best single answer is the training mean: the origin, equally similar to everything, hence chance.
        "constant": _round(chance),
        "mismatched": _round(part["mismatched"].mean()) if two_way else None,
        "shuffled": _round(part["shuffled"].mean()) if two_way else None,
        "ceiling": None,
        "n": len(part.drop_duplicates(["subject", "row"])),
        "undefined": int(part[column].isna().sum()),
        "n_units": int(np.isfinite(table).any(0).sum()),
        "note": interval.note,
    }


def difference_row(
    first: pd.DataFrame, second: pd.DataFrame, names: tuple[str, str], *, continuous: bool, seed: int
) -> list[dict[str, Any]]:
    """Paired differences of two methods over the same cells, two-way identification, one row per dataset."""
    units = "fold" if continuous else "clip_id"
    rows = []
    others = dict(by_dataset(second))
    for dataset, part in by_dataset(first):
        subjects = list(dict.fromkeys(part["subject"]))
        one, other = (cell_table(p, "two_way", units, subjects) for p in (part, others[dataset]))
        paired = paired_difference(one, other, seed=seed)
        flip = sign_flip_test(one - other, seed=seed)
        rows.append(
            {
                "metric": "two_way_identification",
                "dataset": dataset,
                "first": names[0],
                "second": names[1],
                "value": _round(paired.interval.value),
                "ci95": None
                if np.isnan(paired.interval.low)
                else [_round(paired.interval.low), _round(paired.interval.high)],
                "bootstrap": "crossed" if len(subjects) > 1 else units,
                "subjects_above": paired.above,
                "subjects": len(subjects),
                "n_units": int(np.isfinite(one - other).any(0).sum()),
                "p_sign_flip": _round(flip.p),
                "unit": "fraction",
            }
        )
    return rows


def document(rows: Sequence[dict[str, Any]], differences: Sequence[dict[str, Any]], seed: int, **more: Any) -> dict:
    """The content of metrics.json."""
    return {
        "schema": 1,
        "brainreel": __version__,
        "seed": seed,
        "scores": list(rows),
        "differences": list(differences),
        **more,
    }


def _round(value: float) -> float | None:
    """Six decimals are far below any interval, and NaN is null in JSON."""
    return None if not np.isfinite(value) else round(float(value), 6)
