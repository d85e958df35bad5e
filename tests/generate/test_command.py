"""`brainreel generate` on conditions written by hand: people, oracle and control, killed and continued."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest

import brainreel as br
from brainreel.cli.main import main
from brainreel.experiment import Experiment
from brainreel.generate import runs
from brainreel.generate.wan import WanGenerator
from brainreel.pipeline.generate_stage import choose_clips, find_parts
from brainreel.regress import Conditions
from brainreel.sandbox import networks
from brainreel.sandbox.words import TOKENS
from brainreel.video import read_video

from .conftest import LATENT

FLAGS = ("--steps", "2", "--strength", "0.8", "--guidance", "2", "--device", "cpu")


def call(*arguments):
    """Exit code, what was printed, what was said."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return code, out.getvalue(), err.getvalue()


def conditions(clips, seed):
    rng = np.random.default_rng(seed)
    vectors = {
        "text": rng.normal(size=(len(clips), TOKENS, networks.TEXT_DIM)).astype(np.float32),
        "latent": rng.normal(size=(len(clips), *LATENT)).astype(np.float32),
    }
    return Conditions(clips, vectors, [], {"seed": seed})


def write_fold(run, method, seed, fold, clips):
    """What stage 2 leaves, for two people of one dataset."""
    folder = run / "regress" / method / f"seed-{seed}" / f"fold-{fold}"
    for number, subject in enumerate(("sub-01", "sub-02")):
        conditions(clips, 10 * seed + number).write(folder / "conditions" / "small" / f"{subject}.safetensors")
    true = conditions(clips, 99)
    Conditions(true.clip_id, true.vectors, [], {"method": method}).write(folder / "truth" / "small.safetensors")
    conditions(clips, 98).write(folder / "mean" / "small.safetensors")


@pytest.fixture
def run(tmp_path):
    for seed in (0, 1):
        write_fold(tmp_path / "run", "mine", seed, 0, ["a", "b", "c"])
        write_fold(tmp_path / "run", "mine", seed, 1, ["d", "e"])
    return tmp_path / "run"


def test_the_whole_way(run, weights, monkeypatch, tmp_path):
    asked = []
    generate = WanGenerator.generate
    monkeypatch.setattr(
        WanGenerator, "generate", lambda self, some, **kw: asked.append(some.clip_id) or generate(self, some, **kw)
    )
    code, out, err = call("generate", run, "--weights", weights, *FLAGS, "--json", tmp_path / "made.json")
    assert code == 0, err
    assert out.startswith("40 videos below")
    assert json.loads((tmp_path / "made.json").read_text())["videos"] == 40
    # Two people in two seeds and folds, and both controls once for both seeds.
    assert len(asked) == 2 * 2 * 2 + 2 * 2
    stage = run / "generate/mine/seed-0/fold-0/small"
    assert sorted(path.name for path in stage.iterdir()) == ["_mean", "_truth", "sub-01", "sub-02"]
    assert {path.name for path in (stage / "sub-01").iterdir()} == {
        "a.npy", "b.npy", "c.npy", "generation.json", "config.json", "provenance.json",
    }  # fmt: skip
    true = [run / f"generate/mine/seed-{seed}/fold-1/small/_truth/d.npy" for seed in (0, 1)]
    assert true[0].read_bytes() == true[1].read_bytes()
    shown = sorted(path.relative_to(run / "reconstructions").as_posix() for path in run.rglob("*.mp4"))
    assert shown == [f"small/{who}/{clip}.mp4" for who in ("sub-01", "sub-02") for clip in "abcde"]
    video = read_video(run / "reconstructions/small/sub-01/a.mp4")
    assert video.source.fps == pytest.approx(8)
    kept = np.load(stage / "sub-01" / "a.npy")
    # Half the colour resolution is lost; brightness is not.
    assert np.corrcoef(video.frames.mean(-1).ravel(), kept.mean(-1).ravel())[0, 1] > 0.7

    asked.clear()
    stamps = {path: path.stat().st_mtime_ns for path in run.rglob("*.*") if path.suffix in (".npy", ".mp4")}
    code, out, err = call("generate", run, "--weights", weights, *FLAGS)
    assert code == 0
    assert "nothing to do" in err
    assert asked == []
    assert stamps == {path: path.stat().st_mtime_ns for path in run.rglob("*.*") if path.suffix in (".npy", ".mp4")}

    # One person's conditions changed: only theirs are made again.
    conditions(["a", "b", "c"], 5).write(run / "regress/mine/seed-0/fold-0/conditions/small/sub-02.safetensors")
    code, out, err = call("generate", run, "--weights", weights, *FLAGS)
    assert code == 0
    assert asked == [["a", "b", "c"]]
    changed = {
        path.name for path, stamp in stamps.items() if path.suffix == ".mp4" and path.stat().st_mtime_ns != stamp
    }
    assert changed == {"a.mp4", "b.mp4", "c.mp4"}


