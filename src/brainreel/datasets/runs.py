"""Reading preprocessed runs piece by piece: only the chosen places of one run are ever in memory.

A run is given as one series per place, (vertices, volumes), whatever the file: CIFTI (memory-mapped, since it keeps each
place's series together), NIfTI volumes (read a few volumes at a time), or GIFTI of both hemispheres.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Int

from brainreel.datasets.cifti import open_cifti
from brainreel.datasets.reading import need_numbers, sentences
from brainreel.errors import SourceError

_NIFTI2_BYTES = 540
_VOLUMES_AT_ONCE = 16
_REFETCH = "fetch the file again"


@runtime_checkable
class Runs(Protocol):
    """How the runs of one space are read.

    Attributes:
        places: Number of places (grayordinates, voxels, vertices) in a run.
    """

    places: int

    def read(
        self, path: Path, volumes: int, places: Int[np.ndarray, " vertices"]
    ) -> Float32[np.ndarray, "vertices volumes"]:
        """The series of some places of a run that must have so many volumes.

        Raises:
            SourceError: the file is missing, broken, of another shape, or has values there that are not finite.
        """
        ...

    def still(
        self, path: Path, volumes: int, kept: slice, places: Int[np.ndarray, " vertices"]
    ) -> Bool[np.ndarray, " vertices"]:
        """Which of the places do not change within the volumes ``kept``.

        Raises:
            SourceError: the file is missing, broken or of another shape; values that are not finite may go unseen.
        """
        ...


class CiftiRuns:
    """Runs in CIFTI dtseries files that all have the same grayordinates."""

    def __init__(self, grayordinates: int) -> None:
        self.places = grayordinates
        # What the XML of the files read so far says, by its SHA-256: parsing it takes longer than reading the values.
        self._known: dict[bytes, tuple[int, ...]] = {}

    def read(
        self, path: Path, volumes: int, places: Int[np.ndarray, " vertices"]
    ) -> Float32[np.ndarray, "vertices volumes"]:
        with sentences(path, "a CIFTI file", _REFETCH):
            stored, slope, intercept = self._map(path, volumes)
            values = np.asarray(stored[_stretch(places)], dtype=np.float32)
            if (slope, intercept) != (1.0, 0.0):
                values = values * np.float32(slope) + np.float32(intercept)
        need_numbers(path, values, (len(places), volumes), "grayordinates, volumes")
        return values

    def still(
        self, path: Path, volumes: int, kept: slice, places: Int[np.ndarray, " vertices"]
    ) -> Bool[np.ndarray, " vertices"]:
        with sentences(path, "a CIFTI file", _REFETCH):
            inside = self._map(path, volumes)[0][:, kept]
            # What differs between two volumes is not still: hardly any series has to be read whole.
            maybe = np.flatnonzero(inside[places, 0] == inside[places, inside.shape[1] // 2])
        still = np.zeros(len(places), bool)
        still[maybe] = _constant(self.read(path, volumes, places[maybe])[:, kept])
        return still

    def _map(self, path: Path, volumes: int) -> tuple[np.ndarray, float, float]:
        """The values as they lie in the file, (grayordinates, volumes), and how they are scaled."""
        import nibabel

        with path.open("rb") as stream:
            head = stream.read(_NIFTI2_BYTES)
            if len(head) < _NIFTI2_BYTES:
                raise SourceError(f"{path} has {len(head)} bytes", expected="a CIFTI file", do=_REFETCH)
            # Its own check would log what it finds; here one sentence is enough.
            header: Any = nibabel.Nifti2Header(head, check=False)
            if int(header["sizeof_hdr"]) != _NIFTI2_BYTES:
                raise SourceError(f"{path} cannot be read (no NIfTI-2 header)", expected="a CIFTI file", do=_REFETCH)
            offset = int(header["vox_offset"])
            digest = hashlib.sha256(stream.read(max(0, offset - _NIFTI2_BYTES))).digest()
        if digest not in self._known:
            self._known[digest] = open_cifti(path)[0].shape
        shape = self._known[digest]
        if shape != (volumes, self.places):
            raise SourceError(
                f"{path} has the shape {shape}",
                expected=f"{(volumes, self.places)} (volumes, grayordinates)",
                do=_REFETCH,
            )
        kind = header.get_data_dtype()
        if kind.kind not in "fiu":
            raise SourceError(f"{path} holds {kind} values", expected="numbers", do=_REFETCH)
        if (missing := offset + volumes * self.places * kind.itemsize - path.stat().st_size) > 0:
            raise SourceError(f"{path} is cut off ({missing} bytes are missing)", expected="a whole file", do=_REFETCH)
        slope, intercept = (float(header[name]) for name in ("scl_slope", "scl_inter"))
        scaled = np.isfinite(slope) and slope != 0
        stored = np.memmap(path, kind, mode="r", offset=offset, shape=(self.places, volumes))
        return stored, slope if scaled else 1.0, intercept if scaled and np.isfinite(intercept) else 0.0


class VolumeRuns:
    """Runs in NIfTI files of one grid; places are its voxels in C order."""

    def __init__(self, grid: tuple[int, ...]) -> None:
        self.grid = tuple(grid)
        self.places = int(np.prod(grid))

    @classmethod
    def like(cls, path: Path) -> VolumeRuns:
        """The grid of a run."""
        return cls(_open_volumes(path).shape[:3])

    def read(
        self, path: Path, volumes: int, places: Int[np.ndarray, " vertices"]
    ) -> Float32[np.ndarray, "vertices volumes"]:
        out = np.empty((len(places), volumes), np.float32)
        for start, piece in self._pieces(path, volumes):
            out[:, start : start + piece.shape[1]] = piece[places]
        need_numbers(path, out, (len(places), volumes), "voxels, volumes")
        return out

    def still(
        self, path: Path, volumes: int, kept: slice, places: Int[np.ndarray, " vertices"]
    ) -> Bool[np.ndarray, " vertices"]:
        first: np.ndarray | None = None
        still = np.ones(len(places), bool)
        for start, piece in self._pieces(path, volumes):
            inside = piece[places, max(kept.start - start, 0) : max(kept.stop - start, 0)]
            if inside.shape[1]:
                first = inside[:, :1].copy() if first is None else first
                # A voxel without a value is as little brain as a constant one.
                still &= ((inside == first) | ~np.isfinite(inside)).all(axis=1)
        return still

    def _pieces(self, path: Path, volumes: int) -> Iterator[tuple[int, np.ndarray]]:
        """First volume and values (voxels, some volumes) of one stretch of the run after the other."""
        image = _open_volumes(path)
        if image.shape != (*self.grid, volumes):
            raise SourceError(
                f"{path} has the shape {image.shape}",
                expected=f"{(*self.grid, volumes)} (x, y, z, volumes)",
                do=_REFETCH,
            )
        for start in range(0, volumes, _VOLUMES_AT_ONCE):
            with sentences(path, "a NIfTI file", _REFETCH):
                piece = np.asarray(image.dataobj[..., start : start + _VOLUMES_AT_ONCE], dtype=np.float32)
            yield start, piece.reshape(self.places, -1)


class SurfaceRuns:
    """Runs of both hemispheres in GIFTI files, one array per volume; places are left vertices, then right ones.

    A run's path is the left hemisphere's; the right one's has ``hemi-R`` for ``hemi-L`` in its name.
    """

    def __init__(self, vertices: int) -> None:
        self.places = 2 * vertices

    @classmethod
    def like(cls, path: Path) -> SurfaceRuns:
        """As many vertices as a run has."""
        return cls(_hemisphere(path).shape[0])

    def read(
        self, path: Path, volumes: int, places: Int[np.ndarray, " vertices"]
    ) -> Float32[np.ndarray, "vertices volumes"]:
        values = self._both(path, volumes)[places]
        need_numbers(path, values, (len(places), volumes), "vertices, volumes")
        return values

    def still(
        self, path: Path, volumes: int, kept: slice, places: Int[np.ndarray, " vertices"]
    ) -> Bool[np.ndarray, " vertices"]:
        return _constant(self.read(path, volumes, places)[:, kept])

    def _both(self, path: Path, volumes: int) -> np.ndarray:
        halves = []
        for half in (path, path.with_name(path.name.replace("hemi-L", "hemi-R"))):
            values = _hemisphere(half)
            if values.shape != (self.places // 2, volumes):
                raise SourceError(
                    f"{half} has the shape {values.shape}",
                    expected=f"{(self.places // 2, volumes)} (vertices, volumes)",
                    do=_REFETCH,
                )
            halves.append(values)
        return np.concatenate(halves)


def _hemisphere(path: Path) -> Float32[np.ndarray, "vertices volumes"]:
    import nibabel

    with sentences(path, "a GIFTI file of time series (.func.gii)", _REFETCH):
        image: Any = nibabel.load(path)
        if not isinstance(image, nibabel.GiftiImage) or not image.darrays:
            raise SourceError(f"{path} holds no arrays", expected="a GIFTI file of time series", do=_REFETCH)
        return np.stack([array.data for array in image.darrays], axis=1).astype(np.float32)


def _open_volumes(path: Path) -> Any:
    import nibabel

    with sentences(path, "a NIfTI file", _REFETCH):
        # Kept open, a compressed file is unpacked once and not again for every stretch.
        image: Any = nibabel.load(path, keep_file_open=True)
        if len(image.shape) != 4:
            raise SourceError(f"{path} has the shape {image.shape}", expected="(x, y, z, volumes)", do=_REFETCH)
        return image


def _stretch(places: Int[np.ndarray, " vertices"]) -> slice | np.ndarray:
    """Neighbours as a slice, which is read without being gathered one by one."""
    whole = len(places) and np.array_equal(places, np.arange(places[0], places[0] + len(places)))
    return slice(int(places[0]), int(places[0]) + len(places)) if whole else places


def _constant(series: np.ndarray) -> Bool[np.ndarray, " rows"]:
    return (series == series[:, :1]).all(axis=1)
