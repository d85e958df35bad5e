"""`brainreel adapt`: somebody the model has not seen, at once or after some of their own data, scored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from brainreel.align.aligner import Aligner
from brainreel.align.decoders import NetworkDecoder
from brainreel.align.newcomers import adapt, first_minutes
from brainreel.align.origin import clip_names, fitted_to, rebase
from brainreel.align.predictions import Predictions
from brainreel.errors import ExperimentError, FoldError, UsageError, alternatives
from brainreel.evaluate.identification import score_trials
from brainreel.evaluate.methods import Found, Method
from brainreel.evaluate.scores import document, score_rows
from brainreel.experiment import Experiment
from brainreel.files import write_folder, write_json, write_tsv
from brainreel.pipeline.plan import FOLD_LISTS, Plan, read_plan
from brainreel.progress import track
from brainreel.store.fold_files import attach_lists
from brainreel.store.reader import Store
from brainreel.store.several import folds_of
from brainreel.store.targets import Targets, read_targets, targets_identity


@dataclass(frozen=True)
class Amount:
    """How much of a newcomer's own training data is used: minutes, or a number of trials, or all of it."""

    minutes: float | None = None
    trials: int | None = None

    def __post_init__(self) -> None:
        if self.minutes is not None and self.trials is not None:
            raise UsageError("both --minutes and --trials", expected="one of them, or none for all data")
        if self.minutes is not None and not self.minutes >= 0:
            raise UsageError(f"--minutes {self.minutes:g}", expected="0 or more")
        if self.trials is not None and self.trials < 0:
            raise UsageError(f"--trials {self.trials}", expected="0 or more")

    def __str__(self) -> str:
        if 0 in (self.minutes, self.trials):
            return "zero-shot"
        if self.trials is not None:
            return f"{self.trials}-trials"
        return "all" if self.minutes is None else f"{self.minutes:g}-min"

    def of(self, store: Store, rows: np.ndarray) -> np.ndarray:
        """The first of somebody's training trials that make up the amount.

        Raises:
            UsageError: if it is more than nothing but holds no whole trial.
        """
        if self.trials is not None:
            return rows[: self.trials]
        if self.minutes is None or np.isinf(self.minutes):
            return rows
        given = first_minutes(store, rows, self.minutes)
        if self.minutes and not len(given):
            raise UsageError(
                f"{self.minutes:g} minutes hold no whole trial of store {store.name!r}",
                expected="more, and trials with a duration",
                do="give more --minutes, or say --trials",
            )
        return given


class Saved(NamedTuple):
    """A decoder on disk, and the fold of the newcomer's store that goes with it."""

    path: Path
    seed: int
    model_fold: int
    store_fold: int


def adapt_newcomer(
    experiment: Experiment,
    store: Store,
    subject: str,
    amount: Amount,
    *,
    strategy: str | None = None,
    targets: Path | None = None,
    device: str = "cpu",
) -> tuple[Path, dict[str, Any]]:
    """Adapt every fold's model to a person of a store and score their test trials.

    Args:
        experiment: With decoders that `brainreel align`, `run` or `import` left.
        store: Where the person's responses are.
        subject: Who.
        amount: How much of their training trials is used.
        strategy: Which of the experiment's methods; default: its first.
        targets: Where the store's targets lie; default: the experiment's, else in the store.
        device: Where to compute.

    Returns:
        The folder of the predictions, and the content of its metrics.json.

    Raises:
        BrainreelError: if the model cannot serve this person.
    """
    plan = read_plan(experiment)
    attach_lists([store], experiment.root / FOLD_LISTS)
    method = _method(plan, strategy)
    everything = store.rows(subject)
    found = find_targets(experiment, plan, store, targets)
    name = f"{store.name}-{subject}-{amount}" + (f"-{method.name}" if strategy else "")
    folder = experiment.root / "newcomers" / name
    facts: dict[str, Any] = {"newcomer": True, "minutes": amount.minutes, "trials": amount.trials}
    used: list[int] = []

    def fill(beside: Path) -> None:
        files: dict[int, dict[int, Path]] = {}
        saved = list(_decoders(experiment, method, store))
        for one in track(saved, f"adapt {subject}", len(saved)):
            model = rebase(Aligner.load(one.path, device), store, found)
            predictions, count = _predict(model, store, subject, everything, amount, one)
            path = beside / "predictions" / f"seed-{one.seed}" / f"fold-{one.model_fold}.safetensors"
            predictions.write(path)
            files.setdefault(one.seed, {})[one.model_fold] = path
            used.append(count)
            facts["in_training"] = f"{store.name}/{subject}" in model.origin_.subjects
            facts["trained_subjects"] = len(model.origin_.subjects)
        facts["trials_given"] = round(float(np.mean(used)), 1)
        told = method.model_copy(update={"facts": {**_kept(method), **facts}})
        trials = score_trials({store.name: store}, {store.name: found}, Found(told, files))
        write_json(beside / "metrics.json", _document(trials, told, plan, store))
        write_tsv(beside / "per_clip.tsv", trials.round(6))

    with experiment.lock():
        write_folder(folder, fill)
    return folder, json.loads((folder / "metrics.json").read_text())


