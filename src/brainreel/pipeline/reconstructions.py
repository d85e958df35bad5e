"""``RUN/reconstructions``: a playable file per subject and clip, for people; scores read the lossless arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from brainreel.experiment import Experiment, Stage
from brainreel.files import write_json
from brainreel.generate.runs import read_generation
from brainreel.pipeline.generate_stage import Part, Task
from brainreel.progress import track
from brainreel.video import write_video

RECORD = "sources.json"


def write_reconstructions(experiment: Experiment, tasks: Sequence[Task], stages: Sequence[Stage]) -> Path:
    """Write ``reconstructions/<dataset>/<subject>/<clip_id>.mp4`` of the first method, seed and fold that
    has the clip.

    ``sources.json`` says which stage each is from; what is there already from that stage stays, what none has any
    more is removed. Controls have none.
    """
    top = experiment.root / "reconstructions"
    wanted: dict[str, dict[str, tuple[Part, Stage]]] = {}
    for (part, *_), stage in zip(tasks, stages, strict=True):
        if not part.is_control:
            clips = wanted.setdefault(f"{part.dataset}/{part.subject}", {})
            for clip in part.clip_id:
                clips.setdefault(clip, (part, stage))
    there = _read(top / RECORD)
    sources = {
        who: {clip: f"{part.stage} {stage.key}" for clip, (part, stage) in clips.items()}
        for who, clips in wanted.items()
    }
    # Before anything is touched: a file that the record names is whole, and none is from elsewhere.
    kept = {
        who: {
            clip: source
            for clip, source in clips.items()
            if sources.get(who, {}).get(clip) == source and _video(top, who, clip).is_file()
        }
        for who, clips in there.items()
    }
    if top.is_dir():
        write_json(top / RECORD, kept)
    for who, clips in there.items():
        for clip in clips.keys() - sources.get(who, {}).keys():
            _video(top, who, clip).unlink(missing_ok=True)
    todo = [(who, clip) for who, clips in sources.items() for clip in clips if clip not in kept.get(who, {})]
    for who, clip in track(todo, "write videos", len(todo)):
        stage = wanted[who][clip][1].path
        write_video(_video(top, who, clip), np.load(stage / f"{clip}.npy"), fps=read_generation(stage)["fps"])
    write_json(top / RECORD, sources)
    return top


def _video(top: Path, who: str, clip: str) -> Path:
    return top / who / f"{clip}.mp4"


def _read(path: Path) -> dict[str, dict[str, str]]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
