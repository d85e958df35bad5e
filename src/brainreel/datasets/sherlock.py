"""Sherlock: 17 people watched 48 minutes of one television episode (Chen et al. 2017)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from brainreel.cortex.windows import timeline_weights, window_starts
from brainreel.datasets import sherlock_kit as kit
from brainreel.datasets.protocol import Facts, Progress, Size, chosen, facts_of, note, silent
from brainreel.datasets.remote import ByHand
from brainreel.errors import SourceError, UsageError
from brainreel.store.folds import block_roles, contiguous_blocks
from brainreel.store.manifest import Manifest
from brainreel.store.writer import StoreWriter

FACTS = Facts(
    name="sherlock",
    title="Sherlock: a television episode watched by 17 people (posterior medial cortex)",
    licence="published research data without a licence file: cite, do not redistribute",
    citation=(
        "Chen J, Leong YC, Honey CJ, Yong CH, Norman KA, Hasson U (2017). Shared memories reveal shared structure "
        "in neural activity across individuals. Nature Neuroscience 20, 115-125. doi:10.1038/nn.4450"
    ),
    url="https://github.com/Summer-MIND/mind_2018",
    how_to_get=(
        "Clone the tutorial kit (github.com/Summer-MIND/mind_2018) and give the folder that holds its subjects/, "
        "intersubj/ and standard/. The episode is not part of it and is not needed: targets are embeddings of the "
        "descriptions. If you own it, give the file with --stimuli."
    ),
    kind="continuous",
    responses=(
        "BOLD, 3-mm MNI voxels of the posterior medial cortex, shifted by 3 TRs (4.5 s) against the film and "
        "z-scored per voxel over each whole scan by the authors; mean courses of six regions likewise"
    ),
    subjects=17,
    segments=1000,
    repetitions={"train": 1, "test": 1},
    tr_s=1.5,
    spaces={"sherlock/pmc": 481},
    run_volumes={"scan-1": 946, "scan-2": 1030},
    notes=(
        "The kit arrives z-scored over whole scans, test time included: label-free, not undone here.",
        "The responses are already shifted by 3 TRs for the haemodynamic lag: do not shift again.",
        "Film time runs through both scans; scan 2 begins with the cartoon that scan 1 began with.",
        "vertex is the C-order index into the 61 x 73 x 61 grid of standard/pmc_nn.nii.",
    ),
)
DOWNLOAD = ByHand(
    steps=(
        "Clone https://github.com/Summer-MIND/mind_2018 and get the tutorials' data as its pages say.",
        "Give the folder that holds subjects/, intersubj/ and standard/ as SOURCE.",
        "The episode itself is not needed. If you own it, give the file with --stimuli.",
    ),
    tree="""
SOURCE/
  subjects/
    s1/sherlock_movie/pmc_nn_sherlock_movie_s1.mat        to s17
    Sherlock_Segments_1000_NN_2017.xlsx
  intersubj/roicorr/…_sherlock_movie_roicorr.mat          six regions
  standard/pmc_nn.nii
""",
)

WINDOW_TRS, STEP_TRS, GAP_TRS, BLOCKS = 10, 2, 30, 8
FOLDS = "blocks-of-8"


class Sherlock:
    """The tutorial kit's films as a continuous dataset: 15-s windows, described in words."""

    facts = FACTS
    download = DOWNLOAD

    def manifest(self, source: Path) -> Manifest:
        kit.present_subjects(source)
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
        present = kit.present_subjects(source)
        facts, _ = facts_of(source, FACTS)
        if space not in (None, "sherlock/pmc"):
            raise UsageError(f"space {space!r} of sherlock does not exist", expected="sherlock/pmc (the default)")
        if stimuli is not None and not stimuli.is_file():
            raise UsageError(f"--stimuli {stimuli} is no file", expected="the episode's video file")
        people = chosen(present, subjects, source)
        described = kit.read_segments(source, facts)
        voxels = kit.read_mask(source, facts)
        bold: dict[str, np.ndarray] = {}
        for subject in people:
            progress(f"reading {subject} ({len(bold) + 1} of {len(people)})")
            bold[subject] = kit.read_bold(source, subject, facts)
        kit.refuse_copies(bold, source)
        courses = kit.read_courses(source, present, facts, bold)

        progress("writing the store")
        writer.add_space("sherlock/pmc", voxels, ["PMC"] * len(voxels))
        writer.add_space("sherlock/regions", np.arange(len(kit.REGIONS)), kit.REGIONS)
        _add_scans(writer, facts, bold, courses)
        windows = film_windows(facts)
        _write_tables(writer, facts, windows, described, {s: len(v) for s, v in bold.items()}, stimuli)
        for path in (kit.sheet_path(source), kit.mask_path(source, kit.VOXELS)):
            writer.source(path, source)
        for region in kit.REGIONS:
            writer.source(kit.course_path(source, region), source)
        for subject in people:
            writer.source(kit.bold_path(source, subject), source)

        if described.untimed:
            numbers = ", ".join(map(str, described.untimed))
            note(writer, f"{len(described.untimed)} described segments have no times and are left out ({numbers}).")
        if len(people) != facts.subjects:
            note(writer, f"{len(people)} of the release's {facts.subjects} subjects.")

    def twin(self, out: Path, *, subjects: int | None = None, size: Size = "tiny", seed: int = 0) -> None:
        from brainreel.datasets.sherlock_twin import write_twin

        write_twin(out, FACTS, subjects=subjects, size=size, seed=seed)


