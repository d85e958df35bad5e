"""`brainreel regress` on two simulated releases with targets written by hand."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from brainreel.align.aligner import Aligner
from brainreel.cli.main import main
from brainreel.pipeline import regress_fold
from brainreel.regress import Conditions
from brainreel.regress.averaging import conditions_of
from brainreel.regress.regressor import Regressor
from brainreel.store import Store

from .written import DIM, TOKENS, tokens, write_conditions, write_words

FAST = ("--steps", "12", "--width", "32", "--components", "20")
STAGE = "regress/contrastive/seed-0/fold-0"


class Said(NamedTuple):
    code: int
    out: str
    err: str


def call(*arguments: object) -> Said:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Said(code, out.getvalue(), err.getvalue())


def done(*arguments: object) -> Said:
    said = call(*arguments)
    assert said.code == 0, said.err
    return said


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> list[Path]:
    """An event release with repetitions, and a film; stage 1's targets are in them."""
    top = tmp_path_factory.mktemp("releases")
    paths = []
    for name in ("sandbox-event", "sandbox-movie"):
        done("twin", name, top / name, "--size", "tiny")
        done("ingest", name, top / name, "--store", top / f"store-{name}")
        paths.append(top / f"store-{name}")
        write_words(Store(paths[-1]))
    return paths


@pytest.fixture(scope="module")
def targets(stores, tmp_path_factory) -> Path:
    """Prompt and latents in a folder of their own."""
    folder = tmp_path_factory.mktemp("targets")
    for path in stores:
        write_conditions(Store(path), folder)
    return folder


