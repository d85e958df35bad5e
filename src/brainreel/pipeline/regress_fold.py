"""Stage 2 of one fold: fit on everybody's training trials, write everybody's conditions, score them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from brainreel.align.aligner import Aligner, contexts_for
from brainreel.align.budget import COPIES, refuse_beyond
from brainreel.align.goals import Goals, goals_of
from brainreel.align.jobs import whose
from brainreel.files import write_json, write_tsv
from brainreel.regress.averaging import certainty_of, conditions_of
from brainreel.regress.captions import CaptionPool, caption_pool
from brainreel.regress.conditions import Conditions
from brainreel.regress.config import RegressConfig
from brainreel.regress.crossfit import crossfit
from brainreel.regress.regressor import MODELS, Regressor
from brainreel.regress.scores import mean_over_subjects, regress_scores
from brainreel.store.reader import Store
from brainreel.store.several import Folds, roles_in
from brainreel.store.targets import Targets
from brainreel.training.devices import pick_device


@dataclass(frozen=True)
class Fold:
    """A trained decoder of stage 1, and where it belongs."""

    method: str
    seed: int
    number: int
    decoder: Path


@dataclass(frozen=True)
class Trials:
    """Embeddings of one person's trials of one role; ``clip`` is the row in the store's table of clips."""

    store: int
    subject: str
    embedding: Float[np.ndarray, "trials dim"]
    clip: Int[np.ndarray, " trials"]


def run_fold(
    fold: Fold,
    stores: Sequence[Store],
    spoken: Sequence[Targets],
    targets: Mapping[str, Sequence[Targets]],
    folds: Folds,
    config: RegressConfig,
    device: str,
    folder: Path,
) -> None:
    """Fit one fold and fill its stage folder.

    Unless ``config.crossfit`` is 0, training trials are embedded by decoders that do not know their clips.

    Leaves ``model/regressor.safetensors``, ``log.jsonl``, ``conditions/<dataset>/<subject>.safetensors`` with
    ``.tsv`` beside it (repetitions and spread of each clip), ``truth/<dataset>.safetensors`` (the oracle),
    ``mean/<dataset>.safetensors`` (the answer to the mean training embedding: no brain) and ``scores.json``.

    Args:
        fold: Which decoder of stage 1.
        stores: All stores of the experiment.
        spoken: Targets of stage 1 of each store, for captions.
        targets: condition → targets of each store.
        folds: As stage 1 was trained.
        config: Settings; the seed is that of stage 1.
        device: Where to train.
        folder: Is filled; a model or checkpoint found there is used.
    """
    aligner = Aligner.load(fold.decoder)
    train = [embed_trials(aligner, stores, name, "train", folds, fold.number) for name in aligner.subjects_]
    regressor = fit_or_load(aligner, stores, spoken, train, targets, folds, fold.number, config, device, folder)
    pool = caption_pool(stores, spoken, folds, fold.number, aligner.goals_.centre)
    facts = {
        "folds": folds if folds is None or isinstance(folds, str) else dict(folds),
        "fold": fold.number,
        "seed": fold.seed,
        "strategy": fold.method,
        "target": aligner.config.target,
        "trained_subjects": len(aligner.subjects_),
        "encoders": {name: {**found[0].identity, "store": None} for name, found in targets.items()},
    }
    write_controls(stores, train, targets, folds, fold.number, regressor, pool, facts, folder)
    rows = []
    for name in aligner.subjects_:
        test = embed_trials(aligner, stores, name, "test", folds, fold.number, average=config.average == "responses")
        if not len(test.clip):
            continue
        store = stores[test.store]
        about = {**facts, "dataset": store.name, "subject": test.subject, "zero_shot": False}
        rows += write_person(test, store, regressor, pool, about, folder)
    write_json(folder / "scores.json", {"schema": 1, "scores": [*mean_over_subjects(rows), *rows]})


def embed_trials(
    aligner: Aligner,
    stores: Sequence[Store],
    name: str,
    role: str,
    folds: Folds,
    fold: int,
    *,
    average: bool = False,
) -> Trials:
    """One person's trials of a role, in the order of the table of clips.

    Args:
        aligner: Trained on this person.
        stores: All stores.
        name: ``dataset/subject``.
        role: ``train`` or ``test``.
        folds: As stage 1 was trained.
        fold: Which of them.
        average: Average the responses to a clip before they are embedded: one trial per clip is left.
    """
    store, subject = whose(name, stores)
    rows, clip = rows_by_clip(store, subject, role, folds, fold)
    responses = store.responses(subject, rows, contexts_for(store, aligner.config.contexts))
    if average and len(clip):
        clip, where = np.unique(clip, return_inverse=True)
        sums = np.zeros((len(clip), responses.shape[1]))
        np.add.at(sums, where, responses)
        responses = (sums / np.bincount(where)[:, None]).astype(np.float32)
    return Trials(
        [other.name for other in stores].index(store.name), subject, aligner.decoder_.embed(name, responses), clip
    )


def fit_or_load(
    aligner: Aligner,
    stores: Sequence[Store],
    spoken: Sequence[Targets],
    train: Sequence[Trials],
    targets: Mapping[str, Sequence[Targets]],
    folds: Folds,
    fold: int,
    config: RegressConfig,
    device: str,
    folder: Path,
) -> Regressor:
    """The regressor of all people's training trials; one that an interrupted run finished is read."""
    path = folder / "model" / "regressor.safetensors"
    if not path.is_file():
        starts = np.cumsum([0, *(len(store.clips) for store in stores)])
        clip = [trials.clip + starts[trials.store] for trials in train]
        embedding = [trials.embedding for trials in train]
        if config.crossfit:
            embedding = unseen_embeddings(aligner, stores, spoken, folds, fold, config.crossfit, device, folder)
        known = np.isfinite(np.concatenate(embedding)).all(1)
        regressor = Regressor(config, device=device).fit(
            np.concatenate(embedding)[known].astype(np.float32),
            np.concatenate(clip)[known],
            {name: np.concatenate([target.values for target in found]) for name, found in targets.items()},
            places=_goals(stores, spoken, aligner),
            folder=folder,
        )
        regressor.save(path)
    shutil.rmtree(folder / "crossfit", ignore_errors=True)
    return Regressor.load(path)


