"""Where the files of the sandbox's releases lie, and the way from them into a store.

Every release has participants.tsv, surface.tsv (vertex, parcel) and stimuli/. Beside them:

* repeated: stimuli.tsv (clip_id, set, captions) and betas/SUBJECT_{train,test}.npy (clips, repetitions, vertices);
* single: stimuli.tsv and SUBJECT/run-NN_events.tsv with SUBJECT/run-NN_betas.npy (trials, vertices);
* film: stimuli/FILM.tsv (onset_s, duration_s, set, captions) beside the film, bold/SUBJECT/FILM.npy (volumes, vertices).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from brainreel.datasets.folder_files import read_table
from brainreel.datasets.protocol import Facts, Progress
from brainreel.datasets.reading import need_numbers, read_npy
from brainreel.errors import SourceError
from brainreel.files import sha256
from brainreel.store.writer import StoreWriter
from brainreel.world.scenes import FPS, FRAMES

FOLDS, FOLD = "official", "fold-1"
TRIALS_PER_RUN = 60
TRIAL_S = 4.0
# Volumes recorded after a film has ended, and those between a clip and the volume that is paired with it.
LEAD_OUT_VOLUMES = 5
LAG_VOLUMES = 2
_REMAKE = "make the release again with `brainreel twin`"


def clip_path(stimuli: Path, clip: str) -> Path:
    return stimuli / f"{clip}.mp4"


def film_path(stimuli: Path, film: str) -> Path:
    return stimuli / f"{film}.mp4"


def betas_path(source: Path, subject: str, role: str) -> Path:
    return source / "betas" / f"{subject}_{role}.npy"


def bold_path(source: Path, subject: str, film: str) -> Path:
    return source / "bold" / subject / f"{film}.npy"


def run_paths(source: Path, subject: str, run: int) -> tuple[Path, Path]:
    """The events and the betas of one run, counted from 1."""
    return source / subject / f"run-{run:02d}_events.tsv", source / subject / f"run-{run:02d}_betas.npy"


def read_participants(source: Path, facts: Facts) -> list[str]:
    path = source / "participants.tsv"
    people = read_table(path, ("subject",), ("subject",))["subject"].tolist()
    if len(people) != facts.subjects:
        raise SourceError(f"{path} lists {len(people)} people", expected=str(facts.subjects), do=_REMAKE)
    return people


def read_surface(source: Path, facts: Facts) -> pd.DataFrame:
    path = source / "surface.tsv"
    table = read_table(path, ("vertex", "parcel"), ("parcel",))
    (vertices,) = facts.spaces.values()
    if len(table) != vertices or not pd.api.types.is_integer_dtype(table["vertex"]):
        raise SourceError(f"{path} has {len(table)} rows", expected=f"{vertices} numbered vertices", do=_REMAKE)
    return table


def ingest_repeated(
    source: Path, stimuli: Path, facts: Facts, writer: StoreWriter, people: list[str], progress: Progress
) -> None:
    clips = _read_clips(source, stimuli, facts)
    (vertices,) = facts.spaces.values()
    listed, trials = clips.groupby("set", sort=False)["clip_id"], []
    for subject in people:
        progress(f"reading {subject}")
        parts = []
        for role in ("train", "test"):
            path, names = betas_path(source, subject, role), listed.get_group(role).to_numpy()
            count = facts.repetitions[role]
            parts.append(_numbers(path, (len(names), count, vertices), "clips, repetitions, vertices"))
            repetition = np.tile(np.arange(1, count + 1), len(names))
            shown = pd.DataFrame({"clip_id": np.repeat(names, count), "repetition": repetition, "set": role})
            trials.append(shown.assign(subject=subject, session="", run=""))
            writer.source(path, source)
        betas = np.concatenate([part.reshape(-1, vertices) for part in parts])
        writer.add_responses(subject, betas, space=next(iter(facts.spaces)))
    _write_event_tables(writer, source, clips, pd.concat(trials, ignore_index=True))


def ingest_single(
    source: Path, stimuli: Path, facts: Facts, writer: StoreWriter, people: list[str], progress: Progress
) -> None:
    clips = _read_clips(source, stimuli, facts)
    role_of = dict(zip(clips["clip_id"], clips["set"], strict=True))
    (vertices,) = facts.spaces.values()
    trials = []
    for subject in people:
        progress(f"reading {subject}")
        runs = len(list((source / subject).glob("run-*_events.tsv")))
        if not runs:
            raise SourceError(f"{source / subject} has no run-01_events.tsv", expected="events of at least one run")
        parts = []
        for run in range(1, runs + 1):
            events, path = run_paths(source, subject, run)
            table = read_table(events, ("onset_s", "duration_s", "clip_id"), ("clip_id",))
            if unknown := set(table["clip_id"]) - set(role_of):
                raise SourceError(f"{events} shows {min(unknown)!r}", expected="clips of stimuli.tsv", do=_REMAKE)
            parts.append(_numbers(path, (len(table), vertices), "trials as in its events, vertices"))
            roles = [role_of[clip] for clip in table["clip_id"]]
            table = table.assign(subject=subject, session="", run=f"run-{run:02d}", repetition=1, set=roles)
            trials.append(table)
            writer.source(path, source)
            writer.source(events, source)
        writer.add_responses(subject, np.concatenate(parts), space=next(iter(facts.spaces)))
    _write_event_tables(writer, source, clips, pd.concat(trials, ignore_index=True))


def ingest_film(
    source: Path, stimuli: Path, facts: Facts, writer: StoreWriter, people: list[str], progress: Progress
) -> None:
    (space, vertices), tr_s = next(iter(facts.spaces.items())), facts.tr_s or 1.0
    clips = []
    for film, volumes in facts.run_volumes.items():
        path = film_path(stimuli, film)
        if not path.is_file():
            raise SourceError(f"{path} is missing", expected="the film that was shown", do=_REMAKE)
        listed = path.with_suffix(".tsv")
        table = read_table(listed, ("onset_s", "duration_s", "set", "captions"), ("set", "captions"))
        if len(table) + LEAD_OUT_VOLUMES != volumes:
            raise SourceError(
                f"{listed} lists {len(table)} clips", expected=str(volumes - LEAD_OUT_VOLUMES), do=_REMAKE
            )
        names = [f"{film}-{k:04d}" for k in range(len(table))]
        # sha256 stays empty: every clip is a part of one file, which is no leak.
        clips.append(table.assign(clip_id=names, stimulus=film, path=str(path.resolve()), fps=_fps(table)))
    clips = pd.concat(clips, ignore_index=True)
    _need_captions(source / "stimuli", clips)
    for subject in people:
        progress(f"reading {subject}")
        for film, volumes in facts.run_volumes.items():
            path = bold_path(source, subject, film)
            bold = _numbers(path, (volumes, vertices), "volumes, vertices")
            # The volume that begins two TRs after a clip's onset answers for it.
            writer.add_bold(subject, film, bold[LAG_VOLUMES:], tr_s=tr_s, space=space)
            writer.source(path, source)
    writer.write_clips(clips)
    shown = pd.DataFrame({"session": "", "run": clips["stimulus"], "clip_id": clips["clip_id"], "repetition": 1})
    shown = shown.assign(onset_s=clips["onset_s"], duration_s=clips["duration_s"])
    writer.write_trials(pd.concat([shown.assign(subject=subject) for subject in people], ignore_index=True))
    writer.write_folds(FOLDS, pd.DataFrame({FOLD: np.tile(clips["set"].to_numpy(), len(people))}))


def _fps(table: pd.DataFrame) -> float:
    """A clip's frames fill its duration exactly."""
    return FRAMES / float(table["duration_s"].iloc[0])


