"""Getting a release: which of its bucket's files ingest needs for some people, then a `Copy` of those."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path, PurePosixPath

from brainreel.datasets.protocol import Dataset
from brainreel.datasets.remote import ABOUT, Remote, in_one_folder, literal, matching
from brainreel.download import Copy, Listed, Server, list_bucket
from brainreel.download.mirror import CONNECTIONS, Plan
from brainreel.download.transfer import File
from brainreel.errors import SourceError, UsageError, alternatives
from brainreel.progress import size

_SHORT = "the release may have changed: its page tells, and brainreel's declaration of it would have to follow"


class Release:
    """A release's files on a server, for some people and one space.

    Args:
        remote: What the release declares.
        server: Where it lies.
        subjects: Whose files; None: everybody's.
        space: As for ingest; None: its default.

    Raises:
        UsageError: there is no such space, or a name is given twice or can be nobody's.
    """

    def __init__(
        self, remote: Remote, server: Server, subjects: Sequence[str] | None = None, space: str | None = None
    ) -> None:
        space = space or next(iter(remote.spaces))
        if (kind := space.partition("/")[0]) not in remote.spaces:
            raise UsageError(f"there is nothing to download for the space {alternatives(space, remote.spaces)}")
        if subjects is not None and (not subjects or len(set(subjects)) < len(subjects)):
            raise UsageError(f"--subjects {' '.join(subjects)!r}", expected="at least one name, each once")
        for name in subjects or ():
            if not re.fullmatch(remote.subject, name):
                raise UsageError(
                    f"{name!r} is nobody's name there", expected=_likeness(remote), do="correct --subjects"
                )
        self.remote, self.server, self.subjects = remote, server, subjects
        self._asked: dict[tuple[str, bool], dict[str, Listed]] = {}
        self.patterns = (*remote.needed, *remote.spaces[kind])

    def index(self) -> list[File]:
        """The small files that say which clips belong to whom."""
        return self._files(self.remote.index)

    def files(self, indexed: Path) -> list[File]:
        """Everything that ingest needs.

        Args:
            indexed: The folder with the files of `index`.

        Raises:
            SourceError: the server lacks something.
        """
        about = [file for pattern in ABOUT for file in self._about(pattern)]
        found = [*about, *self._files((*self.remote.index, *self.patterns)), *self._clips(indexed)]
        return list(dict.fromkeys(found))

    def people(self) -> list[str]:
        """Whose responses the server has, of those asked for."""
        pattern = next(pattern for pattern in self.patterns if "{subject}" in pattern)
        return sorted({who for _, who in self._listed(pattern, None) if who})

    def _files(self, patterns: Sequence[str]) -> list[File]:
        found: list[File] = []
        for pattern in patterns:
            people = self.subjects if self.subjects is not None and "{subject}" in pattern else (None,)
            for subject in people:
                these = self._listed(pattern, subject)
                if not these and subject is not None and subject not in (known := self.people()):
                    raise UsageError(
                        f"{self.server.url} has nobody {alternatives(subject, known)}", do="correct --subjects"
                    )
                if not these:
                    raise SourceError(
                        f"{self.server.url} has no {self.remote.root}{pattern.replace('{subject}', subject or '*')}",
                        expected="every file that ingest needs",
                        do=_SHORT,
                    )
                found += [file for file, _ in these]
        return found

    def _listed(self, pattern: str, subject: str | None) -> list[tuple[File, str]]:
        """The files that fit a pattern, with whose they are."""
        prefix, people = literal(pattern, subject), re.escape(subject) if subject else self.remote.subject
        objects = self._objects(prefix, folder_only=in_one_folder(pattern, subject))
        fits = matching(pattern, objects, people)
        return [(self._file(path, objects[path]), who) for path, who in fits]

    def _about(self, pattern: str) -> list[File]:
        # A folder may hold much else, and its few files are listed with one question.
        objects = self._objects("", folder_only=True)
        return [self._file(path, objects[path]) for path, _ in matching(pattern, objects, self.remote.subject)]

    def _clips(self, indexed: Path) -> list[File]:
        if self.remote.clips is None:
            return []
        folder = self.remote.clip_folder
        there = self._objects(folder, folder_only=False)
        if not there:
            return []
        files = []
        for names in self.remote.clips(indexed, self.subjects or self.people()):
            path = next((folder + name for name in names if folder + name in there), None)
            if path is None:
                raise SourceError(
                    f"{self.server.url} has no {self.remote.root}{folder}{names[0]}",
                    expected="every clip that was shown",
                    do=_SHORT,
                )
            files.append(self._file(path, there[path]))
        return files

    def _objects(self, prefix: str, *, folder_only: bool) -> dict[str, Listed]:
        """Path inside the release → object, for everything that begins so; asked for once."""
        if (prefix, folder_only) not in self._asked:
            found = list_bucket(self.server, self.remote.root + prefix, folder_only=folder_only)
            # Keys that end in «/» stand for folders and hold nothing.
            inside = {o.key.removeprefix(self.remote.root): o for o in found if not o.key.endswith("/")}
            self._asked[prefix, folder_only] = inside
        return self._asked[prefix, folder_only]

    def _file(self, path: str, listed: Listed) -> File:
        place = PurePosixPath(path).name if self.remote.flat else path
        return File(place, listed.key, listed.size, listed.etag)


def obtain(
    dataset: Dataset,
    folder: Path,
    *,
    subjects: Sequence[str] | None = None,
    space: str | None = None,
    mirror: str | None = None,
    connections: int = CONNECTIONS,
    dry_run: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Plan:
    """Download what ingest needs of a release into ``folder``; the same call goes on with what an earlier one left.

    Args:
        dataset: Which release.
        folder: Where to.
        subjects: Whose files; None: everybody's.
        space: Which responses, as for ingest.
        mirror: A bucket with the same keys instead of the release's own.
        connections: How many files at a time.
        dry_run: Only find out what would be downloaded; changes nothing.
        tell: Told the plan before anything big is downloaded.

    Returns:
        What was missing.

    Raises:
        UsageError: the release cannot be had like this, there is nobody of that name, or no room on the disk.
        SourceError: the server cannot be reached, or what it has is not as declared or damaged.
    """
    remote = dataset.download
    if not isinstance(remote, Remote):
        raise UsageError(
            f"{dataset.facts.name} cannot be downloaded without a person",
            do=f"follow the steps that `brainreel datasets {dataset.facts.name}` prints",
        )
    if connections < 1:
        raise UsageError(f"--connections {connections}", expected="at least 1")
    server = Server(mirror or remote.url)
    release, copy = Release(remote, server, subjects, space), Copy(server, folder)
    with tempfile.TemporaryDirectory() if dry_run else nullcontext(folder) as place:
        indexed = Path(place)
        if index := release.index():
            small = Copy(server, indexed) if dry_run else copy
            small.fetch(small.plan(index), connections=connections)
        plan = copy.plan(release.files(indexed))
    free = copy.need_space(plan)
    tell(f"{dataset.facts.name}: {plan}, from {server.url} into {folder} ({size(free)} of its disk are free)")
    if not dry_run:
        copy.fetch(plan, connections=connections)
    return plan


def _likeness(remote: Remote) -> str:
    return "names as sub-01_BMD" if "_" in remote.subject else "names as sub-01"
