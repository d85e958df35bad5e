"""MOSAIC: single-trial betas of 93 people of eight datasets in one space, an HDF5 file a person."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from brainreel.datasets import parcels
from brainreel.datasets.mosaic_files import File, read_file
from brainreel.datasets.named_clips import named_clips, tests_by_name
from brainreel.datasets.parcels import GRAYORDINATES, MAP, Space, read_space
from brainreel.datasets.protocol import Facts, Progress, Size, chosen, facts_of, note, silent
from brainreel.datasets.reading import need_folder
from brainreel.datasets.remote import Remote
from brainreel.errors import SourceError
from brainreel.store.manifest import Manifest
from brainreel.store.writer import StoreWriter

FACTS = Facts(
    name="mosaic",
    title="MOSAIC: 93 people of eight datasets, BOLD Moments and HAD among them, prepared alike (event design)",
    licence="that of each dataset (BOLD Moments and HAD: CC0)",
    citation=(
        "Lahner, B., Deb, M., Murty, A. R., & Oliva, A. MOSAIC: a scalable framework for fMRI dataset aggregation and "
        "modeling of human vision; and each dataset's own publication, which the attribute publication_url of its files names"
    ),
    url="https://blahner.github.io/MOSAICfmri",
    how_to_get=(
        "Download sub-XX_DATASET.hdf5 of the people you want into one folder (s3://mosaicfmri, anonymously); the clips "
        "come from each dataset's authors (--stimuli)"
    ),
    kind="event",
    responses="GLMsingle betas of single trials, standardised by MOSAIC with training trials; kept in half precision",
    subjects=93,
    spaces=parcels.FACTS,
    notes=(
        "Vertices without signal in any of the people that were read are left out for all of them.",
        "How often a clip was shown differs between datasets.",
    ),
)
DOWNLOAD = Remote(
    url="https://mosaicfmri.s3.amazonaws.com",
    root="fMRIPrepv23_2_0/task_fMRI/betas/GLMsinglev1_2/",
    spaces={MAP: ("*/{subject}.hdf5",)},
    subject=r"sub-[A-Za-z0-9]+_[A-Za-z0-9]+",
    flat=True,
    by_hand="The clips come from each dataset's authors: give their folder with --stimuli.",
)
FOLDS, FOLD = "official", "fold-1"
PERSON = re.compile(r"sub-[A-Za-z0-9]+_[A-Za-z0-9]+")


class Mosaic:
    """The files of single subjects."""

    facts = FACTS
    download = DOWNLOAD

    def manifest(self, source: Path) -> Manifest:
        need_folder(source, "sub-01_BMD.hdf5 …")
        facts, simulated = facts_of(source, FACTS)
        return facts.manifest(simulated=simulated)

    def ingest(
        self,
        source: Path,
        writer: StoreWriter,
        *,
        subjects: Sequence[str] | None = None,
        space: str | None = None,
        stimuli: Path | None = None,
        progress: Progress = silent,
    ) -> None:
        facts, _ = facts_of(source, FACTS)
        count = facts.spaces.get(MAP, GRAYORDINATES)
        paths = _find(source, facts)
        people = chosen(list(paths), subjects, source)
        with_signal = _with_signal(read_space(space, source, count), [paths[who] for who in people], count, writer)
        writer.add_space(with_signal.name, with_signal.vertex, with_signal.parcel)
        trials = []
        for subject in people:
            progress(f"reading {subject}")
            with read_file(paths[subject], count) as file:
                shown, betas = _with_roles(file), file.betas(with_signal.vertex)
            writer.add_responses(subject, betas, space=with_signal.name)
            writer.source(paths[subject], source)
            trials.append(shown.assign(subject=subject, session="", run=""))
        table = pd.concat(trials, ignore_index=True)
        clips = table.sort_values("role", ascending=False, kind="stable")["clip_id"].unique().tolist()
        writer.write_clips(named_clips(clips, source, stimuli))
        writer.write_trials(table)
        writer.write_folds(FOLDS, pd.DataFrame({FOLD: table["role"]}))

    def twin(self, out: Path, *, subjects: int | None = None, size: Size = "tiny", seed: int = 0) -> None:
        from brainreel.datasets.mosaic_twin import write_twin

        write_twin(out, FACTS, subjects=subjects, size=size, seed=seed)


def _find(source: Path, facts: Facts) -> dict[str, Path]:
    paths = sorted([*source.glob("*.hdf5"), *source.glob("*.h5")])
    for path in paths:
        if not PERSON.fullmatch(path.stem):
            raise SourceError(
                f"{path} is not the file of one person", expected="sub-XX_DATASET.hdf5", do="move it elsewhere"
            )
    if not paths or len(paths) > (facts.subjects or len(paths)):
        raise SourceError(
            f"{source} has {len(paths)} files",
            expected=f"sub-XX_DATASET.hdf5, at most {facts.subjects}",
            do="check the path",
        )
    return {path.stem: path for path in paths}


def _with_signal(space: Space, paths: list[Path], count: int, writer: StoreWriter) -> Space:
    """The space without the vertices that have no signal in somebody, so that columns still correspond."""
    lost = np.zeros(count, bool)
    for path in paths:
        with read_file(path, count) as file:
            lost |= file.lost()
    kept = ~lost[space.vertex]
    if kept.all():
        return space
    gone = int((~kept).sum())
    if gone == len(space):
        raise SourceError(
            f"no vertex of {space.name} has signal in everybody", expected="some", do="choose other people"
        )
    note(writer, f"{gone} of {len(space)} vertices have no signal in somebody (nan_indices) and are left out.")
    parcel = [name for name, keep in zip(space.parcel, kept, strict=True) if keep]
    return Space(f"{space.name}/without-{gone}", space.vertex[kept], parcel)


def _with_roles(file: File) -> pd.DataFrame:
    """The person's trials with the role that the file states, or else that the clips' names decide."""
    shown = file.trials
    untold = (shown["role"] == "").to_numpy()
    if not untold.any():
        return shown
    tests = tests_by_name(shown["clip_id"].tolist())
    if tests is None or not untold.all():
        first = shown.loc[untold, "clip_id"].iloc[0]
        raise SourceError(
            f"{file.path} does not say whether the clip {first!r} trains or tests",
            expected="the attribute phase, or names of BOLD Moments' or HAD's clips",
            do="download the file again",
        )
    return shown.assign(role=np.where(tests, "test", "train"))
