"""BOLD Moments: ten people saw 1,102 clips of 3 s, the training clips three times, the test clips ten times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from brainreel.datasets import parcels
from brainreel.datasets.protocol import Facts, Progress, Size, chosen, facts_of, silent
from brainreel.datasets.reading import need_folder
from brainreel.datasets.remote import Remote
from brainreel.errors import UsageError, alternatives
from brainreel.store.manifest import Manifest
from brainreel.store.writer import StoreWriter

FACTS = Facts(
    name="bmd",
    title="BOLD Moments: ten people saw 1,102 clips of 3 s (event design)",
    licence="CC0 (recordings, annotations); the clips come from their authors, by password, under research terms",
    citation=(
        "Lahner, B., Dwivedi, K., Iamshchinina, P., et al. (2024). Modeling short visual events through the BOLD "
        "moments video fMRI dataset and metadata. Nature Communications 15, 6241. doi:10.1038/s41467-024-50310-3"
    ),
    url="https://openneuro.org/datasets/ds005165",
    how_to_get=(
        "Fetch derivatives/versionB/fsLR32k/GLM/sub-XX/prepared_betas and derivatives/stimuli_metadata of OpenNeuro "
        "ds005165 (3 GB a person); ask the authors for the clips (github.com/blahner/BOLDMomentsDataset) and unpack "
        "them into stimuli/, or give their folder with --stimuli"
    ),
    kind="event",
    responses=(
        "GLMsingle betas (type D) of single trials, standardised by the release with the training trials of their "
        "session; kept in half precision"
    ),
    subjects=10,
    clips=1102,
    repetitions={"train": 3, "test": 10},
    tr_s=1.75,
    spaces={**parcels.FACTS, "MNI152": 108_219, "fsaverage": 327_684},
    notes=(
        "Clips and test clips are the release's: 1 to 1000 train, 1001 to 1102 test.",
        "fsLR32k/ also takes a list of areas of HCP-MMP1 (fsLR32k/V1+V2+MT); versionA, or versionA/V1v+V1d, are the "
        "release's earlier analysis in each person's own regions, of which some are missing in some people.",
    ),
)


def _prepared(space: str, *hemispheres: str) -> tuple[str, ...]:
    """Patterns of the prepared betas in a space of versionB."""
    folder = f"derivatives/versionB/{space}/GLM/{{subject}}/prepared_betas"
    sides = [f"_hemi-{side}" for side in hemispheres] or [""]
    names = (f"organized_betas_task-{role}{side}_normalized.pkl" for role in ("train", "test") for side in sides)
    return tuple(f"{folder}/{{subject}}_{name}" for name in names)


DOWNLOAD = Remote(
    root="ds005165/",
    needed=("derivatives/stimuli_metadata/annotations.json",),
    spaces={
        parcels.MAP: _prepared(parcels.MAP),
        "MNI152": _prepared("MNI152"),
        "fsaverage": _prepared("fsaverage", "left", "right"),
        "versionA": (
            "derivatives/versionA/MNI152/prepared_data/prepared_allvoxel_pkl/TRavg56789/{subject}/"
            "*_TRavg-56789_allvoxel.pkl",
        ),
    },
    by_hand=(
        "The clips come from the authors, by password (github.com/blahner/BOLDMomentsDataset): unpack them into "
        "stimuli/train/0001.mp4 … and stimuli/test/1001.mp4 … of the same folder, or give theirs with --stimuli. "
        "Without them everything that needs captions alone works."
    ),
)
FOLDS, FOLD = "official", "fold-1"
DURATION_S = 3.0
KINDS = (parcels.MAP, "MNI152", "fsaverage", "versionA")


class BoldMoments:
    """The release as OpenNeuro has it, or GLMsingle's output that it was made from."""

    facts = FACTS
    download = DOWNLOAD

    def manifest(self, source: Path) -> Manifest:
        need_folder(source, "derivatives/ of OpenNeuro ds005165")
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
        from brainreel.datasets import bmd_files as files
        from brainreel.datasets.bmd_spaces import reader_of

        facts, _ = facts_of(source, FACTS)
        space = space or parcels.DEFAULT_SPACE
        kind = space.split("/")[0]
        if kind not in KINDS:
            raise UsageError(f"bmd has no space {alternatives(space, [*FACTS.spaces, 'versionA'])}")
        clips = files.read_clips(source, stimuli, facts)
        listed = {role: clips["clip_id"][clips["set"] == role].tolist() for role in ("train", "test")}
        reader = reader_of(kind)(source, facts, space, listed, writer)
        people = chosen(reader.people(), subjects, source)
        for subject in people:
            progress(f"reading {subject}")
            reader.add(subject)
        writer.write_clips(clips)
        trials = pd.concat([_trials(subject, listed, facts) for subject in people], ignore_index=True)
        writer.write_trials(trials)
        writer.write_folds(FOLDS, pd.DataFrame({FOLD: trials["set"]}))
        writer.source(files.annotations_path(source), source)

    def twin(self, out: Path, *, subjects: int | None = None, size: Size = "tiny", seed: int = 0) -> None:
        from brainreel.datasets.bmd_twin import write_twin

        write_twin(out, FACTS, subjects=subjects, size=size, seed=seed)


def _trials(subject: str, listed: dict[str, list[str]], facts: Facts) -> pd.DataFrame:
    """Clip by clip, repetition by repetition: the order in which responses are stored."""
    parts = []
    for role, clips in listed.items():
        count = facts.repetitions[role]
        repetition = np.tile(np.arange(1, count + 1), len(clips))
        parts.append(pd.DataFrame({"clip_id": np.repeat(clips, count), "repetition": repetition, "set": role}))
    shown = pd.concat(parts, ignore_index=True)
    return shown.assign(subject=subject, session="", run="", duration_s=DURATION_S)