def film_windows(facts: Facts) -> pd.DataFrame:
    """Every window: run, first volume in the run (`local`) and in the film (`start`), whether it may test."""
    parts, before = [], 0
    for run, volumes in facts.run_volumes.items():
        local = window_starts(volumes, WINDOW_TRS, STEP_TRS)
        parts.append(pd.DataFrame({"run": run, "local": local, "start": local + before}))
        before += volumes
    windows = pd.concat(parts, ignore_index=True)
    windows["clip_id"] = [f"{facts.name}-{start:04d}" for start in windows["start"]]
    windows["testable"] = windows["local"] % WINDOW_TRS == 0
    return windows


def fold_roles(facts: Facts, windows: pd.DataFrame) -> np.ndarray:
    """The role (windows, folds) of each window: as many contiguous blocks of test windows in every scan.

    Windows of the block that do not start on the test grid, and all within 45 s of the block, are gap; film
    time counts through the scan break.
    """
    tr_s, blocks = facts.tr_s or 1.0, []
    start, testable = windows["start"].to_numpy(), windows["testable"].to_numpy()
    for run in facts.run_volumes:
        first = start[testable & (windows["run"] == run).to_numpy()]
        for a, b in contiguous_blocks(len(first), BLOCKS // len(facts.run_volumes)):
            if a == b:
                raise SourceError(
                    f"{run} has {len(first)} windows of {WINDOW_TRS} TRs",
                    expected=f"at least {BLOCKS // len(facts.run_volumes)}",
                )
            blocks.append((float(first[a] * tr_s), float((first[b - 1] + WINDOW_TRS) * tr_s)))
    onset = start * tr_s
    return block_roles(onset, onset + WINDOW_TRS * tr_s, testable, blocks, GAP_TRS * tr_s)


def _add_scans(
    writer: StoreWriter, facts: Facts, bold: Mapping[str, np.ndarray], courses: Mapping[str, np.ndarray]
) -> None:
    tr_s, n_volumes = facts.tr_s or 1.0, sum(facts.run_volumes.values())
    for subject, values in bold.items():
        begin = 0
        for run, volumes in facts.run_volumes.items():
            scan = slice(begin, begin + volumes)
            writer.add_bold(subject, run, values[scan], tr_s=tr_s, space="sherlock/pmc")
            regions = courses[subject][scan]
            writer.add_bold(subject, run, regions, tr_s=tr_s, space="sherlock/regions", group="regions")
            begin += volumes
        if len(values) < n_volumes:
            lost = n_volumes - len(values)
            note(writer, f"{subject}: the last {lost} volumes were not recorded and are left out.")


def _write_tables(
    writer: StoreWriter,
    facts: Facts,
    windows: pd.DataFrame,
    described: kit.Description,
    recorded: Mapping[str, int],
    stimuli: Path | None,
) -> None:
    tr_s, n_volumes = facts.tr_s or 1.0, sum(facts.run_volumes.values())
    table = described.table
    writer.write_annotations(table, stimulus_volumes=n_volumes)
    onset = windows["start"].to_numpy() * tr_s
    duration = WINDOW_TRS * tr_s
    spans = table[["onset_s", "duration_s"]].to_numpy(dtype=float)
    spans = np.stack([spans[:, 0], spans.sum(axis=1)], axis=1)
    weights = timeline_weights(spans, np.stack([onset, onset + duration], axis=1), tr_s, n_volumes)
    captions = table["caption"].to_numpy()
    # sha256 and phash stay empty: every window is a part of one file, which is no leak.
    writer.write_clips(
        pd.DataFrame(
            {
                "clip_id": windows["clip_id"],
                "path": str(stimuli.resolve()) if stimuli else "",
                "stimulus": facts.name,
                "onset_s": onset,
                "duration_s": duration,
                "captions": [json.dumps(captions[w > 0].tolist(), ensure_ascii=False) for w in weights],
                "caption_weights": [json.dumps(w[w > 0].tolist()) for w in weights],
            }
        )
    )
    roles = fold_roles(facts, windows)
    seen = {s: (windows["start"] + WINDOW_TRS <= n).to_numpy() for s, n in recorded.items()}
    shown = pd.DataFrame(
        {
            "session": "",
            "run": windows["run"],
            "clip_id": windows["clip_id"],
            "repetition": 1,
            "onset_s": windows["local"] * tr_s,
            "duration_s": duration,
        }
    )
    trials = [shown.iloc[np.flatnonzero(kept)].assign(subject=subject) for subject, kept in seen.items()]
    writer.write_trials(pd.concat(trials, ignore_index=True))
    names = [f"block-{k + 1}" for k in range(roles.shape[1])]
    writer.write_folds(FOLDS, pd.DataFrame(np.concatenate([roles[k] for k in seen.values()]), columns=names))