def unseen_embeddings(
    aligner: Aligner,
    stores: Sequence[Store],
    spoken: Sequence[Targets],
    folds: Folds,
    fold: int,
    count: int,
    device: str,
    folder: Path,
) -> list[Float[np.ndarray, "_trials dim"]]:
    """Everybody's training embeddings in the order of `embed_trials`, by decoders that do not know the clip."""
    asked, needed = [], 0
    for name in aligner.subjects_:
        store, subject = whose(name, stores)
        rows, _ = rows_by_clip(store, subject, "train", folds, fold)
        asked.append((store, subject, rows))
        contexts = contexts_for(store, aligner.config.contexts)
        needed += COPIES * 4 * len(rows) * sum(store.width(subject, context) for context in contexts)
    refuse_beyond(
        aligner.config.budget,
        needed,
        "training stage 1 again without parts of the clips does not stream: it",
        "train stage 1 with a larger --memory-budget, or stage 2 with --crossfit 0",
    )
    recordings = []
    starts = np.cumsum([0, *(len(store.clips) for store in stores)])
    for store, subject, rows in asked:
        offset = int(starts[[other.name for other in stores].index(store.name)])
        recordings.append(aligner.recording(store, subject, rows, offset))
    goals = _goals(stores, spoken, aligner)
    return crossfit(recordings, goals, aligner.config, count, folder / "crossfit", pick_device(device))


def write_controls(
    stores: Sequence[Store],
    train: Sequence[Trials],
    targets: Mapping[str, Sequence[Targets]],
    folds: Folds,
    fold: int,
    regressor: Regressor,
    pool: CaptionPool,
    facts: Mapping[str, Any],
    folder: Path,
) -> None:
    """The oracle and the brainless answer of every dataset's test clips."""
    for index, store in enumerate(stores):
        tested = np.unique(store.clip_index(np.flatnonzero(roles_in(store, folds, fold) == "test")))
        mine = [trials.embedding for trials in train if trials.store == index]
        if not len(tested) or not mine:
            continue
        ids = store.clips["clip_id"].iloc[tested].astype(str).tolist()
        about = {**facts, "dataset": store.name, "subject": None}
        said = [captions[0] if captions else "" for captions in store.clips["captions"].iloc[tested]]
        vectors = {name: found[index].values[tested] for name, found in targets.items()}
        Conditions(ids, vectors, said, {**about, "control": "truth"}).write(
            folder / "truth" / f"{store.name}.safetensors"
        )
        mean = np.concatenate(mine).mean(0, keepdims=True, dtype=np.float64).astype(np.float32)
        one = conditions_of(mean, ["mean"], regressor, pool=pool)
        Conditions(
            ids,
            {name: np.repeat(values, len(ids), axis=0) for name, values in one.vectors.items()},
            one.captions * len(ids),
            {**about, "control": "mean"},
        ).write(folder / "mean" / f"{store.name}.safetensors")


def write_person(
    test: Trials, store: Store, regressor: Regressor, pool: CaptionPool, facts: Mapping[str, Any], folder: Path
) -> list[dict[str, Any]]:
    """One person's conditions and their scores; whoever the embeddings are of, a newcomer's too.

    Expects ``truth/<dataset>.safetensors`` in the folder.
    """
    ids = store.clips["clip_id"].iloc[test.clip].to_numpy(dtype=str)
    found = {
        model: conditions_of(
            test.embedding,
            ids,
            regressor,
            # Captions come from stage 1, whichever model is asked; composing them takes time.
            pool=pool if model == regressor.config.model else None,
            model=model,
            facts={**facts, "model": model},
        )
        for model in MODELS
    }
    where = folder / "conditions" / store.name / f"{test.subject}.safetensors"
    found[regressor.config.model].write(where)
    write_tsv(where.with_suffix(".tsv"), certainty_of(test.embedding, ids, regressor, pool=pool))
    truth = Conditions.read(folder / "truth" / f"{store.name}.safetensors")
    centre = {name: fitted.mean for name, fitted in regressor.components_.items()}
    shared = {name: facts[name] for name in ("dataset", "subject", "strategy", "target", "seed", "fold")}
    return [{**shared, **row} for row in regress_scores(found, truth, centre)]


def rows_by_clip(
    store: Store, subject: str, role: str, folds: Folds, fold: int
) -> tuple[Int[np.ndarray, " trials"], Int[np.ndarray, " trials"]]:
    """Rows of one person's trials of a role and of their clips, in the order of the table of clips."""
    rows = store.rows(subject, roles_in(store, folds, fold) == role)
    clip = store.clip_index(rows)
    order = np.argsort(clip, kind="stable")
    return rows[order], clip[order]


def _goals(stores: Sequence[Store], spoken: Sequence[Targets], aligner: Aligner) -> Goals:
    """What stage 1 was trained towards, and which clips overlap in time."""
    return goals_of(stores, np.concatenate([found.values for found in spoken]), aligner.goals_.centre)
