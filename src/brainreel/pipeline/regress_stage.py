"""`brainreel regress`: stage 2 in every fold and seed of an experiment's stage 1."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from brainreel.align.jobs import AlignJob
from brainreel.errors import ExperimentError, StoreError, UsageError, alternatives
from brainreel.evaluate.methods import Method, find
from brainreel.experiment import Experiment
from brainreel.pipeline.costs import Cost, align_cost, read_cost, regress_cost
from brainreel.pipeline.outlook import Entry, Outlook, training_size
from brainreel.pipeline.plan import Plan, read_plan
from brainreel.pipeline.regress_fold import Fold, run_fold
from brainreel.pipeline.stages import REGRESSING, Step, job_inputs
from brainreel.progress import track
from brainreel.regress.config import RegressConfig
from brainreel.store.reader import Store
from brainreel.store.several import roles_in
from brainreel.store.targets import Targets, read_targets, targets_folder, targets_identity
from brainreel.training.devices import one_thread

SOURCES = {"text": "prompt", "image": "clip", "latent": "latents"}
"""condition → the encoder whose targets it is regressed towards."""


@dataclass(frozen=True)
class Regression:
    """Stage 2 of one method: its folds, and what they read."""

    experiment: Experiment
    plan: Plan
    method: Method
    config: RegressConfig
    stores: list[Store]
    spoken: list[Targets]
    targets: dict[str, list[Targets]]
    folds: list[Fold]

    def of(self, method: Method) -> Regression:
        """The same for another method, which the plan need not name.

        Raises:
            ExperimentError: it has no trained decoder.
        """
        return replace(self, method=method, folds=_folds(self.experiment, method))

    def step(self, fold: Fold) -> Step:
        """One fold's fit."""
        config = self.config.model_copy(update={"seed": fold.seed}).affecting()
        inputs = {
            **job_inputs(self.stores, self.spoken),
            **{
                f"targets/{store.name}/{condition}": target.key
                for condition, found in self.targets.items()
                for store, target in zip(self.stores, found, strict=True)
            },
            "align": json.loads((fold.decoder.parent / "config.json").read_text())["key"],
        }
        settings = {"method": self.method.name, "folds": self.plan.folds, "fold": fold.number, "config": config}
        return Step(self.stage(fold), settings, inputs, (*REGRESSING, "pipeline/regress_fold.py"))

    def stage(self, fold: Fold) -> str:
        """Where a fold's result lies in the experiment."""
        return f"regress/{self.method.name}/seed-{fold.seed}/fold-{fold.number}"

    def outlook(self) -> Outlook:
        """What running it would do."""
        numbers = {name: found[0].values[0].size if len(found[0].values) else 0 for name, found in self.targets.items()}
        clips = sum(len(store.clips) for store in self.stores)
        trials = sum(len(store.trials) for store in self.stores)
        dim = self.spoken[0].values.shape[1]
        cost = regress_cost(self.config, trials, clips, dim, numbers, sum(len(store.subjects) for store in self.stores))
        if self.config.crossfit:
            job = _job(self.folds[0])
            size = max((training_size(s, job.config) for s in self.stores), key=lambda z: z.trials * z.features)
            again = align_cost(job, size)
            cost = Cost(self.config.crossfit * again.seconds, 0.0, again.memory_bytes).then(cost)
        cost = cost.then(read_cost(self.config, max(map(self._answers, self.folds))))
        stages: list[Entry] = [(self.stage(fold), self.step(fold).state(self.experiment), cost) for fold in self.folds]
        return Outlook(tuple(stages))

    def _answers(self, fold: Fold) -> int:
        """How many clips people are tested on, counted once for each who saw them."""
        tested = [roles_in(store, self.plan.folds, fold.number) == "test" for store in self.stores]
        trials = [store.trials.loc[mask] for store, mask in zip(self.stores, tested, strict=True)]
        return sum(len(found[["subject", "clip_id"]].drop_duplicates()) for found in trials)

    def run(self, device: str) -> int:
        """Fit what is not up to date; returns how many folds were fitted.

        On a CPU with one thread: sums in another order differ in their last bits.
        """
        ran = 0
        with one_thread(device), self.experiment.lock():
            for fold in track(self.folds, "regress", len(self.folds)):
                config = self.config.model_copy(update={"seed": fold.seed})
                stage = self.step(fold).run(
                    self.experiment,
                    lambda folder, fold=fold, config=config: run_fold(
                        fold, self.stores, self.spoken, self.targets, self.plan.folds, config, device, folder
                    ),
                    seed=fold.seed,
                    device=device,
                )
                ran += stage.ran
        return ran

    def scores(self) -> list[dict[str, Any]]:
        """The rows of every fold's scores.json."""
        return [
            row
            for fold in self.folds
            for row in json.loads((self.experiment.stage(self.stage(fold)) / "scores.json").read_text())["scores"]
        ]

    def means(self) -> list[dict[str, Any]]:
        """Scores over subjects, folds and seeds, one row per dataset, condition and model, as a table shows them."""
        columns = {("two_way_identification", "centred-cosine"): "two-way", ("r2", "pooled"): "R²"}
        columns[("correlation", "per-dimension")] = "r per dimension"
        cells: dict[tuple[str, str, str], dict[str, list[float]]] = {}
        for row in self.scores():
            column = columns.get((row["metric"], row["definition"]))
            if row["subject"] is None and column is not None and row["value"] is not None:
                key = (row["dataset"], row["condition"], row["model"])
                cells.setdefault(key, {}).setdefault(column, []).append(row["value"])
        return [
            {"dataset": dataset, "condition": condition, "model": model, "chance": 0.5}
            | {name: f"{np.mean(found[name]):.3f}" if name in found else None for name in columns.values()}
            for (dataset, condition, model), found in sorted(cells.items())
        ]


