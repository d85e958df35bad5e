"""Experiment folders: one directory per stage, with what made it, skipped when nothing that matters changed."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import importlib.metadata
import json
import math
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from brainreel import __version__
from brainreel.errors import ExperimentError
from brainreel.files import is_disk_full, is_plain, replace_folder, sha256_json, walk, write_json
from brainreel.memory import peak_memory_mib
from brainreel.progress import say

_PACKAGES = ("numpy", "scipy", "pandas", "torch", "transformers", "diffusers", "himalaya", "zarr")
_PARTIAL = ".partial"

State = Literal["up to date", "resume", "run"]


@dataclass(frozen=True)
class Stage:
    """One finished step of an experiment: its folder, its key, and whether it had to run just now."""

    path: Path
    key: str
    ran: bool


class Experiment:
    """The folder of one trained and evaluated model with all its stages (``RUN`` on the command line)."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        if self.root.exists() and not self.root.is_dir():
            raise ExperimentError(f"{self.root} is a file", expected="a folder for the experiment", do="choose another")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep a second process out of this experiment for as long as the context lasts."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            handle = (self.root / ".lock").open("w")
        except OSError as error:
            raise ExperimentError(
                f"{self.root} cannot be written ({error.strerror})",
                expected="a folder for the experiment",
                do="choose another --out",
            ) from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ExperimentError(
                    f"another brainreel process is working in {self.root}", do="wait for it, or choose another --out"
                ) from error
            except OSError as error:
                if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
                    raise
                say(f"{self.root} is on a file system without locks: run only one brainreel process in it")
            yield

    def key(self, settings: Mapping[str, Any], inputs: Mapping[str, str], code: Sequence[str]) -> str:
        """What a stage's result depends on, as one hash: settings, keys of its inputs, and its code."""
        return sha256_json({"settings": settings, "inputs": inputs, "code": code_hash(tuple(code))})

    def is_done(self, name: str, key: str) -> bool:
        """Whether the stage ``name`` stands finished with exactly this key."""
        return self._finished(self._folder(name)) == key

    def state(self, name: str, key: str) -> State:
        """What `run` would do about the stage ``name`` with this key; changes nothing."""
        if self.is_done(name, key):
            return "up to date"
        return "resume" if self._key_in(self._partial(name)) == key else "run"

    def run(
        self,
        name: str,
        work: Callable[[Path], object],
        *,
        settings: Mapping[str, Any],
        inputs: Mapping[str, str],
        code: Sequence[str],
        seed: int | None = None,
        device: str = "cpu",
    ) -> Stage:
        """Run one stage unless it is up to date.

        ``work`` fills a folder that becomes ``root/name`` when it returns. If it is killed, the folder stays as
        ``.<name>.partial`` and is handed to the next try with the same key, so that checkpoints in it are found;
        with another key it is emptied first.

        Args:
            name: Where the stage's result goes, relative to the experiment.
            work: The work itself.
            settings: Everything that affects the result and is not an input.
            inputs: name → key or fingerprint of what the stage reads.
            code: Folders or files of the package whose source is part of the key.
            seed: Written to the provenance.
            device: Written to the provenance.
        """
        key = self.key(settings, inputs, code)
        final = self._folder(name)
        if self._finished(final) == key:
            return Stage(final, key, ran=False)
        partial = self._partial(name)
        if self._key_in(partial) != key:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            config = {"key": key, "settings": dict(settings), "inputs": dict(inputs)}
            write_json(partial / "config.json", _plain(config))
        # With its provenance written, nothing but the move was missing when the process was killed.
        if self._finished(partial) != key:
            started = time.monotonic()
            self._work(work, partial, name)
            write_json(
                partial / "provenance.json",
                {
                    **environment(),
                    "seed": seed,
                    "device": device,
                    "code": list(code),
                    "code_sha256": code_hash(tuple(code)),
                    "wall_s": round(time.monotonic() - started, 2),
                    "peak_memory_mib": round(peak_memory_mib()),
                    "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                },
            )
        replace_folder(partial, final)
        return Stage(final, key, ran=True)

    def stage(self, name: str) -> Path:
        """The folder of a finished stage.

        Raises:
            ExperimentError: if it is missing or unfinished.
        """
        path = self._folder(name)
        if self._finished(path) is None:
            raise ExperimentError(
                f"{self.root} has no finished stage {name!r}", do=f"run `brainreel {name.split('/')[0]}`"
            )
        return path

    def _partial(self, name: str) -> Path:
        final = self._folder(name)
        return final.with_name(f".{final.name}{_PARTIAL}")

    def _folder(self, name: str) -> Path:
        if not all(map(is_plain, name.split("/"))):
            raise ExperimentError(
                f"{name!r} cannot be the name of a stage",
                expected="names without dots in front, separated by slashes",
                do="rename it",
            )
        return self.root / name

    @staticmethod
    def _work(work: Callable[[Path], object], partial: Path, name: str) -> None:
        try:
            work(partial)
        except OSError as error:
            if not is_disk_full(error):
                raise
            raise ExperimentError(
                f"the disk is full in stage {name!r}",
                expected=f"room in {partial.parent}",
                do="free space and run the command again: it goes on where it stopped",
            ) from error
        # What `write_bytes` was killed over in an earlier try.
        for path in walk(partial):
            if path.name.startswith(".") and path.name.endswith(_PARTIAL):
                path.unlink()

    @classmethod
    def _finished(cls, folder: Path) -> str | None:
        """The key of a folder whose work is done."""
        return cls._key_in(folder) if (folder / "provenance.json").is_file() else None

    @staticmethod
    def _key_in(folder: Path) -> str | None:
        try:
            return json.loads((folder / "config.json").read_text())["key"]
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _plain(value: Any) -> Any:
    """JSON has no infinity and no NaN: they are recorded by name."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


@lru_cache
def code_hash(parts: tuple[str, ...]) -> str:
    """SHA-256 over the source files of folders or modules of this package, named relative to it.

    Raises:
        ValueError: if a part has no source, since its changes would go unnoticed.
    """
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for part in sorted(parts):
        files = [package / part] if part.endswith(".py") else [p for p in walk(package / part) if p.suffix == ".py"]
        if not files or not all(path.is_file() for path in files):
            raise ValueError(f"the package has no source {part!r}")
        for path in files:
            digest.update(path.relative_to(package).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


@lru_cache
def environment() -> dict[str, Any]:
    """Versions, platform and git revision, for provenance.json."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "brainreel": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "versions": versions,
        "git": _git_revision(),
    }


def _git_revision() -> str | None:
    """The revision of a source checkout this package runs from; None when it was installed."""
    here = Path(__file__).resolve().parent
    if not (here.parents[1] / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
