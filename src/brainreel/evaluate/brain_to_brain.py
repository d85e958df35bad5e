"""How well do other viewers' brains tell what one viewer saw? A row of metrics.json without any model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from brainreel.cortex.standardise import fit_scaling
from brainreel.evaluate.identification import cell_table
from brainreel.metrics.bootstrap import crossed_bootstrap
from brainreel.metrics.ceilings import inter_subject_identification
from brainreel.store.reader import Store
from brainreel.store.several import Folds, folds_of, roles_in

STRATEGY = "brain-to-brain"


def brain_to_brain_rows(store: Store, folds: Folds, seed: int) -> list[dict[str, Any]]:
    """One viewer's windows identified from the mean response of the others, inside each fold's test windows.

    Responses are the windows' means of the first feature group, standardised per subject on the fold's training
    trials. Nothing is learned, so it is no bound of a model that uses more of the response.

    Returns:
        Rows for the mean over subjects and for each subject; none where fewer than two subjects share vertices
        and clips.
    """
    group = store.manifest.groups[0]
    if len(set(store.manifest.spaces[group].values())) > 1 or len(store.subjects) < 2:
        return []
    name = folds_of(store, folds)
    count = 0 if name is None else store.folds(name).shape[1]
    parts = [part for fold in range(count) if (part := _fold(store, folds, fold)) is not None]
    if not parts:
        return []
    trials = pd.concat(parts, ignore_index=True)
    subjects = list(dict.fromkeys(trials["subject"]))
    table = cell_table(trials, "two_way", "fold", subjects)
    rows = [_row(store, None, trials, table, seed)]
    for index, subject in enumerate(subjects):
        mine = trials.loc[trials["subject"] == subject]
        rows.append(_row(store, subject, mine, table[index : index + 1], seed))
    return rows


def _fold(store: Store, folds: Folds, fold: int) -> pd.DataFrame | None:
    roles = roles_in(store, folds, fold)
    tested = np.unique(store.clip_index(np.flatnonzero(roles == "test")))
    if len(tested) < 2:
        return None
    patterns = np.stack([_patterns(store, subject, roles, tested) for subject in store.subjects])
    two_way = inter_subject_identification(patterns)
    return pd.DataFrame(
        {
            "subject": np.repeat(store.subjects, len(tested)),
            "clip": np.tile(tested, len(store.subjects)),
            "fold": fold,
            "two_way": two_way.ravel(),
        }
    ).dropna(subset="two_way")


def _patterns(store: Store, subject: str, roles: np.ndarray, clips: np.ndarray) -> Float[np.ndarray, "clips vertices"]:
    """A subject's standardised responses to the tested clips; NaN where they have none."""
    train, test = (store.rows(subject, roles == role) for role in ("train", "test"))
    responses = store.responses(subject, test)
    found = np.full((len(clips), responses.shape[1]), np.nan)
    if len(train) and len(test):
        scaled = fit_scaling(store.responses(subject, train))(responses).astype(float)
        place = np.searchsorted(clips, store.clip_index(test))
        # Repetitions of a clip are averaged.
        sums = np.zeros_like(found)
        np.add.at(sums, place, scaled)
        counts = np.bincount(place, minlength=len(clips))[:, None]
        found = np.where(counts > 0, sums, np.nan) / np.maximum(counts, 1)
    return found


def _row(
    store: Store, subject: str | None, trials: pd.DataFrame, table: Float[np.ndarray, "subjects units"], seed: int
) -> dict[str, Any]:
    interval = crossed_bootstrap(table, seed=seed)
    known = not np.isnan(interval.low)
    return {
        "metric": "two_way_identification",
        "stage": "responses",
        "strategy": STRATEGY,
        "target": None,
        "dataset": store.name,
        "split": "test",
        "definition": "correlation",
        "direction": "higher",
        "unit": "fraction",
        "circular": False,
        "subject": subject,
        "value": round(interval.value, 6),
        "ci95": [round(interval.low, 6), round(interval.high, 6)] if known else None,
        "bootstrap": "units" if subject else "crossed",
        "chance": 0.5,
        "constant": None,
        "mismatched": None,
        "shuffled": None,
        "ceiling": None,
        "n": len(trials),
        "n_units": interval.n,
        "note": interval.note,
    }
