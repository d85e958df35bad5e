"""Folds from a file, through the experiment and every command that comes after training."""

import json

import numpy as np
import pytest

from brainreel.align.aligner import Aligner
from brainreel.align.predictions import Predictions
from brainreel.errors import ExperimentError
from brainreel.experiment import Experiment
from brainreel.pipeline.newcomers import Amount, adapt_newcomer
from brainreel.pipeline.plan import read_plan
from brainreel.pipeline.single import prepare
from brainreel.pipeline.stages import evaluate_stage
from brainreel.store import Store
from brainreel.store.several import roles_in
from brainreel.store.targets import write_targets

from . import planted


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    store, targets = planted.event_store(tmp_path_factory.mktemp("s") / "events", train=24, test=8)
    arrays = {"embedding": targets.values, "captions": targets.caption_values}
    write_targets(store, "planted", arrays, {}, targets.captions)
    return store


@pytest.fixture
def mine(tmp_path) -> str:
    """Clips that the store's own folds train on."""
    (tmp_path / "mine.json").write_text(json.dumps({"test": [f"clip-{k:03d}" for k in range(6)]}))
    return str(tmp_path / "mine.json")


def test_an_experiment_keeps_its_folds_and_every_command_finds_them(store, mine, tmp_path):
    config = planted.config(steps=2).model_copy(update={"target": "planted"})
    run = Experiment(tmp_path / "run")
    training = prepare(config, [store.root], folds=mine, subjects=["s1", "s2", "s3"])
    training.run(run, "cpu", 1)
    plan = read_plan(run)
    assert str(plan.folds).startswith("mine-")
    (found,) = (run.root / "align").glob("contrastive/seed-0/fold-0/predictions/decoder.safetensors")
    (later,) = plan.open_stores(run)
    for name, rows in Predictions.read(found).row.items():
        assert set(later.trials["clip_id"].iloc[rows]) == {f"clip-{k:03d}" for k in range(6)}, name
    assert (roles_in(later, plan.folds, 0) == "test").sum() == 6 * len(planted.SUBJECTS)
    evaluate_stage(run, plan)
    rows = json.loads((run.root / "metrics.json").read_text())["scores"]
    assert {row["n"] for row in rows if row["subject"] == "s1" and row["metric"] == "two_way_identification"} == {6}
    # Somebody new, in a store that was opened without knowing these folds.
    _, scores = adapt_newcomer(run, Store(store.root), "s5", Amount(0.0, None))
    assert {row["n"] for row in scores["scores"] if row["metric"] == "two_way_identification"} == {6}
    with pytest.raises(ExperimentError, match="holds an experiment with folds 'mine-"):
        prepare(config, [store.root], folds="official").run(run, "cpu", 1)


def test_python_takes_a_file_too(store, mine):
    opened = Store(store.root)
    model = Aligner(planted.config(steps=1).model_copy(update={"target": "planted"})).fit([opened], folds=mine)
    tested = model.embed(opened, "s1", role="test")
    assert len(tested) == 6
    assert np.isfinite(tested).all()
