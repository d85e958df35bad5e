"""The files of HAD: where they lie, what was shown when, which clip each row of betas belongs to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from brainreel.datasets.folder_files import read_table
from brainreel.datasets.protocol import Facts
from brainreel.datasets.reading import need_folder, sentences
from brainreel.errors import SourceError

SESSION = "ses-action01"
CYCLES = 4
LEAD_IN_S = 12.0
_REFETCH = "fetch the file again from OpenNeuro ds004488"
EVENTS = ("onset", "duration", "trial_type", "stim_file")


def run_numbers(facts: Facts) -> range:
    """The runs of a person, from 1."""
    return range(1, len(facts.run_volumes) + 1)


def run_name(run: int) -> str:
    return f"run-{run:02d}"


def cycle_of(run: int, facts: Facts) -> int:
    """Which of the four rounds through all classes a run belongs to."""
    return (run - 1) * CYCLES // len(facts.run_volumes) + 1


def class_count(facts: Facts) -> int:
    """Number of action classes: everybody saw four clips of each, and nobody saw another's."""
    return (facts.clips or 0) // ((facts.subjects or 1) * CYCLES)


def present_subjects(source: Path) -> list[str]:
    """The people whose folders are there."""
    need_folder(source, "sub-01/, …, derivatives/ and stimuli/")
    people = sorted(f.name for f in source.glob("sub-*") if re.fullmatch(r"sub-\d+", f.name) and f.is_dir())
    if not people:
        raise SourceError(
            f"{source} has no folders sub-01, sub-02 …",
            expected="HAD, as on OpenNeuro",
            do="give the folder that holds them: their events say what was shown",
        )
    return people


def func_path(source: Path, subject: str, run: int, suffix: str) -> Path:
    """A raw file of a run: ``events.tsv`` or ``bold.nii.gz``."""
    return source / subject / SESSION / "func" / f"{subject}_{SESSION}_task-action_{run_name(run)}_{suffix}"


def beta_path(source: Path, subject: str, cycle: int, suffix: str = "beta.dscalar.nii") -> Path:
    """A file of a cycle's response estimates: the betas, or ``label.txt``."""
    return _results(source, subject) / f"{SESSION}_task-action_cycle-{cycle}_{suffix}"


def surface_run_path(source: Path, subject: str, run: int) -> Path:
    """A preprocessed run in fsLR32k."""
    return _results(source, subject) / f"{SESSION}_task-action_run-{run}_Atlas.dtseries.nii"


def prepared_path(source: Path, subject: str, run: int, suffix: str) -> Path | None:
    """A run that fMRIPrep prepared, whichever way it writes numbers of runs; None if it is not there."""
    folder = source / "derivatives" / "fmriprep" / subject / SESSION / "func"
    named = (f"{subject}_{SESSION}_task-action_run-{number}_{suffix}" for number in (f"{run:02d}", str(run)))
    return next((folder / name for name in named if (folder / name).is_file()), None)


def read_events(source: Path, subject: str, facts: Facts) -> pd.DataFrame:
    """What a person was shown, in order: run, cycle, class, clip_id, stim_file, onset_s (after the first volume), duration_s.

    Onsets are counted from the first trial in one version of the release and from the first volume in another: those
    that begin before the 12-s lead-in is over are moved by it.

    Raises:
        SourceError: a file is missing or broken, or does not show what a run shows.
    """
    parts = []
    for run, volumes in zip(run_numbers(facts), facts.run_volumes.values(), strict=True):
        path = func_path(source, subject, run, "events.tsv")
        table = read_table(path, EVENTS, ("stim_file",))
        for name in ("onset", "duration", "trial_type"):
            if not (pd.api.types.is_numeric_dtype(table[name]) and np.isfinite(table[name].to_numpy(float)).all()):
                raise SourceError(
                    f"{path} has {name!r} that are no numbers", expected="a number in every row", do=_REFETCH
                )
        onset_s = table["onset"].to_numpy(float)
        onset_s = onset_s + LEAD_IN_S if onset_s.min() < LEAD_IN_S / 2 else onset_s
        length_s = volumes * (facts.tr_s or 2.0)
        late = np.flatnonzero((onset_s < 0) | (onset_s + table["duration"].to_numpy(float) > length_s))
        if len(late) or (np.diff(onset_s) <= 0).any():
            row = late[0] if len(late) else int((np.diff(onset_s) <= 0).argmax()) + 1
            raise SourceError(
                f"{path} has a trial at {onset_s[row]:g} s in row {row + 1}",
                expected=f"ascending onsets inside the run's {length_s:g} s",
                do=_REFETCH,
            )
        shown = pd.DataFrame({"run": run, "cycle": cycle_of(run, facts), "class": table["trial_type"].to_numpy()})
        stims = table["stim_file"].tolist()
        shown = shown.assign(clip_id=[_clip_id(name, path) for name in stims], stim_file=stims, onset_s=onset_s)
        parts.append(shown.assign(duration_s=table["duration"].to_numpy(float)))
    events = pd.concat(parts, ignore_index=True)
    _need_every_class(source, subject, events, facts)
    return events


