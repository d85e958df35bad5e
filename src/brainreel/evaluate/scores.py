"""From scored trials to the rows of metrics.json: value, interval, chance and controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from brainreel import __version__
from brainreel.evaluate.identification import by_dataset, cell_table
from brainreel.evaluate.methods import Method
from brainreel.metrics.bootstrap import crossed_bootstrap, table_mean
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
            by_seed = [
                _round(table_mean(cell_table(one, column, units, subjects)))
                for _, one in part.groupby("seed", sort=True)
            ]
            found = {**_value(part, column, units, subjects, seed), "seed_values": by_seed}
            if method.facts.get("null"):
                found |= _of_refits(by_seed)
            rows.append({**common, "subject": everyone, **found})
            for subject in subjects if len(subjects) > 1 else ():
                mine = part.loc[part["subject"] == subject]
                rows.append({**common, "subject": subject, **_value(mine, column, units, [subject], seed)})
    return rows


def _of_refits(values: Sequence[float | None]) -> dict[str, Any]:
    """A null varies from shift to shift, for all subjects alike: resampling subjects and blocks does not show that."""
    known = [value for value in values if value is not None]
    spread = f"lowest {min(known):.3f}, highest {max(known):.3f}" if known else "none defined"
    return {
        "ci95": None,
        "bootstrap": None,
        "resampled": None,
        "note": f"refitted on {len(values)} shifts of the text: {spread}; one shift says little",
    }


def _value(part: pd.DataFrame, column: str, units: str, subjects: Sequence[str], seed: int) -> dict[str, Any]:
    table = cell_table(part, column, units, subjects)
    interval = crossed_bootstrap(table, seed=seed)
    gallery = part["gallery"].where(part["gallery"] > 0).to_numpy(float)
    k = {"top1": 1, "top5": 5}.get(column)
    of_trial = np.full(len(part), 0.5) if k is None else np.minimum(k, gallery) / gallery

    def same_mean(values: np.ndarray) -> float:
        """Averaged as the value is, so that the two can be compared to the last digit."""
        return table_mean(cell_table(part.assign(other=values), "other", units, subjects))

    chance = same_mean(of_trial)
    two_way = k is None
    blocks = "blocks" if units == "fold" else "clips"
    return {
        "value": _round(interval.value),
        "ci95": None if np.isnan(interval.low) else [_round(interval.low), _round(interval.high)],
        "bootstrap": "crossed" if len(table) > 1 else "units",
        "resampled": f"subjects × {blocks}" if len(table) > 1 else blocks,
        "chance": _round(chance),
        # The best single answer is the training mean: the origin, equally similar to everything, hence chance.
        "constant": _round(chance),
        "mismatched": _round(same_mean(part["mismatched"].to_numpy(float))) if two_way else None,
        "shuffled": _round(same_mean(part["shuffled"].to_numpy(float))) if two_way else None,
        "ceiling": None,
        "n": len(part.drop_duplicates(["subject", "row"])),
        "undefined": int(np.isnan(part[column].to_numpy(float)).sum()),
        "n_units": int(np.isfinite(table).any(0).sum()),
        "note": interval.note,
    }


def difference_row(
    first: pd.DataFrame, second: pd.DataFrame, names: tuple[str, str], *, continuous: bool, seed: int
) -> list[dict[str, Any]]:
    """Paired differences of two methods over the cells that both have, two-way identification, a row per dataset."""
    units = "fold" if continuous else "clip_id"
    rows = []
    others = dict(by_dataset(second))
    for dataset, part in by_dataset(first):
        if dataset not in others:
            continue
        subjects = list(dict.fromkeys(part["subject"]))
        names_of_units = sorted({*part[units], *others[dataset][units]})
        one, other = (cell_table(p, "two_way", units, subjects, names_of_units) for p in (part, others[dataset]))
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
                "bootstrap": "crossed" if len(subjects) > 1 else "units",
                "subjects_above": paired.above,
                "subjects": paired.interval.subjects,
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
