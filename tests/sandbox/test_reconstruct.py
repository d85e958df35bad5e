"""`reconstruct`: new responses become videos and captions, by whoever of the model's people they are of."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from brainreel.generate.runs import read_generation
from brainreel.regress import Conditions
from brainreel.sandbox.config import RELEASES
from brainreel.sandbox.recipe import people
from brainreel.store import Store
from cli.conftest import call, done, refused

from .conftest import CONFIG

EVENT = RELEASES[0]
FEW = ("--steps", "3")


def event(run):
    return Store(run / "ingest" / EVENT / EVENT)


@pytest.fixture(scope="module")
def imagery(ran, tmp_path_factory):
    """Test trials of the first person as a file of responses, which says nothing of what was seen but two names."""
    store, folder = event(ran), tmp_path_factory.mktemp("imagery")
    rows = store.rows("sub-01", store.roles("official", 0) == "test")
    clip = store.clip_index(rows)
    rows = rows[np.isin(clip, np.unique(clip)[:2])]
    np.save(folder / "session.npy", store.responses("sub-01", rows))
    names = store.trials["clip_id"].iloc[rows]
    pd.DataFrame({"clip_id": names}).to_csv(folder / "session.tsv", sep="\t", index=False)
    np.save(folder / "unnamed.npy", store.responses("sub-01", rows[:3]).astype(np.float64))
    return folder


def test_a_trained_person_is_read_as_the_experiment_read_them(ran, imagery, tmp_path):
    out = tmp_path / "out"
    who = f"{EVENT}/sub-01"
    command = ("reconstruct", ran, imagery / "session.npy", "--subject", who, "--out", out, *FEW)
    said = done(*command, "--json", tmp_path / "made.json")
    captions = pd.read_csv(out / "captions.tsv", sep="\t")
    assert len(captions) == 2
    assert sorted(path.stem for path in out.glob("*.mp4")) == sorted(captions["clip_id"])
    assert all(caption in said.out for caption in captions["caption"])
    made = json.loads((tmp_path / "made.json").read_text())
    assert (made["subject"], made["zero_shot"], len(made["videos"])) == (who, False, 2)
    # The same responses gave these conditions and, with the same noise, these videos in the experiment.
    ours, theirs = (
        Conditions.read(path)
        for path in (
            out / "conditions.safetensors",
            ran / f"regress/contrastive/seed-0/fold-0/conditions/{who}.safetensors",
        )
    )
    there = theirs.take([theirs.clip_id.index(clip) for clip in ours.clip_id])
    for name, values in ours.vectors.items():
        np.testing.assert_allclose(values, there.vectors[name], rtol=1e-5, atol=1e-6)
    assert ours.captions == there.captions
    told = read_generation(out / "arrays")
    asked = CONFIG.generate
    assert told["steps"] == 3
    assert (told["text"], told["guidance"], told["strength"]) == (asked.text, asked.guidance, asked.strength), (
        "what is not asked for is as the experiment's videos were made"
    )
    before = {path: path.stat().st_mtime_ns for path in (*out.rglob("*.npy"), *out.glob("*.mp4"))}
    done(*command)
    assert {path: path.stat().st_mtime_ns for path in before} == before, "what is there stays"
    assert "up to date" in done(*command, "--dry-run").out
    assert "other conditions" in refused(call(*command, "--clips", captions["clip_id"][0]))


def test_a_store_is_read_without_the_clips_that_were_trained_on(ran, tmp_path):
    store, (_, (newcomer,)) = event(ran), people([Store(ran / "ingest" / name / name) for name in RELEASES])
    who = newcomer.split("/")[1]
    command = ("reconstruct", ran, store.root, "--subject", who, *FEW)
    said = done(*command, "--dry-run")
    assert "read zero-shot" in said.err
    assert "trials are left out" in said.err
    assert not (ran / "reconstruct").exists()
    clips = store.clips["clip_id"].tolist()
    some = [next(clip for clip in clips if clip.startswith(role)) for role in ("train", "test")]
    said = done(*command, "--clips", *some, "--out", tmp_path / "out", "--json", tmp_path / "made.json")
    assert "left out" not in said.err
    made = json.loads((tmp_path / "made.json").read_text())
    assert (made["subject"], made["zero_shot"]) == (newcomer, True)
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.mp4")) == sorted(some)
    read = Conditions.read(tmp_path / "out" / "conditions.safetensors").take([1])
    there = Conditions.read(ran / f"regress/newcomer/seed-0/fold-0/conditions/{newcomer}.safetensors")
    same = there.take([there.clip_id.index(some[1])])
    np.testing.assert_allclose(read.vectors["image"], same.vectors["image"], rtol=1e-5, atol=1e-6)


def test_somebody_new_is_read_from_a_file_and_unnamed_trials_are_numbered(ran, imagery, tmp_path):
    said = done("reconstruct", ran, imagery / "unnamed.npy", "--subject", "zoe", "--out", tmp_path / "zoe", *FEW)
    assert "nobody called zoe was trained on" in said.err
    assert sorted(path.stem for path in (tmp_path / "zoe").glob("*.mp4")) == [f"trial-000{n}" for n in (1, 2, 3)]


def write(folder, name, values):
    np.save(folder / name, values)
    return folder / name


WRONG = {
    "ambiguous": ("GOOD", "sub-01", [], "--subject sub-01 is ambiguous; expected one of sandbox-event/sub-01, "),
    "no such file": ("nowhere.npy", "zoe", [], "nowhere.npy cannot be read (there is no such file)"),
    "another's width": ("narrow", f"{EVENT}/sub-01", [], f"has 5 features a trial; expected 902 ({EVENT}/sub-01)"),
    "nobody's width": ("narrow", "zoe", [], "has 5 features a trial; expected 902 (sandbox/surface"),
    "one trial without its axis": ("flat", "zoe", [], "holds shape (5,) of float32; expected a store, or a .npy"),
    "not finite": ("hole", f"{EVENT}/sub-01", [], "not finite, first in row 1"),
    "text": ("words", "zoe", [], "holds shape (1, 2) of <U1"),
    "no such clip": ("GOOD", f"{EVENT}/sub-01", ["--clips", "cat"], "has no trial of the clip 'cat' (known: "),
    "no such fold": ("GOOD", f"{EVENT}/sub-01", ["--fold", "7"], "--fold 7; expected one of 0"),
    "no such strategy": ("GOOD", "zoe", ["--strategy", "x"], "no strategy 'x' (known: contrastive"),
    "no such weights": ("GOOD", "zoe", ["--weights", "./nowhere"], "nowhere is not a folder"),
    "out of range": ("GOOD", "zoe", ["--steps", "0"], "--steps is 0: input should be greater than or equal to 1"),
    "no such person": ("STORE", "sub-09", [], "no subject 'sub-09'"),
    "another dataset": ("STORE", "bmd/sub-01", [], "expected somebody of store 'sandbox-event'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_one_sentence(name, ran, imagery, tmp_path, monkeypatch):
    what, subject, more, expected = WRONG[name]
    hole = np.ones((2, 902), np.float32)
    hole[1, 3] = np.nan
    given = {
        "narrow": np.ones((2, 5), np.float32),
        "flat": np.ones(5, np.float32),
        "hole": hole,
        "words": np.array([["a", "b"]]),
    }
    monkeypatch.chdir(tmp_path)
    path = {"GOOD": imagery / "session.npy", "STORE": event(ran).root}.get(what, tmp_path / what)
    if what in given:
        path = write(tmp_path, f"{what}.npy", given[what])
    message = refused(call("reconstruct", ran, path, "--subject", subject, "--out", tmp_path / "out", *FEW, *more))
    assert expected in message
    assert not (tmp_path / "out").exists()


def test_names_must_fit_their_responses(ran, imagery, tmp_path):
    path = write(tmp_path, "few.npy", np.ones((2, 902), np.float32))
    command = ("reconstruct", ran, path, "--subject", "zoe", "--out", tmp_path / "out")
    (tmp_path / "few.tsv").write_text("clip_id\na\n")
    assert "few.tsv has 1 rows; expected 2, as few.npy has" in refused(call(*command))
    (tmp_path / "few.tsv").write_text("clip_id\na\n../b\n")
    assert "names a trial '../b'" in refused(call(*command))


def test_an_experiment_without_stage_2_or_a_known_video_model_says_what_to_do(ran, imagery, tmp_path):
    (tmp_path / "plan.json").write_text((ran / "plan.json").read_text())
    message = refused(call("reconstruct", tmp_path, imagery / "session.npy", "--subject", "zoe"))
    assert "run `brainreel regress` first" in message
    assert "is no experiment" in refused(call("reconstruct", "nowhere", imagery / "session.npy", "--subject", "zoe"))
