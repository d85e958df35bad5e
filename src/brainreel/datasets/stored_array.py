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
        # It lies in the file in C order with this shape, and is then transposed.
        self._stored: tuple[int, ...] = (0,)
        self._axes: tuple[int, ...] = (0,)

    def fill(self, shape: Any, dtype: str, data: Any, order: Any, axes: Any = None) -> None:
        """Say what it holds.

        Args:
            shape: Of the array; with ``axes``, as it is stored.
            dtype: Of its values.
            data: They themselves.
            order: «C», «F», or «K» with ``axes``, the order in which numpy transposes what is stored.
            axes: See ``order``.

        Raises:
            ValueError: shape, type, order and amount of data do not fit together.
        """
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"an array of shape {shape!r}")
        plain = tuple(range(len(shape)))
        self.dtype = np.dtype(dtype)
        if self.dtype.kind not in _KINDS:
            raise ValueError(f"values of type {dtype!r} are not read")
        if order == "K" and isinstance(axes, (tuple, list)) and sorted(axes) == list(plain):
            self._stored, self._axes = shape, tuple(axes)
        # Objects are listed as they come, whatever the order in memory was.
        elif order == "C" or (order == "F" and self.dtype.hasobject):
            self._stored, self._axes = shape, plain
        elif order == "F":
            self._stored, self._axes = shape[::-1], plain[::-1]
        else:
            raise ValueError(f"an array in the order {order!r}")
        self.shape = tuple(self._stored[axis] for axis in self._axes)
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
            flat = np.empty(len(self._data), object)
            flat[:] = self._data
        else:
            flat = self._items(0, math.prod(self.shape))
        return flat.reshape(self._stored).transpose(self._axes)

    def take(self, index: Int[np.ndarray, " chosen"], axis: int, dtype: Any = np.float32) -> Float[np.ndarray, ...]:
        """Some entries along one axis; no more than a block of the others is ever in memory.

        Args:
            index: Which, ascending.
            axis: Which axis.
            dtype: What to return them in.

        Returns:
            The array with that axis cut to `index`.
        """
        where = self._axes[axis]
        before, after = self._stored[:where], self._stored[where + 1 :]
        out = np.empty((*before, len(index), *after), dtype)
        if where == 0:
            self._outer(out.reshape(len(index), math.prod(after)), index)
        else:
            inner = math.prod(after)
            columns = (index[:, None] * inner + np.arange(inner)).ravel() if inner > 1 else index
            self._inner(out.reshape(math.prod(before), len(columns)), columns, self._stored[where] * inner)
        return out.transpose(self._axes)

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
