"""Objects of a bucket become files of a folder: what is there already, what is missing, and getting it."""

from __future__ import annotations

import queue
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from brainreel.download.checksums import verify
from brainreel.download.record import Record
from brainreel.download.server import Server, Stopped
from brainreel.download.transfer import File, fetch, part_bytes, partial_of
from brainreel.errors import SourceError, UsageError
from brainreel.files import is_disk_full, is_plain
from brainreel.progress import meter, size

CONNECTIONS = 4
# So many files may fail before the rest is not even tried.
_FAILURES = 3
_SPARE_BYTES = 100_000_000


class Plan(NamedTuple):
    """What was asked for, what of it is missing, and how many bytes have to come."""

    files: tuple[File, ...]
    missing: tuple[File, ...]
    missing_bytes: int

    @property
    def bytes(self) -> int:
        """The size of everything."""
        return sum(file.size for file in self.files)

    def __str__(self) -> str:
        there = len(self.files) - len(self.missing)
        told = f"{_count(len(self.files))}, {size(self.bytes)}"
        if not self.missing:
            return f"{told}, all there"
        return f"{told}; {there} are there, {size(self.missing_bytes)} to download" if there else told


class Copy:
    """A folder that becomes a copy of some of a bucket's objects.

    Args:
        server: The bucket.
        folder: Where to; need not exist.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file", expected="a folder, new or not", do="choose another one")
        self.server, self.folder = server, folder
        self._record = Record(folder)
        self._found: list[tuple[File, str]] = []

    def plan(self, files: Sequence[File]) -> Plan:
        """Compare the folder with ``files``; changes nothing.

        Raises:
            SourceError: a name would lead out of the folder, or a file in it is neither the release's nor a download's.
        """
        self._need_apart(files)
        missing = tuple(file for file in files if not self._is_there(file))
        targets = [(file, self.target(file.path)) for file in missing]
        to_come = sum(file.size - min(file.size, part_bytes(partial_of(target, file))) for file, target in targets)
        return Plan(tuple(files), missing, to_come)

    def need_space(self, plan: Plan) -> int:
        """The free bytes of the folder's disk.

        Raises:
            UsageError: they are too few.
        """
        there = next(place for place in (self.folder, *self.folder.absolute().parents) if place.exists())
        free = shutil.disk_usage(there).free
        if plan.missing and plan.missing_bytes + _SPARE_BYTES > free:
            raise UsageError(
                f"{there} has {size(free)} of free space",
                expected=f"{size(plan.missing_bytes)} and some to spare",
                do="make room, choose another folder, or fewer people with --subjects",
            )
        return free

    def fetch(self, plan: Plan, *, connections: int = CONNECTIONS) -> None:
        """Get what is missing, several files at a time; an interrupted call leaves what came, and the next goes on.

        Raises:
            SourceError: some files cannot be had; the others were got.
            UsageError: another process is at it, or the disk is full.
        """
        self.need_space(plan)
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._record.alone():
            for file, checked in self._found:
                self._record.add(file, checked)
            self._found.clear()
            if plan.missing:
                with meter(plan.missing_bytes, f"downloading {_count(len(plan.missing))}") as came:
                    _Workers(self, plan.missing, came).run(min(connections, len(plan.missing)))

    def get(self, server: Server, file: File, came: Callable[[int], None]) -> None:
        """Get one file and note it."""
        self._record.add(file, fetch(server, file, self.target(file.path), came))

    def target(self, path: str) -> Path:
        """Where a file of the bucket belongs.

        Raises:
            SourceError: that would be outside the folder.
        """
        parts = path.split("/")
        target = self.folder.joinpath(*parts) if all(map(is_plain, parts)) else None
        if target is None or not target.parent.resolve().is_relative_to(self.folder.resolve()):
            raise SourceError(
                f"the server lists a file {path[:200]!r}",
                expected=f"a name that stays inside {self.folder}",
                do="do not trust this server, or look for symbolic links in the folder",
            )
        return target

    def _is_there(self, file: File) -> bool:
        target = self.target(file.path)
        if not target.exists():
            return False
        same = target.is_file() and target.stat().st_size == file.size
        if same and self._record.has(file):
            return True
        if target.is_file() and file.path in self._record:
            return False
        checked = verify(target, file.etag) if same else None
        if checked is None:
            raise SourceError(
                f"{target} is not the release's file, and no download put it there",
                expected=f"nothing, or the release's {file.size} bytes",
                do="move it away, or download into another folder",
            )
        self._found.append((file, checked))
        return True

    @staticmethod
    def _need_apart(files: Sequence[File]) -> None:
        count = Counter(file.path for file in files)
        count.update({str(parent) for path in count for parent in PurePosixPath(path).parents} & count.keys())
        if count and (worst := count.most_common(1)[0])[1] > 1:
            raise SourceError(f"the server lists {worst[0]!r} twice, or as a file and a folder", do="check --mirror")


class _Workers:
    """Threads that share a queue of files. They end with the process: one that waits for a dead server stops nobody."""

    def __init__(self, copy: Copy, files: Sequence[File], came: Callable[[int], None]) -> None:
        self.copy, self.came = copy, came
        self.left: queue.SimpleQueue[File] = queue.SimpleQueue()
        for file in files:
            self.left.put(file)
        self.failed: list[BaseException] = []

    def run(self, connections: int) -> None:
        stop = self.copy.server.stop
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(connections)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)
        except BaseException:
            stop.set()
            for thread in threads:
                thread.join(1.0)
            raise
        if self.failed:
            raise self._explained(self.failed[0], len(self.failed) - 1)

    def _work(self) -> None:
        server = self.copy.server.twin()
        while not server.stop.is_set() and len(self.failed) < _FAILURES:
            try:
                file = self.left.get_nowait()
            except queue.Empty:
                return
            try:
                self.copy.get(server, file, self.came)
            except Stopped:
                return
            except BaseException as error:
                self.failed.append(error)
                if not isinstance(error, SourceError):
                    # A full disk, or a bug: the next file would meet it too.
                    server.stop.set()

    def _explained(self, error: BaseException, others: int) -> BaseException:
        if is_disk_full(error):
            return UsageError(
                f"{self.copy.folder} has no space left",
                do="make room and run the same command again; it goes on where it stopped",
            )
        if isinstance(error, SourceError) and others:
            return SourceError(f"{error.got} ({others} more failed)", expected=error.expected, do=error.do)
        return error


def _count(files: int) -> str:
    return f"{files} file{'s' if files != 1 else ''}"
