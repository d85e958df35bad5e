"""Writing a store: everything goes to a folder beside the destination, which takes its place when verified."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd
import zarr
from jaxtyping import Float, Int

from brainreel.errors import SourceError, StoreError
from brainreel.files import is_disk_full, is_plain, replace_folder, sha256, walk, write_json, write_tsv
from brainreel.store.folds import ROLES
from brainreel.store.manifest import Manifest
from brainreel.store.reader import CHECKSUMS, Store
from brainreel.store.structure import misfits

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
        StoreError: if something stands at ``destination``, another process is writing there, or it cannot be written.
        SourceError: if what was added does not fit together.
    """

    def __init__(self, destination: Path, manifest: Manifest, *, replace: bool = False) -> None:
        self.destination = destination
        self.manifest = manifest
        self._replace = replace
        self._root = destination.with_name(f".{destination.name}.partial")
        self._lock = -1
        self._widths: dict[str, int] = {}
        self._rows: dict[tuple[str, str], int] = {}
        self._sources: dict[str, str] = {}
        self._hashes: dict[str, str] = {}
        self._trials: pd.DataFrame | None = None
        self._clips: pd.DataFrame | None = None
        self._tr_s: set[float] = set()
        self._folds: list[str] = []
        self._refuse_occupied()

    def __enter__(self) -> StoreWriter:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._root, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._unlock()
            raise StoreError(
                f"another process is writing {self.destination}", do="wait for it, or choose another --store"
            ) from error
        except OSError as error:
            # File systems without locks are no reason not to write.
            if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
                self._unlock()
                raise StoreError(
                    f"{self.destination} cannot be written ({error.strerror})",
                    expected="a place for a new folder",
                    do="choose another --store",
                ) from error
        # What a killed process left.
        for path in self._root.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                raise error
            self._publish()
        except BaseException as failure:
            shutil.rmtree(self._root, ignore_errors=True)
            if is_disk_full(failure):
                raise StoreError(
                    f"the disk is full while writing {self.destination}",
                    expected="room for the whole store",
                    do="free space and run the command again",
                ) from failure
            # An error of the block itself goes on by itself, with its own traceback.
            if failure is not error:
                raise
        finally:
            self._unlock()

    def source(self, path: Path, root: Path) -> None:
        """Note a file of the release that was read, with its SHA-256."""
        self._sources[path.relative_to(root).as_posix()] = sha256(path)

    def add_space(self, name: str, vertex: Int[np.ndarray, " vertices"], parcel: Sequence[str]) -> None:
        """Describe a space: each column's vertex (or voxel) index and the parcel it belongs to.

        ``/`` in a name is fine (``fsLR32k/group41``).
        """
        _refuse_odd("space", *name.split("/"))
        if len(vertex) != len(parcel):
            raise SourceError(
                f"space {name!r} has {len(vertex)} vertices and {len(parcel)} parcels", expected="as many"
            )
        write_tsv(self._root / "spaces" / f"{name}.tsv", pd.DataFrame({"vertex": vertex, "parcel": list(parcel)}))
        self._widths[name] = len(vertex)

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
        if self.manifest.kind != "continuous":
            raise StoreError(f"a run was added to the event release {self.manifest.name!r}", do="call add_responses")
        if not tr_s > 0:
            raise SourceError(f"{subject}/{run} has the TR {tr_s} s", expected="a positive number of seconds")
        _refuse_odd("run", run)
        self._declare(group, subject, space, values, run)
        self._add(group, f"{subject}/{run}", values, {"tr_s": tr_s, "space": space})
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
        if self.manifest.kind != "event":
            raise StoreError(f"trials were added to the continuous {self.manifest.name!r}", do="call add_bold")
        self._declare(group, subject, space, values, "")
        self._add(group, subject, values, {"space": space})

    def write_clips(self, clips: pd.DataFrame) -> None:
        """Write clips.tsv; columns `CLIP_COLUMNS`, missing ones are left empty. ``clip_id`` must be unique."""
        self._clips = _with_ids(clips, "clip list", CLIP_COLUMNS, ("clip_id",))
        twice = self._clips.loc[self._clips["clip_id"].duplicated(), "clip_id"].tolist()
        if twice:
            count = self._clips["clip_id"].tolist().count(twice[0])
            raise SourceError(f"clip {twice[0]!r} is listed {count} times", expected="each clip once")
        write_tsv(self._root / "clips.tsv", self._clips)

    def write_trials(self, trials: pd.DataFrame) -> None:
        """Write trials.tsv; columns `TRIAL_COLUMNS` without ``row``, which is counted here."""
        table = _with_ids(trials, "list of trials", TRIAL_COLUMNS, ("subject", "clip_id"))
        table["row"] = np.arange(len(table))
        self._trials = table
        write_tsv(self._root / "trials.tsv", table)

    def write_annotations(self, annotations: pd.DataFrame, *, stimulus_volumes: int) -> None:
        """Write the timed descriptions of a continuous stimulus: stimulus, onset_s, duration_s, caption, …"""
        self.manifest = self.manifest.model_copy(update={"stimulus_volumes": stimulus_volumes})
        write_tsv(self._root / "annotations.tsv", annotations)

    def write_folds(self, name: str, roles: pd.DataFrame) -> None:
        """Write folds/<name>.tsv: one row per trial, one column per fold, cells from `ROLES`."""
        _refuse_odd("fold list", name)
        if name in self._folds:
            raise StoreError(f"the fold list {name!r} was written twice", do="give each list a name of its own")
        unknown = set(roles.to_numpy().astype(str).ravel().tolist()) - set(ROLES)
        if unknown:
            raise SourceError(f"fold list {name!r} uses the role {sorted(unknown)[0]!r}", expected=", ".join(ROLES))
        table = roles.reset_index(drop=True)
        table.insert(0, "row", np.arange(len(table)))
        write_tsv(self._root / "folds" / f"{name}.tsv", table)
        self._folds.append(name)

    def _declare(self, group: str, subject: str, space: str, values: np.ndarray, run: str) -> None:
        """Refuse an array that does not fit what was added before, then note it in the manifest."""
        _refuse_odd("feature group", group)
        _refuse_odd("subject", subject)
        where = f"{subject}/{run}".rstrip("/")
        if space not in self._widths:
            raise StoreError(f"space {space!r} of {subject} was not described", do="call add_space first")
        if values.ndim != 2 or 0 in values.shape:
            raise SourceError(
                f"{group}/{where} has the shape {values.shape}", expected="(volumes or trials, vertices), not empty"
            )
        if values.shape[1] != self._widths[space]:
            raise SourceError(
                f"{subject} has {values.shape[1]} values per volume in {group!r}",
                expected=f"{self._widths[space]}, as space {space!r} has",
            )
        if (rows := self._rows.setdefault((subject, run), len(values))) != len(values):
            raise SourceError(
                f"{group}/{where} has {len(values)} volumes or trials",
                expected=f"{rows}, as the subject's other feature groups have there",
            )
        spaces = {name: dict(subjects) for name, subjects in self.manifest.spaces.items()}
        if (known := spaces.setdefault(group, {}).setdefault(subject, space)) != space:
            raise SourceError(f"{group}/{where} is in space {space!r}", expected=f"{known!r}, as the subject's others")
        self.manifest = self.manifest.model_copy(update={"spaces": spaces})

    def _add(self, group: str, name: str, values: np.ndarray, attributes: dict[str, Any]) -> None:
        where = f"{group}/{name}"
        # float64 beyond float32's range becomes infinite here and is refused with the rest.
        with np.errstate(over="ignore"):
            values = np.ascontiguousarray(values, dtype=np.float16 if values.dtype == np.float16 else np.float32)
        if bad := int((~np.isfinite(values)).sum()):
            raise SourceError(
                f"{where} has {bad} values that are NaN or infinite",
                expected="finite numbers",
                do="mask or interpolate them before ingesting, so that you know what was done",
            )
        digest = hashlib.sha256(values.data).hexdigest()
        if (other := self._hashes.get(digest)) is not None:
            raise SourceError(
                f"{where} is identical to {other}",
                expected="different recordings",
                do="one of them is a copy: get the right file from the release's authors",
            )
        if where in self._hashes.values():
            raise SourceError(f"{where} was added twice", expected="each recording once")
        self._hashes[digest] = where
        rows = max(1, min(len(values), _CHUNK_BYTES // max(1, values[0].nbytes)))
        array = zarr.open_group(self._root / f"{group}.zarr", mode="a").create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=(rows, values.shape[1]),
        )
        array[:] = values
        array.attrs.update({**attributes, "sha256": digest})

    def _publish(self) -> None:
        if self._trials is None or self._clips is None or not self._rows:
            raise StoreError(f"{self.destination} got no responses, clips or trials", do="report this reader as broken")
        if len(self._tr_s) > 1:
            raise SourceError(f"runs have several TRs {sorted(self._tr_s)}", expected="one TR per dataset")
        missing = set(self._trials["clip_id"]) - set(self._clips["clip_id"])
        if missing:
            raise SourceError(f"trials show the clip {sorted(missing)[0]!r}", expected="only clips of the clip list")
        manifest = self.manifest.model_copy(
            update={
                "tr_s": next(iter(self._tr_s), None),
                "subjects": list(dict.fromkeys(subject for subject, _ in self._rows)),
                "groups": list(self.manifest.spaces),
                "folds": self._folds,
                "sources": self._sources,
            }
        )
        write_json(self._root / "dataset.json", json.loads(manifest.model_dump_json()))
        sums = {path.relative_to(self._root).as_posix(): sha256(path) for path in walk(self._root)}
        write_json(self._root / CHECKSUMS, sums)
        for _, message in misfits(Store(self._root)):
            raise SourceError(message, do="correct the release's files, or report this reader as broken")
        self._refuse_occupied()
        replace_folder(self._root, self.destination)

    def _refuse_occupied(self) -> None:
        there = self.destination
        if not there.exists():
            return
        if not self._replace:
            raise StoreError(
                f"{there} exists already",
                expected="a new folder",
                do="choose another --store, or remove this one first",
            )
        if not (there / "dataset.json").is_file():
            raise StoreError(
                f"{there} exists already and is no store",
                expected="a store to replace, or a new folder",
                do="choose another --store: what is there was not made by brainreel",
            )

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1


def _refuse_odd(what: str, *names: str) -> None:
    """Names become folders and cells of tables: they must stay where they are put and be read back as they are."""
    for name in names:
        if not is_plain(name) or name == "n/a":
            raise SourceError(
                f"{name!r} cannot be the name of a {what}",
                expected="a name without separators and control characters that does not begin with a dot",
                do="rename it in the release",
            )


def _with_ids(table: pd.DataFrame, what: str, columns: tuple[str, ...], ids: tuple[str, ...]) -> pd.DataFrame:
    """The table with exactly these columns, those of ``ids`` as text that is never empty."""
    for name in ids:
        if name not in table.columns:
            raise SourceError(f"the {what} has no column {name!r}", expected=", ".join(columns))
        cells = table[name]
        if (cells.isna() | cells.astype(str).isin(["", "n/a"])).to_numpy().any():
            raise SourceError(f"the {what} has empty cells in the column {name!r}", expected="an id in every row")
    chosen = table.reset_index(drop=True).reindex(columns=list(columns))
    return chosen.astype(dict.fromkeys(ids, str))