def read_labels(source: Path, subject: str, cycle: int, events: pd.DataFrame) -> None:
    """Compare a cycle's label file with its events; rows of betas are ordered by class number.

    The authors sort the names by the first word of the class only where its words are joined by underscores, so
    classes that share their first word may stand in any order there.

    Raises:
        SourceError: it is missing, or names other clips, or in another order.
    """
    path = beta_path(source, subject, cycle, "label.txt")
    with sentences(path, "a text file with one clip per line", _REFETCH):
        told = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    shown = events.loc[events["cycle"] == cycle].sort_values(by="class")
    if len(told) != len(shown):
        raise SourceError(f"{path} names {len(told)} clips", expected=str(len(shown)), do=_REFETCH)
    expected = shown["clip_id"].tolist()
    found = [_clip_id(name, path) for name in told]
    if strangers := sorted(set(found) - set(expected)):
        raise SourceError(
            f"{path} names {strangers[0]!r}", expected="clips that the events of this cycle show", do=_REFETCH
        )
    for row, (name, wanted) in enumerate(zip(found, expected, strict=True), start=1):
        if _first_word(name) != _first_word(wanted):
            raise SourceError(
                f"line {row} of {path} is {name!r}", expected=f"{wanted!r}, the clip of class {row}", do=_REFETCH
            )


def action_of(clip_id: str) -> str:
    """The action that a clip shows, in words: «v_Walking_the_dog_id_…» shows «walking the dog»."""
    return clip_id.removeprefix("v_").partition("_id_")[0].replace("_", " ").lower()


def find_clip(stimuli: Path, stim_file: str) -> Path | None:
    """A clip's video: folders and files are written with spaces or with underscores."""
    return next((stimuli / name for name in clip_names(stim_file) if (stimuli / name).is_file()), None)


def clip_names(stim_file: str) -> tuple[str, ...]:
    """Where a clip's video may lie in the folder of clips, in every spelling."""
    *folders, name = PurePosixPath(stim_file).parts
    folder = folders[0] if folders else name.removeprefix("v_").partition("_id_")[0]
    return tuple(f"{one}/{other}" for one, other in product(_spellings(folder), _spellings(name)))


def shown_clips(source: Path, subjects: Sequence[str]) -> list[tuple[str, ...]]:
    """The clips that some people were shown, each as `clip_names`; needs their events alone.

    Raises:
        SourceError: a file of events cannot be read.
    """
    shown = []
    for subject in subjects:
        for path in sorted(func_path(source, subject, 1, "").parent.glob("*_events.tsv")):
            for name in read_table(path, ("stim_file",), ("stim_file",))["stim_file"]:
                _clip_id(name, path)
                shown.append(clip_names(name))
    return shown


def _results(source: Path, subject: str) -> Path:
    return source / "derivatives" / "ciftify" / subject / "results"


def _spellings(name: str) -> list[str]:
    # Identifiers of the source videos have underscores of their own, so only the part before them is respelt.
    head, mark, tail = name.partition("_id_")
    if not mark:
        return list(dict.fromkeys([name, name.replace(" ", "_"), name.replace("_", " ")]))
    action = head.removeprefix("v_")
    words = [action, action.replace(" ", "_"), action.replace("_", " ")]
    return list(dict.fromkeys(f"v_{spelt}{mark}{tail}" for spelt in words))


def _clip_id(stim_file: str, path: Path) -> str:
    """The name of a clip, the same however its class is spelt; «Class/v_Class_id_….mp4», or the file alone."""
    parts = PurePosixPath(stim_file).parts
    odd = stim_file.startswith("/") or "\\" in stim_file or any(part in ("..", ".") for part in parts)
    if odd or len(parts) not in (1, 2) or not re.fullmatch(r"v_.+_id_.+\.mp4", parts[-1]):
        raise SourceError(
            f"{path} names the clip {stim_file!r}", expected="Class/v_Class_id_….mp4 inside stimuli/", do=_REFETCH
        )
    return parts[-1].removesuffix(".mp4").replace(" ", "_")


def _first_word(clip_id: str) -> str:
    return clip_id.split("_")[1]


def _need_every_class(source: Path, subject: str, events: pd.DataFrame, facts: Facts) -> None:
    where = func_path(source, subject, 1, "events.tsv").parent
    classes = np.arange(1, class_count(facts) + 1)
    for cycle in range(1, CYCLES + 1):
        shown = np.sort(events.loc[events["cycle"] == cycle, "class"].to_numpy())
        if not np.array_equal(shown, classes):
            missing = sorted(set(classes.tolist()) - set(shown.tolist()))
            got = f"miss class {missing[0]}" if missing else f"show {len(shown)} clips"
            raise SourceError(
                f"the events in {where} {got} in cycle {cycle}",
                expected=f"each of {len(classes)} classes once",
                do=_REFETCH,
            )
    twice = events.loc[events["clip_id"].duplicated(), "clip_id"].tolist()
    if twice:
        raise SourceError(f"the events in {where} show {twice[0]!r} twice", expected="each clip once", do=_REFETCH)