def _read_clips(source: Path, stimuli: Path, facts: Facts) -> pd.DataFrame:
    path = source / "stimuli.tsv"
    table = read_table(path, ("clip_id", "set", "captions"), ("clip_id", "set", "captions"))
    if len(table) != facts.clips or set(table["set"]) != {"train", "test"}:
        raise SourceError(
            f"{path} lists {len(table)} clips of the sets {', '.join(sorted(set(table['set'])))}",
            expected=f"{facts.clips} clips of the sets train and test",
            do=_REMAKE,
        )
    _need_captions(path, table)
    videos = [clip_path(stimuli, clip) for clip in table["clip_id"]]
    if missing := [video for video in videos if not video.is_file()]:
        raise SourceError(f"{missing[0]} is missing", expected="a video of every clip", do=_REMAKE)
    there = {"path": [str(v.resolve()) for v in videos], "sha256": [sha256(v) for v in videos]}
    return table.assign(duration_s=FRAMES / FPS, fps=FPS, **there)


def _need_captions(path: Path, table: pd.DataFrame) -> None:
    for cell in table["captions"]:
        try:
            fine = all(isinstance(text, str) for text in json.loads(cell)) and cell.startswith("[")
        except (ValueError, TypeError):
            fine = False
        if not fine:
            raise SourceError(f"{path} has {cell!r} as captions", expected="a JSON list of sentences", do=_REMAKE)


def _write_event_tables(writer: StoreWriter, source: Path, clips: pd.DataFrame, trials: pd.DataFrame) -> None:
    writer.write_clips(clips)
    writer.write_trials(trials)
    writer.write_folds(FOLDS, pd.DataFrame({FOLD: trials["set"]}))
    writer.source(source / "stimuli.tsv", source)


def _numbers(path: Path, shape: tuple[int, ...], axes: str) -> np.ndarray:
    values = read_npy(path, do=_REMAKE)
    need_numbers(path, values, shape, axes)
    return values
