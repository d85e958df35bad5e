"""Stage 1's oracle: the true vectors in the place of a method's predictions, trial by trial."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from brainreel.align.jobs import AlignJob, whose
from brainreel.align.predictions import Predictions
from brainreel.experiment import Experiment, Stage
from brainreel.pipeline.stages import Step, job_inputs
from brainreel.store.reader import Store
from brainreel.store.targets import Targets

NAME = "true-vectors"


def true_vectors_step(
    experiment: Experiment, like: AlignJob, stores: Sequence[Store], targets: Sequence[Targets]
) -> Step:
    """What the oracle that stands beside a finished job depends on."""
    key = json.loads((experiment.root / like.stage / "config.json").read_text())["key"]
    stage = like.model_copy(update={"name": NAME}).stage
    inputs = {**job_inputs(stores, targets), "align": key}
    return Step(stage, {"fold": like.fold}, inputs, ("align/predictions.py", "pipeline/true_vectors.py"))


def true_vectors_stage(
    experiment: Experiment, like: AlignJob, stores: Sequence[Store], targets: Sequence[Targets]
) -> Stage:
    """Write ``align/true-vectors/seed-<s>/fold-<k>``: each test trial of a finished job answered with its clip's target.

    A clip whose target nothing else in the gallery equals is identified by it always.

    Args:
        experiment: With the job done.
        like: Whose trials.
        stores: As the job was given.
        targets: Of each store.
    """
    by_name = {store.name: found for store, found in zip(stores, targets, strict=True)}

    def work(folder: Path) -> None:
        read = Predictions.read(experiment.root / like.stage / "predictions" / "decoder.safetensors")
        embedding = {}
        for name, rows in read.row.items():
            store, _ = whose(name, stores)
            embedding[name] = by_name[store.name].values[store.clip_index(rows)] - read.centre
        facts = {**read.facts, "strategy": NAME}
        Predictions(embedding, read.row, read.centre, facts).write(folder / "predictions" / "decoder.safetensors")

    return true_vectors_step(experiment, like, stores, targets).run(experiment, work, seed=like.config.seed)
