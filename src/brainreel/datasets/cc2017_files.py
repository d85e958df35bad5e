"""The files of CC2017: where they lie, which volumes of a run belong to which clips, what can be wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from brainreel.datasets.folder_files import caption_list, read_table
from brainreel.datasets.protocol import Facts
from brainreel.datasets.reading import need_folder, sentences
from brainreel.errors import SourceError

TOP = "video_fmri_dataset"
CAPTIONS = "captions.tsv"
CLIP_S = 2.0
# Volumes after the last one that the official preparation keeps.
_TAIL = 4
# This run began ten seconds before the movie: clip r belongs to volume r + 7.
_LATE = {("subject3", "test2", 9): 7}


@dataclass(frozen=True)
class Run:
    """One presentation of a movie to somebody; ``first`` is the volume that answers for the movie's first clip."""

    subject: str
    movie: str
    repetition: int
    volumes: int
    first: int

    @property
    def name(self) -> str:
        return f"{self.movie}_{self.repetition}"

    @property
    def kept(self) -> slice:
        """The volumes that are used: clip r's is ``first + r``."""
        return slice(self.first, self.volumes - _TAIL)

    @property
    def clips(self) -> int:
        """How many of the movie's clips, from its first, have a volume."""
        return self.volumes - _TAIL - self.first


def skipped(movie: str) -> int:
    """Volumes before the one that answers for the movie's first clip: 1, where the run began 2 s into the movie."""
    return 1 if movie.startswith("seg") or movie == "test1" else 2


def clip_count(movie: str, volumes: int) -> int:
    """Clips of 2 s in a movie whose runs have so many volumes."""
    return volumes - skipped(movie) - _TAIL


def clip_id(movie: str, number: int) -> str:
    """The name of a movie's clip, counted from 0."""
    return f"{movie}-{number:03d}"


def role_of(movie: str) -> str:
    return "train" if movie.startswith("seg") else "test"


def runs_of(subject: str, facts: Facts) -> Iterator[Run]:
    """Everything that somebody was shown, in the release's order."""
    for movie, volumes in facts.run_volumes.items():
        for repetition in range(1, facts.repetitions[role_of(movie)] + 1):
            first = _LATE.get((subject, movie, repetition), skipped(movie))
            yield Run(subject, movie, repetition, volumes, first)


def root_of(source: Path) -> Path:
    """The folder with the subjects: ``source`` itself, or its video_fmri_dataset/."""
    need_folder(source, f"{TOP}/")
    return source / TOP if (source / TOP).is_dir() else source


def present_subjects(source: Path) -> list[str]:
    """The people whose folders are there."""
    root = root_of(source)
    people = sorted(f.name for f in root.glob("subject*") if re.fullmatch(r"subject[1-9]\d*", f.name) and f.is_dir())
    if not people:
        raise SourceError(
            f"{root} has no folders subject1, subject2, subject3",
            expected="CC2017, unpacked",
            do=f"give the folder that holds {TOP}/",
        )
    return people


def read_captions(source: Path, clips: list[str]) -> dict[str, str]:
    """Captions of clips as JSON lists, from a file of the user's own: the release has none.

    Raises:
        SourceError: the file is broken, or names clips that there are not.
    """
    path = source / CAPTIONS
    if not path.is_file():
        return {}
    table = read_table(path, ("clip_id", "captions"), ("clip_id", "captions"))
    if unknown := sorted(set(table["clip_id"]) - set(clips)):
        raise SourceError(f"{path} names the clip {unknown[0]!r}", expected=f"{clips[0]}, …, {clips[-1]}")
    twice = table.loc[table["clip_id"].duplicated(), "clip_id"].tolist()
    if twice:
        raise SourceError(f"{path} names the clip {twice[0]!r} twice", expected="one row per clip")
    told = [caption_list(cell, row, path) for row, cell in enumerate(table["captions"].tolist(), start=1)]
    return dict(zip(table["clip_id"].tolist(), told, strict=True))


def cifti_path(root: Path, run: Run) -> Path:
    return root / run.subject / "fmri" / run.movie / "cifti" / f"{run.name}_Atlas.dtseries.nii"


def volume_path(root: Path, run: Run) -> Path:
    """The run in MNI space; some of the test movies' files are called ``.mni`` and not ``_mni``."""
    folder = root / run.subject / "fmri" / run.movie / "mni"
    usual, other = (folder / f"{run.name}{mark}mni.nii.gz" for mark in "_.")
    return other if other.exists() and not usual.exists() else usual


def movie_path(stimuli: Path, movie: str) -> Path:
    return stimuli / f"{movie}.mp4"


def movie_fps(path: Path, clips: int) -> float:
    """Frames per second of a movie that must be long enough for its clips.

    Raises:
        SourceError: it is missing, no video, or too short; nothing is decoded to find that out.
    """
    import av

    do = "put the release's movies there, or give their folder with --stimuli"
    with sentences(path, "the movie that was shown", do), path.open("rb") as stream, av.open(stream, "r") as container:
        if not container.streams.video:
            raise SourceError(f"{path} has no pictures", expected="the movie that was shown", do=do)
        rate = container.streams.video[0].average_rate
        length_s = (container.duration or 0) / av.time_base
        # A container's clock rounds, and a last frame may be missing.
        if length_s < clips * CLIP_S - 1.0:
            raise SourceError(f"{path} lasts {length_s:.1f} s", expected=f"{clips * CLIP_S:g} s", do=do)
        return float(rate or 25)
