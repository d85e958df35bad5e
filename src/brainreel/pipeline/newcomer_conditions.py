"""Conditions of people whom neither stage 1 nor stage 2 was trained on: zero-shot, through what everybody shares."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from brainreel.align.aligner import Aligner
from brainreel.align.jobs import whose
from brainreel.align.newcomers import adapt
from brainreel.experiment import Experiment, Stage
from brainreel.files import write_json
from brainreel.pipeline.plan import NEWCOMER
from brainreel.pipeline.regress_fold import Fold, Trials, rows_by_clip, write_person
from brainreel.pipeline.regress_stage import Regression
from brainreel.pipeline.stages import REGRESSING, Step
from brainreel.regress.captions import CaptionPool, caption_pool
from brainreel.regress.regressor import Regressor

METHOD = NEWCOMER


def newcomer_stages(experiment: Experiment, regression: Regression, names: Sequence[str], device: str) -> list[Stage]:
    """Write ``regress/newcomer/seed-<s>/fold-<k>`` with the conditions of some people, for every fold of a regression.

    Args:
        experiment: With the regression's stages done.
        regression: What the people are read with.
        names: ``dataset/subject`` of people in its stores who were left out of its training.
        device: Written to the provenance.
    """
    return [_stage(experiment, regression, fold, names, device) for fold in regression.folds]


def newcomer_step(experiment: Experiment, regression: Regression, fold: Fold, names: Sequence[str]) -> Step:
    """One fold of `newcomer_stages`."""
    stores = {store.name: store for store, _ in (whose(name, regression.stores) for name in names)}
    trained = experiment.stage(regression.stage(fold))
    key = json.loads((trained / "config.json").read_text())["key"]
    return Step(
        f"regress/{METHOD}/seed-{fold.seed}/fold-{fold.number}",
        {"subjects": list(names), "minutes": 0.0, "method": regression.method.name},
        {"regress": key, **{f"store/{name}": store.fingerprint for name, store in stores.items()}},
        (*REGRESSING, "pipeline/regress_fold.py", "pipeline/newcomer_conditions.py"),
    )


def _stage(experiment: Experiment, regression: Regression, fold: Fold, names: Sequence[str], device: str) -> Stage:
    trained = experiment.stage(regression.stage(fold))
    folds = regression.plan.folds

    def read(
        name: str, aligner: Aligner, regressor: Regressor, pool: CaptionPool, folder: Path
    ) -> list[dict[str, Any]]:
        store, subject = whose(name, regression.stores)
        rows, clip = rows_by_clip(store, subject, "test", folds, fold.number)
        embedding = adapt(aligner, None)(aligner.recording(store, subject, rows))
        test = Trials(regression.stores.index(store), subject, embedding, clip)
        # The truth that the person's conditions are scored against, as everybody else's.
        truth = f"truth/{store.name}.safetensors"
        (folder / truth).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(trained / truth, folder / truth)
        facts = {
            "dataset": store.name,
            "subject": subject,
            "folds": folds,
            "fold": fold.number,
            "seed": fold.seed,
            "strategy": METHOD,
            "target": aligner.config.target,
            "trained_subjects": len(aligner.subjects_),
            "zero_shot": True,
        }
        return write_person(test, store, regressor, pool, facts, folder)

    def work(folder: Path) -> None:
        aligner = Aligner.load(fold.decoder)
        regressor = Regressor.load(trained / "model" / "regressor.safetensors")
        pool = caption_pool(regression.stores, regression.spoken, folds, fold.number, aligner.goals_.centre)
        scores = [row for name in names for row in read(name, aligner, regressor, pool, folder)]
        write_json(folder / "scores.json", {"schema": 1, "scores": scores})

    step = newcomer_step(experiment, regression, fold, names)
    return step.run(experiment, work, seed=fold.seed, device=device)