def find_targets(experiment: Experiment, plan: Plan, store: Store, folder: Path | None) -> Targets:
    """A store's targets: below ``folder`` if given, else the experiment's if they are of this store, else its own."""
    if folder is None and plan.targets is not None:
        ours = experiment.root / plan.targets
        if targets_identity(store, plan.target, ours) is not None:
            folder = ours
    return read_targets(store, plan.target, folder)


def _method(plan: Plan, strategy: str | None) -> Method:
    for method in plan.methods:
        if strategy in (None, method.name):
            return method
    known = [method.name for method in plan.methods]
    raise UsageError(f"the experiment has no strategy {alternatives(strategy or '', known)}")


def _kept(method: Method) -> dict[str, Any]:
    return {key: value for key, value in method.facts.items() if key not in ("role", "viewers", "refit")}


def decoder_files(experiment: Experiment, method: Method) -> list[tuple[int, int, Path]]:
    """Seed, fold and file of all decoders of a method.

    Raises:
        ExperimentError: if there are none.
    """
    found = []
    for path in sorted(experiment.root.glob(f"align/{method.job}/seed-*/fold-*/decoder.safetensors")):
        seed, fold = (int(part.split("-")[1]) for part in path.parts[-3:-1])
        if not method.seeds or seed in method.seeds:
            found.append((seed, fold, path))
    if not found:
        raise ExperimentError(
            f"{experiment.root} has no trained decoders of {method.name!r}",
            do="run `brainreel align`, or name another with --strategy",
        )
    return found


def _decoders(experiment: Experiment, method: Method, store: Store) -> Iterator[Saved]:
    """Every decoder with its fold in the store: the same number, or the only one."""
    files = decoder_files(experiment, method)
    count = len({fold for _, fold, _ in files})
    folds = _folds(files[0][2], store)
    there = store.folds(folds).shape[1]
    if there not in (1, count) and count != 1:
        raise FoldError(
            f"store {store.name!r} has {there} folds ({folds})", expected=f"{count}, as the model was trained in, or 1"
        )
    for seed, fold, path in files:
        if count == 1 < there:
            yield from (Saved(path, seed, number, number) for number in range(there))
        else:
            yield Saved(path, seed, fold, 0 if there == 1 else fold)


def _folds(path: Path, store: Store) -> str:
    """The folds that the model was trained in, if the store has them, else the store's first."""
    told = Aligner.load(path).origin_.folds
    name = told.get(store.name) if isinstance(told, dict) else told
    if name is None or not store.has_folds(name):
        name = folds_of(store, None)
    if name is None:
        raise FoldError(f"store {store.name!r} has no folds", do="ingest it with folds/<name>.tsv, so that it can test")
    return name


def _predict(
    model: Aligner, store: Store, subject: str, everything: np.ndarray, amount: Amount, saved: Saved
) -> tuple[Predictions, int]:
    folds = _folds(saved.path, store)
    roles = store.roles(folds, saved.store_fold)[everything]
    test, own_time = everything[roles == "test"], everything[roles == "train"]
    leaked = model.origin_.trained(store)[store.clip_index(test)]
    if leaked.any():
        clip = clip_names(store)[store.clip_index(test)[leaked][0]]
        raise FoldError(
            f"{int(leaked.sum())} of {len(test)} test trials of {subject} in fold {saved.store_fold} of {folds!r} show "
            f"clips that the model was trained on, {clip!r} first",
            expected="test clips that nobody trained on",
            do="use a store with the folds that the model was trained in",
        )
    given = amount.of(store, own_time)
    own = model.recording(store, subject, given) if len(given) else None
    asked = model.recording(store, subject, test)
    known, fits = model_spaces(model), fitted_to(model.decoder_)
    if own is None or fits is not None:
        if known and asked.space not in known:
            raise UsageError(
                f"{subject} of store {store.name!r} lies in the space {alternatives(asked.space, known)}",
                expected="a space the model was trained in",
                do="ingest the recordings in that space, or train a model with them",
            )
        if own is not None and fits is not None and not fits[own.clip].any():
            raise UsageError(
                f"{subject} saw none of the clips that the model was trained on",
                expected="some clips in common, to fit the adapter to",
                do="use --minutes 0, or train a model with this store",
            )
    embedding = adapt(model, own)(asked)
    facts = {
        "folds": folds,
        "fold": saved.store_fold,
        "target": model.config.target,
        "strategy": model.config.strategy,
        "seed": saved.seed,
        "trained_subjects": len(model.subjects_),
        "trials_given": len(given),
    }
    key = f"{store.name}/{subject}"
    return Predictions({key: embedding}, {key: test}, model.goals_.centre, facts), len(given)


def model_spaces(model: Aligner) -> list[str]:
    """The spaces in which the model has something for people it has not seen."""
    decoder = model.decoder_
    return list(decoder.weights if isinstance(decoder, NetworkDecoder) else getattr(decoder, "newcomers", ()))


def _document(trials: pd.DataFrame, method: Method, plan: Plan, store: Store) -> dict[str, Any]:
    """All folds together, then each fold; a single fold has no interval over blocks."""
    common = {"target": plan.target, "continuous": store.manifest.kind == "continuous", "seed": plan.seed}
    rows = score_rows(trials, method, **common)
    for fold, part in trials.groupby("fold", sort=True):
        rows += [{**row, "fold": int(str(fold))} for row in score_rows(pd.DataFrame(part), method, **common)]
    return document(rows, (), plan.seed)
