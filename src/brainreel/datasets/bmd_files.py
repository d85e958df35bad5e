"""Where the files of BOLD Moments lie, what was shown, and its pickles of betas."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float16, Int

from brainreel.datasets.pickles import read_pickle
from brainreel.datasets.protocol import Facts
from brainreel.datasets.reading import sentences
from brainreel.datasets.stored_array import StoredArray
from brainreel.errors import SourceError
from brainreel.files import sha256

DURATION_S = 3.0
ROLES = ("train", "test")
_AGAIN = "fetch the file again from OpenNeuro ds005165"


def annotations_path(source: Path) -> Path:
    return source / "derivatives" / "stimuli_metadata" / "annotations.json"


def glm_folder(source: Path, space: str) -> Path:
    return source / "derivatives" / "versionB" / space / "GLM"


def betas_path(source: Path, space: str, subject: str, role: str, hemisphere: str = "") -> Path:
    hemi = f"_hemi-{hemisphere}" if hemisphere else ""
    name = f"{subject}_organized_betas_task-{role}{hemi}_normalized.pkl"
    return glm_folder(source, space) / subject / "prepared_betas" / name


def rois_folder(source: Path) -> Path:
    return source.joinpath("derivatives", "versionA", "MNI152", "prepared_data", "prepared_allvoxel_pkl", "TRavg56789")


def roi_path(source: Path, subject: str, roi: str) -> Path:
    return rois_folder(source) / subject / f"{roi}_TRavg-56789_allvoxel.pkl"


def people_in(folder: Path, facts: Facts) -> list[str]:
    """Names of the subjects' folders in ``folder``, ``sub-01`` to as many as the release has."""
    found = sorted(path.name for path in folder.glob("sub-*") if path.is_dir())
    known = [f"sub-{n + 1:02d}" for n in range(facts.subjects or 0)]
    if not found:
        raise SourceError(
            f"{folder} has no folders of subjects", expected="sub-01 …", do="fetch them, or check --space"
        )
    if strangers := [name for name in found if name not in known]:
        raise SourceError(
            f"{folder} has a subject {strangers[0]!r}", expected=f"{known[0]} to {known[-1]}", do="move it elsewhere"
        )
    return found


def clip_name(number: str) -> str:
    """What the release's lists call a clip: the annotations' «0001» is «vid0001»."""
    return f"vid{number}"


def read_clips(source: Path, stimuli: Path | None, facts: Facts) -> pd.DataFrame:
    """The release's clips with their five captions, their set and, where they lie here, their videos.

    Raises:
        SourceError: the annotations are missing, broken or not of this release; videos are there, but not all.
    """
    path = annotations_path(source)
    with sentences(path, "the release's JSON of annotations", _AGAIN):
        told = json.loads(path.read_bytes())
    if not isinstance(told, dict) or len(told) != facts.clips:
        count = len(told) if isinstance(told, dict) else "no"
        raise SourceError(f"{path} describes {count} clips", expected=f"{facts.clips}", do=_AGAIN)
    rows = []
    for number, clip in sorted(told.items()):
        if not re.fullmatch(r"\d{4}", number):
            raise SourceError(f"{path} names a clip {number!r}", expected="four digits, as in '0001'", do=_AGAIN)
        captions = clip.get("text_descriptions") if isinstance(clip, dict) else None
        if not isinstance(captions, list) or not captions or not all(isinstance(c, str) and c for c in captions):
            raise SourceError(f"{path} has no text_descriptions of clip {number!r}", expected="5 sentences", do=_AGAIN)
        if (role := clip.get("set")) not in ROLES:
            raise SourceError(f"{path} puts clip {number!r} into the set {role!r}", expected="train or test", do=_AGAIN)
        rows.append((number, clip_name(number), role, json.dumps(captions, ensure_ascii=False)))
    table = pd.DataFrame(rows, columns=["number", "clip_id", "set", "captions"])
    # Training clips come first, as everywhere in the release.
    table = table.sort_values("set", ascending=False, kind="stable", ignore_index=True)
    videos = find_videos(source, stimuli, table)
    table["path"] = ["" if video is None else str(video.resolve()) for video in videos]
    table["sha256"] = ["" if video is None else sha256(video) for video in videos]
    return table.drop(columns="number").assign(duration_s=DURATION_S)