def test_killed_between_two_clips_it_goes_on(run, weights, monkeypatch):
    write, written = runs.write_bytes, []

    def stop(path, content):
        if len(written) == 4:
            raise KeyboardInterrupt
        written.append(path.name)
        write(path, content)

    monkeypatch.setattr(runs, "write_bytes", stop)
    code, _, err = call("generate", run, "--weights", weights, *FLAGS)
    assert code == 130
    assert "goes on where this one stopped" in err
    partial = next((run / "generate/mine/seed-0/fold-0/small").glob(".*.partial"))
    stamp = (partial / "a.npy").stat().st_mtime_ns
    monkeypatch.setattr(runs, "write_bytes", write)
    assert call("generate", run, "--weights", weights, *FLAGS)[0] == 0
    done = partial.with_name(partial.name.split(".")[1])
    assert (done / "a.npy").stat().st_mtime_ns == stamp
    assert len(list(run.rglob("*.npy"))) == 2 * 5 * 4


def test_some_clips_the_same_for_everybody(run, weights):
    code, _, err = call("generate", run, "--weights", weights, *FLAGS, "--clips", "2")
    assert code == 0, err
    made = {path.stem for path in run.rglob("*.npy")}
    assert len(made) == 2
    for who in ("sub-01", "_truth", "_mean"):
        assert {path.stem for path in run.glob(f"generate/mine/seed-1/*/small/{who}/*.npy")} == made
    # All of it is an own set of stages; the videos of fewer clips go.
    parts = find_parts(Experiment(run))
    assert choose_clips(parts, 2)["small"] == made < choose_clips(parts, 3)["small"]
    other = "text-to-video"
    assert call("generate", run, "--weights", weights, *FLAGS, "--clips", "1", "--mode", other)[0] == 0
    assert {path.stem for path in run.rglob("*.mp4")} == choose_clips(parts, 1)["small"]
    told = json.loads(next(run.rglob("generation.json")).read_text())
    assert told["mode"] == other


def test_clips_that_more_people_saw_come_first(tmp_path):
    for subject, clips in (("s1", ["a", "b", "x"]), ("s2", ["x", "c"])):
        conditions(clips, 0).write(tmp_path / f"regress/m/seed-0/fold-0/conditions/d/{subject}.safetensors")
    parts = find_parts(Experiment(tmp_path), clips=1)
    assert [part.clip_id for part in parts] == [("x",), ("x",)]


def test_dry_run_estimates_and_changes_nothing(run, weights, tmp_path):
    before = sorted(run.rglob("*"))
    code, out, _ = call("generate", run, "--weights", weights, "--dry-run", "--json", tmp_path / "o.json", *FLAGS)
    assert code == 0
    assert "16 of 16 stages to run" in out
    few = json.loads((tmp_path / "o.json").read_text())
    assert len(few["stages"]) == 16
    more = ("--steps", "200", *FLAGS[2:])
    call("generate", run, "--weights", weights, "--dry-run", "--json", tmp_path / "o.json", *more)
    assert json.loads((tmp_path / "o.json").read_text())["estimate"]["seconds"] > few["estimate"]["seconds"] > 0
    assert sorted(run.rglob("*")) == before


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (("--weights", "./none"), "none is not a folder"),
        (("--clips", "0"), "--clips 0; expected at least one"),
        (("--strength", "1.5"), "--strength is 1.5"),
        (("--generator", "sora"), "no generator 'sora'"),
        (("--mode", "both"), "mode"),
    ],
)
def test_wrong_usage_is_one_sentence(run, weights, flags, what):
    code, _, err = call("generate", run, "--weights", weights, *flags)
    assert code == 2
    assert what in err
    assert len(err.strip().splitlines()) == 1


def test_an_experiment_without_conditions_is_one_sentence(tmp_path, weights):
    code, _, err = call("generate", tmp_path / "none", "--weights", weights)
    assert code == 2
    assert "holds no conditions; run `brainreel regress` first" in err


def test_from_python(weights, given, tmp_path):
    generator = br.Generator("wan", weights=weights, device="cpu")
    assert "latent" in generator.takes
    paths = runs.reconstruct(given.take([0]), generator, tmp_path)
    assert np.load(paths[0]).shape == (5, 32, 32, 3)
    assert "Generator" in dir(br)


def test_a_variant_stands_beside_the_first(run, weights):
    assert call("generate", run, "--weights", weights, *FLAGS)[0] == 0
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.suffix in (".npy", ".mp4")}
    more = ("--mode", "text-to-video", "--variant", "text-only")
    code, out, err = call("generate", run, "--weights", weights, *FLAGS, *more)
    assert code == 0, err
    assert "brainreel evaluate" in out
    assert {path: path.stat().st_mtime_ns for path in before} == before
    there = "seed-0/fold-0/small/sub-01"
    made = {name: run / f"generate/{name}/{there}" for name in ("mine", "mine+text-only")}
    assert [json.loads((path / "generation.json").read_text())["mode"] for path in made.values()] == [
        "video-to-video",
        "text-to-video",
    ]
    first, second = (np.load(path / "a.npy") for path in made.values())
    assert not np.array_equal(first, second)
    code, _, err = call("generate", run, "--weights", weights, "--variant", "a+b")
    assert code == 2
    assert "a variant named 'a+b'" in err
