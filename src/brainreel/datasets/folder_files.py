"""The files of «your own» dataset: tables that say what was shown, arrays that say what the cortex did."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from brainreel.datasets.reading import need_folder, need_numbers, read_nifti, read_npy
from brainreel.errors import SourceError, StoreError, alternatives
from brainreel.files import read_tsv, sha256
from brainreel.store.folds import ROLES

SUFFIXES = (".npy", ".nii.gz", ".dscalar.nii")
VIDEOS = (".mp4", ".mkv", ".mov", ".avi", ".webm")
TRIALS_TEXT = ("subject", "session", "run", "clip_id")
CLIPS_TEXT = ("clip_id", "path", "captions", "stimulus")


@dataclass(frozen=True)
class Cortices:
    """Where every column of the responses lies, and whether it is the same place in everybody."""

    vertex: Int[np.ndarray, " vertices"]
    parcel: list[str]
    shared: bool


def read_table(path: Path, needed: tuple[str, ...], text: tuple[str, ...]) -> pd.DataFrame:
    """A tab-separated table; raises unless it has rows and the columns ``needed``, none of their cells empty."""
    try:
        table = read_tsv(path, optional=text)
    except FileNotFoundError as error:
        raise SourceError(f"{path} is missing", expected=f"a table with {', '.join(needed)}") from error
    except StoreError as error:
        raise SourceError(error.got, expected="a tab-separated table in UTF-8") from error
    for name in needed:
        if name not in table:
            raise SourceError(
                f"{path} has the columns {', '.join(map(str, table.columns))}",
                expected=f"a column {name!r}",
                do="separate columns by tabs",
            )
        empty = np.flatnonzero(table[name].astype(str).isin(["", "nan"]))
        if len(empty):
            raise SourceError(f"{path} has no {name!r} in row {empty[0] + 1}", expected="a value in every row")
    if table.empty:
        raise SourceError(f"{path} has no rows", expected="one row per trial or clip")
    return table


def read_trials(source: Path) -> pd.DataFrame:
    """trials.tsv; what is not in it is filled in: one session and run, repetitions counted in order."""
    need_folder(source, "responses, trials.tsv and clips.tsv")
    path = source / "trials.tsv"
    table = read_table(path, ("subject", "clip_id"), TRIALS_TEXT)
    for subject in table["subject"].unique():
        # Names of people become names of files.
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", subject):
            raise SourceError(f"{path} names a subject {subject!r}", expected="letters, digits and ._-")
    for name in ("session", "run"):
        if name not in table:
            table[name] = ""
    if "repetition" not in table:
        table["repetition"] = table.groupby(["subject", "clip_id"]).cumcount() + 1
    for name in ("repetition", "onset_s", "duration_s"):
        if name in table and not pd.api.types.is_numeric_dtype(table[name]):
            raise SourceError(f"{path} has text in {name!r}", expected="numbers (n/a where unknown)")
    return table


def read_clips(source: Path, stimuli: Path | None) -> pd.DataFrame:
    """clips.tsv, or the videos in clips/ with their captions in text files of the same name."""
    path, videos = source / "clips.tsv", stimuli or source / "clips"
    if path.exists():
        table = read_table(path, ("clip_id",), CLIPS_TEXT)
        given = table["captions"] if "captions" in table else [""] * len(table)
        table["captions"] = [caption_list(cell, row, path) for row, cell in enumerate(given, start=1)]
        paths = table["path"] if "path" in table else [""] * len(table)
        found = [_video(source, videos, name, clip) for name, clip in zip(paths, table["clip_id"], strict=True)]
    else:
        found = sorted(p for p in videos.glob("*") if p.suffix.lower() in VIDEOS) if videos.is_dir() else []
        if not found:
            raise SourceError(
                f"{source} has no clips.tsv and no videos in {videos}",
                expected="one of both",
                do="say what was shown: docs/folder.md",
            )
        texts = [p.with_suffix(".txt") for p in found]
        lines = [t.read_text().splitlines() if t.is_file() else [] for t in texts]
        captions = [json.dumps([x.strip() for x in line if x.strip()], ensure_ascii=False) for line in lines]
        table = pd.DataFrame({"clip_id": [p.stem for p in found], "captions": captions})
    for clip, captions, video in zip(table["clip_id"], table["captions"], found, strict=True):
        if captions == "[]" and video is None:
            raise SourceError(
                f"clip {clip!r} in {source} has neither a caption nor a video",
                expected="at least one of them",
                do=f"describe it in clips.tsv or put the video into {videos}",
            )
    table["path"] = ["" if p is None else str(p.resolve()) for p in found]
    table["sha256"] = ["" if p is None else sha256(p) for p in found]
    return table


def response_paths(source: Path, subjects: list[str]) -> dict[str, Path]:
    """Each person's own file: subject + suffix, in responses/ if there is such a folder, else in the source."""
    folder = source / "responses" if (source / "responses").is_dir() else source
    paths = {}
    for subject in subjects:
        found = [path for suffix in SUFFIXES if (path := folder / f"{subject}{suffix}").exists()]
        if len(found) != 1:
            raise SourceError(
                f"{folder} has {len(found)} files of responses of {subject!r}",
                expected=f"one of {', '.join(subject + suffix for suffix in SUFFIXES)}",
                do="name the files like the subjects in trials.tsv",
            )
        paths[subject] = found[0]
    return paths


