"""The sandbox recipe on tiny releases: from nothing to videos of everybody, and of a person nobody trained on."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import numpy as np
import pytest

from brainreel.errors import WeightsError
from brainreel.regress import Conditions
from brainreel.sandbox.config import RELEASES
from brainreel.sandbox.installed import find_networks
from brainreel.sandbox.recipe import Made, people, run_sandbox
from brainreel.store import Store
from brainreel.world.scenes import FRAMES, SIDE

from .conftest import CONFIG


def stores(out):
    return [Store(out / "ingest" / release / release) for release in RELEASES]


def test_everybody_has_videos_and_so_has_the_newcomer(ran):
    everyone, (newcomer,) = people(stores(ran))
    for name in (*everyone, newcomer):
        assert len(list((ran / "reconstructions" / name).glob("*.mp4"))) == 2
    arrays = list((ran / "generate" / "newcomer" / "seed-0" / "fold-0" / newcomer).glob("*.npy"))
    assert [np.load(path).shape for path in arrays] == [(FRAMES, SIDE, SIDE, 3)] * 2
    assert not (ran / "generate" / "contrastive" / "seed-0" / "fold-0" / newcomer).exists()


def test_the_newcomer_is_read_by_a_model_that_never_saw_them(ran):
    _, (newcomer,) = people(stores(ran))
    trained = json.loads((ran / "align/contrastive/seed-0/fold-0/config.json").read_text())
    assert newcomer not in trained["settings"]["groups"][0]["train"]
    conditions = Conditions.read(ran / f"regress/newcomer/seed-0/fold-0/conditions/{newcomer}.safetensors")
    assert conditions.facts["zero_shot"] is True
    assert set(conditions.vectors) == {"text", "image", "latent"}
    test = stores(ran)[0].clips["clip_id"]
    assert set(conditions.clip_id) <= set(test[test.str.startswith("test-")])


def test_videos_are_scored_beside_stage_1_and_reported(ran):
    rows = json.loads((ran / "metrics.json").read_text())["scores"]
    videos = {(row["strategy"], row["dataset"]) for row in rows if row["stage"] == "generate"}
    assert {("contrastive", release) for release in RELEASES} | {("newcomer", RELEASES[0])} <= videos
    judged = [row for row in rows if row["metric"] in ("n_way_accuracy", "clip_similarity", "frame_consistency")]
    assert judged
    assert all(row["value"] is not None for row in judged if row["subject"] is None), "the networks were given"
    assert "<video" in (ran / "report.html").read_text() or "</html>" in (ran / "report.html").read_text()


def test_stage_1_is_scored_with_its_rivals(ran):
    rows = json.loads((ran / "metrics.json").read_text())["scores"]
    found = {(row["strategy"], row["dataset"]) for row in rows}
    assert {(strategy, release) for strategy in ("contrastive", "ridge") for release in RELEASES} <= found
    assert ("newcomer-zero-shot", RELEASES[0]) in found


def test_a_second_run_has_nothing_to_do(ran, made):
    done = run_sandbox(CONFIG, ran, weights=made / "weights")
    assert (done.stages, done.report) == (0, ran / "report.html")


def test_the_call_in_the_docs_is_one_that_can_be_made(monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()
    _, code = re.findall(r"```python\n(.*?)```", page, re.S)
    made = []
    signature = inspect.signature(run_sandbox)

    def run(*args, **settings):
        made.append(signature.bind(*args, **settings))
        return Made(Path("report.html"), Path("reconstructions"), 0)

    monkeypatch.setattr("brainreel.sandbox.recipe.run_sandbox", run)
    exec(code, {})
    assert made[0].arguments["config"].size == "tiny"


def test_without_networks_it_says_how_to_get_them(tmp_path):
    with pytest.raises(WeightsError, match=r"brainreel\.sandbox\.train"):
        find_networks(tmp_path)
