"""A reconstruction without a video model: the training clip whose image vector is nearest to the regressed one.

It has natural frames and motion and knows what was read from the brain, so it is the rival that a generator has to beat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from brainreel.evaluate.score_sources import Source
from brainreel.evaluate.video_clips import MEAN, ORACLE, CalledClips, ReadClip
from brainreel.experiment import Experiment
from brainreel.metrics.identification import similarity
from brainreel.pipeline.plan import Plan
from brainreel.pipeline.regress_stage import SOURCES
from brainreel.pipeline.video_sets import CONTROLS, VideoSet, facts_of, key_of, trained_method
from brainreel.regress.conditions import Conditions
from brainreel.store.reader import Store
from brainreel.store.targets import Targets, read_targets, targets_identity

VARIANT = "nearest-training-clip"
CONDITION = "image"

# From a dataset and a fold to the training clips that may be shown.
Pool = Callable[[str, int], Sequence[str]]


def nearest_sets(
    experiment: Experiment,
    plan: Plan,
    stores: Mapping[str, Store],
    generated: Sequence[VideoSet],
    pool: Pool,
    read: Mapping[str, ReadClip],
) -> list[VideoSet]:
    """The nearest training clips for the clips and people of every method that made videos.

    Args:
        experiment: Where the conditions lie.
        plan: Where the targets lie.
        stores: Dataset → store.
        generated: What generation left; each method's first variant is followed.
        pool: The training clips that may be shown.
        read: Dataset → what reads its clips.

    Returns:
        A set for each, except where no image vectors were regressed or their targets are not there.
    """
    first: dict[tuple[str, int, int, str], VideoSet] = {}
    for one in generated:
        first.setdefault((one.method, one.seed, one.fold, one.dataset), one)

    def is_done(stage: Path) -> bool:
        return (experiment.root / stage / "provenance.json").is_file()

    targets = {name: _targets(experiment, plan, store) for name, store in stores.items()}
    sets = []
    for (method, seed, fold, dataset), like in first.items():
        goal, clips = targets[dataset], pool(dataset, fold)
        files = _files(experiment, like)
        if goal is None or not clips or not set(like.subjects) <= set(files):
            continue
        stages = {
            path.relative_to(experiment.root).parents[1 if name in CONTROLS else 2] for name, path in files.items()
        }
        if not all(_fits(path, goal) for path in files.values()) or not all(map(is_done, stages)):
            continue
        inputs = {stage.as_posix(): key_of(experiment.root / stage) for stage in sorted(stages)}
        inputs[f"targets/{dataset}"] = goal.key
        rows = stores[dataset].clips["clip_id"].astype(str).tolist()
        values = goal.values[[rows.index(clip) for clip in clips]]

        def open_nearest(name: str, files=files, values=values, clips=clips, like=like, dataset=dataset) -> Source:
            found = _nearest(Conditions.read(files[name]), values, clips)
            wanted = [clip for clip in like.shown if clip in found]
            return CalledClips(f"the training clips nearest to {name}", wanted, lambda clip: read[dataset](found[clip]))

        there = {name: like.clips.get(name, like.shown) for name in files}
        facts = facts_of(method, VARIANT, "retrieval", None)
        sets.append(
            VideoSet(method, VARIANT, seed, fold, dataset, inputs, facts, {}, like.subjects, there, open_nearest)
        )
    return sets


def _nearest(conditions: Conditions, values: np.ndarray, clips: Sequence[str]) -> dict[str, str]:
    """Clip → the training clip with the highest cosine to its vector, both minus the training mean."""
    centre = values.mean(axis=0)
    alike = similarity(conditions.vectors[CONDITION] - centre, values, centre=centre)
    best = [clips[int(place)] for place in alike.argmax(axis=1)]
    return dict(zip(conditions.clip_id, best, strict=True))


def _files(experiment: Experiment, like: VideoSet) -> dict[str, Path]:
    """The conditions of its people and controls."""
    folds = {
        method: experiment.root / f"regress/{method}/seed-{like.seed}/fold-{like.fold}"
        for method in (like.method, trained_method(experiment, like.method, like.seed, like.fold))
    }
    own, trained = folds[like.method], list(folds.values())[-1]
    files = {name: own / f"conditions/{like.dataset}/{name}.safetensors" for name in like.subjects}
    files[ORACLE] = own / f"truth/{like.dataset}.safetensors"
    files[MEAN] = trained / f"mean/{like.dataset}.safetensors"
    return {name: path for name, path in files.items() if path.is_file()}


def _fits(path: Path, goal: Targets) -> bool:
    vectors = Conditions.read(path).vectors.get(CONDITION)
    return vectors is not None and vectors.shape[1:] == goal.values.shape[1:]


def _targets(experiment: Experiment, plan: Plan, store: Store) -> Targets | None:
    places = [experiment.root / plan.targets, None] if plan.targets else [None]
    for place in places:
        if targets_identity(store, SOURCES[CONDITION], place) is not None:
            return read_targets(store, SOURCES[CONDITION], place)
    return None