def read_responses(
    source: Path, path: Path, n_trials: int
) -> tuple[Float[np.ndarray, "trials vertices"], Int[np.ndarray, " vertices"]]:
    """One file's responses and the vertex (or voxel) of each column."""
    if path.name.endswith(".npy"):
        values = read_npy(path)
        vertex = np.arange(values.shape[-1] if values.ndim else 0)
    else:
        values = read_nifti(path)
        vertex = np.arange(values.shape[-1])
        if path.name.endswith(".nii.gz"):
            mask = _mask(source, path, values)
            values, vertex = values[mask].T, np.flatnonzero(mask)
    width = values.shape[1] if values.ndim == 2 else -1
    need_numbers(path, values, (n_trials, width), "trials as in trials.tsv, vertices")
    # Half precision is the user's choice of disk; anything else has no more than float32 to say.
    kept = values if values.dtype == np.float16 else values.astype(np.float32)
    return np.ascontiguousarray(kept), vertex


def read_cortices(source: Path, vertex: Int[np.ndarray, " vertices"], path: Path) -> Cortices:
    """vertices.tsv if it is there; without it only CIFTI files and voxels of one mask are known to correspond."""
    table_path = source / "vertices.tsv"
    if not table_path.exists():
        shared = not path.name.endswith(".npy") or path.name == "responses.npy"
        return Cortices(vertex, ["all"] * len(vertex), shared)
    table = read_table(table_path, ("vertex", "parcel"), ("parcel",))
    if len(table) != len(vertex) or not pd.api.types.is_integer_dtype(table["vertex"]):
        raise SourceError(
            f"{table_path} has {len(table)} rows, {path} has {len(vertex)} columns",
            expected="one row for each column, with the vertex's number",
        )
    return Cortices(table["vertex"].to_numpy(), table["parcel"].tolist(), True)


def read_folds(source: Path, n_trials: int) -> Iterator[tuple[str, pd.DataFrame]]:
    """Every folds/<name>.tsv: one row for each row of trials.tsv, one column for each fold."""
    for path in sorted((source / "folds").glob("*.tsv")):
        table = read_table(path, (), ()).drop(columns="row", errors="ignore")
        if len(table) != n_trials or table.shape[1] == 0:
            raise SourceError(
                f"{path} has {len(table)} rows and {table.shape[1]} folds",
                expected=f"{n_trials} rows, as trials.tsv has, and a column for each fold",
            )
        for role in pd.unique(table.to_numpy().ravel()):
            if role not in ROLES:
                raise SourceError(f"{path} has the role {alternatives(str(role), ROLES)}", expected="one of these")
        yield path.stem, table


def _mask(source: Path, path: Path, values: np.ndarray) -> np.ndarray:
    found = [p for p in (source / "mask.nii.gz", source / "mask.nii") if p.exists()]
    if not found:
        raise SourceError(f"{path} comes without a mask", expected=f"{source / 'mask.nii.gz'}", do="say which voxels")
    mask = read_nifti(found[0]) > 0
    if values.ndim != 4 or mask.shape != values.shape[:3] or not mask.any():
        raise SourceError(
            f"{path} has the shape {values.shape}, {found[0]} {mask.shape} with {np.count_nonzero(mask)} voxels",
            expected="(x, y, z, trials) and a mask (x, y, z) that is not empty",
        )
    return mask


def _video(source: Path, videos: Path, name: str, clip: str) -> Path | None:
    """The clip's video: the one that is named, which must exist, or one called like the clip if there is any."""
    if name:
        for path in (videos / name, source / name):
            if path.is_file():
                return path
        raise SourceError(
            f"{name}, the video of clip {clip!r}, is neither in {source} nor in {videos}", do="correct clips.tsv"
        )
    return next((p for suffix in VIDEOS if (p := videos / f"{clip}{suffix}").is_file()), None)


def caption_list(cell: str, row: int, path: Path) -> str:
    """A cell of captions, a sentence or a JSON list of them, as a JSON list."""
    try:
        captions = json.loads(cell) if cell.startswith("[") else [cell] if cell else []
    except ValueError:
        captions = None
    if not isinstance(captions, list) or not all(isinstance(c, str) for c in captions):
        raise SourceError(f"{path} has {cell!r} as captions in row {row}", expected="a sentence or a JSON list of them")
    return json.dumps(captions, ensure_ascii=False)
