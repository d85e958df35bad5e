"""Reading a store: tables, folds, and responses as trials."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from jaxtyping import Float, Int

from brainreel.cortex.windows import Context, windowed_means
from brainreel.errors import FoldError, StoreError, UsageError, alternatives
from brainreel.files import read_tsv
from brainreel.store.manifest import Manifest

CHECKSUMS = "checksums.json"
CLIP_TEXT = ("clip_id", "path", "stimulus", "captions", "caption_weights", "sha256", "phash")
TRIAL_TEXT = ("subject", "session", "run", "clip_id")


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
        try:
            self.manifest = Manifest.model_validate_json((self.root / "dataset.json").read_text())
        except ValueError as error:
            raise StoreError(
                f"{self.root}/dataset.json cannot be read ({str(error).splitlines()[0]})",
                do="ingest the dataset again",
            ) from error

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
        table = self._table("clips.tsv", CLIP_TEXT)
        for column in ("captions", "caption_weights"):
            table[column] = [json.loads(cell) if cell else [] for cell in table[column]]
        return table

    @cached_property
    def trials(self) -> pd.DataFrame:
        """trials.tsv."""
        return self._table("trials.tsv", TRIAL_TEXT)

    @cached_property
    def annotations(self) -> pd.DataFrame | None:
        """The timed descriptions of a continuous stimulus, or None."""
        if not (self.root / "annotations.tsv").exists():
            return None
        return self._table("annotations.tsv", ("stimulus", "caption"))

    def folds(self, name: str) -> pd.DataFrame:
        """folds/<name>.tsv without its row column: (trials, folds) of roles."""
        if name not in self.manifest.folds:
            raise FoldError(
                f"store {self.name!r} has no folds {alternatives(name, self.manifest.folds)}",
                do="choose one of these",
            )
        return self._table(f"folds/{name}.tsv", ()).drop(columns="row")

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
        return self._clip_of_trial[rows]

    @cached_property
    def _clip_of_trial(self) -> np.ndarray:
        return pd.Index(self.clips["clip_id"]).get_indexer(pd.Index(self.trials["clip_id"]))

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
        """
        contexts = contexts or (Context(group=self.manifest.groups[0]),)
        for context in contexts:
            if context.group not in self.manifest.groups:
                raise UsageError(
                    f"store {self.name!r} has no feature group {alternatives(context.group, self.manifest.groups)}"
                )
        if self.manifest.kind == "event":
            own_row = rows - 0
            order = np.searchsorted(self.rows(subject), own_row)
            return np.concatenate(
                [self._array(f"{c.group}.zarr/{subject}")[:][order].astype(np.float32) for c in contexts],
                axis=1,
            )
        trials = self.trials.iloc[rows]
        if not len(trials):
            width = sum(self.width(subject, context) for context in contexts)
            return np.empty((0, width), np.float32)
        parts = []
        for context in contexts:
            out = np.empty((len(rows), self.width(subject, context)), np.float32)
            for run in trials["run"].unique():
                here = (trials["run"] == run).to_numpy()
                out[here] = windowed_means(
                    self.bold(subject, run, context.group),
                    trials["onset_s"].to_numpy(dtype=float)[here],
                    trials["duration_s"].to_numpy(dtype=float)[here],
                    self.manifest.tr_s or 1.0,
                    context,
                )
            parts.append(out)
        return np.concatenate(parts, axis=1)

    def width(self, subject: str, context: Context) -> int:
        """Number of features that a context gives."""
        return len(self.space(context.group, subject)) * context.bins

    def space(self, group: str, subject: str) -> pd.DataFrame:
        """Vertex index and parcel of every column of a group's arrays."""
        name = self.manifest.spaces[group][subject]
        return self._table(f"spaces/{name}.tsv", ("parcel",))

    def bold(self, subject: str, run: str, group: str = "bold") -> Float[np.ndarray, "volumes vertices"]:
        """One whole run of a continuous release."""
        return self._array(f"{group}.zarr/{subject}/{run}")

    def _array(self, path: str) -> np.ndarray:
        try:
            return np.asarray(zarr.open_array(self.root / path, mode="r")[:])
        except (FileNotFoundError, KeyError) as error:
            raise StoreError(f"{self.root / path} is missing", do="run `brainreel check`, then ingest again") from error

    def _table(self, name: str, text: tuple[str, ...]) -> pd.DataFrame:
        try:
            return read_tsv(self.root / name, text=text)
        except FileNotFoundError as error:
            raise StoreError(f"{self.root / name} is missing", do="ingest the dataset again") from error
