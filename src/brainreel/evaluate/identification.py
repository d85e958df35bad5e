"""Scoring embeddings: which clip of the gallery did the brain answer with, and what would chance have done?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.stats import rankdata

from brainreel.align.predictions import Predictions
from brainreel.errors import UsageError
from brainreel.evaluate.methods import Found
from brainreel.metrics.controls import derangements
from brainreel.metrics.identification import rank_own, similarity
from brainreel.store.reader import Store
from brainreel.store.several import roles_in
from brainreel.store.targets import Targets, shifted

SHUFFLES = 100
VIEWERS = "viewers"


def score_trials(
    stores: Mapping[str, Store], targets: Mapping[str, Targets], found: Found, *, viewers: bool = False
) -> pd.DataFrame:
    """One row per test trial of a method: how well its own clip was identified inside its gallery.

    The gallery of a trial is the set of test clips of its fold and dataset. Columns: seed, fold, dataset, subject,
    row, clip_id, gallery, ``two_way``, ``top1``, ``top5``, ``rank``, and the same truth answered by the subject's
    predictions for other clips of the whole test set: ``shuffled`` (mean over 100 derangements, two-way) and
    ``mismatched`` (mean over all other clips, two-way).

    Args:
        stores: dataset → store.
        targets: dataset → what was predicted (a null method's predictions say by how much it was shifted).
        found: The method's files.
        viewers: Average the unit-length embeddings of all subjects of a clip first, and score the mean viewer.
    """
    parts = []
    for seed, folds in found.files.items():
        predictions = {fold: Predictions.read(path) for fold, path in folds.items()}
        source = {fold: mean_viewer(p, stores) if viewers else p for fold, p in predictions.items()}
        for subject in dict.fromkeys(name for p in source.values() for name in p.embedding):
            dataset, name = subject.split("/", 1)
            mine = {fold: (p.embedding[subject], p.row[subject]) for fold, p in source.items() if subject in p.row}
            shift = next(iter(predictions.values())).facts.get("shift", 0)
            truth = shifted(stores[dataset], targets[dataset], shift) if shift else targets[dataset]
            scored = _score_subject(stores[dataset], truth, predictions, mine)
            parts.append(scored.assign(seed=seed, dataset=dataset, subject=name))
    if not parts:
        raise UsageError(f"there are no predictions of {found.method.name!r}", do="run `brainreel align` first")
    return pd.concat(parts, ignore_index=True)


def _score_subject(
    store: Store,
    targets: Targets,
    predictions: Mapping[int, Predictions],
    mine: Mapping[int, tuple[Float[np.ndarray, "trials dim"], Int[np.ndarray, " trials"]]],
) -> pd.DataFrame:
    """All folds of one subject, so that controls can draw predictions from the whole test set."""
    everything = np.concatenate([embedding for embedding, _ in mine.values()])
    rows = np.concatenate([rows for _, rows in mine.values()])
    clips = store.clip_index(rows)
    # answer[i, j]: the two-way score of truth i if it were answered with prediction j; ties half.
    answer = np.empty((len(rows), len(rows)))
    parts, start = [], 0
    for fold, (embedding, own_rows) in mine.items():
        parts.append(score_embedding(store, targets, predictions[fold], embedding, own_rows).assign(fold=fold))
        gallery = test_clips(store, predictions[fold])
        alike = similarity(everything, targets.values[gallery], centre=predictions[fold].centre)
        two_way = (rankdata(alike, axis=1) - 1) / max(1, alike.shape[1] - 1)
        stop = start + len(own_rows)
        answer[start:stop] = two_way[:, np.searchsorted(gallery, clips[start:stop])].T
        start = stop
    scored = pd.concat(parts, ignore_index=True)
    if len(np.unique(clips)) < 2:
        return scored.assign(shuffled=np.nan, mismatched=np.nan)
    given = _derangements(len(rows), clips.tobytes())
    other = clips[:, None] != clips
    return scored.assign(
        shuffled=answer[np.arange(len(rows)), given].mean(0),
        mismatched=np.where(other, answer, 0).sum(1) / other.sum(1),
    )


def score_embedding(
    store: Store,
    targets: Targets,
    predictions: Predictions,
    embedding: Float[np.ndarray, "trials dim"],
    rows: Int[np.ndarray, " trials"],
) -> pd.DataFrame:
    """The scores of `score_trials` without controls, of one subject's trials ``rows`` in one fold."""
    gallery = test_clips(store, predictions)
    clips = store.clip_index(rows)
    alike = similarity(embedding, targets.values[gallery], centre=predictions.centre)
    found = rank_own(alike, np.searchsorted(gallery, clips))
    return pd.DataFrame(
        {
            "row": rows,
            "clip_id": store.clips["clip_id"].to_numpy()[clips],
            "gallery": found.gallery,
            "two_way": found.two_way,
            "top1": found.top_k(1),
            "top5": found.top_k(5),
            "rank": found.rank,
        }
    )


def test_clips(store: Store, predictions: Predictions) -> Int[np.ndarray, " gallery"]:
    """The clips that are tested in the predictions' fold, ascending rows of the clips table."""
    roles = roles_in(store, predictions.facts["folds"], predictions.facts["fold"])
    return np.unique(store.clip_index(np.flatnonzero(roles == "test")))


def shuffle_given(store: Store, rows: Int[np.ndarray, " trials"]) -> Int[np.ndarray, " trials"]:
    """The first of the derangements that the shuffled control averages over: whose prediction each trial gets."""
    return _derangements(len(rows), store.clip_index(rows).tobytes())[0]


@lru_cache(maxsize=256)
def _derangements(trials: int, clips: bytes) -> Int[np.ndarray, "shuffles trials"]:
    return derangements(trials, SHUFFLES, seed=0, clip_id=np.frombuffer(clips, dtype=np.int64))


def mean_viewer(predictions: Predictions, stores: Mapping[str, Store]) -> Predictions:
    """One pseudo-subject per dataset whose embedding of a clip is the mean over everybody who saw it."""
    embedding, row = {}, {}
    for dataset, store in stores.items():
        subjects = [subject for subject in predictions.embedding if subject.startswith(f"{dataset}/")]
        if not subjects:
            continue
        units = [_unit(predictions.embedding[subject]) for subject in subjects]
        rows = np.concatenate([predictions.row[subject] for subject in subjects])
        _, first, inverse = np.unique(store.clip_index(rows), return_index=True, return_inverse=True)
        total = np.zeros((len(first), units[0].shape[1]))
        np.add.at(total, inverse, np.concatenate(units))
        embedding[f"{dataset}/{VIEWERS}"] = total / np.bincount(inverse)[:, None]
        row[f"{dataset}/{VIEWERS}"] = rows[first]
    return Predictions(embedding, row, predictions.centre, predictions.facts)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def cell_table(
    trials: pd.DataFrame, column: str, units: str, subjects: Sequence[str], names: Sequence | None = None
) -> Float[np.ndarray, "subjects units"]:
    """Mean over seeds and trials of each subject in each unit (a fold's block, or a clip); NaN where none.

    ``names`` are the units of the columns, by default all that occur, ascending: tables of two methods can only be
    compared over the same units.
    """
    names = sorted(trials[units].unique()) if names is None else list(names)
    table = trials.pivot_table(index="subject", columns=units, values=column, aggfunc="mean")
    return table.reindex(index=list(subjects), columns=names).to_numpy(dtype=float)


def by_dataset(trials: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The trials of each dataset."""
    for dataset, part in trials.groupby("dataset", sort=False):
        yield str(dataset), part
