"""The few names that pickles of arrays ask for, and what stands for each: none of them is looked up or called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from brainreel.datasets.stored_array import Bytes, StoredArray

# Old and new homes of the same functions of numpy.
_CORE = ("numpy.core", "numpy._core")
KNOWN = {
    **{(f"{core}.multiarray", "_reconstruct"): "array" for core in _CORE},
    **{(f"{core}.multiarray", "scalar"): "scalar" for core in _CORE},
    **{(f"{core}.numeric", "_frombuffer"): "frombuffer" for core in _CORE},
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
    ("collections", "OrderedDict"): "dict",
}


class Inert:
    """An object of a class that is not of numpy: its name and what it would have been made of."""

    def __init__(self, name: tuple[str, str], arguments: Any = ()) -> None:
        self.name, self.arguments, self.state = name, arguments, None


class Dtype:
    """A dtype that is still being built."""

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "="

    def set_state(self, state: Any) -> None:
        # Records stay the bytes they are: only headers of foreign objects have them.
        self.order = state[1]


class Name:
    """A name that a pickle asked for; it stands for nothing until it is called."""

    def __init__(self, asked: tuple[str, str]) -> None:
        self.asked = asked


def dtype_of(found: Any) -> str:
    if not isinstance(found, Dtype):
        raise ValueError("an array without a dtype")
    return (found.order if found.order in "<>" else "") + found.code


def _blank(kind: Any, shape: Any, code: Any) -> StoredArray:
    if not isinstance(kind, Name) or KNOWN.get(kind.asked) != "ndarray":
        raise ValueError("an array of a foreign class")
    return StoredArray()


def _scalar(dtype: Any, data: Any) -> Any:
    array = StoredArray()
    array.fill((), dtype_of(dtype), data, "C")
    return array.read().item()


def _frombuffer(data: Bytes, dtype: Any, shape: Any, order: Any, axes: Any = None) -> StoredArray:
    array = StoredArray()
    array.fill(shape, dtype_of(dtype), data, order, axes)
    return array


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"bytes in {encoding!r}")
    return text.encode("latin1")


CALL: dict[str, Callable[..., Any]] = {
    "array": _blank,
    "scalar": _scalar,
    "frombuffer": _frombuffer,
    "dtype": lambda code, *_: Dtype(code if isinstance(code, str) else ""),
    "encode": _encode,
    "dict": lambda: {},
}
