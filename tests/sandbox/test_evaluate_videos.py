"""Videos of a whole run are scored: beside stage 1's scores, once each, stopped and continued, with planted truth."""

from __future__ import annotations

import contextlib
import io
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from brainreel.cli.main import main
from brainreel.errors import ExperimentError
from brainreel.evaluate.video_cells import read_fold, write_fold
from brainreel.experiment import Experiment
from brainreel.files import write_json
from brainreel.generate.registry import GeneratorSource
from brainreel.pipeline import evaluate_videos as stage
from brainreel.pipeline.generate_stage import find_parts, generate_stages, plan_tasks
from brainreel.pipeline.merged_scores import FILES, merge_scores
from brainreel.pipeline.plan import read_plan
from brainreel.pipeline.stages import evaluate_stage
from brainreel.pipeline.video_sets import find_generated, has_videos
from brainreel.pipeline.video_truth import stretches_of, training_clips
from brainreel.sandbox.config import RELEASES
from brainreel.store import Store
from brainreel.store.clips import clip_frames

from .conftest import CONFIG, stop

TEXT, NEAREST = "text-to-video", "nearest-training-clip"
EVENT = RELEASES[0]
CONTROLS = ("shuffled", "mismatched", "ceiling", "mean_response", "null_flat_grey", "null_mean_clip")
STRATEGIES = [f"{who}{how}" for who in ("contrastive", "newcomer") for how in ("", f"+{TEXT}", f"+{NEAREST}")]


def read(path):
    return json.loads(path.read_text())


def rows_of(run, **wanted):
    return [
        row
        for row in read(run / "metrics.json")["scores"]
        if all(row.get(key) == value for key, value in wanted.items())
    ]


