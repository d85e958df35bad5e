"""An array that lies in a file, possibly larger than memory: some of its columns or rows are read, block by block."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from brainreel.errors import SourceError

# How much of the file is in memory at once; a block that fits the processor's cache is fastest.
_BLOCK_BYTES = 1 << 22

# Truth, numbers, text, bytes, and objects that are any of these.
_KINDS = "biufcSUVO"


class Span(NamedTuple):
    """A stretch of a file."""

    path: Path
    start: int
    count: int


Bytes = bytes | Span


class StoredArray:
    """An array whose values lie in a file (a `Span`) or, if small, in memory.

    Attributes:
        shape, dtype: As numpy has them.
    """

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = (0,)
        self.dtype = np.dtype(float)
        self._data: Any = b""
        self._order = "C"

    def fill(self, shape: Any, dtype: str, data: Any, order: Any) -> None:
        """Say what it holds.

        Raises:
            ValueError: shape, type and amount of data do not fit together.
        """
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape) or order not in ("C", "F"):
            raise ValueError(f"an array of shape {shape!r}")
        self.shape, self.dtype, self._order = shape, np.dtype(dtype), order
        if self.dtype.kind not in _KINDS:
            raise ValueError(f"values of type {dtype!r} are not read")
        if isinstance(data, str):
            # Python 2 had no type of its own for bytes.
            data = data.encode("latin1")
        count = data.count if isinstance(data, Span) else len(data)
        expected = math.prod(shape) * (1 if self.dtype.hasobject else self.dtype.itemsize)
        if isinstance(data, list) != self.dtype.hasobject or count != expected:
            raise ValueError(f"an array of shape {shape} and type {dtype} with {count} bytes instead of {expected}")
        self._data = data

    def read(self) -> np.ndarray:
        """All of it; reading is where memory is spent."""
        if self.dtype.hasobject:
            out = np.empty(len(self._data), object)
            out[:] = self._data
            return out.reshape(self.shape, order="C" if self._order == "C" else "F")
        flat = self._items(0, math.prod(self.shape))
        return flat.reshape(self.shape, order="C" if self._order == "C" else "F")

    def take(self, index: Int[np.ndarray, " chosen"], axis: int, dtype: Any = np.float32) -> Float[np.ndarray, ...]:
        """Some entries along the first or last axis; no more than a block of the others is ever in memory.

        Args:
            index: Which, ascending.
            axis: 0 or -1.
            dtype: What to return them in.

        Returns:
            The array with that axis cut to `index`.
        """
        if len(self.shape) < 2:
            raise ValueError("an array of fewer than two axes")
        # Stored backwards, the first axis is the last one of a plain array.
        stored = self.shape if self._order == "C" else self.shape[::-1]
        inner = (axis == -1) == (self._order == "C")
        cut = (*stored[:-1], len(index)) if inner else (len(index), *stored[1:])
        out = np.empty(cut, dtype)
        if inner:
            self._inner(out.reshape(-1, len(index)), index, stored[-1])
        else:
            self._outer(out.reshape(len(index), -1), index)
        return out if self._order == "C" else out.T

    def _inner(self, out: np.ndarray, index: np.ndarray, width: int) -> None:
        step = max(1, _BLOCK_BYTES // max(1, width * self.dtype.itemsize))
        buffer = np.empty((min(step, len(out)), len(index)), self.dtype.newbyteorder("="))
        for start in range(0, len(out), step):
            stop = min(start + step, len(out))
            rows = self._items(start * width, stop * width).reshape(-1, width)
            np.take(rows, index, axis=1, out=buffer[: stop - start], mode="clip")
            _cast(buffer[: stop - start], out[start:stop])

    def _outer(self, out: np.ndarray, index: np.ndarray) -> None:
        width = out.shape[1]
        step = max(1, _BLOCK_BYTES // max(1, width * self.dtype.itemsize))
        # Neighbours are read together.
        breaks = np.flatnonzero(np.diff(index) != 1) + 1
        for run in np.split(np.arange(len(index)), breaks):
            for start in range(0, len(run), step):
                some = run[start : start + step]
                first, last = int(index[some[0]]), int(index[some[-1]]) + 1
                _cast(self._items(first * width, last * width).reshape(-1, width), out[some[0] : some[-1] + 1])

    def _items(self, start: int, stop: int) -> np.ndarray:
        size = self.dtype.itemsize
        if isinstance(self._data, Span):
            where = self._data
            found = np.fromfile(where.path, self.dtype, stop - start, offset=where.start + start * size)
            if len(found) < stop - start:
                raise SourceError(f"{where.path} became shorter while it was read", do="fetch the file again")
        else:
            found = np.frombuffer(self._data, self.dtype, stop - start, offset=start * size)
        return found.astype(self.dtype.newbyteorder("="), copy=False)


def _cast(values: np.ndarray, out: np.ndarray) -> None:
    # What does not fit becomes infinite, and is refused as such by whoever looks for finite numbers.
    with np.errstate(over="ignore"):
        out[...] = values
