"""CC2017: three people watched 3.1 hours of short movies, each several times (Wen et al. 2017)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from brainreel.cortex.cleaning import cleaned
from brainreel.datasets import cc2017_files as files
from brainreel.datasets import parcels
from brainreel.datasets.protocol import Facts, Progress, Size, chosen, facts_of, note, silent
from brainreel.datasets.remote import ByHand
from brainreel.datasets.runs import CiftiRuns, Runs, VolumeRuns
from brainreel.errors import SourceError
from brainreel.store.manifest import Manifest
from brainreel.store.writer import StoreWriter

FACTS = Facts(
    name="cc2017",
    title="CC2017: three people watched 23 movies of 8 minutes, each 2 or 10 times",
    licence="published research data, terms on the repository's page: cite, do not redistribute",
    citation=(
        "Wen H, Shi J, Zhang Y, Lu KH, Cao J, Liu Z (2018). Neural encoding and decoding with deep learning for "
        "dynamic natural vision. Cerebral Cortex 28, 4136-4160. doi:10.1093/cercor/bhx268"
    ),
    url="https://purr.purdue.edu/publications/2809",
    how_to_get=(
        "Download the fMRI data and the stimuli of publication 2809 of the Purdue University Research Repository and "
        "unpack them into one folder; give the folder that holds video_fmri_dataset/. Movies elsewhere: --stimuli."
    ),
    kind="continuous",
    responses=(
        "BOLD of single volumes, the one 4 s after a 2-s clip's onset paired with the clip; 4th-order polynomials out "
        "and z-scored per vertex within each run's 240 volumes, as in the release's own scripts; half precision"
    ),
    subjects=3,
    repetitions={"train": 2, "test": 10},
    tr_s=2.0,
    spaces=parcels.FACTS,
    run_volumes={**{f"seg{k}": 245 for k in range(1, 19)}, "test1": 245, **{f"test{k}": 246 for k in range(2, 6)}},
    notes=(
        "The responses are already shifted by 2 TRs for the haemodynamic lag: do not shift again.",
        "Each run is standardised with its own 240 volumes, test runs included: label-free, the official preparation.",
        "The release describes no clips; a captions.tsv (clip_id, captions) in the folder is read if it is there.",
        "The TR is 2 s whatever the files' headers say.",
        "subject3, test2, run 9 began ten seconds early: its last 5 clips are lost, which were shown 9 times.",
    ),
)
DOWNLOAD = ByHand(
    steps=(
        "Open https://purr.purdue.edu/publications/2809 and accept its terms.",
        "Download the stimuli and the fMRI data of the people you want.",
        "Unpack everything into one folder, so that it holds video_fmri_dataset/.",
    ),
    tree="""
SOURCE/
  video_fmri_dataset/
    stimuli/
      seg1.mp4 … seg18.mp4 test1.mp4 … test5.mp4
    subject1/                                             subject2 and subject3 likewise
      fmri/
        seg1/
          cifti/seg1_1_Atlas.dtseries.nii                 and seg1_2; to seg18
          mni/seg1_1_mni.nii.gz                           only for --space MNI152
        test1/
          cifti/test1_1_Atlas.dtseries.nii                to test1_10; to test5
""",
)
FOLDS, FOLD = "official", "fold-1"
VOLUMES = "MNI152"


class CC2017:
    """The release's movies as a continuous dataset: 2-s clips, 240 of each movie."""

    facts = FACTS
    download = DOWNLOAD

    def manifest(self, source: Path) -> Manifest:
        files.present_subjects(source)
        facts, simulated = facts_of(source, FACTS)
        lost = {subject: fewer for subject in files.present_subjects(source) if (fewer := _fewer(subject, facts))}
        return facts.manifest(simulated=simulated).model_copy(update={"fewer_repetitions": lost})

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
        people = chosen(files.present_subjects(source), subjects, source)
        facts, _ = facts_of(source, FACTS)
        root = files.root_of(source)
        clips = _clips(stimuli or root / "stimuli", facts)
        described = files.read_captions(source, clips["clip_id"].tolist())
        clips["captions"] = [described.get(name, "[]") for name in clips["clip_id"]]
        runs = [run for subject in people for run in files.runs_of(subject, facts)]
        recorded = _recorded(source, root, runs, facts, space)
        recorded = _without_still(recorded, runs, writer, progress)

        writer.add_space(recorded.name, recorded.vertex, recorded.parcel)
        for run, line in zip(runs, _counted("reading", runs), strict=True):
            if line:
                progress(line)
            series = recorded.reader.read(recorded.paths[run], run.volumes, recorded.vertex)
            # Half precision keeps a z-score to 0.0005: the noise of one volume is a thousand times that.
            values = cleaned(series[:, run.kept]).astype(np.float16).T
            writer.add_bold(run.subject, run.name, values, tr_s=facts.tr_s or files.CLIP_S, space=recorded.name)
            writer.source(recorded.paths[run], source)
        _write_tables(writer, clips, runs)
        if described:
            writer.source(source / files.CAPTIONS, source)
            note(writer, f"Captions are not the release's: they come from {files.CAPTIONS} beside it.")
        if len(people) != facts.subjects:
            note(writer, f"{len(people)} of the release's {facts.subjects} subjects.")

    def twin(self, out: Path, *, subjects: int | None = None, size: Size = "tiny", seed: int = 0) -> None:
        from brainreel.datasets.cc2017_twin import write_twin

        write_twin(out, FACTS, subjects=subjects, size=size, seed=seed)