def call(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return code, out.getvalue(), err.getvalue()


def copy(run, to, *, only: str):
    """The run without its videos' scores, with the videos of one strategy alone."""
    shutil.copytree(run, to, ignore=shutil.ignore_patterns("evaluate-videos", "reconstructions"))
    for folder in (to / "generate").iterdir():
        if folder.is_dir() and folder.name != only:
            shutil.rmtree(folder)
    return to


@pytest.fixture(scope="module")
def weights(made):
    return {"classifier": made / "weights" / "classifier", "clip": made / "weights" / "clip"}


@pytest.fixture(scope="module")
def scored(ran, made, weights, tmp_path_factory):
    """The run with both ways of generating, its scoring stopped in the fourth fold and continued."""
    out = tmp_path_factory.mktemp("scored") / "run"
    shutil.copytree(ran, out, ignore=shutil.ignore_patterns("evaluate-videos"))
    merge_scores(Experiment(out))
    for folder in out.glob(f"regress/*/seed-0/fold-0/*/{RELEASES[2]}*"):
        # Two datasets are enough here.
        shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
    for folder in out.glob(f"generate/*/seed-0/fold-0/{RELEASES[2]}"):
        shutil.rmtree(folder)
    experiment, source = Experiment(out), GeneratorSource("wan", made / "weights" / "pipeline", "cpu")
    config = CONFIG.generate.model_copy(update={"mode": TEXT})
    generate_stages(
        experiment,
        plan_tasks(experiment, find_parts(experiment, clips=2, variant=TEXT), config, source),
        config,
        source,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "write_fold", lambda path, scores: write_fold(path, scores) if left.pop() else stop())
        left = [0, 1, 1, 1]
        with pytest.raises(KeyboardInterrupt):
            stage.evaluate_videos(experiment, **weights)
    before = {path: path.stat().st_mtime_ns for path in out.glob("evaluate-videos/**/provenance.json")}
    assert len(before) == 3
    assert not rows_of(out, stage="generate"), "nothing half-scored is shown"
    done = stage.evaluate_videos(experiment, **weights)
    folds = sum(len(read(path)["settings"]) > 0 for path in out.glob("evaluate-videos/folds/*/*/*/*/config.json"))
    assert done.ran == folds - 3 + 1
    assert {path: path.stat().st_mtime_ns for path in before} == before
    return out


def test_both_stages_rows_are_there_once(scored):
    document = read(scored / "metrics.json")
    aligned, videos = (read(scored / name / "metrics.json") for name in ("evaluate", "evaluate-videos/summary"))
    for part in ("scores", "differences"):
        assert document[part] == aligned[part] + videos[part]
        assert aligned[part]
        assert videos[part]
    found = [row for row in document["scores"] if row["stage"] == "generate"]
    keys = [
        tuple(row.get(k) for k in ("strategy", "dataset", "subject", "metric", "definition", "ways")) for row in found
    ]
    assert len(set(keys)) == len(keys)
    assert list(dict.fromkeys(row["strategy"] for row in found if row["dataset"] == EVENT)) == STRATEGIES
    assert {row["dataset"] for row in found} == set(RELEASES[:2])
    modes = {row["strategy"]: row["mode"] for row in found}
    assert [modes[name] for name in STRATEGIES[:3]] == ["video-to-video", TEXT, "retrieval"]
    assert {row["newcomer"] for row in found if row["method"] == "newcomer"} == {True}
    assert set(document["generators"]) == {name for name in STRATEGIES if NEAREST not in name}


def test_every_measure_has_its_controls(scored):
    for strategy in STRATEGIES:
        mine = rows_of(scored, strategy=strategy, dataset=EVENT, stage="generate")
        assert {row["metric"] for row in mine} >= {
            "ssim",
            "psnr",
            "hue_correlation",
            "n_way_accuracy",
            "clip_similarity",
        }
        for row in mine:
            assert row["n"] == 2
            unknown = [name for name in (*CONTROLS, "constant") if row[name] is None]
            # No correlation with a flat video, and no motion in a still one.
            assert not unknown or row["metric"] in (
                "pixel_correlation", "hue_correlation", "endpoint_error", "direction_agreement",
            ), unknown  # fmt: skip
            assert row["circular"] is (row["metric"] in ("clip_similarity", "frame_consistency"))
    ways = {row["ways"]: row["chance"] for row in rows_of(scored, metric="n_way_accuracy", definition="exact")}
    assert ways == {2: 0.5, 10: 0.1, 50: 0.02}


def test_clips_of_everybody_are_in_the_table(scored):
    table = pd.read_csv(scored / "per_clip.tsv", sep="\t", na_values="n/a", keep_default_na=False)
    made = table[table["stage"] == "generate"]
    for one in find_generated(Experiment(scored)):
        mine = made[(made["strategy"] == one.strategy) & (made["dataset"] == one.dataset)]
        assert set(zip(mine["subject"], mine["clip_id"], strict=True)) == {
            (subject, clip) for subject in one.subjects for clip in one.clips[subject]
        }
        counts = mine.groupby(["subject", "clip_id"]).size()
        assert counts.nunique() == 1
        assert mine.duplicated(["subject", "clip_id", "metric", "definition", "ways", "encoder_kind"]).sum() == 0
    for row in rows_of(scored, metric="ssim", strategy="contrastive"):
        if row["subject"] is not None:
            mine = made[(made["strategy"] == row["strategy"]) & (made["subject"] == row["subject"])]
            mine = mine[(mine["metric"] == "ssim") & (mine["dataset"] == row["dataset"])]
            assert row["value"] == pytest.approx(mine["value"].mean(), abs=1e-6)
    whole = (scored / "evaluate" / "per_clip.tsv").read_text().splitlines()[1:]
    assert (table["stage"] == "align").sum() == len(whole)


def test_variants_and_people_are_compared(scored):
    pairs = {
        (row["first"], row["second"]): row for row in read(scored / "metrics.json")["differences"] if "paired" in row
    }
    assert pairs["contrastive", f"contrastive+{TEXT}"]["paired"] == "subjects × clips"
    assert pairs["contrastive", "newcomer"]["paired"] == "clips"
    assert ("newcomer", "newcomer, shuffled") in pairs
    assert ("contrastive", "contrastive, flat grey") in pairs
    assert ("contrastive, oracle", "contrastive") in pairs
    assert ("contrastive", f"newcomer+{TEXT}") not in pairs, "two things at once"


def test_the_same_again_is_nothing_to_do_and_the_same_bytes(scored, weights):
    experiment = Experiment(scored)
    before = {name: (scored / name).read_bytes() for name in FILES}
    assert stage.evaluate_videos(experiment, **weights).ran == 0
    # Stage 1 scored after the videos, and files that somebody deleted.
    shutil.rmtree(scored / "evaluate")
    assert evaluate_stage(experiment, read_plan(experiment)).ran
    assert {name: (scored / name).read_bytes() for name in FILES} == before
    for name in FILES:
        (scored / name).unlink()
    merge_scores(experiment)
    assert {name: (scored / name).read_bytes() for name in FILES} == before


def test_the_command_takes_the_networks_of_the_last_time(scored, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in scored.rglob("provenance.json")}
    code, out, err = call("evaluate", scored, "--json", tmp_path / "out.json")
    assert code == 0, err
    assert "n_way_accuracy, 50-way" in out
    assert f"contrastive+{TEXT}" in out
    assert read(tmp_path / "out.json") == read(scored / "metrics.json")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_planted_truth_is_perfect_and_nobody_is_scored_without_networks(ran, tmp_path):
    run = copy(ran, tmp_path / "run", only="newcomer")
    (folder,) = (path for path in run.glob("generate/*/*/*/*/sub-*"))
    store = Store(run / "ingest" / EVENT / EVENT)
    for path in folder.glob("*.npy"):
        np.save(path, clip_frames(store, path.stem)[0])
    code, _, err = call("evaluate", run)
    assert code == 0, err
    (mine,) = rows_of(run, stage="generate", strategy="newcomer", metric="ssim")
    assert mine["value"] == pytest.approx(1)
    assert max(mine[name] for name in ("shuffled", "ceiling", "null_flat_grey", "null_blurred_nearest")) < 0.95
    differences = [row for row in read(run / "metrics.json")["differences"] if row.get("metric") == "ssim"]
    assert {row["second"]: row["value"] > 0.05 for row in differences if row["first"] == "newcomer"} == {
        **{
            f"newcomer, {name}": True
            for name in ("shuffled", "flat grey", "mean training clip", "blurred nearest clip")
        },
        f"newcomer+{NEAREST}": True,
    }
    for metric, option in (("n_way_accuracy", "--classifier"), ("clip_similarity", "--clip")):
        found = rows_of(run, metric=metric, strategy="newcomer")
        assert found
        assert all(row["value"] is None and option in row["note"] for row in found)
    assert "n_way_accuracy" not in (run / "per_clip.tsv").read_text()
    # Videos that are no longer those that were scored have no scores.
    config = read(folder / "config.json")
    write_json(folder / "config.json", {**config, "key": "another"})
    evaluate_stage(Experiment(run), read_plan(Experiment(run)))
    assert rows_of(run, stage="align")
    assert not rows_of(run, stage="generate")
    assert stage.evaluate_videos(Experiment(run)).ran == 2
    assert rows_of(run, stage="align")
    assert rows_of(run, stage="generate")


def test_videos_of_several_settings_are_no_method(ran, tmp_path):
    run = copy(ran, tmp_path / "run", only="contrastive")
    path = next(run.glob(f"generate/contrastive/seed-0/fold-0/{RELEASES[1]}/sub-01/generation.json"))
    write_json(path, {**read(path), "steps": 3})
    with pytest.raises(ExperimentError, match="other settings"):
        stage.evaluate_videos(Experiment(run))
    shutil.rmtree(run / "generate")
    assert not has_videos(Experiment(run))
    with pytest.raises(ExperimentError, match="no finished videos"):
        stage.evaluate_videos(Experiment(run))


def test_what_teaches_a_control_is_no_test_clip(ran):
    store = Store(ran / "ingest" / EVENT / EVENT)
    shown = [clip for clip in store.clips["clip_id"] if clip.startswith("test-")]
    names = training_clips(store, "official", 0, shown)
    assert len(names) == len(store.clips) - len(shown)
    assert training_clips(store, "official", 0, [*shown, names[0]]) == names[1:]
    assert stretches_of(store) is None
    film = Store(ran / "ingest" / RELEASES[1] / RELEASES[1])
    labels = pd.Series(stretches_of(film)).to_numpy()
    assert (np.diff(labels) >= 0).all()
    assert pd.Series(labels).value_counts().min() >= 15, "clips of 2 s in stretches of at least 30 s"


def test_a_fold_that_was_kept_is_the_one_that_was_scored(scored, tmp_path):
    path = next(scored.glob("evaluate-videos/folds/*/*/*/*/cells.safetensors"))
    fold = read_fold(path)
    write_fold(tmp_path / "again.safetensors", fold)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    (tmp_path / "again.safetensors").write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ExperimentError, match="holds no scores"):
        read_fold(tmp_path / "again.safetensors")
