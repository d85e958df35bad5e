"""Writing that is whole or absent, and hashes that tell whether a file is still what was written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd


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
    write_text(path, table.to_csv(sep="\t", index=False, na_rep="n/a", lineterminator="\n"))


def read_tsv(path: Path, *, text: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read what `write_tsv` wrote; columns named in ``text`` stay strings («0012», «NA» and empty included)."""
    converters: dict[Any, Callable[[str], str]] = dict.fromkeys(text, _text)
    return pd.read_csv(path, sep="\t", na_values=["n/a"], keep_default_na=False, converters=converters)


def _text(cell: str) -> str:
    return "" if cell == "n/a" else cell


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Let ``fill`` write a folder that appears at ``path`` only when it is complete, replacing what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    fill(beside)
    replace_folder(beside, path)


def replace_folder(new: Path, path: Path) -> None:
    """Move the folder ``new`` to ``path``; an older folder there goes only after the new one is in place."""
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
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
