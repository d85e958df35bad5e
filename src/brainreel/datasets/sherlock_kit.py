"""The files of the Sherlock tutorial kit: where they lie, what is in them, what can be wrong with them."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from brainreel.datasets.protocol import Facts
from brainreel.datasets.reading import need_folder, need_numbers, read_mat, read_nifti, read_sheet
from brainreel.errors import SourceError

# Sorted by name; the last but one is the mean course of the voxels themselves, which lets ingest check that
# every column belongs to the person it is taken for.
REGIONS = ("aud_early", "bilateral_hipp", "ddmn_mpfc", "early_visual", "pmc_nn", "post_parahipp")
VOXELS = "pmc_nn"
SHEET = "Segments"
SCENE, CAPTION = "Scene Segments", "Scene Details - A Level"
START, END = "Start Time (TRs, 1.5s)", "End Time (TRs, 1.5s)"
SEGMENT = "Segment Number"
# Other useful columns of the sheet and what they are called in annotations.tsv.
EXTRAS = {"Space-In/Outdoor": "setting", "Location": "location", "Name - All": "people", "Name - Speaking": "speaking"}
_REFETCH = "get the file again from the kit"


def bold_path(source: Path, subject: str) -> Path:
    return source / "subjects" / subject / "sherlock_movie" / f"{VOXELS}_sherlock_movie_{subject}.mat"


def sheet_path(source: Path) -> Path:
    return source / "subjects" / "Sherlock_Segments_1000_NN_2017.xlsx"


def course_path(source: Path, region: str) -> Path:
    return source / "intersubj" / "roicorr" / f"{region}_sherlock_movie_roicorr.mat"


def mask_path(source: Path, region: str) -> Path:
    return source / "standard" / f"{region}.nii"


def present_subjects(source: Path) -> list[str]:
    """The people whose folders are there: s1, s2, … in the order of their numbers."""
    need_folder(source, "the kit's subjects/, intersubj/ and standard/")
    folders = (source / "subjects").glob("s*") if (source / "subjects").is_dir() else ()
    numbers = sorted(int(f.name[1:]) for f in folders if re.fullmatch(r"s[1-9]\d*", f.name))
    if not numbers:
        raise SourceError(
            f"{source} has no folders subjects/s1, subjects/s2 …",
            expected="the Sherlock kit",
            do="give the folder that holds the kit's subjects/ folder",
        )
    return [f"s{n}" for n in numbers]


def read_bold(source: Path, subject: str, facts: Facts) -> Float[np.ndarray, "volumes voxels"]:
    """One person's whole film, the volumes that were not recorded (copies of the last one) cut off."""
    path = bold_path(source, subject)
    data = read_mat(path, ("rdata",), do=_REFETCH)["rdata"]
    n_volumes = sum(facts.run_volumes.values())
    need_numbers(path, data, (facts.spaces["sherlock/pmc"], n_volumes), "voxels, volumes")
    recorded = data[:, : recorded_volumes(data.T)].T
    if recorded.shape[0] <= n_volumes - list(facts.run_volumes.values())[-1]:
        raise SourceError(
            f"{path} has only {recorded.shape[0]} volumes before its values stop changing",
            expected="recordings that reach into the last scan",
            do=_REFETCH,
        )
    still = int((np.ptp(recorded, axis=0) == 0).sum())
    if still:
        raise SourceError(f"{path} has {still} voxels that never change", expected="none", do=_REFETCH)
    return np.ascontiguousarray(recorded, dtype=np.float32)


def recorded_volumes(volumes: Float[np.ndarray, "volumes voxels"]) -> int:
    """Number of volumes before the first of those at the end that only repeat their predecessor."""
    changes = np.flatnonzero((volumes[1:] != volumes[:-1]).any(axis=1))
    return int(changes[-1]) + 2 if len(changes) else 1


def refuse_copies(bold: Mapping[str, np.ndarray], source: Path) -> None:
    """Raise if two people have the same recording, as has happened in a published release."""
    seen: dict[str, str] = {}
    for subject, values in bold.items():
        other = seen.setdefault(hashlib.sha256(values.tobytes()).hexdigest(), subject)
        if other != subject:
            raise SourceError(
                f"{bold_path(source, subject)} holds the same recording as {bold_path(source, other)}",
                expected="different people's data",
                do="get both files again from the kit; one of them is a copy",
            )


