"""HAD's responses: the authors' betas, or betas that brainreel estimates where only runs are there.

* ``fsLR32k/…``: derivatives/ciftify: the published betas; where those are missing, its preprocessed runs;
* ``native``: the raw runs as they left the scanner, without any preprocessing, everybody in their own space;
* any other name, such as ``MNI152NLin2009cAsym`` or ``fsaverage5``: runs that fMRIPrep wrote in that space.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from brainreel.cortex.glm import trial_betas
from brainreel.datasets import had_files as files
from brainreel.datasets import parcels
from brainreel.datasets.cifti import read_cifti
from brainreel.datasets.protocol import Facts, note
from brainreel.datasets.runs import CiftiRuns, Runs, SurfaceRuns, VolumeRuns
from brainreel.errors import SourceError, UsageError
from brainreel.store.writer import StoreWriter

NATIVE = "native"
ESTIMATED = (
    "Betas of single trials were estimated by brainreel from the runs: least squares separate, SPM's haemodynamic "
    "response, second-order polynomials within each run, in the runs' own unit."
)


def add(source: Path, writer: StoreWriter, subject: str, events: pd.DataFrame, facts: Facts, space: str | None) -> None:
    """Add one person's responses, in the order of the events.

    Raises:
        SourceError: a file is missing or broken.
        UsageError: no such space.
    """
    if space is not None and space.partition("/")[0] != parcels.MAP:
        _add_estimated(source, writer, subject, events, facts, space)
        return
    cortex = parcels.read_space(space, source, facts.spaces[f"{parcels.MAP}/cortex"])
    published = [files.beta_path(source, subject, cycle) for cycle in range(1, files.CYCLES + 1)]
    runs = [files.surface_run_path(source, subject, run) for run in files.run_numbers(facts)]
    # One published file tells that the others are meant to be there; then a missing one is an error.
    if not any(path.is_file() for path in published) and any(path.is_file() for path in runs):
        reader = CiftiRuns(_grayordinates(runs[0]))
        betas = _estimated(reader, runs, events, facts, cortex.vertex)
        _tell(writer)
    else:
        betas = np.empty((len(events), len(cortex)), np.float32)
        for cycle, path in enumerate(published, start=1):
            files.read_labels(source, subject, cycle, events)
            shape = (files.class_count(facts), facts.spaces[f"{parcels.MAP}/cortex"])
            values = read_cifti(path, shape, "classes, grayordinates", cortex.vertex)
            mine = (events["cycle"] == cycle).to_numpy()
            # Rows are classes in the order of their numbers; trials are in the order in which they were shown.
            betas[mine] = values[events.loc[mine, "class"].to_numpy(int) - 1]
            writer.source(files.beta_path(source, subject, cycle, "label.txt"), source)
        runs = published
    writer.add_space(cortex.name, cortex.vertex, cortex.parcel)
    writer.add_responses(subject, betas, space=cortex.name)
    for path in runs:
        writer.source(path, source)


def _add_estimated(
    source: Path, writer: StoreWriter, subject: str, events: pd.DataFrame, facts: Facts, space: str
) -> None:
    """From runs in volumes or on another surface; each person's places are those that live in all their runs."""
    paths, reader, parcel = _runs_in(source, subject, facts, space)
    places = np.arange(reader.places)
    alive = np.ones(reader.places, bool)
    for path, volumes in zip(paths, facts.run_volumes.values(), strict=True):
        alive &= ~reader.still(path, volumes, slice(0, volumes), places)
    if not alive.any():
        raise SourceError(f"nothing changes in all of {paths[0]} and the person's other runs", expected="recordings")
    vertex = np.flatnonzero(alive)
    # The grid is everybody's, but which of its places are recorded is a person's own.
    name = f"{space}/{facts.name}-{subject}"
    writer.add_space(name, vertex, [parcel] * len(vertex))
    writer.add_responses(subject, _estimated(reader, paths, events, facts, vertex), space=name)
    for path in paths:
        writer.source(path, source)
    _tell(writer)
    if space == NATIVE:
        text = "The runs are raw: neither motion nor slice timing was corrected, and nothing was aligned across people."
        if text not in writer.manifest.notes:
            note(writer, text)


def _runs_in(source: Path, subject: str, facts: Facts, space: str) -> tuple[list[Path], Runs, str]:
    """A person's runs in a space, how to read them, and what to call their places."""
    numbers = files.run_numbers(facts)
    if space == NATIVE:
        raw = [files.func_path(source, subject, run, "bold.nii.gz") for run in numbers]
        return raw, VolumeRuns.like(raw[0]), "brain"
    for suffix, kind, parcel in (
        (f"space-{space}_desc-preproc_bold.nii.gz", VolumeRuns, "brain"),
        (f"hemi-L_space-{space}_bold.func.gii", SurfaceRuns, "cortex"),
    ):
        found = [files.prepared_path(source, subject, run, suffix) for run in numbers]
        there = [path for path in found if path is not None]
        if len(there) == len(found):
            return there, kind.like(there[0]), parcel
        if there:
            lost = files.run_name(list(numbers)[found.index(None)])
            raise SourceError(
                f"{there[0].parent} has no {lost} in space {space!r}",
                expected=f"all {len(found)} runs",
                do="run fMRIPrep again",
            )
    raise UsageError(
        f"there are no runs of {subject} in space {space!r} in {source}",
        expected=f"{', '.join(facts.spaces)}, areas as in {parcels.MAP}/V1+V2, {NATIVE}, or a space of derivatives/fmriprep",
        do="correct --space",
    )


def _estimated(
    reader: Runs, paths: list[Path], events: pd.DataFrame, facts: Facts, places: np.ndarray
) -> Float[np.ndarray, "trials vertices"]:
    """Trial betas run by run, in the order of the events."""
    parts = []
    for run, path, volumes in zip(files.run_numbers(facts), paths, facts.run_volumes.values(), strict=True):
        series = reader.read(path, volumes, places)
        shown = events[events["run"] == run]
        onset_s, duration_s = (np.asarray(shown[name], dtype=float) for name in ("onset_s", "duration_s"))
        try:
            parts.append(trial_betas(series, facts.tr_s or 2.0, onset_s, duration_s))
        except UsageError as error:
            raise SourceError(f"{path}: {error.got}", expected=error.expected, do="get its events again") from error
    return np.concatenate(parts)


def _grayordinates(path: Path) -> int:
    from brainreel.datasets.cifti import open_cifti

    return open_cifti(path)[1].grayordinates


def _tell(writer: StoreWriter) -> None:
    """The store must say that these are not the published responses."""
    if ESTIMATED not in writer.manifest.notes:
        note(writer, ESTIMATED)
        writer.manifest = writer.manifest.model_copy(update={"responses": ESTIMATED})