def find_videos(source: Path, stimuli: Path | None, clips: pd.DataFrame) -> list[Path | None]:
    """Each clip's video: ``0001.mp4``, in a folder of its set, in mp4_h264, or anywhere below the clips' folder.

    Without ``--stimuli`` the release may lack all of them, since they are not on OpenNeuro.
    """
    root = stimuli or source / "stimuli"
    if stimuli is not None and not stimuli.is_dir():
        raise SourceError(f"{stimuli} is no folder", expected="the folder with the clips", do="correct --stimuli")
    found: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("*.mp4")):
        found.setdefault(path.stem, []).append(path)
    videos: list[Path | None] = []
    for number, role in zip(clips["number"], clips["set"], strict=True):
        # The same clip can be there in several encodings, and a number of one set in the other's folder is no clip.
        mine = [p for p in found.get(number, []) if p.parent.name not in ROLES or p.parent.name == role]
        mine.sort(key=lambda p: (p.parent.name != "mp4_h264", p.parent.name != role))
        videos.append(mine[0] if mine else None)
    missing = [number for number, video in zip(clips["number"], videos, strict=True) if video is None]
    if missing and (stimuli is not None or len(missing) < len(videos)):
        raise SourceError(
            f"{root} has no {missing[0]}.mp4, and lacks {len(missing)} of {len(videos)} clips",
            expected="a video of every clip",
            do="unpack all clips, or give the right folder with --stimuli",
        )
    for video in videos:
        if video is not None and not video.stat().st_size:
            raise SourceError(f"{video} is empty", expected="a video", do="unpack the clips again")
    return videos


def read_prepared(path: Path, *, inert: tuple[str, ...] = ()) -> tuple[StoredArray, list[str], list]:
    """One prepared pickle: betas (clips, repetitions, vertices), the clips' names, and what comes after them."""
    found = read_pickle(path, inert=inert, do=_AGAIN)
    if not isinstance(found, (tuple, list)) or len(found) < 2 or not isinstance(found[0], StoredArray):
        raise SourceError(f"{path} holds {_told(found)}", expected="a tuple of betas and the order of clips", do=_AGAIN)
    return found[0], names_in(path, found[1]), list(found[2:])


def names_in(path: Path, found: object) -> list[str]:
    """A list of clips' names; a path or a file's name becomes the name."""
    if isinstance(found, StoredArray):
        found = found.read().ravel().tolist()
    if not isinstance(found, (list, tuple)) or not all(isinstance(name, str) for name in found):
        raise SourceError(
            f"{path} holds {_told(found)} as the order of clips", expected="names as 'vid0001'", do=_AGAIN
        )
    return list(found)


def need_betas(path: Path, betas: StoredArray, shape: tuple[int, ...], axes: str) -> None:
    """Raise unless the array, whose values are not read yet, is of floating point numbers and of this shape."""
    if betas.dtype.kind != "f":
        raise SourceError(f"{path} holds {betas.dtype} values", expected="float64", do=_AGAIN)
    if betas.shape != shape:
        raise SourceError(f"{path} has betas of shape {betas.shape}", expected=f"{shape} ({axes})", do=_AGAIN)


def in_order(path: Path, names: list[str], listed: list[str]) -> Int[np.ndarray, " clips"] | slice:
    """How to bring clips into the listed order; raises unless they are the same clips, each once."""
    if names == listed:
        return slice(None)
    place = {name: k for k, name in enumerate(names)}
    if sorted(names) != sorted(listed):
        odd = sorted(set(names) ^ set(listed)) or [name for name in place if names.count(name) > 1]
        raise SourceError(
            f"{path} lists {len(names)} clips, which differ from the annotations in {odd[0]!r}",
            expected=f"{listed[0]} to {listed[-1]}, each once",
            do=_AGAIN,
        )
    return np.array([place[name] for name in listed])


def half(
    path: Path, betas: StoredArray, columns: np.ndarray, names: Iterable[str], listed: list[str]
) -> Float16[np.ndarray, "clips repetitions vertices"]:
    """Some columns of an array of betas in half precision, in the listed order of clips."""
    values = betas.take(columns, -1, np.float16)
    need_finite(path, values)
    order = in_order(path, list(names), listed)
    return values if isinstance(order, slice) else values[order]


def need_finite(path: Path, values: np.ndarray) -> None:
    """Raise if anything is NaN, infinite or beyond half precision's range, which no standardised beta comes near."""
    if bad := int((~np.isfinite(values)).sum()):
        columns = int((~np.isfinite(values)).reshape(-1, values.shape[-1]).any(axis=0).sum())
        raise SourceError(
            f"{path} has {bad} values that are NaN or infinite, in {columns} of {values.shape[-1]} vertices",
            expected="finite betas",
            do="fetch the file again, or choose a --space without these vertices",
        )


def _told(found: object) -> str:
    if isinstance(found, (tuple, list)):
        return f"a {type(found).__name__} of {len(found)}"
    return "an array" if isinstance(found, StoredArray) else f"a {type(found).__name__}"
