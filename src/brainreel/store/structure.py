"""What must fit together inside one store: tables with each other, and arrays with tables."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import zarr

from brainreel.errors import StoreError
from brainreel.store.reader import Store

Misfit = tuple[str, str]


def arrays(store: Store) -> Iterator[tuple[str, str, zarr.Array]]:
    """Group, name (``subject/run`` or ``subject``) and array of every recording."""
    for group in store.manifest.groups:
        members = zarr.open_group(store.root / f"{group}.zarr", mode="r").members(max_depth=None)
        for name, member in sorted(members, key=lambda found: found[0]):
            if isinstance(member, zarr.Array):
                yield group, name, member


def misfits(store: Store) -> Iterator[Misfit]:
    """A code and a sentence for everything that does not fit.

    Raises:
        StoreError: if a table or array cannot be read at all.
    """
    trials = store.trials
    if not np.array_equal(trials["row"].to_numpy(), np.arange(len(trials))):
        yield "trial-rows", "The rows of trials.tsv are not counted from 0."
    unknown = store.clip_of_trial < 0
    if unknown.any():
        clip = trials["clip_id"].to_numpy()[unknown][0]
        yield "unknown-clips", f"{unknown.sum()} trials show clips that clips.tsv does not list, {clip!r} first."
    strangers = sorted(set(trials["subject"]) - set(store.subjects))
    if strangers:
        yield "unknown-subjects", f"trials.tsv lists {strangers[0]!r}, of whom there are no responses."
    notes = store.annotations
    if notes is not None and not np.isfinite(notes[["onset_s", "duration_s"]].to_numpy(dtype=float)).all():
        yield "annotation-times", "annotations.tsv has descriptions without onset or duration."
    yield from _folds(store)
    if store.manifest.kind == "event":
        yield from _events(store)
    else:
        yield from _runs(store)


def _folds(store: Store) -> Iterator[Misfit]:
    for name in store.manifest.folds:
        try:
            store.folds(name)
        except StoreError as error:
            yield "fold-rows", str(error)


def _shapes(store: Store) -> Iterator[tuple[str, str, int]]:
    """Group, name and number of rows of every array that has its space's width; others are reported by name."""
    for group, name, array in arrays(store):
        subject = name.split("/")[0]
        vertices = len(store.space(group, subject))
        if array.ndim != 2 or array.shape[1] != vertices:
            raise StoreError(
                f"{group}/{name} has the shape {array.shape}", expected=f"{vertices} vertices", do="ingest again"
            )
        yield group, name, array.shape[0]


def _events(store: Store) -> Iterator[Misfit]:
    for group, subject, count in _shapes(store):
        expected = len(store.rows(subject))
        if count != expected:
            yield "trial-count", f"{group}/{subject} has {count} rows; trials.tsv lists {expected}."


def _runs(store: Store) -> Iterator[Misfit]:
    volumes: dict[str, dict[str, int]] = {group: {} for group in store.manifest.groups}
    for group, name, count in _shapes(store):
        volumes[group][name] = count
    first = store.manifest.groups[0]
    for group, found in volumes.items():
        if found != volumes[first]:
            odd = sorted(set(found.items()) ^ set(volumes[first].items()))[0][0]
            yield "group-volumes", f"{odd} is not equally long in the feature groups {first!r} and {group!r}."
    trials, tr_s = store.trials, store.manifest.tr_s or 1.0
    names = np.array([f"{s}/{r}" for s, r in zip(trials["subject"], trials["run"], strict=True)], dtype=str)
    onset_s, duration_s = trials["onset_s"].to_numpy(float), trials["duration_s"].to_numpy(float)
    known = np.isin(names, list(volumes[first]))
    if not known.all():
        yield (
            "unknown-runs",
            f"{(~known).sum()} trials lie in runs that were not recorded, {names[~known].tolist()[0]!r} first.",
        )
    length_s = np.array([volumes[first].get(name, 0) for name in names.tolist()]) * tr_s
    # Half a TR of slack: onsets of clips need not lie on the volumes' grid.
    inside = (onset_s >= -tr_s / 2) & (onset_s + duration_s <= length_s + tr_s / 2) & (duration_s > 0)
    outside = np.flatnonzero(known & ~inside)
    if len(outside):
        row = outside[0]
        yield (
            "trial-outside",
            f"{len(outside)} trials are not inside their run, row {row} first: onset {onset_s[row]:g} s and "
            f"duration {duration_s[row]:g} s in {length_s[row]:g} s of {names[row]}.",
        )
