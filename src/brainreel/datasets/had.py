"""HAD, the Human Action Dataset: 30 people saw 720 clips each, once (Zhou et al. 2023)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from brainreel.datasets import had_files as files
from brainreel.datasets import had_responses, parcels
from brainreel.datasets.protocol import Facts, Progress, Size, chosen, facts_of, note, silent
from brainreel.datasets.remote import Remote
from brainreel.errors import SourceError
from brainreel.files import sha256
from brainreel.store.manifest import Manifest
from brainreel.store.writer import StoreWriter

FACTS = Facts(
    name="had",
    title="HAD (Human Action Dataset): 30 people saw 720 clips of 2 s each, once",
    licence="CC0",
    citation=(
        "Zhou M, Gong Z, Dai Y, Wen Y, Liu Y, Zhen Z (2023). A large-scale fMRI dataset for human action recognition. "
        "Scientific Data 10, 415. doi:10.1038/s41597-023-02325-6"
    ),
    url="https://openneuro.org/datasets/ds004488",
    how_to_get=(
        "From OpenNeuro ds004488: the folders sub-*/ses-action01/func (events), derivatives/ciftify/*/results and "
        "stimuli. Clips elsewhere: --stimuli."
    ),
    kind="event",
    responses="betas of single trials by the authors' GLM, per cycle of three runs; neither standardised nor averaged",
    subjects=30,
    clips=21_600,
    repetitions={"train": 1, "test": 1},
    tr_s=2.0,
    spaces={name: count for name, count in parcels.FACTS.items() if name != parcels.MAP},
    run_volumes={files.run_name(k): 156 for k in range(1, 13)},
    notes=(
        "Nobody saw a clip twice and no two people the same: the noise ceiling is unknown.",
        "Two test splits of 180 clips a person are in use: one-of-four (the default) tests one of every class's four "
        "clips, class k's of cycle (k - 1) mod 4 + 1; last-three-runs tests runs 10-12, the fourth clip of every class.",
        "Captions are the classes' names: nobody described the clips.",
    ),
)
_FUNC = "{subject}/ses-action01/func/{subject}_ses-action01_task-action_run-*_"
_CYCLE = "derivatives/ciftify/{subject}/results/ses-action01_task-action_cycle-*_"
DOWNLOAD = Remote(
    root="ds004488/",
    index=(f"{_FUNC}events.tsv",),
    spaces={
        parcels.MAP: (f"{_CYCLE}beta.dscalar.nii", f"{_CYCLE}label.txt"),
        had_responses.NATIVE: (f"{_FUNC}bold.nii.gz",),
    },
    clips=files.shown_clips,
)
FOLDS = ("one-of-four", "last-three-runs")
FOLD = "fold-1"


class HAD:
    """The release as an event dataset: one trial per clip."""

    facts = FACTS
    download = DOWNLOAD

    def manifest(self, source: Path) -> Manifest:
        files.present_subjects(source)
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
        people = chosen(files.present_subjects(source), subjects, source)
        facts, _ = facts_of(source, FACTS)
        events = {subject: files.read_events(source, subject, facts) for subject in people}
        clips = _clips(source, stimuli, events, writer)
        for subject, shown in events.items():
            progress(f"reading {subject}")
            had_responses.add(source, writer, subject, shown, facts, space)
        for subject in people:
            for run in files.run_numbers(facts):
                writer.source(files.func_path(source, subject, run, "events.tsv"), source)
        _write_tables(writer, clips, events)
        if len(people) != facts.subjects:
            note(writer, f"{len(people)} of the release's {facts.subjects} subjects.")

    def twin(self, out: Path, *, subjects: int | None = None, size: Size = "tiny", seed: int = 0) -> None:
        from brainreel.datasets.had_twin import write_twin

        write_twin(out, FACTS, subjects=subjects, size=size, seed=seed)


def fold_roles(events: pd.DataFrame) -> dict[str, np.ndarray]:
    """Each trial's role in both test splits."""
    cycle, number = events["cycle"].to_numpy(), events["class"].to_numpy()
    one = cycle == (number - 1) % files.CYCLES + 1
    last = cycle == files.CYCLES
    return {name: np.where(test, "test", "train") for name, test in zip(FOLDS, (one, last), strict=True)}


def _clips(source: Path, stimuli: Path | None, events: dict[str, pd.DataFrame], writer: StoreWriter) -> pd.DataFrame:
    """All clips that these people saw, with their videos if those are there at all."""
    shown = pd.concat(events.values(), ignore_index=True)
    twice = shown["clip_id"].duplicated()
    if twice.any():
        name = shown.loc[twice, "clip_id"].tolist()[0]
        raise SourceError(
            f"two people in {source} saw the clip {name!r}",
            expected="clips of their own for everybody",
            do="get the events again; one person's may be a copy of another's",
        )
    folder = stimuli or source / "stimuli"
    if not folder.is_dir():
        if stimuli is not None:
            raise SourceError(
                f"there is no folder {stimuli}", expected="the clips' class folders", do="correct --stimuli"
            )
        note(writer, "The clips were not there: only the names of their actions are known.")
        paths = ["" for _ in range(len(shown))]
    else:
        found = [files.find_clip(folder, name) for name in shown["stim_file"]]
        missing = [name for name, path in zip(shown["stim_file"], found, strict=True) if path is None]
        if missing:
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise SourceError(
                f"{folder} has no clip {missing[0]!r}{more}",
                expected="every clip that was shown, in folders named with spaces or underscores",
                do="download stimuli/ completely, or give its folder with --stimuli",
            )
        paths = [str(path.resolve()) for path in found if path is not None]
    captions = [json.dumps([files.action_of(name)]) for name in shown["clip_id"]]
    sums = [sha256(Path(path)) if path else "" for path in paths]
    # onset_s of a clip is its place in a film, and these are no parts of one.
    return pd.DataFrame(
        {
            "clip_id": shown["clip_id"],
            "path": paths,
            "duration_s": shown["duration_s"],
            "captions": captions,
            "sha256": sums,
        }
    )


def _write_tables(writer: StoreWriter, clips: pd.DataFrame, events: dict[str, pd.DataFrame]) -> None:
    trials = [table.assign(subject=subject) for subject, table in events.items()]
    shown = pd.concat(trials, ignore_index=True)
    names = [files.run_name(run) for run in shown["run"].tolist()]
    writer.write_clips(clips)
    writer.write_trials(shown.assign(session=files.SESSION, run=names, repetition=1))
    for name, roles in fold_roles(shown).items():
        writer.write_folds(name, pd.DataFrame({FOLD: roles}))
