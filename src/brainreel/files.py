"""Writing that is whole or absent, and hashes that tell whether a file is still what was written."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from brainreel.errors import StoreError

_AGAIN = "run the command that made it again"


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` so that a reader sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with beside.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    """`write_bytes` of UTF-8 text."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """`write_text` of JSON that a person can read; NaN and infinity are refused, since JSON has none."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_tsv(path: Path, table: pd.DataFrame) -> None:
    """`write_text` of a tab-separated table; empty cells are ``n/a``, as in BIDS."""
    content = table.to_csv(sep="\t", index=False, na_rep="n/a", lineterminator="\n")
    if "\r" in content:
        # A bare carriage return, as spreadsheets have them, would end the row when it is read.
        content = table.to_csv(sep="\t", index=False, na_rep="n/a", lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    write_text(path, content)


def read_tsv(
    path: Path, *, text: tuple[str, ...] = (), numbers: tuple[str, ...] = (), optional: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Read what `write_tsv` wrote.

    Args:
        path: The table.
        text: Columns that must be there and stay strings («0012», «NA» and empty included).
        numbers: Columns that must be there and hold numbers; empty cells are NaN.
        optional: Columns that stay strings if they are there.

    Raises:
        FileNotFoundError: if there is no such file.
        StoreError: if it cannot be read as a table with these columns.
    """
    converters: dict[Any, Callable[[str], str]] = dict.fromkeys((*text, *optional), _text)
    try:
        table = pd.read_csv(
            path,
            sep="\t",
            na_values=["n/a"],
            keep_default_na=False,
            converters=converters,
            low_memory=False,
        )
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        first = " ".join(str(error).split())
        raise StoreError(f"{path} cannot be read ({first})", expected="a tab-separated table", do=_AGAIN) from error
    missing = [name for name in (*text, *numbers) if name not in table.columns]
    if missing:
        raise StoreError(f"{path} has no column {missing[0]!r}", expected=", ".join((*text, *numbers)), do=_AGAIN)
    for name in numbers:
        if not (pd.api.types.is_numeric_dtype(table[name]) or table[name].isna().to_numpy().all()):
            raise StoreError(f"the column {name!r} of {path} holds text", expected="numbers or n/a", do=_AGAIN)
    return table


def _text(cell: str) -> str:
    return "" if cell == "n/a" else cell


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Let ``fill`` write a folder that appears at ``path`` only when it is complete, replacing what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        fill(beside)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    replace_folder(beside, path)


def replace_folder(new: Path, path: Path) -> None:
    """Move the folder ``new`` to ``path``; an older folder there goes only after the new one is in place."""
    old = path.with_name(f".{path.name}.old")
    # Without a folder at ``path``, ``old`` is what an earlier call was killed over: the only copy there is.
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
    new.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_json(content: Any) -> str:
    """The SHA-256 of a JSON value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def walk(folder: Path) -> Iterator[Path]:
    """Every file below ``folder``, in an order that does not depend on the file system."""
    yield from sorted(path for path in folder.rglob("*") if path.is_file())


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error says that there is no space left on the device, or in the user's quota."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def is_plain(name: str) -> bool:
    """Whether a name can be a file's or folder's name that stays where it is put: no separators, not hidden."""
    return bool(name) and not name.startswith(".") and not any(c in "/\\" or ord(c) < 32 for c in name)
