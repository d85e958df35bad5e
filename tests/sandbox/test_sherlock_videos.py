"""The real recordings of Sherlock go the whole way to videos, beside a stand-in for the episode, which is nobody's to ship."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import av
import numpy as np
import pytest

from brainreel.store import Store
from brainreel.world.render import render
from brainreel.world.scenes import FRAMES, SIDE, draw_scenes
from cli.conftest import done
from shared_files import shared

PEOPLE, CLIPS = ("s1", "s2"), 8
SECONDS = 2964


def stand_in(path: Path) -> Path:
    """As long as the episode: a scene of the simulated world every 15 s, a frame a second, a keyframe for each scene."""
    scene = 15
    videos = render(draw_scenes(-(-SECONDS // scene), seed=0))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=1, options={"g": str(scene), "qp": "0"})
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "rgb24"
        for frame in np.concatenate([video[:scene] for video in videos]):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.shared
def test_from_published_files_to_a_report_with_videos(made, tmp_path):
    kit, episode = shared("sherlock_kit"), stand_in(tmp_path / "episode.mp4")
    store, run, weights = tmp_path / "store", tmp_path / "run", made / "weights"
    done("ingest", "sherlock", kit, "--store", store, "--subjects", *PEOPLE, "--stimuli", episode)
    assert "no problems found" in done("check", store).out
    done("encode", store, "--encoder", "clip", "--weights", weights / "clip")
    done("encode", store, "--encoder", "prompt", "--weights", weights / "pipeline")
    latents = ("--frames", FRAMES, "--size", SIDE, SIDE)
    done("encode", store, "--encoder", "latents", "--weights", weights / "pipeline", *latents)
    few = ("--contrastive.steps", "3", "--contrastive.latent", "16")
    done("align", store, "--out", run, "--target", "clip", *few, "--device", "cpu")
    done("regress", run, "--steps", "3", "--crossfit", "0", "--device", "cpu")
    done("generate", run, "--weights", weights / "pipeline", "--clips", CLIPS, "--steps", "2", "--device", "cpu")
    judges = ("--classifier", weights / "classifier", "--clip", weights / "clip")
    done("evaluate", run, *judges, "--json", tmp_path / "scores.json")
    done("report", run)

    rows = json.loads((tmp_path / "scores.json").read_text())["scores"]
    for stage in ("align", "generate"):
        said = {row["subject"] for row in rows if row["stage"] == stage and row["strategy"] == "contrastive"}
        assert {*PEOPLE} <= said, stage
    with (run / "per_clip.tsv").open() as table:
        scored = {row["clip_id"] for row in csv.DictReader(table, delimiter="\t") if row["stage"] == "generate"}
    assert len(scored) == CLIPS
    assert scored <= set(Store(store).clips["clip_id"])
    for subject in PEOPLE:
        videos = list((run / "reconstructions" / "sherlock" / subject).glob("*.mp4"))
        assert {path.stem for path in videos} == scored
    report = (run / "report.html").read_text()
    assert all(words in report for words in ("Truth beside reconstruction", "The true vectors", "shuffled brain"))
