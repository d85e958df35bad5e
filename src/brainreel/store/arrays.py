"""Reading a store's arrays, whole or in pieces, compared with the SHA-256 that was noted when they were written."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import zarr

from brainreel.errors import StoreError

AGAIN = "run `brainreel check`, then ingest the dataset again"


def read_array(path: Path) -> np.ndarray:
    """One whole array of a store.

    Raises:
        StoreError: if it is missing, cannot be read, or is not what was written.
    """
    (values,) = array_pieces(path, None)
    return values


def array_pieces(path: Path, rows: int | None) -> Iterator[np.ndarray]:
    """An array in stretches of ``rows`` rows (None: in one), of which one is in memory at a time.

    zarr reads a chunk whose file is gone as zeros: only the hash tells, and it is known after the last row. What was
    made of earlier pieces must therefore not be used before the iteration has ended.

    Raises:
        StoreError: if it is missing, cannot be read, or (after the last piece) is not what was written.
    """
    array = open_array(path)
    length = array.shape[0]
    step = rows or max(1, length)
    digest = hashlib.sha256()
    for start in range(0, max(1, length), step):
        with _as_store_error(path):
            values = np.ascontiguousarray(array[start : start + step])
        digest.update(values.data)
        if start + step >= length and array.attrs.asdict().get("sha256") != digest.hexdigest():
            raise StoreError(f"{path} is not what was written", do=AGAIN)
        yield values


def open_array(path: Path) -> zarr.Array:
    """An array that is not read yet.

    Raises:
        StoreError: if it is missing or cannot be read.
    """
    with _as_store_error(path):
        array = zarr.open_array(path, mode="r")
        if not array.ndim:
            raise ValueError("it has no rows")
        return array


@contextlib.contextmanager
def _as_store_error(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise StoreError(f"{path} is missing", do=AGAIN) from error
    except MemoryError:
        raise
    # Broken metadata and chunks surface as whatever the codec in question throws.
    except Exception as error:
        raise StoreError(f"{path} cannot be read ({' '.join(str(error).split())})", do=AGAIN) from error
