"""GLMsingle's own output for BOLD Moments: what a lab has before the release's prepared betas are made.

``GLM/sub-XX/ses-0Y/`` holds ``TYPED_FITHRF_GLMDENOISE_RR.npy`` (a pickled dict) or ``….hdf5``, each with ``betasmd``
(vertices, 1, 1, trials), and ``sub-XX_ses-0Y_conditionOrderDM.pkl``: the events of every run and the conditions. As
the release does it, betas are standardised with the mean and standard deviation (ddof 1) of their session's training
trials, and a clip's repetitions are counted through the sessions.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from brainreel.datasets import bmd_files as files
from brainreel.datasets.parcels import Space
from brainreel.datasets.pickles import read_npy_object, read_pickle
from brainreel.datasets.protocol import Facts
from brainreel.datasets.reading import sentences
from brainreel.datasets.stored_array import StoredArray
from brainreel.errors import SourceError, UsageError

SESSIONS = ("ses-02", "ses-03", "ses-04", "ses-05")
NAME = "TYPED_FITHRF_GLMDENOISE_RR"
_DO = "run GLMsingle again on this session"


def order_path(folder: Path, subject: str) -> Path:
    return folder / f"{subject}_{folder.name}_conditionOrderDM.pkl"


def sessions_of(folder: Path) -> list[Path]:
    """A person's sessions, if there is GLMsingle output of any."""
    there = [folder / name for name in SESSIONS]
    return there if any(path.is_dir() for path in there) else []


def read_sessions(
    folder: Path, listed: dict[str, list[str]], facts: Facts, grayordinates: int, space: Space
) -> tuple[dict[str, np.ndarray], list[Path]]:
    """Role → standardised betas (clips, repetitions, vertices) in half precision, and the files they came from.

    Raises:
        SourceError: a session is missing or broken, or clips were not shown as often as the release declares.
    """
    out = {role: np.empty((len(c), facts.repetitions[role], len(space)), np.float16) for role, c in listed.items()}
    place = {clip: (role, k) for role, clips in listed.items() for k, clip in enumerate(clips)}
    seen = dict.fromkeys(place, 0)
    paths = []
    for session in sessions_of(folder):
        order = order_path(session, folder.name)
        shown = read_order(order, set(place))
        path, betas = read_session(session, grayordinates, len(shown), space)
        trains = np.array([place[clip][0] == "train" for clip in shown])
        betas = standardised(path, betas, trains)
        files.need_finite(path, betas)
        for row, clip in zip(betas, shown, strict=True):
            role, k = place[clip]
            if seen[clip] < facts.repetitions[role]:
                out[role][k, seen[clip]] = row
            seen[clip] += 1
        paths += [order, path]
    for clip, count in seen.items():
        if count != (expected := facts.repetitions[place[clip][0]]):
            raise SourceError(
                f"the sessions of {folder} show clip {clip!r} {count} times", expected=f"{expected} times", do=_DO
            )
    return out, paths


def read_order(path: Path, known: set[str]) -> list[str]:
    """The clip of every trial, run after run, as GLMsingle saw them."""
    found = read_pickle(path, do=_DO)
    runs = found[0] if isinstance(found, (tuple, list)) and found else None
    shown: list[str] = []
    for events in runs if isinstance(runs, list) else [None]:
        names = events.get("trial_type") if isinstance(events, dict) else None
        if names is None:
            raise SourceError(f"{path} has no events of runs", expected="a list of dicts with trial_type", do=_DO)
        shown += files.names_in(path, names)
    if unknown := [clip for clip in shown if clip not in known]:
        raise SourceError(f"{path} shows a clip {unknown[0]!r}", expected="clips of the annotations", do=_DO)
    return shown


def read_session(
    folder: Path, grayordinates: int, trials: int, space: Space
) -> tuple[Path, Float32[np.ndarray, "trials vertices"]]:
    """A session's betas as they came out of GLMsingle, from whichever of its two formats is there."""
    pickled, h5 = folder / f"{NAME}.npy", folder / f"{NAME}.hdf5"
    path = h5 if h5.exists() and not pickled.exists() else pickled
    if path == h5:
        values = _from_hdf5(path, grayordinates, trials, space)
    else:
        found = read_npy_object(path, do=_DO)
        betas = found.get("betasmd") if isinstance(found, dict) else None
        if not isinstance(betas, StoredArray):
            raise SourceError(f"{path} has no betasmd", expected="GLMsingle's result of type D", do=_DO)
        _need_session(path, betas.shape, betas.dtype, grayordinates, trials)
        values = betas.take(space.vertex, 0).reshape(len(space), trials)
    return path, np.ascontiguousarray(values.T)


def standardised(path: Path, betas: Float32[np.ndarray, "trials vertices"], trains: np.ndarray) -> np.ndarray:
    """(betas - mean) / standard deviation of the session's training trials (ddof 1), in half precision."""
    if trains.sum() < 2:
        raise SourceError(f"the session of {path} has {trains.sum()} training trials", expected="at least 2", do=_DO)
    mean = betas[trains].mean(axis=0, dtype=np.float64)
    std = betas[trains].std(axis=0, ddof=1, dtype=np.float64)
    # A vertex without any signal has no scale; it becomes NaN and is refused with its number, never filled in.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return ((betas - mean) / std).astype(np.float16)


def _from_hdf5(path: Path, grayordinates: int, trials: int, space: Space) -> Float32[np.ndarray, "vertices trials"]:
    try:
        import h5py
    except ImportError as error:
        raise UsageError(
            f"{path} is an HDF5 file", expected="the extra `mosaic` (h5py)", do="pip install 'brainreel[mosaic]'"
        ) from error
    with sentences(path, "GLMsingle's HDF5 file", _DO), h5py.File(path, "r") as file:
        betas = file.get("betasmd")
        if not isinstance(betas, h5py.Dataset):
            raise SourceError(f"{path} has no betasmd", expected="GLMsingle's result of type D", do=_DO)
        _need_session(path, betas.shape, betas.dtype, grayordinates, trials)
        # Block by block: a list of rows is slow in HDF5, and everything at once large.
        out = np.empty((len(space), trials), np.float32)
        for start in range(0, grayordinates, 4096):
            first, last = np.searchsorted(space.vertex, [start, start + 4096])
            if last > first:
                block = np.asarray(betas[start : start + 4096]).reshape(-1, trials)
                out[first:last] = block[space.vertex[first:last] - start]
        return out


def _need_session(path: Path, shape: tuple[int, ...], dtype: np.dtype, grayordinates: int, trials: int) -> None:
    if dtype.kind != "f":
        raise SourceError(f"{path} holds {dtype} values", expected="floating point betas", do=_DO)
    if (shape[0], shape[-1], int(np.prod(shape))) != (grayordinates, trials, grayordinates * trials):
        raise SourceError(
            f"{path} has betasmd of shape {shape}",
            expected=f"({grayordinates}, 1, 1, {trials}) (vertices, 1, 1, trials as in the condition order)",
            do=_DO,
        )
