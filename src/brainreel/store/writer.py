"""Writing a store: everything goes to a folder beside the destination, which takes its place when verified."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import pandas as pd
import zarr
from jaxtyping import Float, Int

from brainreel.errors import SourceError, StoreError
from brainreel.files import replace_folder, sha256, walk, write_json, write_tsv
from brainreel.store.folds import ROLES
from brainreel.store.manifest import Manifest
from brainreel.store.reader import CHECKSUMS

CLIP_COLUMNS = (
    "clip_id", "path", "stimulus", "onset_s", "duration_s", "fps", "captions", "caption_weights", "sha256", "phash",
)  # fmt: skip
TRIAL_COLUMNS = ("row", "subject", "session", "run", "clip_id", "repetition", "onset_s", "duration_s")
_CHUNK_BYTES = 4 << 20


class StoreWriter:
    """Builds one store. Use as a context manager: leaving it without an error publishes the store.

    Args:
        destination: The store's folder. It must not exist yet, unless ``replace``.
        manifest: The dataset's facts; what is added (subjects, groups, spaces, folds, sources) is filled in.
        replace: Put the new store in the place of an existing one.

    Raises:
        StoreError: if something stands at ``destination``, or what was added does not fit together.
    """

    def __init__(self, destination: Path, manifest: Manifest, *, replace: bool = False) -> None:
        if destination.exists() and not replace:
            raise StoreError(
                f"{destination} exists already",
                expected="a new folder",
                do="choose another --store, or remove this one first",
            )
        self.destination = destination
        self.manifest = manifest
        self._root = destination.with_name(f".{destination.name}.partial")
        self._shapes: dict[tuple[str, str], int] = {}
        self._sources: dict[str, str] = {}
        self._hashes: dict[str, str] = {}
        self._trials: pd.DataFrame | None = None
        self._clips: pd.DataFrame | None = None
        self._tr_s: set[float] = set()
        self._folds: list[str] = []

    def __enter__(self) -> StoreWriter:
        shutil.rmtree(self._root, ignore_errors=True)
        self._root.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self._publish()
                return
            except BaseException:
                shutil.rmtree(self._root, ignore_errors=True)
                raise
        shutil.rmtree(self._root, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                f"the disk is full while writing {self.destination}",
                do="free space and run the command again",
            ) from error

    def source(self, path: Path, root: Path) -> None:
        """Note a file of the release that was read, with its SHA-256."""
        self._sources[path.relative_to(root).as_posix()] = sha256(path)

    def add_space(self, name: str, vertex: Int[np.ndarray, " vertices"], parcel: Sequence[str]) -> None:
        """Describe a space: each column's vertex (or voxel) index and the parcel it belongs to."""
        write_tsv(self._root / "spaces" / f"{name}.tsv", pd.DataFrame({"vertex": vertex, "parcel": list(parcel)}))

    def add_bold(
        self,
        subject: str,
        run: str,
        values: Float[np.ndarray, "volumes vertices"],
        *,
        tr_s: float,
        space: str,
        group: str = "bold",
    ) -> None:
        """Add one run of a continuous release, or another feature group's course of the same run."""
        self._add(f"{group}.zarr", subject, run, values, {"tr_s": tr_s, "space": space})
        self._declare(group, subject, space, values.shape[1])
        self._tr_s.add(tr_s)

    def add_responses(
        self,
        subject: str,
        values: Float[np.ndarray, "trials vertices"],
        *,
        space: str,
        group: str = "responses",
    ) -> None:
        """Add one subject of an event release, in the order of the subject's rows in the trials table."""
        self._add(f"{group}.zarr", subject, "", values, {"space": space})
        self._declare(group, subject, space, values.shape[1])

    def write_clips(self, clips: pd.DataFrame) -> None:
        """Write clips.tsv; columns `CLIP_COLUMNS`, missing ones are left empty. ``clip_id`` must be unique."""
        self._clips = clips.reindex(columns=list(CLIP_COLUMNS)).astype(dict.fromkeys(("clip_id",), str))
        twice = self._clips["clip_id"][self._clips["clip_id"].duplicated()]
        if len(twice):
            raise SourceError(f"clip {twice.iloc[0]!r} is listed {len(twice) + 1} times", expected="each clip once")
        write_tsv(self._root / "clips.tsv", self._clips)

    def write_trials(self, trials: pd.DataFrame) -> None:
        """Write trials.tsv; columns `TRIAL_COLUMNS` without ``row``, which is counted here."""
        table = trials.reset_index(drop=True)
        table["row"] = np.arange(len(table))
        self._trials = pd.DataFrame(table.reindex(columns=list(TRIAL_COLUMNS)))
        write_tsv(self._root / "trials.tsv", self._trials)

    def write_annotations(self, annotations: pd.DataFrame, *, stimulus_volumes: int) -> None:
        """Write the timed descriptions of a continuous stimulus: stimulus, onset_s, duration_s, caption, …"""
        self.manifest = self.manifest.model_copy(update={"stimulus_volumes": stimulus_volumes})
        write_tsv(self._root / "annotations.tsv", annotations)

    def write_folds(self, name: str, roles: pd.DataFrame) -> None:
        """Write folds/<name>.tsv: one row per trial, one column per fold, cells from `ROLES`."""
        unknown = set(np.unique(roles.to_numpy().astype(str))) - set(ROLES)
        if unknown:
            raise SourceError(f"fold list {name!r} uses the role {sorted(unknown)[0]!r}", expected=", ".join(ROLES))
        table = roles.reset_index(drop=True)
        table.insert(0, "row", np.arange(len(table)))
        write_tsv(self._root / "folds" / f"{name}.tsv", table)
        self._folds.append(name)

    def _add(self, zarr_name: str, subject: str, run: str, values: np.ndarray, attributes: dict) -> None:
        where = f"{zarr_name}/{subject}/{run}".rstrip("/")
        if values.ndim != 2 or 0 in values.shape:
            raise SourceError(
                f"{where} has the shape {values.shape}", expected="(volumes or trials, vertices), not empty"
            )
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise SourceError(
                f"{where} has {bad} values that are NaN or infinite",
                expected="finite numbers",
                do="mask or interpolate them before ingesting, so that you know what was done",
            )
        values = np.ascontiguousarray(values, dtype=values.dtype if values.dtype == np.float16 else np.float32)
        digest = hashlib.sha256(values.tobytes()).hexdigest()
        if (other := self._hashes.get(digest)) is not None:
            raise SourceError(
                f"{where} is identical to {other}",
                expected="different recordings",
                do="one of them is a copy: get the right file from the release's authors",
            )
        self._hashes[digest] = where
        rows = max(1, min(len(values), _CHUNK_BYTES // max(1, values[0].nbytes)))
        group = zarr.open_group(self._root / zarr_name, mode="a")
        array = group.create_array(
            f"{subject}/{run}".rstrip("/"),
            shape=values.shape,
            dtype=values.dtype,
            chunks=(rows, values.shape[1]),
        )
        array[:] = values
        array.attrs.update({**attributes, "sha256": digest})

    def _declare(self, group: str, subject: str, space: str, width: int) -> None:
        described = self._root / "spaces" / f"{space}.tsv"
        if not described.exists():
            raise StoreError(f"space {space!r} of {subject} was not described", do="call add_space first")
        known = self._shapes.setdefault((group, subject), width)
        vertices = len(described.read_text().splitlines()) - 1
        if width != known or width != vertices:
            raise SourceError(
                f"{subject} has {width} values per volume in {group!r}",
                expected=f"{vertices}, as space {space!r} has",
            )
        spaces = {name: dict(subjects) for name, subjects in self.manifest.spaces.items()}
        spaces.setdefault(group, {})[subject] = space
        self.manifest = self.manifest.model_copy(update={"spaces": spaces})

    def _publish(self) -> None:
        if self._trials is None or self._clips is None or not self._shapes:
            raise StoreError(f"{self.destination} got no responses, clips or trials", do="report this reader as broken")
        if len(self._tr_s) > 1:
            raise SourceError(f"runs have several TRs {sorted(self._tr_s)}", expected="one TR per dataset")
        missing = set(self._trials["clip_id"]) - set(self._clips["clip_id"])
        if missing:
            raise SourceError(f"trials show the clip {sorted(missing)[0]!r}", expected="only clips of the clip list")
        subjects = list(dict.fromkeys(subject for _, subject in self._shapes))
        manifest = self.manifest.model_copy(
            update={
                "tr_s": next(iter(self._tr_s), None),
                "subjects": subjects,
                "groups": list(dict.fromkeys(group for group, _ in self._shapes)),
                "folds": self._folds,
                "sources": self._sources,
            }
        )
        write_json(self._root / "dataset.json", json.loads(manifest.model_dump_json()))
        sums = {path.relative_to(self._root).as_posix(): sha256(path) for path in walk(self._root)}
        write_json(self._root / CHECKSUMS, sums)
        replace_folder(self._root, self.destination)
