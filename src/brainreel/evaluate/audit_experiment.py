"""The audit of an experiment: audit.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int, Shaped

from brainreel.align.predictions import Predictions
from brainreel.cortex.windows import timeline_weights
from brainreel.evaluate.audit import NEARLY_IDENTICAL, UNKNOWN, Audit, audit_embeddings, given_away, nearest_training
from brainreel.evaluate.identification import cell_table, test_clips
from brainreel.evaluate.methods import Found, Method, find
from brainreel.metrics.bootstrap import crossed_bootstrap
from brainreel.metrics.paired import paired_difference
from brainreel.store.reader import Store
from brainreel.store.targets import Targets

CATEGORY_COLUMN = "location"
COLUMNS = tuple(field.name for field in fields(Audit) if field.name != "chance_beaten")
# Name of a row → its column, and the column that says which trials count (0 or 1), wanted at the given value.
QUESTIONS: dict[str, tuple[str, tuple[str, int] | None]] = {
    "model": ("two_way", None),
    "shuffled": ("shuffled", None),
    "constant": ("constant", None),
    "copying": ("copying", None),
    "across-category": ("across", None),
    "within-category": ("within", None),
    "category-only": ("category_only", None),
    "seen-category": ("two_way", ("unseen", 0)),
    "unseen-category": ("two_way", ("unseen", 1)),
    "without-leaks": ("two_way", ("leaked", 0)),
    "leaks-only": ("two_way", ("leaked", 1)),
    "against-training": ("against_training", None),
    "beaten-by-training": ("beaten_by_training", None),
    "copied": ("copied", None),
}
CONTROLS = ("shuffled", "constant", "copying", "category-only")
WITHOUT_CHANCE = ("copied",)


def audit_experiment(
    root: Path,
    stores: Sequence[Store],
    targets: Sequence[Targets],
    methods: Sequence[Method],
    scored: Mapping[str, pd.DataFrame],
    *,
    seed: int,
) -> dict[str, Any]:
    """The content of audit.json: leaks per fold, and what the first method and its rivals owe to what.

    Args:
        root: The experiment's folder.
        stores: Its stores.
        targets: Their targets.
        methods: As evaluated; audited are the first one and those whose role is rival.
        scored: Per method, the trials as `score_trials` left them.
        seed: Seed of the bootstrap.

    Returns:
        ``category`` (per dataset: which column, how many clips have one), ``nearly_identical`` (the threshold),
        ``leakage`` (one entry per dataset and fold), ``scores`` (one row per method, dataset and question) and
        ``differences`` (the model minus playing the nearest training clip, over the same trials).
    """
    audited = [method for i, method in enumerate(methods) if i == 0 or method.facts.get("role") == "rival"]
    categories = {store.name: clip_categories(store) for store in stores}
    rows, differences = [], []
    for method in audited:
        for store, found in zip(stores, targets, strict=True):
            trials = _audit_trials(store, found, find(root, method), categories[store.name])
            if trials is None:
                continue
            keys = ["seed", "fold", "subject", "row"]
            table = scored[method.name]
            table = table.loc[table["dataset"] == store.name, [*keys, "shuffled"]]
            trials = trials.merge(table, on=keys, validate="one_to_one")
            units = "fold" if store.manifest.kind == "continuous" else "clip_id"
            common = {"strategy": method.name, "dataset": store.name}
            rows += [{**common, **row} for row in _rows(trials, units, seed)]
            differences.append({**common, **_above_copying(trials, units, seed)})
    return {
        "schema": 1,
        "nearly_identical": NEARLY_IDENTICAL,
        "category": {
            name: {"column": CATEGORY_COLUMN, "clips": len(kinds), "known": int(np.count_nonzero(kinds != UNKNOWN))}
            for name, kinds in categories.items()
        },
        "leakage": [
            leak
            for store, found in zip(stores, targets, strict=True)
            for leak in _leakage(store, found, find(root, audited[0]))
        ],
        "scores": rows,
        "differences": differences,
    }


def clip_categories(store: Store, column: str = CATEGORY_COLUMN) -> Shaped[np.ndarray, " clips"]:
    """What each clip of a store is: a column of its clips table or, for a film, of its timed annotations.

    A window of a film is where most of its annotated time plays; of equal shares, the place that comes first in
    the annotations. Empty where nothing is known.
    """
    clips, notes = store.clips, store.annotations
    if column in clips:
        return _text(clips[column])
    if notes is None or column not in notes or store.manifest.tr_s is None or not store.manifest.stimulus_volumes:
        return np.full(len(clips), UNKNOWN)
    spans = np.stack([notes["onset_s"], notes["onset_s"] + notes["duration_s"]], axis=1).astype(float)
    windows = np.stack([clips["onset_s"], clips["onset_s"] + clips["duration_s"]], axis=1).astype(float)
    weights = timeline_weights(spans, windows, store.manifest.tr_s, store.manifest.stimulus_volumes)
    places = _text(notes[column])
    names = list(dict.fromkeys(place for place in places if place != UNKNOWN))
    if not names:
        return np.full(len(clips), UNKNOWN)
    shares = np.stack([weights[:, places == name].sum(1) for name in names], axis=1)
    # Shares that are equal in time may differ by rounding.
    return np.where(shares.max(1) > 0, np.array(names)[shares.round(9).argmax(1)], UNKNOWN)


def _text(column: pd.Series) -> np.ndarray:
    return column.fillna(UNKNOWN).astype(str).str.strip().to_numpy(dtype=str)


def _audit_trials(
    store: Store, targets: Targets, found: Found, kinds: Shaped[np.ndarray, " clips"]
) -> pd.DataFrame | None:
    parts = []
    for seed, folds in found.files.items():
        for fold, path in folds.items():
            predictions = Predictions.read(path)
            test, train = test_clips(store, predictions), _training_clips(store, predictions)
            for name, embedding in predictions.embedding.items():
                dataset, subject = name.split("/", 1)
                if dataset != store.name:
                    continue
                rows = predictions.row[name]
                clips = store.clip_index(rows)
                audit = audit_embeddings(
                    embedding,
                    np.searchsorted(test, clips),
                    targets.values[test],
                    targets.values[train],
                    centre=predictions.centre,
                    category=kinds[test],
                    train_category=kinds[train],
                )
                table = pd.DataFrame({name: getattr(audit, name) for name in COLUMNS})
                parts.append(
                    table.assign(
                        seed=seed, fold=fold, subject=subject, row=rows,
                        clip_id=store.clips["clip_id"].to_numpy()[clips], chance_beaten=audit.chance_beaten,
                    )
                )  # fmt: skip
    return pd.concat(parts, ignore_index=True) if parts else None


def _training_clips(store: Store, predictions: Predictions) -> Int[np.ndarray, " clips"]:
    roles = store.roles(predictions.facts["folds"], predictions.facts["fold"])
    return np.unique(store.clip_index(np.flatnonzero(roles == "train")))


def _rows(trials: pd.DataFrame, units: str, seed: int) -> list[dict[str, Any]]:
    subjects = list(dict.fromkeys(trials["subject"]))
    rows = []
    for name, (column, only) in QUESTIONS.items():
        some = trials if only is None else trials[trials[only[0]] == only[1]]
        some = some[some[column].notna()]
        if some.empty:
            continue
        interval = crossed_bootstrap(cell_table(some, column, units, subjects), seed=seed)
        chance = some["chance_beaten"].mean() if name == "beaten-by-training" else 0.5
        rows.append(
            {
                "question": name,
                "value": _round(interval.value),
                "ci95": _ends(interval),
                "chance": None if name in WITHOUT_CHANCE else _round(chance),
                "n": len(some.drop_duplicates(["subject", "row"])),
                "clips": int(some["clip_id"].nunique()),
                "n_units": interval.n,
                "note": interval.note,
            }
        )
    model = next(row["value"] for row in rows if row["question"] == "model")
    for row in rows:
        if row["question"] in CONTROLS:
            row["given_away"] = _round(given_away(model, row["value"], row["chance"]))
    return rows


def _above_copying(trials: pd.DataFrame, units: str, seed: int) -> dict[str, Any]:
    subjects = list(dict.fromkeys(trials["subject"]))
    model, copying = (cell_table(trials, column, units, subjects) for column in ("two_way", "copying"))
    paired = paired_difference(model, copying, seed=seed)
    return {
        "first": "model",
        "second": "copying",
        "value": _round(paired.interval.value),
        "ci95": _ends(paired.interval),
        "subjects_above": paired.above,
        "subjects": len(subjects),
        "n_units": paired.interval.n,
    }


def _leakage(store: Store, targets: Targets, found: Found) -> list[dict[str, Any]]:
    """Per fold: clips in both roles, test clips whose target is nearly a training clip's, and which those are."""
    leaks = []
    for fold, path in next(iter(found.files.values()), {}).items():
        predictions = Predictions.read(path)
        test, train = test_clips(store, predictions), _training_clips(store, predictions)
        if not len(test) or not len(train):
            continue
        row, cosine = nearest_training(targets.values[test], targets.values[train], centre=predictions.centre)
        ids = store.clips["clip_id"].to_numpy()
        twins = np.flatnonzero(cosine >= NEARLY_IDENTICAL)
        leaks.append(
            {
                "dataset": store.name,
                "fold": fold,
                "test_clips": len(test),
                "train_clips": len(train),
                "shared_clips": len(np.intersect1d(test, train)),
                "nearly_identical": len(twins),
                "highest": _round(cosine.max()),
                "pairs": [
                    {"test": str(ids[test[i]]), "train": str(ids[train[row[i]]]), "cosine": _round(cosine[i])}
                    for i in twins
                ],
            }
        )
    return leaks


def _ends(interval: Any) -> list[float | None] | None:
    return None if np.isnan(interval.low) else [_round(interval.low), _round(interval.high)]


def _round(value: float) -> float | None:
    return None if not np.isfinite(value) else round(float(value), 6)
