"""One object becomes one file: resumed where it stopped, and in its place only once it is whole and verified."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import requests

from brainreel.download.checksums import verify
from brainreel.download.server import Again, Server, Stopped, chunks
from brainreel.errors import SourceError

# A try that brought so much counts as none, so that a big file survives any number of broken connections.
_WORTH_BYTES = 4 << 20


class File(NamedTuple):
    """An object and where it belongs: ``path`` is relative, with «/»."""

    path: str
    key: str
    size: int
    etag: str


def partial_of(target: Path, file: File) -> Path:
    """Where a file's first part waits for the rest; another version of the object has another name."""
    version = hashlib.sha256(f"{file.etag} {file.size}".encode()).hexdigest()[:12]
    return target.with_name(f".{target.name}.{version}.partial")


def part_bytes(path: Path) -> int:
    """How much of a file is there."""
    return path.stat().st_size if path.is_file() and not path.is_symlink() else 0


def fetch(server: Server, file: File, target: Path, came: Callable[[int], None]) -> str:
    """Get ``file`` to ``target``, going on with what an earlier call left.

    Args:
        server: Where it lies; its `stop` ends the transfer.
        file: What.
        target: Where to; an older file there is replaced.
        came: Told the number of bytes that came, negative where some have to come again.

    Returns:
        How the bytes were checked (`checksums.verify`).

    Raises:
        SourceError: it cannot be had, is not as it was listed, or arrived damaged twice.
        Stopped: somebody interrupted.
        OSError: it cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(target, file)
    for stale in target.parent.glob(f".{glob.escape(target.name)}.*.partial"):
        if stale != partial or stale.is_symlink():
            stale.unlink()
    got = _Got()

    def attempt() -> str:
        got.before = part_bytes(partial)
        if got.before > file.size:
            partial.unlink()
        if not partial.exists() or part_bytes(partial) < file.size:
            _append(server, file, partial, came)
        checked = verify(partial, file.etag)
        if checked is None:
            partial.unlink()
            came(-file.size)
            got.damaged += 1
            if got.damaged > 1:
                raise SourceError(
                    f"{server.address(file.key)} arrived twice with bytes that its checksum {file.etag} does not fit",
                    do="run the same command again later, or ask the server's keepers",
                )
            raise Again(f"{file.path} arrived damaged")
        return checked

    checked = server.insist(attempt, came=lambda: part_bytes(partial) - got.before >= _WORTH_BYTES)
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    partial.replace(target)
    return checked


class _Got:
    """What earlier tries brought."""

    before = 0
    damaged = 0


def _append(server: Server, file: File, partial: Path, came: Callable[[int], None]) -> None:
    have = part_bytes(partial)
    headers = {"Range": f"bytes={have}-"} if have else {}
    if file.etag:
        # Should the object change meanwhile, the server refuses rather than send the end of another one.
        headers["If-Match"] = f'"{file.etag}"'
    with server.get(server.address(file.key), headers) as answer:
        if answer.status_code == 412:
            raise SourceError(
                f"{server.address(file.key)} changed while it was downloaded", do="run the same command again"
            )
        if answer.status_code == 416 or (answer.status_code == 206 and _first_byte(answer) != have):
            partial.unlink(missing_ok=True)
            came(-have)
            raise Again(f"the server does not go on at byte {have} of {file.path}")
        _need_size(answer, file, have)
        if answer.status_code == 200 and have:
            # A server that cannot go on sends everything.
            came(-have)
            have = 0
        with partial.open("ab") as stream:
            stream.truncate(have)
            for chunk in chunks(answer, file.path):
                have += len(chunk)
                if have > file.size:
                    raise _wrong_size(answer.url, f"more than {file.size}", file.size)
                stream.write(chunk)
                came(len(chunk))
                if server.stop.is_set():
                    raise Stopped
    if have < file.size:
        raise Again(f"the connection broke off at byte {have} of {file.size} in {file.path}")


def _need_size(answer: requests.Response, file: File, have: int) -> None:
    """Raise if the answer says that the object is not of the listed size."""
    if answer.status_code == 206:
        told = answer.headers.get("Content-Range", "").rpartition("/")[2]
    else:
        told = answer.headers.get("Content-Length", "")
    if told.isascii() and told.isdecimal() and int(told) != file.size:
        raise _wrong_size(answer.url, told, file.size)


def _first_byte(answer: requests.Response) -> int:
    told = re.match(r"bytes (\d{1,15})-", answer.headers.get("Content-Range", ""), flags=re.ASCII)
    return int(told[1]) if told else -1


def _wrong_size(url: str, told: str, listed: int) -> SourceError:
    return SourceError(
        f"{url} has {told} bytes",
        expected=f"{listed}, as the server lists it",
        do="run the same command again; if it stays so, the server's copy is broken",
    )
