"""Window by window: what was on the screen, and what each reader's brain said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainreel.align.predictions import Predictions
from brainreel.evaluate.identification import mean_viewer, score_embedding, shuffle_given
from brainreel.evaluate.methods import Method, find
from brainreel.regress.captions import nearest_captions, training_captions
from brainreel.store.reader import Store
from brainreel.store.targets import Targets


def film_readings(
    root: Path,
    stores: Sequence[Store],
    targets: Sequence[Targets],
    methods: Sequence[Method],
    scored: Mapping[str, pd.DataFrame],
) -> dict[str, Any]:
    """The test clips of the first store with the readings of several readers, as JSON.

    Readers: the subject whose mean score is the median of all subjects (never picked by hand), the mean over all
    viewers, the same subject's predictions shuffled across the clips of each fold, and the same subject through
    the second method (the rival). Only the first seed is shown.
    """
    store, found = stores[0], targets[0]
    main = scored[methods[0].name]
    main = main.loc[main["dataset"] == store.name]
    typical = median_subject(main)
    rival = next((method for method in methods[1:] if method.facts.get("role") == "rival"), None)
    readers = [
        _read(root, store, found, methods[0], typical, f"one viewer ({typical})", "model"),
        _read(root, store, found, methods[0], None, "mean over all viewers", "model"),
        _read(root, store, found, methods[0], typical, f"{typical}, shuffled", "control", shuffle=True),
    ]
    if rival is not None:
        readers.append(_read(root, store, found, rival, typical, f"one viewer ({typical}), {rival.name}", "rival"))
    clips = sorted({row for reader in readers for row in reader["by_clip"]}, key=lambda row: _time(store, row))
    blocks = dict(zip(main["clip_id"], main["fold"], strict=True))
    return {
        "dataset": store.name,
        "typical": typical,
        "windows": [_window(store, row, blocks, place) for place, row in enumerate(clips)],
        "readers": [
            {
                "name": reader["name"],
                "role": reader["role"],
                "readings": [reader["by_clip"].get(row, {"decoded": []}) for row in clips],
            }
            for reader in readers
        ],
    }


def median_subject(trials: pd.DataFrame) -> str:
    """The subject whose mean two-way score is the (lower) median of all subjects'."""
    means = {str(subject): part["two_way"].mean() for subject, part in trials.groupby("subject")}
    return sorted(means, key=means.__getitem__)[(len(means) - 1) // 2]


def _read(
    root: Path,
    store: Store,
    targets: Targets,
    method: Method,
    subject: str | None,
    name: str,
    role: str,
    *,
    shuffle: bool = False,
) -> dict[str, Any]:
    by_clip: dict[int, dict[str, Any]] = {}
    files = find(root, method).files
    for path in files[min(files)].values() if files else ():
        predictions = Predictions.read(path)
        if subject is None:
            predictions = mean_viewer(predictions, {store.name: store})
        key = next((k for k in predictions.embedding if subject is None or k == f"{store.name}/{subject}"), None)
        if key is None:
            continue
        embedding, rows = predictions.embedding[key], predictions.row[key]
        if shuffle:
            embedding = embedding[shuffle_given(store, rows)]
        scores = score_embedding(store, targets, predictions, embedding, rows)
        allowed = training_captions(store, targets, predictions.facts["folds"], predictions.facts["fold"])
        decoded = nearest_captions(embedding, targets, allowed, predictions.centre)
        for clip, texts, score in zip(store.clip_index(rows), decoded, scores.to_dict("records"), strict=True):
            # Of a clip shown several times, the first presentation is read.
            reading = {
                "decoded": texts,
                "score": round(float(score["two_way"]), 6),
                "rank": round(float(score["rank"])),
                "gallery": int(score["gallery"]),
            }
            by_clip.setdefault(int(clip), reading)
    return {"name": name, "role": role, "by_clip": by_clip}


def _time(store: Store, row: int) -> tuple[float, int]:
    onset = store.clips["onset_s"].iloc[row]
    return (0.0 if np.isnan(onset) else float(onset), row)


def _window(store: Store, row: int, blocks: Any, place: int) -> dict[str, Any]:
    """Where and what a clip is; one outside any film has a name instead of a time, and its place in the list."""
    clip = store.clips.iloc[row]
    timed = store.manifest.kind == "continuous"
    start = float(clip["onset_s"]) if timed else float(place)
    shown = store.trials.loc[store.trials["clip_id"] == clip["clip_id"], "run"]
    return {
        "clip_id": clip["clip_id"],
        "name": "" if timed else clip["clip_id"],
        "start_s": start,
        "end_s": start + (float(clip["duration_s"]) if timed else 1.0),
        "truths": clip["captions"],
        "scan": str(shown.iloc[0]) if timed else "",
        "block": str(blocks.get(clip["clip_id"], "")) if timed else "",
    }
