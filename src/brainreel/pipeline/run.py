"""Running recipes: every stage of an experiment, resuming."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from brainreel.errors import UsageError
from brainreel.experiment import Experiment
from brainreel.pipeline.film_config import FOLDS, FilmConfig
from brainreel.pipeline.film_recipe import film_jobs, film_of, film_plan
from brainreel.pipeline.parallel import align_all
from brainreel.pipeline.plan import portable
from brainreel.pipeline.stages import encode_stage, evaluate_stage, ingest_stage
from brainreel.pipeline.write_report import write_report
from brainreel.progress import duration, say
from brainreel.store import Store
from brainreel.store.targets import read_targets


@dataclass(frozen=True)
class Ran:
    """What a recipe left: its report, and how many stages had to run for it."""

    report: Path
    stages: int
    seconds: float


def run_film(
    config: FilmConfig,
    out: Path,
    *,
    source: Path | None = None,
    store: Path | None = None,
    subjects: Sequence[str] | None = None,
    text_weights: str | None = None,
    dataset: str = "sherlock",
    device: str = "cpu",
    workers: int | None = 1,
) -> Ran:
    """The film benchmark from the release's files (``source``) or from an ingested store, to the report.

    Args:
        config: Settings.
        out: The experiment's folder.
        source: The release.
        store: A store, instead of a release.
        subjects: Only these people.
        text_weights: Weights of the sentence encoder: hub id or folder.
        dataset: Reader of ``source``.
        device: Where to compute.
        workers: Trainings at a time; None: one per core (see `align_all`).
    """
    need_one(source, store)
    started = time.monotonic()
    experiment = Experiment(out)
    with experiment.lock():
        ran = 0
        if source is not None:
            opened = ingest_stage(experiment, dataset, source, subjects)
        else:
            opened = Store(store or "")
        check_film(opened)
        folder = encode_stage(experiment, [opened], {config.align.target: text_weights}, device)
        targets = [read_targets(opened, config.align.target, folder)]
        film = film_of(opened)
        jobs = film_jobs(config, film)
        ran += align_all(experiment, jobs, [opened], targets, device, workers)
        plan = film_plan(config, film, (portable(opened.root, experiment),), portable(folder, experiment))
        plan = plan.counting(jobs)
        plan.write(experiment)
        ran += evaluate_stage(experiment, plan).ran
        report = write_report(experiment, plan)
    seconds = time.monotonic() - started
    if ran:
        say(f"{ran} stages in {duration(seconds)}")
    else:
        say("everything is up to date: nothing to do")
    return Ran(report, ran, seconds)


def need_one(source: Path | None, store: Path | None) -> None:
    """Refuse both or neither."""
    if (source is None) == (store is None):
        raise UsageError(
            "both --source and --store" if source else "neither --source nor --store",
            expected="one of them",
            do="give the folder of the release with --source, or an ingested one with --store",
        )


def check_film(store: Store) -> None:
    """Refuse a store that the film benchmark cannot run on."""
    if FOLDS not in store.manifest.folds or store.annotations is None or "regions" not in store.manifest.groups:
        raise UsageError(
            f"store {store.name!r} is no described film with the folds {FOLDS!r} and the group 'regions'",
            expected="a store made by `brainreel ingest sherlock`",
            do="use `brainreel align` for other stores",
        )
    if len(store.subjects) < 2:
        raise UsageError(f"{len(store.subjects)} subject", expected="at least two for the benchmark")
