"""Conditions of somebody that neither stage 1 nor stage 2 was trained on: zero-shot, through what everybody shares."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from brainreel.align.aligner import Aligner
from brainreel.align.jobs import whose
from brainreel.align.newcomers import adapt
from brainreel.experiment import Experiment, Stage
from brainreel.files import write_json
from brainreel.pipeline.plan import NEWCOMER
from brainreel.pipeline.regress_fold import Fold, Trials, rows_by_clip, write_person
from brainreel.pipeline.regress_stage import Regression
from brainreel.pipeline.stages import REGRESSING, Step
from brainreel.regress.captions import caption_pool
from brainreel.regress.regressor import Regressor

METHOD = NEWCOMER


def newcomer_stages(experiment: Experiment, regression: Regression, name: str, device: str) -> list[Stage]:
    """Write ``regress/newcomer/seed-<s>/fold-<k>`` with the conditions of a person, for every fold of a regression.

    Args:
        experiment: With the regression's stages done.
        regression: What the person is read with.
        name: ``dataset/subject`` of somebody in one of its stores who was left out of its training.
        device: Written to the provenance.
    """
    return [_stage(experiment, regression, fold, name, device) for fold in regression.folds]


def newcomer_step(experiment: Experiment, regression: Regression, fold: Fold, name: str) -> Step:
    """One fold of `newcomer_stages`."""
    store, _ = whose(name, regression.stores)
    trained = experiment.stage(regression.stage(fold))
    key = json.loads((trained / "config.json").read_text())["key"]
    return Step(
        f"regress/{METHOD}/seed-{fold.seed}/fold-{fold.number}",
        {"subject": name, "minutes": 0.0, "method": regression.method.name},
        {"regress": key, f"store/{store.name}": store.fingerprint},
        (*REGRESSING, "pipeline/regress_fold.py", "pipeline/newcomer_conditions.py"),
    )


def _stage(experiment: Experiment, regression: Regression, fold: Fold, name: str, device: str) -> Stage:
    trained = experiment.stage(regression.stage(fold))

    def work(folder: Path) -> None:
        aligner = Aligner.load(fold.decoder)
        store, subject = whose(name, regression.stores)
        folds = regression.plan.folds
        rows, clip = rows_by_clip(store, subject, "test", folds, fold.number)
        embedding = adapt(aligner, None)(aligner.recording(store, subject, rows))
        test = Trials(regression.stores.index(store), subject, embedding, clip)
        pool = caption_pool(regression.stores, regression.spoken, folds, fold.number, aligner.goals_.centre)
        # The truth that the person's conditions are scored against, as everybody else's.
        truth = f"truth/{store.name}.safetensors"
        (folder / truth).parent.mkdir(exist_ok=True)
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
        regressor = Regressor.load(trained / "model" / "regressor.safetensors")
        rows_of_scores = write_person(test, store, regressor, pool, facts, folder)
        write_json(folder / "scores.json", {"schema": 1, "scores": rows_of_scores})

    step = newcomer_step(experiment, regression, fold, name)
    return step.run(experiment, work, seed=fold.seed, device=device)