def prepare_regress(
    experiment: Experiment, config: RegressConfig, *, strategy: str | None = None, targets: Path | None = None
) -> Regression:
    """Everything `brainreel regress` needs, read and checked before anything is fitted.

    Args:
        experiment: With a trained stage 1.
        config: Settings of stage 2; seeds are those of stage 1.
        strategy: Which method of the experiment; None: contrastive if it is there, else the first.
        targets: Where the conditions' targets lie; None: where stage 1's lie, or in the stores.
    """
    plan = read_plan(experiment)
    method = _method(plan, strategy)
    stores = plan.open_stores(experiment)
    spoken = plan.read_targets(experiment, stores)
    folds = _folds(experiment, method)
    places = [targets] if targets else [experiment.root / plan.targets, None] if plan.targets else [None]
    found = read_conditions(stores, places)
    return Regression(experiment, plan, method, config, stores, spoken, found, folds)


def read_conditions(stores: Sequence[Store], places: Sequence[Path | None]) -> dict[str, list[Targets]]:
    """condition → targets of each store, for every condition that there are targets for.

    Args:
        stores: The stores.
        places: Folders to look in, the first first; None: in the stores.

    Raises:
        StoreError: if there are none, or one store lacks what another has.
    """
    out = {}
    for condition, name in SOURCES.items():
        there = [[place for place in places if targets_identity(store, name, place) is not None] for store in stores]
        if not any(there):
            continue
        for store, found in zip(stores, there, strict=True):
            if not found:
                raise StoreError(
                    f"store {store.name!r} has no targets {name!r}, which others of the experiment have",
                    expected=f"targets for {condition!r} in all of them",
                    do=_encode([store], name, places),
                )
        read = [read_targets(store, name, found[0]) for store, found in zip(stores, there, strict=True)]
        shapes = {target.values.shape[1:] for target in read}
        if len(shapes) > 1:
            raise StoreError(
                f"the targets {name!r} have the shapes {', '.join(map(str, sorted(shapes)))}",
                expected="one encoder for all stores",
                do=_encode(stores, name, places),
            )
        out[condition] = read
    if not out:
        looked = targets_folder(stores[0], "prompt", places[0]).parent
        raise StoreError(
            f"there are no targets to regress in {looked}",
            expected=f"targets of one of {', '.join(SOURCES.values())}",
            do=_encode(stores, "prompt", places),
        )
    return out


def _folds(experiment: Experiment, method: Method) -> list[Fold]:
    """Every trained decoder of a method."""
    folds = [
        Fold(method.name, seed, number, path.parents[1] / "decoder.safetensors")
        for seed, by_fold in sorted(find(experiment.root, method).files.items())
        for number, path in sorted(by_fold.items())
    ]
    folds = [fold for fold in folds if fold.decoder.is_file()]
    if not folds:
        raise ExperimentError(
            f"{experiment.root} has no trained decoder of {method.name!r}",
            expected=f"align/{method.job}/seed-*/fold-*/decoder.safetensors",
            do="run `brainreel align` with the same --out",
        )
    return folds


def _job(fold: Fold) -> AlignJob:
    """How a fold's decoder was trained."""
    return AlignJob.model_validate(json.loads((fold.decoder.parent / "config.json").read_text())["settings"])


def _encode(stores: Sequence[Store], name: str, places: Sequence[Path | None]) -> str:
    elsewhere = "" if places[0] is None else f" --targets {places[0]}"
    return f"run `brainreel encode {' '.join(str(store.root) for store in stores)} --encoder {name}{elsewhere}`"


def _method(plan: Plan, strategy: str | None) -> Method:
    # A method read from another label's predictions has no decoder of its own on disk.
    known: Mapping[str, Method] = {method.name: method for method in plan.methods if method.label == "decoder"}
    if strategy is not None:
        if strategy not in known:
            raise UsageError(f"the experiment has no strategy {alternatives(strategy, known)}")
        return known[strategy]
    if not known:
        raise ExperimentError("the experiment has no trained method", do="run `brainreel align` with the same --out")
    return known.get("contrastive", next(iter(known.values())))
