"""The audit of an experiment: audit.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from brainreel.align.predictions import Predictions
from brainreel.cortex.windows import timeline_weights
from brainreel.evaluate.audit import NEARLY_IDENTICAL, UNKNOWN, Audit, audit_embeddings, given_away, nearest_training
from brainreel.evaluate.identification import cell_table, test_clips
from brainreel.evaluate.methods import Found, Method, find
from brainreel.metrics.bootstrap import Interval, crossed_bootstrap
from brainreel.metrics.paired import paired_difference
from brainreel.store.reader import Store
from brainreel.store.several import roles_in
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
LOWER = ("beaten-by-training", "copied")


@dataclass(frozen=True)
class Source:
    """A store with its targets and what each of its clips is."""

    store: Store
    targets: Targets
    category: Shaped[np.ndarray, " clips"]


@dataclass(frozen=True)
class Trained:
    """The clips that a fold was trained on, of all datasets that took part."""

    values: Float[np.ndarray, "clips dim"]
    category: Shaped[np.ndarray, " clips"]
    clip: list[tuple[str, str]]


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
    sources = {
        store.name: Source(store, found, clip_categories(store)) for store, found in zip(stores, targets, strict=True)
    }
    rows, differences = [], []
    for method in audited:
        every = _audit_trials(sources, find(root, method))
        keys = ["seed", "fold", "dataset", "subject", "row"]
        every = every.merge(scored[method.name][[*keys, "shuffled"]], on=keys, validate="one_to_one")
        for dataset, trials in every.groupby("dataset", sort=False):
            units = "fold" if sources[str(dataset)].store.manifest.kind == "continuous" else "clip_id"
            common = {"strategy": method.name, "dataset": dataset}
            rows += [{**common, **row} for row in _rows(trials, units, seed)]
            differences.append({**common, **_above_copying(trials, units, seed)})
    return {
        "schema": 1,
        "nearly_identical": NEARLY_IDENTICAL,
        "category": {
            name: {
                "column": CATEGORY_COLUMN,
                "clips": len(source.category),
                "known": int(np.count_nonzero(source.category != UNKNOWN)),
            }
            for name, source in sources.items()
        },
        "leakage": _leakage(sources, find(root, audited[0])),
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


def _text(column: Any) -> np.ndarray:
    return column.fillna(UNKNOWN).astype(str).str.strip().to_numpy(dtype=str)


def _audit_trials(sources: Mapping[str, Source], found: Found) -> pd.DataFrame:
    parts = []
    for seed, folds in found.files.items():
        for fold, path in folds.items():
            predictions = Predictions.read(path)
            train = _trained(sources, predictions)
            for name, embedding in predictions.embedding.items():
                dataset, subject = name.split("/", 1)
                source, rows = sources[dataset], predictions.row[name]
                test, clips = test_clips(source.store, predictions), source.store.clip_index(rows)
                audit = audit_embeddings(
                    embedding,
                    np.searchsorted(test, clips),
                    source.targets.values[test],
                    train.values,
                    centre=predictions.centre,
                    category=source.category[test],
                    train_category=train.category,
                )
                table = pd.DataFrame({column: getattr(audit, column) for column in COLUMNS})
                ids = source.store.clips["clip_id"].to_numpy()[clips]
                where = {"seed": seed, "fold": fold, "dataset": dataset, "subject": subject}
                parts.append(table.assign(**where, row=rows, clip_id=ids, chance_beaten=audit.chance_beaten))
    return pd.concat(parts, ignore_index=True)


def _trained(sources: Mapping[str, Source], predictions: Predictions) -> Trained:
    values, kinds, names = [], [], []
    for dataset in dict.fromkeys(name.split("/", 1)[0] for name in predictions.embedding):
        source = sources[dataset]
        roles = roles_in(source.store, predictions.facts["folds"], predictions.facts["fold"])
        clips = np.unique(source.store.clip_index(np.flatnonzero(roles == "train")))
        values.append(source.targets.values[clips])
        kinds.append(source.category[clips])
        names += [(dataset, str(clip)) for clip in source.store.clips["clip_id"].to_numpy()[clips]]
    return Trained(np.concatenate(values), np.concatenate(kinds), names)


def _rows(trials: pd.DataFrame, units: str, seed: int) -> list[dict[str, Any]]:
    subjects = list(dict.fromkeys(trials["subject"]))
    rows = []
    for name, (column, only) in QUESTIONS.items():
        counted = trials[column].notna().to_numpy()
        if only is not None:
            counted = counted & (trials[only[0]] == only[1]).to_numpy()
        some = trials.iloc[np.flatnonzero(counted)]
        if some.empty:
            continue
        interval, model = (
            _mean(some, of, units, subjects, len(some) < len(trials), seed) for of in (column, "two_way")
        )
        chance = float(some["chance_beaten"].to_numpy().mean()) if name == "beaten-by-training" else 0.5
        rows.append(
            {
                "question": name,
                "value": _round(interval.value),
                "ci95": _ends(interval),
                "chance": None if name in WITHOUT_CHANCE else _round(chance),
                "n": len(some.drop_duplicates(["subject", "row"])),
                "clips": len(set(some["clip_id"])),
                "n_units": interval.n,
                "direction": "lower" if name in LOWER else "higher",
                "note": interval.note,
                # Of the model's way from chance in the same trials.
                "given_away": _round(given_away(model.value, interval.value, chance)) if name in CONTROLS else None,
            }
        )
    return rows


def _mean(trials: pd.DataFrame, column: str, units: str, subjects: Sequence[str], some: bool, seed: int) -> Interval:
    """As in metrics.json, every unit counts the same; where only some trials take part, every trial does."""
    table = cell_table(trials, column, units, subjects)
    counts = None
    if some:
        found = trials.pivot_table(index="subject", columns=units, values=column, aggfunc="count", fill_value=0)
        counts = found.reindex(index=list(subjects), fill_value=0).sort_index(axis=1).to_numpy(dtype=float)
    return crossed_bootstrap(table, seed=seed, weight=counts)


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


def _leakage(sources: Mapping[str, Source], found: Found) -> list[dict[str, Any]]:
    """Per fold: clips in both roles, test clips whose target is nearly a training clip's, and which those are."""
    leaks = []
    for fold, path in next(iter(found.files.values()), {}).items():
        predictions = Predictions.read(path)
        train = _trained(sources, predictions)
        for dataset in dict.fromkeys(dataset for dataset, _ in train.clip):
            source = sources[dataset]
            test = test_clips(source.store, predictions)
            ids = [str(clip) for clip in source.store.clips["clip_id"].to_numpy()[test]]
            row, cosine = nearest_training(source.targets.values[test], train.values, centre=predictions.centre)
            twins = np.flatnonzero(cosine >= NEARLY_IDENTICAL)
            leaks.append(
                {
                    "dataset": dataset,
                    "fold": fold,
                    "test_clips": len(test),
                    "train_clips": len(train.clip),
                    "shared_clips": len({(dataset, clip) for clip in ids} & set(train.clip)),
                    "nearly_identical": len(twins),
                    "highest": _round(cosine.max(initial=-1)),
                    "pairs": [
                        {"test": ids[i], "train": "/".join(train.clip[row[i]]), "cosine": _round(cosine[i])}
                        for i in twins
                    ],
                }
            )
    return leaks


def _ends(interval: Interval) -> list[float | None] | None:
    return None if np.isnan(interval.low) else [_round(interval.low), _round(interval.high)]


def _round(value: float) -> float | None:
    return None if not np.isfinite(value) else round(float(value), 6)
