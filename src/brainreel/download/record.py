"""What was downloaded into a folder: one line of JSON per verified file, so that nothing is read twice to be sure."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from brainreel.download.transfer import File
from brainreel.errors import UsageError

NAME = ".brainreel-download.jsonl"


class Record:
    """The files that downloads put into ``folder``, and which version of each."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._known = _read(self.path)
        self._lock = Lock()

    def __contains__(self, path: str) -> bool:
        """Whether a download put a file there, in whatever version."""
        return path in self._known

    def has(self, file: File) -> bool:
        """Whether a download put this version of the file there."""
        return self._known.get(file.path) == (file.size, file.etag)

    def add(self, file: File, checked: str) -> None:
        """Note a file that is in its place and was checked."""
        line = json.dumps({"path": file.path, "bytes": file.size, "etag": file.etag, "checked": checked})
        with self._lock:
            self._known[file.path] = (file.size, file.etag)
            # A line of its own even where a killed process left half of one.
            with self.path.open("ab+") as stream:
                whole = not stream.tell() or _last_byte(self.path) == b"\n"
                stream.write((b"" if whole else b"\n") + line.encode() + b"\n")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other downloads out of the folder, which must exist.

        Raises:
            UsageError: another process is downloading into it.
        """
        handle = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    f"another process is downloading into {self.path.parent}",
                    do="wait for it, or choose another folder",
                ) from error
            except OSError as error:
                # File systems without locks are no reason not to write.
                if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
                    raise
            yield
        finally:
            os.close(handle)


def _read(path: Path) -> dict[str, tuple[int, str]]:
    known = {}
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            told = json.loads(line)
            known[str(told["path"])] = (int(told["bytes"]), str(told["etag"]))
        except (ValueError, TypeError, KeyError):
            # Half a line, where a process was killed: its file will be checked again.
            continue
    return known


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1)
