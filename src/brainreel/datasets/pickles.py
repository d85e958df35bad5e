"""Reading published pickles: arrays, numbers, text and containers of them, and nothing else.

A pickle is a program. The one that runs here knows the instructions that build plain values, and a closed list of
names (`pickle_names.KNOWN`), none of which is looked up or called: whatever else a file asks for is refused by name, and nothing
in it is executed. Large arrays are not read with the file; a `StoredArray` knows where its numbers lie.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from brainreel.datasets.pickle_names import CALL, KNOWN, Dtype, Inert, Name, dtype_of
from brainreel.datasets.reading import sentences
from brainreel.datasets.stored_array import Span, StoredArray
from brainreel.errors import SourceError

Stack = list[Any]
_DO = "fetch the file again from the release; never open it with pickle.load"
# Bytes beyond this stay in the file.
_LARGE = 1 << 16


def read_pickle(path: Path, *, inert: tuple[str, ...] = (), do: str = _DO) -> Any:
    """What a pickle holds; every array is a `StoredArray`.

    Args:
        path: The file.
        inert: Packages whose objects become `Inert`; they are not made either.
        do: What to do if it is broken.

    Raises:
        SourceError: it is missing, cut off, no pickle, or asks for anything but numbers, text and containers.
    """
    with sentences(path, "a pickle of arrays, numbers and text", do), path.open("rb") as stream:
        return _Machine(path, stream, inert).run()


def read_npy_object(path: Path, *, do: str = _DO) -> Any:
    """The object that `numpy.save` pickled into a .npy file, as GLMsingle writes its results.

    Raises:
        SourceError: as `read_pickle`.
    """
    import numpy as np

    with sentences(path, "a .npy file that holds a dict", do), path.open("rb") as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        if not dtype.hasobject or shape != ():
            raise SourceError(f"{path} holds {dtype} values of shape {shape}", expected="one dict", do=do)
        found = _Machine(path, stream, ()).run()
        if not isinstance(found, StoredArray):
            raise ValueError("it does not hold an array")
        return found.read().item()


class _Machine:
    """Runs one pickle. Method names are those of `pickle`'s instructions."""

    def __init__(self, path: Path, stream: BinaryIO, inert: tuple[str, ...]) -> None:
        self.path, self.stream, self.inert = path, stream, inert
        self.size = path.stat().st_size
        self.stack: Stack = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        while (code := self.take(1)) != pickle.STOP:
            if code not in _RUN:
                raise ValueError(f"instruction {code!r} at byte {self.stream.tell() - 1} is not one of plain values")
            _RUN[code](self)
        (value,) = self.stack
        return value

    def take(self, count: int) -> bytes:
        found = self.stream.read(count) if count <= self.size else b""
        if len(found) < count:
            raise EOFError(f"it ends at byte {self.size}, in the middle of a value")
        return found

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self, encoding: str = "utf-8") -> str:
        found = self.stream.readline()
        if not found.endswith(b"\n"):
            raise EOFError("it ends in the middle of a line")
        return found[:-1].decode(encoding)

    def text(self, layout: str, encoding: str = "utf-8") -> None:
        errors = "surrogatepass" if encoding == "utf-8" else "strict"
        self.stack.append(self.take(self.number(layout)).decode(encoding, errors))

    def data(self, layout: str) -> None:
        count = self.number(layout)
        start = self.stream.tell()
        if count < _LARGE:
            self.stack.append(self.take(count))
        elif start + count > self.size:
            raise EOFError(f"it ends at byte {self.size}; its values end at byte {start + count}")
        else:
            self.stream.seek(count, 1)
            self.stack.append(Span(self.path, start, count))

    def marked(self) -> list[Any]:
        start = self.marks.pop()
        found = self.stack[start:]
        del self.stack[start:]
        return found

    def pop(self, count: int) -> list[Any]:
        # A mark is a floor: what lies below it is not an argument.
        if len(self.stack) - count < (self.marks[-1] if self.marks else 0):
            raise ValueError("it takes more values than it has made")
        found = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return found

    def remember(self, key: int) -> None:
        self.memo[key] = self.stack[-1]

    def recall(self, key: int) -> None:
        self.stack.append(self.memo[key])

    def extend(self, items: list[Any]) -> None:
        (target,) = self.pop(1)
        if isinstance(target, list):
            target.extend(items)
        elif isinstance(target, set):
            target.update(items)
        else:
            raise ValueError("it extends what is no list")
        self.stack.append(target)

    def update(self, items: list[Any]) -> None:
        (target,) = self.pop(1)
        if not isinstance(target, dict) or len(items) % 2:
            raise ValueError("it sets items of what is no dict")
        target.update(zip(items[::2], items[1::2], strict=True))
        self.stack.append(target)

    def name(self, module: str, name: str) -> None:
        asked = (module, name)
        if asked not in KNOWN and module.split(".")[0] not in self.inert:
            raise SourceError(
                f"{self.path} asks for {module}.{name}, which a file of numbers has no use for",
                expected="arrays, numbers and text",
                do=f"nothing of it was executed; do not open it with pickle.load, and {_DO.split(';')[0]}",
            )
        self.stack.append(Name(asked))

    def reduce(self) -> None:
        function, arguments = self.pop(2)
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise ValueError("it calls what is no function")
        kind = KNOWN.get(function.asked)
        self.stack.append(Inert(function.asked, arguments) if kind is None else CALL[kind](*arguments))

    def new(self) -> None:
        made, arguments = self.pop(2)
        if not isinstance(made, Name) or made.asked in KNOWN:
            raise ValueError("it makes an object")
        self.stack.append(Inert(made.asked, arguments))

    def build(self) -> None:
        target, state = self.pop(2)
        if isinstance(target, StoredArray):
            _, shape, dtype, fortran, data = state if len(state) == 5 else (0, *state)
            target.fill(shape, dtype_of(dtype), data, "F" if fortran else "C")
        elif isinstance(target, Dtype):
            target.set_state(state)
        elif isinstance(target, Inert):
            target.state = state
        else:
            raise ValueError("it changes the inside of an object")
        self.stack.append(target)