def read_courses(
    source: Path, present: list[str], facts: Facts, bold: Mapping[str, Float[np.ndarray, "volumes voxels"]]
) -> dict[str, Float[np.ndarray, "volumes regions"]]:
    """The mean courses of `REGIONS` for the people in ``bold``, as long as their recordings.

    Columns stand for people by position: for everybody of the release if there are that many, otherwise for
    everybody whose folder is in the kit. The course of the recorded voxels must be their mean.
    """
    n_volumes = sum(facts.run_volumes.values())
    everybody = [f"s{n + 1}" for n in range(facts.subjects or len(present))]
    columns: dict[str, list[np.ndarray]] = {subject: [] for subject in bold}
    for region in REGIONS:
        path = course_path(source, region)
        courses = read_mat(path, ("roitc",), do=_REFETCH)["roitc"]
        width = courses.shape[-1] if courses.ndim == 2 else -1
        order = next((people for people in (everybody, present) if len(people) == width), None)
        if order is None or not set(bold) <= set(order):
            raise SourceError(
                f"{path} has the shape {courses.shape}",
                expected=f"({n_volumes}, {len(present)}): one column for each of {', '.join(present)}",
                do="get the file that belongs to these subjects",
            )
        need_numbers(path, courses, (n_volumes, width), "volumes, subjects")
        for subject, values in bold.items():
            course = courses[: len(values), order.index(subject)]
            if region == VOXELS and not np.corrcoef(course, values.mean(axis=1))[0, 1] > 0.99:
                raise SourceError(
                    f"column {order.index(subject) + 1} of {path} is not the mean of {bold_path(source, subject)}",
                    expected="columns in the order s1, s2, …",
                    do="get both files from the same version of the kit",
                )
            columns[subject].append(course)
    return {subject: np.stack(parts, axis=1).astype(np.float32) for subject, parts in columns.items()}


def read_mask(source: Path, facts: Facts) -> Int[np.ndarray, " voxels"]:
    """Where each row of the recordings lies: C-order index into the mask's 61 × 73 × 61 grid.

    Rows follow Matlab's column-major order: only so are neighbouring voxels' courses alike.
    """
    path = mask_path(source, VOXELS)
    mask = read_nifti(path, do=_REFETCH)
    if mask.ndim == 4 and mask.shape[3] == 1:
        mask = mask[..., 0]
    expected = facts.spaces["sherlock/pmc"]
    if mask.ndim != 3 or np.count_nonzero(mask) != expected:
        raise SourceError(
            f"{path} has the shape {mask.shape} and {np.count_nonzero(mask)} voxels",
            expected=f"a 3-D mask of {expected} voxels",
            do=_REFETCH,
        )
    where = np.unravel_index(np.flatnonzero(mask.ravel(order="F")), mask.shape, order="F")
    return np.ravel_multi_index(where, mask.shape)


@dataclass(frozen=True)
class Description:
    """The film's described segments: a table in the shape of annotations.tsv, and how many had no time."""

    table: pd.DataFrame
    untimed: tuple[int, ...]


def read_segments(source: Path, facts: Facts) -> Description:
    """The sheet's rows as annotations of the stimulus ``sherlock``; time 0 is the first volume's begin."""
    path = sheet_path(source)
    header, *rows = [row for row in read_sheet(path, SHEET, do=_REFETCH) if any(c is not None for c in row)] or [()]
    column = {str(name).strip(): j for j, name in enumerate(header) if name is not None}
    for name in (SEGMENT, START, END, CAPTION):
        if name not in column:
            raise SourceError(
                f"sheet {SHEET!r} of {path} has the columns {', '.join(column) or 'none'}",
                expected=f"a column {name!r}",
                do=_REFETCH,
            )
    if len(rows) != facts.segments:
        raise SourceError(f"{path} describes {len(rows)} segments", expected=str(facts.segments), do=_REFETCH)
    n_volumes, tr_s = sum(facts.run_volumes.values()), facts.tr_s or 1.0
    timed, untimed, scene = [], [], ""
    for row in rows:
        scene = _text(row, column.get(SCENE)) or scene
        number = row[column[SEGMENT]]
        if row[column[START]] is None and row[column[END]] is None:
            untimed.append(number)
            continue
        where = f"segment {number} in {path}"
        start, end = _volume(row[column[START]], START, where), _volume(row[column[END]], END, where)
        if not 1 <= start <= end <= n_volumes:
            raise SourceError(
                f"{where} lasts from volume {start} to {end}", expected=f"1 ≤ start ≤ end ≤ {n_volumes}", do=_REFETCH
            )
        caption = _text(row, column[CAPTION])
        if not caption:
            raise SourceError(f"{where} has no description", expected=f"text in {CAPTION!r}", do=_REFETCH)
        extras = {name: _text(row, column.get(title)) for title, name in EXTRAS.items()}
        timed.append(
            {
                "stimulus": facts.name,
                "onset_s": (start - 1) * tr_s,
                "duration_s": (end - start + 1) * tr_s,
                "caption": caption,
                "segment": number,
                "scene": scene,
                **extras,
            }
        )
    return Description(pd.DataFrame(timed), tuple(untimed))


def _text(row: tuple, column: int | None) -> str:
    cell = None if column is None else row[column]
    return "" if cell is None else str(cell).strip()


def _volume(cell: object, title: str, where: str) -> int:
    if isinstance(cell, bool) or not isinstance(cell, int | float) or not math.isfinite(cell) or cell != int(cell):
        raise SourceError(f"{where} has {cell!r} as {title!r}", expected="a whole number of volumes", do=_REFETCH)
    return int(cell)
