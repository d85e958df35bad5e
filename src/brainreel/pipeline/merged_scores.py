"""``metrics.json`` and ``per_clip.tsv`` of an experiment: what stage 1 and the videos scored, in one place each.

Both stages keep their own files; the union is written anew after either of them, so their order does not matter.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from brainreel.experiment import Experiment
from brainreel.files import write_bytes
from brainreel.progress import say

ALIGNED, SUMMARY = "evaluate", "evaluate-videos/summary"
FILES = ("metrics.json", "per_clip.tsv")


def merge_scores(experiment: Experiment) -> None:
    """Write the union of what `evaluate_stage` and `evaluate_videos` left; files that would not change stay.

    Videos' scores count for as long as the videos are those that were scored.
    """
    aligned, videos = (experiment.root / name for name in (ALIGNED, SUMMARY))
    there = [folder for folder in (aligned, videos) if (folder / "provenance.json").is_file()]
    if videos in there and not _still_true(experiment, videos):
        say("videos or conditions changed since they were scored: `brainreel evaluate` scores them again")
        there.remove(videos)
    if not there:
        return
    if len(there) == 1:
        contents = {name: (there[0] / name).read_bytes() for name in FILES}
    else:
        documents = [json.loads((folder / "metrics.json").read_text()) for folder in there]
        contents = {"metrics.json": _json(_union(*documents)), "per_clip.tsv": _table(*there)}
    for name, content in contents.items():
        top = experiment.root / name
        if not top.is_file() or top.read_bytes() != content:
            write_bytes(top, content)


def _union(aligned: dict[str, Any], videos: dict[str, Any]) -> dict[str, Any]:
    lists = {name: [*aligned[name], *videos[name]] for name in ("scores", "differences")}
    return {**videos, **aligned, **lists}


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _table(aligned: Path, videos: Path) -> bytes:
    """Both tables' rows as they stand, cells of the other's columns empty."""
    parts = []
    for folder, stage in ((aligned, "align"), (videos, "generate")):
        table = pd.read_csv(folder / "per_clip.tsv", sep="\t", dtype=str, keep_default_na=False)
        table.insert(0, "stage", stage)
        parts.append(table)
    union = pd.concat(parts, ignore_index=True).fillna("n/a")
    return union.to_csv(sep="\t", index=False, lineterminator="\n").encode()


def _still_true(experiment: Experiment, videos: Path) -> bool:
    """Whether everything that the videos' scores were made of still stands as it was."""
    inputs = json.loads((videos / "config.json").read_text())["inputs"]
    for name, key in inputs.items():
        if name.startswith(("generate/", "regress/")):
            try:
                now = json.loads((experiment.root / name / "config.json").read_text())["key"]
            except (OSError, ValueError, KeyError):
                return False
            if now != key:
                return False
    return True
