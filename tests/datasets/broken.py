"""Ways to break a release, and what every reader must do about them. `broken_NAME.py` lists a release's own cases.

A module ``broken_NAME`` beside this one has ``DATASET`` (a key of `DATASETS`) and ``BREAKS``: name → `Break`.
`test_broken_releases` finds it, makes the tiny twin once, and tries every case on a copy.
"""

from __future__ import annotations

import errno
import pathlib
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

Damage = Callable[[Path, pytest.MonkeyPatch], object]
MARKER = "executed"


@dataclass(frozen=True)
class Break:
    """One broken release.

    Attributes:
        damage: Breaks the copy of the twin at a path; the patch is for what root is not refused.
        message: Part of what the command says, a regular expression.
        options: Further arguments of `brainreel ingest`; ``{source}`` is the release.
    """

    damage: Damage
    message: str
    options: tuple[str, ...] = ()


def files(damage: Callable[[Path], object], *paths: str) -> Damage:
    """Break these files, named from the release's folder."""
    return lambda source, patch: [damage(source / path) for path in paths]


def release(damage: Callable[[Path], object]) -> Damage:
    """Break whatever it takes, given the release's folder."""
    return lambda source, patch: damage(source)


def replaced(path: Path, content: bytes) -> None:
    """Other bytes in the place of a file that may be mapped into memory."""
    path.unlink()
    path.write_bytes(content)


def put(index: Any, value: float) -> Callable[[Any], Any]:
    """A change of an array: this value at this index."""

    def change(values: Any) -> Any:
        values[index] = value
        return values

    return change


def missing(*paths: str) -> Damage:
    return files(Path.unlink, *paths)


def empty(*paths: str) -> Damage:
    return files(lambda path: path.write_bytes(b""), *paths)


def truncated(path: str, share: float = 0.5) -> Damage:
    def cut(file: Path) -> None:
        content = file.read_bytes()
        file.write_bytes(content[: int(len(content) * share)])

    return files(cut, path)


def text(path: str, content: str = "<html>404 Not Found</html>") -> Damage:
    return files(lambda file: file.write_text(content), path)


def folder(path: str) -> Damage:
    return files(lambda file: (file.unlink(), file.mkdir()), path)


def copied(path: str, to: str) -> Damage:
    return lambda source, patch: shutil.copy(source / path, source / to)


def copied_folder(path: str, to: str) -> Damage:
    return lambda source, patch: shutil.copytree(source / path, source / to, dirs_exist_ok=True)


def forbidden(path: str) -> Damage:
    """Root may read everything, so the refusal is simulated where the file is opened."""

    def refuse(source: Path, patch: pytest.MonkeyPatch) -> None:
        real = pathlib.Path.open

        def opened(self: Path, *arguments: Any, **options: Any) -> Any:
            if self == source / path:
                raise PermissionError(errno.EACCES, "Permission denied", str(self))
            return real(self, *arguments, **options)

        patch.setattr(pathlib.Path, "open", opened)

    return refuse


def full_disk(source: Path, patch: pytest.MonkeyPatch) -> None:
    """There is room for the tables, but not for the responses."""
    import zarr

    def no_room(self: zarr.Array, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    patch.setattr(zarr.Array, "__setitem__", no_room)


def repickled(path: str, change: Callable[[Any], Any]) -> Damage:
    """Change what a pickle holds; only ever a twin's own."""

    def again(file: Path) -> None:
        value = change(pickle.loads(file.read_bytes()))
        file.write_bytes(pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL))

    return files(again, path)


class _Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, (f"import pathlib; pathlib.Path({str(self.marker)!r}).touch()",))


def malicious(path: str, wrap: Callable[[Any], Any] = lambda evil: evil) -> Damage:
    """A pickle that, if executed, leaves a mark beside the release."""
    return lambda source, patch: (source / path).write_bytes(
        pickle.dumps(wrap(_Evil(source.parent / MARKER)), protocol=4)
    )