@pytest.fixture(scope="module")
def aligned(stores, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "aligned"
    small = ("--contrastive.steps", "20", "--contrastive.latent", "32", "--gap-s", "4")
    done("align", *stores, "--out", run, "--target", "words", *small)
    return run


@pytest.fixture(scope="module")
def finished(aligned, targets, tmp_path_factory) -> Path:
    run = shutil.copytree(aligned, tmp_path_factory.mktemp("runs") / "finished")
    said = done("regress", run, "--targets", targets, *FAST, "--json", run / "out.json")
    assert "sandbox-event" in said.out
    assert str(run / "regress" / "contrastive") in said.out
    return run


def test_help_opens_with_a_runnable_line():
    assert done("regress", "--help").out.startswith("brainreel regress runs/mine\n")


def test_leaves_conditions_of_everybody(finished, stores):
    for path in stores:
        store = Store(path)
        test = store.clips["clip_id"].iloc[
            np.unique(store.clip_index(np.flatnonzero(store.roles("official", 0) == "test")))
        ]
        for subject in store.subjects:
            file = finished / STAGE / "conditions" / store.name / f"{subject}.safetensors"
            found = Conditions.read(file)
            assert found.clip_id == test.tolist()
            assert found.vectors["text"].shape == (len(test), TOKENS, DIM)
            assert found.vectors["latent"].shape == (len(test), DIM, 2, 3, 3)
            assert found.facts["subject"] == subject
            assert found.facts["dataset"] == store.name
            assert (found.facts["fold"], found.facts["seed"], found.facts["strategy"]) == (0, 0, "contrastive")
            assert found.facts["model"] == "network"
            assert found.facts["encoders"]["text"]["by"] == "hand"
            table = pd.read_csv(file.with_suffix(".tsv"), sep="\t")
            assert table["clip_id"].tolist() == found.clip_id
            if (table["repetitions"] > 1).all():
                assert table["spread_text"].between(0, 3).all()


def test_no_test_caption_is_ever_said(finished, stores):
    opened = [Store(path) for path in stores]
    spoken: dict[str, set[str]] = {"train": set(), "test": set()}
    for store in opened:
        for role, said in spoken.items():
            for clip in store.clip_index(np.flatnonzero(store.roles("official", 0) == role)):
                said.update(store.clips["captions"].iloc[clip])
    for file in [*(finished / STAGE).glob("conditions/*/*.safetensors"), *(finished / STAGE).glob("mean/*")]:
        captions = set(Conditions.read(file).captions)
        assert captions
        assert captions <= spoken["train"] - spoken["test"]


def test_controls(finished, stores):
    store = Store(stores[0])
    truth = Conditions.read(finished / STAGE / "truth" / f"{store.name}.safetensors")
    rows = [store.clips["clip_id"].tolist().index(name) for name in truth.clip_id]
    assert truth.captions == [store.clips["captions"].iloc[row][0] for row in rows]
    np.testing.assert_array_equal(truth.vectors["text"][0], tokens(truth.captions[0]))
    mean = Conditions.read(finished / STAGE / "mean" / f"{store.name}.safetensors")
    assert mean.clip_id == truth.clip_id
    assert np.ptp(mean.vectors["text"], axis=0).max() == 0
    assert len(set(mean.captions)) == 1


def test_scores(finished):
    document = json.loads((finished / STAGE / "scores.json").read_text())
    rows = document["scores"]
    people = {(row["dataset"], row["subject"]) for row in rows if row["subject"]}
    assert len(people) == 4
    # 4 people and 2 means, 2 models, 2 conditions, 4 metrics.
    assert len(rows) == 6 * 2 * 2 * 4
    for row in rows:
        if row["metric"] == "two_way_identification":
            assert row["chance"] == row["constant"] == 0.5
            assert 0 <= row["value"] <= 1
        if row["metric"] == "r2":
            assert row["constant"] == pytest.approx(0.0, abs=1e-6)
    assert json.loads((finished / "out.json").read_text())["scores"] == rows
    log = (finished / STAGE / "log.jsonl").read_text().splitlines()
    assert len(log) == 12


def test_up_to_date_and_what_makes_it_run_again(finished, targets):
    before = (finished / STAGE / "provenance.json").read_text()
    said = done("regress", finished, "--targets", targets, *FAST)
    assert "everything is up to date: nothing to do" in said.err
    said = done("regress", finished, "--targets", targets, *FAST, "--dry-run")
    assert "everything is up to date" in said.out
    said = done("regress", finished, "--targets", targets, *FAST, "--depth", "0", "--dry-run")
    assert "1 of 1 stages to run: about" in said.out
    assert (finished / STAGE / "provenance.json").read_text() == before


def test_killed_after_the_fit_goes_on(finished, aligned, targets, tmp_path, monkeypatch):
    run = shutil.copytree(aligned, tmp_path / "run")

    class Killed(BaseException):
        pass

    def killed(*arguments):
        raise Killed

    monkeypatch.setattr(regress_fold, "write_person", killed)
    assert call("regress", run, "--targets", targets, *FAST).code == 1
    monkeypatch.undo()
    monkeypatch.setattr(Regressor, "fit", killed)
    assert "resume" in done("regress", run, "--targets", targets, *FAST, "--dry-run").out
    done("regress", run, "--targets", targets, *FAST)
    files = [path.relative_to(finished) for path in (finished / STAGE).rglob("*.safetensors")]
    assert files
    for name in files:
        assert (run / name).read_bytes() == (finished / name).read_bytes()


def test_a_newcomers_embeddings_go_the_same_way(finished, aligned, stores):
    """Zero-shot embeddings of anybody become conditions."""
    store = Store(stores[0])
    model = Aligner.load(aligned / "align/contrastive/seed-0/fold-0/decoder.safetensors")
    rows = store.rows("sub-01", store.roles("official", 0) == "test")
    recording = model.recording(store, "sub-01", rows)
    embedding = model.decoder_.embed_newcomer(recording.space, recording.responses)
    regressor = Regressor.load(finished / STAGE / "model" / "regressor.safetensors")
    found = conditions_of(embedding, store.clips["clip_id"].iloc[recording.clip].to_numpy(str), regressor)
    assert len(found) == len(np.unique(recording.clip))


def test_responses_averaged_first(aligned, targets, finished, tmp_path):
    run = shutil.copytree(aligned, tmp_path / "run")
    done("regress", run, "--targets", targets, *FAST, "--average", "responses", "--model", "ridge")
    event = "conditions/sandbox-event/sub-01.safetensors"
    found, other = (Conditions.read(top / STAGE / event) for top in (run, finished))
    assert found.clip_id == other.clip_id
    assert found.facts["model"] == "ridge"
    assert not np.allclose(found.vectors["text"], other.vectors["text"])
    table = pd.read_csv((run / STAGE / event).with_suffix(".tsv"), sep="\t")
    assert (table["repetitions"] == 1).all()


def test_without_targets_the_command_that_makes_them_is_named(aligned, tmp_path):
    said = call("regress", aligned)
    assert said.code == 2
    assert "no targets to regress" in said.err
    assert "brainreel encode " in said.err
    assert "--encoder prompt" in said.err
    assert not (aligned / "regress").exists()


def test_targets_of_one_store_only_are_refused(aligned, stores, tmp_path):
    write_conditions(Store(stores[0]), tmp_path, ("clip",))
    said = call("regress", aligned, "--targets", tmp_path)
    assert said.code == 2
    assert "'sandbox-movie' has no targets 'clip', which others" in said.err
    write_conditions(Store(stores[0]), tmp_path, ("latents",), side=2)
    write_conditions(Store(stores[1]), tmp_path, ("clip", "latents"))
    said = call("regress", aligned, "--targets", tmp_path)
    assert said.code == 2
    assert "'latents' have the shapes" in said.err


def test_image_alone(aligned, stores, tmp_path):
    for path in stores:
        write_conditions(Store(path), tmp_path / "targets", ("clip",))
    run = shutil.copytree(aligned, tmp_path / "run")
    done("regress", run, "--targets", tmp_path / "targets", *FAST)
    found = Conditions.read(run / STAGE / "conditions/sandbox-movie/sub-02.safetensors")
    assert {name: values.shape[1:] for name, values in found.vectors.items()} == {"image": (DIM,)}


def test_not_an_experiment_or_an_unknown_strategy(aligned, tmp_path):
    said = call("regress", tmp_path)
    assert said.code == 2
    assert "is no experiment" in said.err
    said = call("regress", aligned, "--strategy", "srm")
    assert said.code == 2
    assert "no strategy 'srm' (known: contrastive)" in said.err
