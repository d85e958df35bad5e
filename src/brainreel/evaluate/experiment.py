"""Scoring all methods of an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainreel.align.predictions import Predictions
from brainreel.evaluate.audit_experiment import audit_experiment
from brainreel.evaluate.brain_to_brain import brain_to_brain_rows
from brainreel.evaluate.film import film_readings
from brainreel.evaluate.identification import by_dataset, score_trials
from brainreel.evaluate.methods import Method, find
from brainreel.evaluate.scores import difference_row, document, score_rows
from brainreel.files import write_json, write_tsv
from brainreel.progress import track
from brainreel.store.reader import Store
from brainreel.store.several import Folds
from brainreel.store.targets import Targets

_PER_CLIP = (
    "strategy", "seed", "fold", "dataset", "subject", "row", "clip_id", "gallery",
    "two_way", "top1", "top5", "rank", "shuffled", "mismatched",
)  # fmt: skip


def evaluate_methods(
    root: Path,
    stores: Sequence[Store],
    targets: Sequence[Targets],
    methods: Sequence[Method],
    differences: Sequence[tuple[str, str]],
    target: str,
    seed: int,
    folder: Path,
) -> None:
    """Write metrics.json, per_clip.tsv, captions.tsv, film.json and audit.json of an experiment to ``folder``.

    Args:
        root: The experiment's folder.
        stores: Its stores.
        targets: Their targets.
        methods: What is compared, in the order of the tables; the first one is the model that captions show.
        differences: Pairs of method names, see `side_of`.
        target: The encoder's name.
        seed: Seed of bootstrap and tests.
        folder: Where the files go.
    """
    by_name = {store.name: store for store in stores}
    found_targets = {store.name: found for store, found in zip(stores, targets, strict=True)}
    continuous = {store.name: store.manifest.kind == "continuous" for store in stores}
    scored: dict[str, pd.DataFrame] = {}
    rows: list[dict[str, Any]] = []
    for method in track(methods, "evaluate", len(methods)):
        viewers = bool(method.facts.get("viewers"))
        trials = score_trials(by_name, found_targets, find(root, method), viewers=viewers)
        scored[method.name] = trials.assign(strategy=method.name)
        for dataset, part in by_dataset(trials):
            rows += score_rows(part, method, target=target, continuous=continuous[dataset], seed=seed)
    folds = _folds(root, methods[0])
    for store in stores:
        if continuous[store.name]:
            rows += brain_to_brain_rows(store, folds, seed)
    compared = [
        row
        for first, second in differences
        for dataset, part in by_dataset(side_of(scored, first))
        for row in difference_row(
            part, side_of(scored, second), (first, second), continuous=continuous[dataset], seed=seed
        )
    ]
    write_json(folder / "metrics.json", document(rows, compared, seed))
    everything = pd.concat(scored.values(), ignore_index=True)
    write_tsv(folder / "per_clip.tsv", everything.reindex(columns=list(_PER_CLIP)).round(6))
    audit = audit_experiment(root, stores, targets, methods, scored, seed=seed)
    write_json(folder / "audit.json", audit)
    film = film_readings(root, stores, targets, methods, scored)
    write_json(folder / "film.json", film)
    write_tsv(folder / "captions.tsv", _captions(film))


def side_of(scored: Mapping[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """The trials of a method; ``METHOD, shuffled`` and ``METHOD, chance`` are what stands for its answers in each trial.

    Shuffled: the mean over the derangements of `score_trials`. Chance: what wrong pairs score if nothing is known,
    (n/2 − own)/(n − 1) in a gallery of n. One answer's scores for all n truths average exactly 1/2, and a derangement
    leaves out the right one; means over 100 derangements vary hardly more than that, so against 1/2 a good method's
    would often seem to differ.
    """
    method, _, control = name.partition(", ")
    trials = scored[method]
    n = trials["gallery"].to_numpy(float)
    chance = (n / 2 - trials["two_way"]) / np.maximum(1.0, n - 1)
    instead = {"": trials["two_way"], "shuffled": trials["shuffled"], "chance": chance}
    return trials.assign(two_way=instead[control])


def _folds(root: Path, method: Method) -> Folds:
    """What the experiment's test trials go by, as its predictions say."""
    files = find(root, method).files
    return Predictions.read(next(iter(files[min(files)].values()))).facts["folds"]


def _captions(film: dict[str, Any]) -> pd.DataFrame:
    """What was read from the brain, one row per clip and reader, nearest description first."""
    rows = [
        {
            "dataset": film["dataset"],
            "reader": reader["name"],
            "clip_id": window["clip_id"],
            "place": place + 1,
            "caption": text,
            "similarity": similarity,
        }
        for reader in film["readers"]
        for window, reading in zip(film["windows"], reader["readings"], strict=True)
        for place, (text, similarity) in enumerate(reading["decoded"])
    ]
    return pd.DataFrame(rows, columns=["dataset", "reader", "clip_id", "place", "caption", "similarity"])
