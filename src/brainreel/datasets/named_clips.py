"""Clips of which a release tells no more than the name: what the name says, and the videos that carry it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from brainreel.datasets.reading import sentences
from brainreel.errors import SourceError
from brainreel.files import is_plain, sha256

VIDEOS = (".mp4", ".mkv", ".mov", ".avi", ".webm", ".gif")
_ACTION = re.compile(r"v_(.+?)_id_")
_BMD = re.compile(r"vid(\d{4})")
# How long the clips of a kind are shown.
_DURATIONS = {"bmd": 3.0, "had": 2.0}


def clip_of(path: Path, stimulus: str) -> str:
    """The name of a clip from a stimulus' file or name: without folder and suffix, with underscores for spaces.

    Raises:
        SourceError: it is no name, or a path that leads out of the clips' folder.
    """
    parts = stimulus.split("/")
    name = parts[-1].replace(" ", "_")
    for suffix in (*VIDEOS, ".jpg", ".jpeg", ".png"):
        name = name.removesuffix(suffix)
    if ".." in parts or stimulus.startswith("/") or not is_plain(name) or "\\" in stimulus:
        raise SourceError(f"{path} names a stimulus {stimulus!r}", expected="a file inside the clips' folder")
    return name


def kind_of(clip: str) -> str:
    """Whose clip it is, by the name: bmd (vid0001), had (v_Action_id_…), or nobody's in particular."""
    return "bmd" if _BMD.fullmatch(clip) else "had" if _ACTION.match(clip) else ""


def tests_by_name(clips: Sequence[str]) -> list[bool] | None:
    """Which clips test, where the names decide; None where they do not.

    BOLD Moments' clips beyond 1000 do. Of HAD's, one of every four of an action: the first of the first action in
    order of the alphabet, the second of the second …, counted in the given order.
    """
    kinds = {kind_of(clip) for clip in clips}
    if kinds == {"bmd"}:
        return [int(clip[3:]) > 1000 for clip in clips]
    if kinds != {"had"}:
        return None
    actions = [clip.partition("_id_")[0] for clip in clips]
    number = {action: k for k, action in enumerate(sorted(set(actions)))}
    seen: dict[str, int] = dict.fromkeys(actions, 0)
    out = []
    for action in actions:
        out.append(seen[action] % 4 == number[action] % 4)
        seen[action] += 1
    return out


def named_clips(names: Sequence[str], source: Path, stimuli: Path | None) -> pd.DataFrame:
    """The list of clips for a store, in the given order.

    Captions are BOLD Moments' annotations if annotations.json lies in ``source`` (or where the release has it), the
    action of HAD's names, or none. Videos are looked for in ``stimuli``, else in ``source``/stimuli if that exists.

    Raises:
        SourceError: the annotations are broken, or a folder of videos lacks some of the clips.
    """
    told = _annotations(source)
    videos = _videos(names, source / "stimuli" if stimuli is None else stimuli, stimuli is not None)
    captions = [told.get(name[3:], []) if kind_of(name) == "bmd" else _said(name) for name in names]
    return pd.DataFrame(
        {
            "clip_id": list(names),
            "path": ["" if video is None else str(video.resolve()) for video in videos],
            "duration_s": [_DURATIONS.get(kind_of(name), np.nan) for name in names],
            "captions": [json.dumps(each, ensure_ascii=False) for each in captions],
            "sha256": ["" if video is None else sha256(video) for video in videos],
        }
    )


def _said(name: str) -> list[str]:
    action = _ACTION.match(name)
    return [action[1].replace("_", " ").lower()] if action else []


def _annotations(source: Path) -> dict[str, list[str]]:
    places = (source / "annotations.json", source / "derivatives" / "stimuli_metadata" / "annotations.json")
    path = next((place for place in places if place.exists()), None)
    if path is None:
        return {}
    with sentences(path, "BOLD Moments' JSON of annotations", "fetch the file again, or remove it"):
        found = json.loads(path.read_bytes())
        return {str(number): [str(text) for text in clip["text_descriptions"]] for number, clip in found.items()}


def _videos(names: Sequence[str], root: Path, asked: bool) -> list[Path | None]:
    if not root.is_dir():
        if asked:
            raise SourceError(f"{root} is no folder", expected="the folder with the clips", do="correct --stimuli")
        return [None] * len(names)
    found: dict[str, Path] = {}
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in VIDEOS:
            found.setdefault(path.stem.replace(" ", "_"), path)
    videos = [found.get(name) or (found.get(name[3:]) if kind_of(name) == "bmd" else None) for name in names]
    missing = [name for name, video in zip(names, videos, strict=True) if video is None]
    if missing:
        raise SourceError(
            f"{root} has no video of {missing[0]!r}, and lacks {len(missing)} of {len(names)} clips",
            expected="a video of every clip",
            do="unpack all clips there, or give their folder with --stimuli",
        )
    return videos