def _push(value: Callable[[_Machine], Any]) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(value(machine))


def _integer(text: str) -> int | bool:
    """In protocol 0, «01» and «00» are true and false."""
    return text == "01" if text in ("00", "01") else int(text.removesuffix("L"))


def _long(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


def _quoted(text: str) -> str:
    """Python 2's strings, which hold no escapes where they name clips."""
    if len(text) < 2 or text[0] not in "\"'" or text[-1] != text[0] or "\\" in text:
        raise ValueError("a string with escapes")
    return text[1:-1]


def _tuple(count: int) -> Callable[[_Machine], None]:
    return _push(lambda m: tuple(m.pop(count)))


_RUN: dict[bytes, Callable[[_Machine], Any]] = {
    pickle.PROTO: lambda m: m.take(1),
    pickle.FRAME: lambda m: m.take(8),
    pickle.MARK: lambda m: m.marks.append(len(m.stack)),
    pickle.POP: lambda m: m.pop(1),
    pickle.POP_MARK: lambda m: m.marked(),
    pickle.NONE: _push(lambda m: None),
    pickle.NEWTRUE: _push(lambda m: True),
    pickle.NEWFALSE: _push(lambda m: False),
    pickle.INT: _push(lambda m: _integer(m.line())),
    pickle.LONG: _push(lambda m: _integer(m.line())),
    pickle.BININT: _push(lambda m: m.number("<i")),
    pickle.BININT1: _push(lambda m: m.number("<B")),
    pickle.BININT2: _push(lambda m: m.number("<H")),
    pickle.LONG1: _push(lambda m: _long(m.take(m.number("<B")))),
    pickle.LONG4: _push(lambda m: _long(m.take(m.number("<I")))),
    pickle.FLOAT: _push(lambda m: float(m.line())),
    pickle.BINFLOAT: _push(lambda m: m.number(">d")),
    pickle.STRING: _push(lambda m: _quoted(m.line())),
    pickle.UNICODE: _push(lambda m: m.line("raw-unicode-escape")),
    pickle.BINSTRING: lambda m: m.text("<I", "latin1"),
    pickle.SHORT_BINSTRING: lambda m: m.text("<B", "latin1"),
    pickle.BINUNICODE: lambda m: m.text("<I"),
    pickle.SHORT_BINUNICODE: lambda m: m.text("<B"),
    pickle.BINUNICODE8: lambda m: m.text("<Q"),
    pickle.BINBYTES: lambda m: m.data("<I"),
    pickle.SHORT_BINBYTES: lambda m: m.data("<B"),
    pickle.BINBYTES8: lambda m: m.data("<Q"),
    pickle.BYTEARRAY8: lambda m: m.data("<Q"),
    pickle.EMPTY_LIST: _push(lambda m: []),
    pickle.EMPTY_DICT: _push(lambda m: {}),
    pickle.EMPTY_SET: _push(lambda m: set()),
    pickle.EMPTY_TUPLE: _tuple(0),
    pickle.TUPLE1: _tuple(1),
    pickle.TUPLE2: _tuple(2),
    pickle.TUPLE3: _tuple(3),
    pickle.TUPLE: _push(lambda m: tuple(m.marked())),
    pickle.LIST: _push(lambda m: m.marked()),
    pickle.FROZENSET: _push(lambda m: frozenset(m.marked())),
    pickle.DICT: lambda m: m.update(_under(m, m.marked(), {})),
    pickle.APPEND: lambda m: m.extend(m.pop(1)),
    pickle.APPENDS: lambda m: m.extend(m.marked()),
    pickle.ADDITEMS: lambda m: m.extend(m.marked()),
    pickle.SETITEM: lambda m: m.update(m.pop(2)),
    pickle.SETITEMS: lambda m: m.update(m.marked()),
    pickle.PUT: lambda m: m.remember(int(m.line())),
    pickle.BINPUT: lambda m: m.remember(m.number("<B")),
    pickle.LONG_BINPUT: lambda m: m.remember(m.number("<I")),
    pickle.MEMOIZE: lambda m: m.remember(len(m.memo)),
    pickle.GET: lambda m: m.recall(int(m.line())),
    pickle.BINGET: lambda m: m.recall(m.number("<B")),
    pickle.LONG_BINGET: lambda m: m.recall(m.number("<I")),
    pickle.GLOBAL: lambda m: m.name(m.line(), m.line()),
    pickle.STACK_GLOBAL: lambda m: m.name(*m.pop(2)),
    pickle.REDUCE: lambda m: m.reduce(),
    pickle.NEWOBJ: lambda m: m.new(),
    pickle.BUILD: lambda m: m.build(),
}


def _under(machine: _Machine, items: list[Any], target: Any) -> list[Any]:
    machine.stack.append(target)
    return items
