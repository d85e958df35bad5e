"""The stage that scores an experiment's videos: every method, seed, fold and dataset, then rows over all of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from brainreel.errors import ExperimentError
from brainreel.evaluate.scores import document
from brainreel.evaluate.video_cells import read_fold, write_fold
from brainreel.evaluate.video_clips import MEAN, ORACLE, CalledClips, ReadClip
from brainreel.evaluate.video_differences import standard_differences, video_differences
from brainreel.evaluate.video_fold import score_fold
from brainreel.evaluate.video_scores import VideoScores, per_clip, video_rows
from brainreel.evaluate.video_shown import Shown
from brainreel.evaluate.video_tables import video_tables
from brainreel.experiment import Experiment
from brainreel.files import write_json, write_text, write_tsv
from brainreel.pipeline.merged_scores import SUMMARY, merge_scores
from brainreel.pipeline.nearest_clips import nearest_sets
from brainreel.pipeline.plan import Plan, read_plan
from brainreel.pipeline.score_networks import ScoreNetworks
from brainreel.pipeline.stages import SCORING, Step
from brainreel.pipeline.video_sets import VideoSet, find_generated
from brainreel.pipeline.video_truth import read_shown, stretches_of, training_clips
from brainreel.store.reader import Store

CODE = (
    *SCORING,
    "video.py",
    "encoders/visual.py",
    "encoders/visual_pixels.py",
    *(f"pipeline/{name}.py" for name in ("evaluate_videos", "nearest_clips", "video_sets", "video_truth")),
)
CELLS_FILE = "cells.safetensors"


class VideosScored(NamedTuple):
    """The folder of the videos' own metrics.json and per_clip.tsv, and how many stages had to run."""

    path: Path
    ran: int


def evaluate_videos(
    experiment: Experiment,
    *,
    classifier: Path | str | None = None,
    clip: Path | str | None = None,
    device: str = "cpu",
    retrieve: Collection[tuple[str, int]] | None = None,
) -> VideosScored:
    """Score all videos that generation left, and put their rows beside stage 1's in ``RUN/metrics.json``.

    Every fold of every method is a stage of its own below ``evaluate-videos/folds``, so an interrupted scoring goes
    on with the next one. Beside the generated videos stands the training clip nearest to what was read from the brain
    (see `nearest_sets`). The caller holds the experiment's lock.

    Args:
        experiment: With finished stages of generation, and the stores that its plan names.
        classifier: A VideoMAE (hub id or folder) for n-way accuracy; None: these rows are null and say so.
        clip: A CLIP for similarity and frame consistency; None: likewise.
        device: Where the networks compute.
        retrieve: Methods and seeds that the nearest training clips stand beside; None: all.

    Raises:
        ExperimentError: nothing was generated, or a method's videos were made with several settings.
        StoreError: the clips that were shown are not there.
        WeightsError: from the networks.
    """
    plan = read_plan(experiment)
    stores = {store.name: store for store in plan.open_stores(experiment)}
    read = {name: read_shown(store) for name, store in stores.items()}
    sets = _sets(experiment, plan, stores, read, retrieve)
    networks = ScoreNetworks(classifier, clip, device)
    circular = _circular(experiment, plan)
    steps = _steps(experiment, plan, stores, sets, networks)
    ran, known = 0, _Known(networks)
    done: dict[str, Path] = {}
    # What was shown is looked at once for all methods.
    for one in sorted(sets, key=lambda one: (one.dataset, one.fold)):
        store = stores[one.dataset]
        work = partial(_score, one, plan, store, read[store.name], known, circular)
        stage = steps[one.stage].run(experiment, lambda folder, work=work: work(folder), seed=plan.seed, device=device)
        ran += stage.ran
        done[one.stage] = stage.path
    summary = steps[SUMMARY].run(
        experiment, lambda folder: _summarise(sets, done, stores, plan.seed, folder), seed=plan.seed
    )
    networks.remember(experiment)
    merge_scores(experiment)
    return VideosScored(summary.path, ran + summary.ran)


def video_steps(
    experiment: Experiment,
    *,
    classifier: Path | str | None = None,
    clip: Path | str | None = None,
    retrieve: Collection[tuple[str, int]] | None = None,
) -> list[Step]:
    """What `evaluate_videos` would run with the same arguments; changes nothing."""
    plan = read_plan(experiment)
    stores = {store.name: store for store in plan.open_stores(experiment)}
    sets = _sets(experiment, plan, stores, {name: read_shown(store) for name, store in stores.items()}, retrieve)
    return list(_steps(experiment, plan, stores, sets, ScoreNetworks(classifier, clip, "cpu")).values())


