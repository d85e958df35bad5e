"""Reading a store: tables, folds, and responses as trials."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from pydantic import ValidationError

from brainreel.cortex.windows import Context, windowed_means
from brainreel.errors import FoldError, StoreError, UsageError, alternatives
from brainreel.files import read_tsv
from brainreel.store.arrays import AGAIN, read_array
from brainreel.store.folds import LAST_RUNS, ROLES, last_runs
from brainreel.store.manifest import SCHEMA, Manifest

CHECKSUMS = "checksums.json"
CLIP_TEXT = ("clip_id", "path", "stimulus", "captions", "caption_weights", "sha256", "phash")
TRIAL_TEXT = ("subject", "session", "run", "clip_id")
# What a store keeps of the arrays it has read: all of Sherlock (50 MB), a few subjects of a whole-cortex release.
_KEEP_BYTES = 512 << 20


class Store:
    """One ingested dataset on disk, read only.

    Attributes:
        root: The folder.
        manifest: The facts in ``dataset.json``.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise StoreError(f"there is no store at {self.root}", do="make one with `brainreel ingest`")
        if not (self.root / CHECKSUMS).is_file() or not (self.root / "dataset.json").is_file():
            raise StoreError(
                f"{self.root} is not a finished store",
                expected=f"dataset.json and {CHECKSUMS} in it",
                do="run `brainreel ingest` again",
            )
        self.manifest = _read_manifest(self.root / "dataset.json")
        self._tables: dict[str, pd.DataFrame] = {}
        self._folds: dict[str, pd.DataFrame] = {}
        self._arrays: OrderedDict[str, np.ndarray] = OrderedDict()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the checksums of all files: two stores with the same one hold the same data."""
        return hashlib.sha256((self.root / CHECKSUMS).read_bytes()).hexdigest()

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.manifest.name

    @property
    def subjects(self) -> list[str]:
        """All subjects, in the release's order."""
        return self.manifest.subjects

    @cached_property
    def clips(self) -> pd.DataFrame:
        """clips.tsv, with captions and caption_weights parsed to lists."""
        table = self._table("clips.tsv", CLIP_TEXT, ("onset_s", "duration_s")).copy()
        for column, kind in (("captions", str), ("caption_weights", (int, float))):
            table[column] = [self._list(cell, column, kind) for cell in table[column]]
        return table

    @cached_property
    def trials(self) -> pd.DataFrame:
        """trials.tsv."""
        return self._table("trials.tsv", TRIAL_TEXT, ("row", "repetition", "onset_s", "duration_s"))

    @cached_property
    def annotations(self) -> pd.DataFrame | None:
        """The timed descriptions of a continuous stimulus, or None."""
        if not (self.root / "annotations.tsv").exists():
            return None
        return self._table("annotations.tsv", ("stimulus", "caption"), ("onset_s", "duration_s"))

    @property
    def fold_names(self) -> list[str]:
        """Names of the folds that were ingested, then of those that `add_folds` added."""
        return list(dict.fromkeys([*self.manifest.folds, *self._folds]))

    def add_folds(self, name: str, roles: pd.DataFrame) -> None:
        """Let folds of one's own be called by name, as long as this object lives: (trials, folds) of roles."""
        self._folds[name] = roles

    def has_folds(self, name: str) -> bool:
        """Whether `folds` knows the name."""
        try:
            self.folds(name)
        except FoldError:
            return False
        return True

    def folds(self, name: str) -> pd.DataFrame:
        """(trials, folds) of roles: folds/<name>.tsv, folds of one's own, or ``last-N-runs``.

        Raises:
            FoldError: if there are no such folds.
        """
        if name in self._folds:
            return self._folds[name]
        if name not in self.manifest.folds:
            made = last_runs(name, self.trials)
            if made is None:
                raise FoldError(
                    f"store {self.name!r} has no folds {alternatives(name, [*self.fold_names, LAST_RUNS])}",
                    do="choose one of these, or give a file (docs/store.md)",
                )
            self._folds[name] = made
            return made
        table = self._table(f"folds/{name}.tsv", (), ("row",)).drop(columns="row")
        if len(table) != len(self.trials) or not table.isin(ROLES).to_numpy().all():
            raise StoreError(
                f"{self.root}/folds/{name}.tsv does not give every trial a role",
                expected=f"{len(self.trials)} rows of {', '.join(ROLES)}",
                do=AGAIN,
            )
        self._folds[name] = table
        return table

    def roles(self, name: str, fold: int) -> np.ndarray:
        """Each trial's role in fold number ``fold`` (from 0) of the folds ``name``."""
        table = self.folds(name)
        if not 0 <= fold < table.shape[1]:
            raise FoldError(f"fold {fold} of {name!r} does not exist", expected=f"0 to {table.shape[1] - 1}")
        return table.iloc[:, fold].to_numpy(dtype=str)

    def rows(self, subject: str, keep: np.ndarray | None = None) -> Int[np.ndarray, " trials"]:
        """Rows of the trials table that belong to ``subject``, those where ``keep`` is true if given."""
        if subject not in self.subjects:
            raise UsageError(f"store {self.name!r} has no subject {alternatives(subject, self.subjects)}")
        mine = (self.trials["subject"] == subject).to_numpy()
        return np.flatnonzero(mine if keep is None else mine & keep)

    def clip_index(self, rows: Int[np.ndarray, " trials"]) -> Int[np.ndarray, " trials"]:
        """For each trial, the row of its clip in the clips table."""
        found = self.clip_of_trial[rows]
        if (found < 0).any():
            unknown = self.trials["clip_id"].to_numpy()[rows][found < 0][0]
            raise StoreError(f"store {self.name!r} has no clip {unknown!r}, but trials of it", do=AGAIN)
        return found

    @cached_property
    def clip_of_trial(self) -> Int[np.ndarray, " trials"]:
        """For every trial, the row of its clip in the clips table; -1 if there is no such clip."""
        clips = pd.Index(self.clips["clip_id"])
        if not clips.is_unique:
            raise StoreError(f"{self.root}/clips.tsv lists a clip twice", expected="each clip once", do=AGAIN)
        return np.asarray(clips.get_indexer(pd.Index(self.trials["clip_id"])))

    def responses(
        self,
        subject: str,
        rows: Int[np.ndarray, " trials"],
        contexts: Sequence[Context] = (),
    ) -> Float[np.ndarray, "trials features"]:
        """The responses of trials ``rows``, float32, one context's features after the other's.

        Args:
            subject: Whose cortex; every row must be a trial of this subject.
            rows: Rows of the trials table.
            contexts: What answers for a trial; default: the trial's own window of the first feature group
                (continuous releases), or the stored responses (event releases).

        Raises:
            UsageError: if a row is another subject's, or a context asks for what the store does not have.
        """
        contexts = contexts or (Context(group=self.manifest.groups[0]),)
        order = self.order(subject, rows)
        if self.manifest.kind == "event":
            return self._events(subject, order, contexts)
        trials = self.trials.iloc[rows]
        run = trials["run"].to_numpy(dtype=str)
        onset_s, duration_s = trials["onset_s"].to_numpy(dtype=float), trials["duration_s"].to_numpy(dtype=float)
        parts = []
        for context in contexts:
            out = np.empty((len(rows), self.width(subject, context)), np.float32)
            for name in dict.fromkeys(run.tolist()):
                here, bold = run == name, self.bold(subject, name, context.group)
                out[here] = windowed_means(bold, onset_s[here], duration_s[here], self.manifest.tr_s or 1.0, context)
            parts.append(out)
        return np.concatenate(parts, axis=1)

    def width(self, subject: str, context: Context) -> int:
        """Number of features that a context gives."""
        return len(self.space(context.group, subject)) * context.bins

    def space(self, group: str, subject: str) -> pd.DataFrame:
        """Vertex index and parcel of every column of a group's arrays."""
        spaces = self.manifest.spaces
        if group not in spaces:
            raise UsageError(f"store {self.name!r} has no feature group {alternatives(group, spaces)}")
        if subject not in spaces[group]:
            raise UsageError(f"feature group {group!r} has no subject {alternatives(subject, spaces[group])}")
        return self._table(f"spaces/{spaces[group][subject]}.tsv", ("parcel",), ("vertex",))

    def bold(self, subject: str, run: str, group: str = "bold") -> Float[np.ndarray, "volumes vertices"]:
        """One whole run of a continuous release; shared by all who read it, so not to be written to."""
        self.space(group, subject)
        return self._array(f"{group}.zarr/{subject}/{run}")

    def event_arrays(self, subject: str, contexts: Sequence[Context]) -> list[str]:
        """Where the arrays of an event release lie that contexts ask for, below the store's root.

        Raises:
            UsageError: if a context asks for what the store does not have.
        """
        for context in contexts:
            if context.model_copy(update={"group": "bold", "weight": 1.0}) != Context():
                raise UsageError(
                    f"a context with start_s, stop_s or bins was asked of {self.name!r}",
                    expected="only group and weight, since this release has one response per trial",
                    do="leave them out",
                )
            self.space(context.group, subject)
        return [f"{context.group}.zarr/{subject}" for context in contexts]

    def order(self, subject: str, rows: Int[np.ndarray, " trials"]) -> Int[np.ndarray, " trials"]:
        """The places of trials among the subject's own.

        Raises:
            UsageError: if a row is another subject's.
        """
        own = self.rows(subject)
        if not np.isin(rows, own).all():
            raise UsageError(f"some of the rows are not trials of {subject!r}", expected="rows of `Store.rows`")
        return np.searchsorted(own, rows)

    def _events(
        self, subject: str, order: Int[np.ndarray, " trials"], contexts: Sequence[Context]
    ) -> Float[np.ndarray, "trials features"]:
        parts = []
        for path in self.event_arrays(subject, contexts):
            values = self._array(path)
            self.refuse_short(path, len(values), order)
            parts.append(values[order].astype(np.float32))
        return np.concatenate(parts, axis=1)

    def refuse_short(self, path: str, length: int, order: Int[np.ndarray, " trials"]) -> None:
        """Raise a StoreError if an array of ``length`` rows lacks some of the trials asked for."""
        if len(order) and order.max() >= length:
            raise StoreError(
                f"{self.root}/{path} has {length} rows",
                expected=f"more than {order.max()}, as trials.tsv has",
                do=AGAIN,
            )

    def forget(self) -> None:
        """Drop the arrays that are kept in memory."""
        self._arrays.clear()

    def _array(self, path: str) -> np.ndarray:
        """One array, from memory if it was read lately."""
        if path in self._arrays:
            self._arrays.move_to_end(path)
            return self._arrays[path]
        values = read_array(self.root / path)
        values.flags.writeable = False
        self._arrays[path] = values
        while len(self._arrays) > 1 and sum(kept.nbytes for kept in self._arrays.values()) > _KEEP_BYTES:
            self._arrays.popitem(last=False)
        return values

    def _table(self, name: str, text: tuple[str, ...], numbers: tuple[str, ...]) -> pd.DataFrame:
        if name not in self._tables:
            try:
                self._tables[name] = read_tsv(self.root / name, text=text, numbers=numbers)
            except FileNotFoundError as error:
                raise StoreError(f"{self.root / name} is missing", do=AGAIN) from error
        return self._tables[name]

    def _list(self, cell: str, column: str, kind: type | tuple[type, ...]) -> list[Any]:
        try:
            values = json.loads(cell or "[]")
        except ValueError:
            values = None
        if not isinstance(values, list) or not all(isinstance(value, kind) for value in values):
            got = f"{cell[:40]}…" if len(cell) > 40 else cell
            raise StoreError(f"{column} of {self.root}/clips.tsv holds {got!r}", expected="a JSON list", do=AGAIN)
        return values


def _read_manifest(path: Path) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        why = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            why = ": ".join([*map(str, first["loc"]), first["msg"]])
        raise StoreError(f"{path} cannot be read ({' '.join(why.split())})", do="ingest the dataset again") from error
    if manifest.schema_version != SCHEMA:
        raise StoreError(
            f"{path} is of schema {manifest.schema_version}, made by brainreel {manifest.brainreel}",
            expected=f"schema {SCHEMA}",
            do="ingest the dataset again with this version",
        )
    return manifest
