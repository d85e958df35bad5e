"""One HDF5 file of MOSAIC: a dataset a trial in the group ``betas``, and the vertices that have no signal.

Names of trials are ``{stimulus}_rep-{r}`` or, as MOSAIC's own script writes them,
``sub-01_BMD_stimulus-vid0001_phase-train_rep-0``; attributes, where there are any, say the same. The vertices without
signal are ``nan_indices`` (a mask or a list, in the file or a group of it) or ``nan_indices_all``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float16, Int

from brainreel.datasets.bmd_files import need_finite
from brainreel.datasets.named_clips import clip_of
from brainreel.datasets.reading import sentences
from brainreel.errors import SourceError, UsageError

TRIAL = re.compile(r"(?:sub-[^_]+_[^_]+_stimulus-)?(?P<stimulus>.+?)(?:_phase-(?P<phase>\w+?))?_rep-(?P<rep>\d+)")
PHASES = {"train": "train", "test": "test", "artificial": "test"}
_DO = "download the file again from MOSAIC"


@contextmanager
def read_file(path: Path, grayordinates: int) -> Iterator[File]:
    """An open file.

    Raises:
        UsageError: h5py is not installed.
        SourceError: the file is missing, broken or has no betas.
    """
    try:
        import h5py
    except ImportError as error:
        raise UsageError(
            f"{path} is an HDF5 file", expected="the extra `mosaic` (h5py)", do="pip install 'brainreel[mosaic]'"
        ) from error
    with sentences(path, "an HDF5 file of MOSAIC", _DO):
        # h5py calls a forbidden file an unreadable one; opening it first keeps the difference.
        path.open("rb").close()
        with h5py.File(path, "r") as opened:
            betas = opened.get("betas")
            if not isinstance(betas, h5py.Group) or not len(betas):
                raise SourceError(
                    f"{path} holds {', '.join(opened) or 'nothing'}", expected="a group betas with trials", do=_DO
                )
            yield File(path, opened, grayordinates)


class File:
    """A person's file.

    Args:
        path: Where it lies.
        opened: It, open.
        grayordinates: Values of a trial.
    """

    def __init__(self, path: Path, opened: Any, grayordinates: int) -> None:
        self.path, self.grayordinates = path, grayordinates
        self._file = opened

    @cached_property
    def _names(self) -> list[str]:
        return sorted(self._file["betas"])

    @cached_property
    def trials(self) -> pd.DataFrame:
        """clip_id, repetition (from 1) and role (empty if unknown) of every trial, sorted by name."""
        rows = [self._trial(name, self._file["betas"][name].attrs) for name in self._names]
        table = pd.DataFrame(rows, columns=["clip_id", "given", "role"])
        if (twice := table.duplicated(["clip_id", "given"])).any():
            clip = table.loc[twice, "clip_id"].iloc[0]
            raise SourceError(f"{self.path} has a repetition of {clip!r} twice", expected="each trial once", do=_DO)
        # Repetitions are numbers of presentations, not of places in any order.
        return table.assign(repetition=table.groupby("clip_id")["given"].rank().astype(int)).drop(columns="given")

    def betas(self, vertex: Int[np.ndarray, " vertices"]) -> Float16[np.ndarray, "trials vertices"]:
        """Some vertices of every trial, in the order of `trials`."""
        out = np.empty((len(self._names), len(vertex)), np.float16)
        for row, name in enumerate(self._names):
            trial = self._file["betas"][name]
            if trial.size != self.grayordinates or trial.dtype.kind != "f":
                raise SourceError(
                    f"{name} in {self.path} has the shape {trial.shape} and holds {trial.dtype} values",
                    expected=f"({self.grayordinates},) floating point numbers",
                    do=_DO,
                )
            with np.errstate(over="ignore"):
                out[row] = trial[()].ravel()[vertex]
        need_finite(self.path, out)
        return out

    def lost(self) -> Bool[np.ndarray, " grayordinates"]:
        """Which vertices have no signal."""
        mask = np.zeros(self.grayordinates, bool)
        for name in ("nan_indices", "nan_indices_all"):
            if name in self._file:
                found = self._file[name]
                for part in found.values() if hasattr(found, "values") else [found]:
                    self._mark(mask, np.asarray(part[()]).ravel(), name)
        return mask

    def _mark(self, mask: np.ndarray, values: np.ndarray, name: str) -> None:
        if values.dtype == bool and len(values) == len(mask):
            mask |= values
            return
        number = values.astype(int)
        if values.dtype == bool or np.any(values != number) or np.any((number < 0) | (number >= len(mask))):
            raise SourceError(
                f"{name} of {self.path} are no vertices", expected=f"numbers below {len(mask)}, or a mask", do=_DO
            )
        mask[number] = True

    def _trial(self, name: str, told: Any) -> tuple[str, int, str]:
        found = TRIAL.fullmatch(name)
        if not found:
            raise SourceError(f"{self.path} has a trial {name!r}", expected="a name that ends with _rep-0 …", do=_DO)
        stimulus = str(told.get("presented_stimulus_filename", found["stimulus"]))
        phase = str(told.get("phase", found["phase"] or ""))
        if phase not in ("", *PHASES):
            raise SourceError(f"{name} in {self.path} is of the phase {phase!r}", expected=", ".join(PHASES), do=_DO)
        for one, other in (("phase", found["phase"]), ("repetition", found["rep"])):
            if other is not None and str(told.get(one, other)) != other:
                raise SourceError(f"{name} in {self.path} says {one} {told[one]!r}", expected=other, do=_DO)
        if clip_of(self.path, stimulus) != clip_of(self.path, found["stimulus"]):
            raise SourceError(f"{name} in {self.path} shows {stimulus!r}", expected="the stimulus of its name", do=_DO)
        return clip_of(self.path, stimulus), int(found["rep"]), PHASES.get(phase, "")