def _steps(
    experiment: Experiment, plan: Plan, stores: Mapping[str, Store], sets: Sequence[VideoSet], networks: ScoreNetworks
) -> dict[str, Step]:
    """Stage → step of every set, and of the summary over them."""
    settings = {
        "networks": networks.identity,
        "circular": _circular(experiment, plan),
        "seed": plan.seed,
        "folds": plan.folds,
    }
    steps = {
        one.stage: Step(
            one.stage, settings, {**one.inputs, f"store/{one.dataset}": stores[one.dataset].fingerprint}, CODE
        )
        for one in sets
    }
    keys = {name: experiment.key(step.settings, step.inputs, step.code) for name, step in steps.items()}
    made = {name: key for one in sets for name, key in one.inputs.items()}
    return {**steps, SUMMARY: Step(SUMMARY, {"seed": plan.seed}, {**keys, **made}, CODE)}


def _sets(
    experiment: Experiment,
    plan: Plan,
    stores: Mapping[str, Store],
    read: Mapping[str, ReadClip],
    retrieve: Collection[tuple[str, int]] | None,
) -> list[VideoSet]:
    """What is to be scored, in the order of tables: each method with its variants."""
    generated = [one for one in find_generated(experiment) if one.dataset in stores]
    if not generated:
        raise ExperimentError(f"{experiment.root} has no finished videos", do="run `brainreel generate` first")
    settings: dict[str, tuple[str, Any]] = {}
    for one in generated:
        first, made = settings.setdefault(one.strategy, (one.stage, (one.facts, one.generator)))
        if made != (one.facts, one.generator):
            raise ExperimentError(
                f"{one.stage.split('/', 2)[2]} was made with other settings than {first.split('/', 2)[2]}",
                expected=f"one way of making the videos of {one.strategy!r}",
                do="run `brainreel generate` again, or delete the older ones",
            )

    def pool(dataset: str, fold: int) -> list[str]:
        shown = {clip for one in generated if (one.dataset, one.fold) == (dataset, fold) for clip in one.shown}
        return training_clips(stores[dataset], plan.folds, fold, shown)

    followed = [one for one in generated if retrieve is None or (one.method, one.seed) in retrieve]
    sets = generated + nearest_sets(experiment, plan, stores, followed, pool, read)
    methods = list(dict.fromkeys(one.method for one in generated))
    return sorted(sets, key=lambda one: methods.index(one.method))


class _Known:
    """The clips that were shown in the fold of the last set, looked at by the networks."""

    def __init__(self, networks: ScoreNetworks) -> None:
        self.networks = networks
        self._key: tuple[str, int, tuple[str, ...]] | None = None
        self._shown: Shown | None = None

    def shown(self, one: VideoSet, plan: Plan, store: Store, read: ReadClip) -> Shown:
        key = (one.dataset, one.fold, one.shown)
        if self._shown is None or self._key != key:
            truth = CalledClips(store.name, one.shown, read)
            names = training_clips(store, plan.folds, one.fold, one.shown)
            train = CalledClips(f"the training clips of {store.name}", names, read) if len(names) > 1 else None
            self._shown, self._key = Shown(truth, self.networks.load(), train), key
        return self._shown


def _score(
    one: VideoSet, plan: Plan, store: Store, read: ReadClip, known: _Known, circular: Sequence[str], folder: Path
) -> None:
    shown = known.shown(one, plan, store, read)
    scores = score_fold(
        shown.truth,
        {subject: one.open(subject) for subject in one.subjects},
        oracle=one.control(ORACLE),
        mean_response=one.control(MEAN),
        circular=circular,
        absent=known.networks.absent,
        shown=shown,
        seed=plan.seed,
    )
    write_fold(folder / CELLS_FILE, scores)


def _summarise(
    sets: Sequence[VideoSet], done: Mapping[str, Path], stores: Mapping[str, Store], seed: int, folder: Path
) -> None:
    """``metrics.json``, ``per_clip.tsv`` and ``videos.md`` of all folds."""
    by_method: dict[tuple[str, str], list[VideoSet]] = {}
    for one in sets:
        by_method.setdefault((one.strategy, one.dataset), []).append(one)
    scores = [
        VideoScores.of(
            strategy,
            dataset,
            {(one.seed, one.fold): read_fold(done[one.stage] / CELLS_FILE) for one in mine},
            continuous=stores[dataset].manifest.kind == "continuous",
            facts=mine[0].facts,
            stretches=stretches_of(stores[dataset]),
        )
        for (strategy, dataset), mine in by_method.items()
    ]
    rows = [row for one in scores for row in video_rows(one, seed=seed)]
    differences = video_differences(standard_differences(scores), seed=seed)
    generators = {one.strategy: dict(one.generator) for one in sets if one.generator}
    write_json(folder / "metrics.json", document(rows, differences, seed, generators=generators))
    write_tsv(folder / "per_clip.tsv", pd.concat([per_clip(one) for one in scores], ignore_index=True))
    write_text(folder / "videos.md", video_tables(rows, differences))


def _circular(experiment: Experiment, plan: Plan) -> list[str]:
    """CLIP scores what CLIP was a target of: in stage 1, or as stage 2's image vectors."""
    regressed = any(
        "image" in key
        for path in experiment.root.glob("regress/*/seed-*/fold-*/config.json")
        for key in json.loads(path.read_text())["inputs"]
    )
    return ["clip"] if plan.target == "clip" or regressed else []