class _Recorded(NamedTuple):
    """What is read of which files: a space of places, and a way to read them."""

    name: str
    vertex: np.ndarray
    parcel: list[str]
    reader: Runs
    paths: dict[files.Run, Path]


def _recorded(source: Path, root: Path, runs: list[files.Run], facts: Facts, space: str | None) -> _Recorded:
    if space != VOLUMES:
        everywhere = facts.spaces[parcels.MAP]
        there = parcels.read_space(space, source, everywhere)
        paths = {run: files.cifti_path(root, run) for run in runs}
        _need_files(paths)
        return _Recorded(there.name, there.vertex, there.parcel, CiftiRuns(everywhere), paths)
    paths = {run: files.volume_path(root, run) for run in runs}
    _need_files(paths)
    reader = VolumeRuns.like(paths[runs[0]])
    return _Recorded(f"{VOLUMES}/{facts.name}", np.arange(reader.places), ["brain"] * reader.places, reader, paths)


def _need_files(paths: dict[files.Run, Path]) -> None:
    """Look for all files before hours are spent on the first ones."""
    missing = [path for path in paths.values() if not path.is_file()]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise SourceError(
            f"{missing[0]}{more} is missing",
            expected=f"the {len(paths)} runs of these people",
            do="unpack all archives of the release, or choose people with --subjects",
        )


def _without_still(recorded: _Recorded, runs: list[files.Run], writer: StoreWriter, progress: Progress) -> _Recorded:
    """Leave out what does not change in some run: nothing can be learnt from it, and it has no z-score."""
    alive = np.ones(len(recorded.vertex), bool)
    for run, line in zip(runs, _counted("looking for places that never change in", runs), strict=True):
        if line:
            progress(line)
        alive &= ~recorded.reader.still(recorded.paths[run], run.volumes, run.kept, recorded.vertex)
    dead = int((~alive).sum())
    if not alive.any():
        raise SourceError(f"nothing changes in {recorded.paths[runs[0]]} or the others", expected="recordings")
    name = recorded.name
    # Outside the brain a grid is empty, which is no news. A space that others share keeps its name only if it is whole.
    if dead and not name.startswith(VOLUMES):
        name = f"{name}-without-{dead}"
        note(writer, f"{dead} vertices never change in at least one run and are left out of {recorded.name}.")
    parcel = [recorded.parcel[k] for k in np.flatnonzero(alive)]
    return recorded._replace(name=name, vertex=recorded.vertex[alive], parcel=parcel)


def _counted(what: str, runs: list[files.Run]) -> list[str]:
    """What to say before each run: something before a person's first, nothing before the others."""
    count = Counter(run.subject for run in runs)
    before = ["", *(run.subject for run in runs)]
    return [
        f"{what} {run.subject} ({count[run.subject]} runs)" if run.subject != last else ""
        for run, last in zip(runs, before, strict=False)
    ]


def _clips(stimuli: Path, facts: Facts) -> pd.DataFrame:
    """Every movie cut into its clips."""
    parts = []
    for movie, volumes in facts.run_volumes.items():
        count = files.clip_count(movie, volumes)
        path = files.movie_path(stimuli, movie)
        fps = files.movie_fps(path, count)
        names = [files.clip_id(movie, k) for k in range(count)]
        onset_s = files.CLIP_S * np.arange(count)
        parts.append(
            pd.DataFrame({"clip_id": names, "onset_s": onset_s}).assign(
                stimulus=movie, path=str(path.resolve()), fps=fps, duration_s=files.CLIP_S
            )
        )
    return pd.concat(parts, ignore_index=True)


def _fewer(subject: str, facts: Facts) -> dict[str, int]:
    """Clips that somebody saw less often than the release declares, and how often."""
    declared: dict[str, int] = {}
    seen: dict[str, int] = {}
    for run in files.runs_of(subject, facts):
        for number in range(files.clip_count(run.movie, run.volumes)):
            name = files.clip_id(run.movie, number)
            declared[name] = facts.repetitions[files.role_of(run.movie)]
            seen[name] = seen.get(name, 0) + (number < run.clips)
    return {name: count for name, count in seen.items() if count < declared[name]}


def _write_tables(writer: StoreWriter, clips: pd.DataFrame, runs: list[files.Run]) -> None:
    writer.write_clips(clips)
    trials = []
    for run in runs:
        names = [files.clip_id(run.movie, k) for k in range(run.clips)]
        shown = pd.DataFrame({"clip_id": names, "onset_s": files.CLIP_S * np.arange(run.clips)})
        shown = shown.assign(subject=run.subject, session="", run=run.name, repetition=run.repetition)
        trials.append(shown.assign(duration_s=files.CLIP_S, role=files.role_of(run.movie)))
    table = pd.concat(trials, ignore_index=True)
    writer.write_trials(table)
    writer.write_folds(FOLDS, pd.DataFrame({FOLD: table["role"]}))
