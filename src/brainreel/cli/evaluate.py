"""Score an experiment: identification with chance, controls and intervals, for every method in it; and its videos.

Leaves metrics.json, per_clip.tsv and captions.tsv in RUN. Where `brainreel generate` made videos, they are scored beside
three null videos, the nearest training clip, shuffled videos and the oracle, and evaluate-videos/summary/videos.md has
the tables. Killed, the same command goes on with the next fold of videos.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from brainreel.cli.output import show, write_result
from brainreel.cli.parse import Device, Json

EXAMPLE = "brainreel evaluate runs/sherlock"


def run(
    experiment: Annotated[Positional[Path], arg(metavar="RUN", help="an experiment's folder")],
    *,
    classifier: Annotated[
        str | None, arg(metavar="ID_OR_DIR", help="a VideoMAE, for videos' n-way accuracy; default: the last time's")
    ] = None,
    clip: Annotated[
        str | None, arg(metavar="ID_OR_DIR", help="a CLIP, for videos' similarity and consistency; likewise")
    ] = None,
    device: Device = "cpu",
    json: Json = None,
) -> None:
    """Score it."""
    import json as js

    from brainreel.cli.scores import score_table, video_table
    from brainreel.experiment import Experiment
    from brainreel.pipeline.evaluate_videos import evaluate_videos
    from brainreel.pipeline.plan import read_plan
    from brainreel.pipeline.score_networks import last_networks
    from brainreel.pipeline.stages import evaluate_stage
    from brainreel.pipeline.video_sets import has_videos

    opened = Experiment(experiment)
    plan = read_plan(opened)
    with opened.lock():
        evaluate_stage(opened, plan)
        if has_videos(opened):
            last = last_networks(opened)
            evaluate_videos(
                opened,
                classifier=classifier or last.get("video_classifier"),
                clip=clip or last.get("clip"),
                device=device,
            )
    scores = js.loads((experiment / "metrics.json").read_text())
    aligned = [row for row in scores["scores"] if row["stage"] != "generate"]
    videos = [row for row in scores["scores"] if row["stage"] == "generate"]
    tables = [score_table(aligned)] + ([video_table(videos)] if videos else [])
    show("\n\n".join([*tables, f"next: brainreel report {experiment}"]))
    write_result(json, scores)
