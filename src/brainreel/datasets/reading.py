"""Reading a release's files so that every broken one is a sentence: its name, what was found, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from brainreel.errors import SourceError


def need_folder(source: Path, what: str) -> None:
    """Raise unless ``source`` is a folder with something in it."""
    if not source.exists():
        raise SourceError(f"there is no {source}", expected=f"a folder with {what}", do="check the path")
    if not source.is_dir():
        raise SourceError(f"{source} is a file", expected=f"a folder with {what}", do="give the folder around it")
    with sentences(source, "a folder that can be listed", ""):
        if not any(source.iterdir()):
            raise SourceError(f"{source} is empty", expected=what, do="unpack the release there")


def read_mat(path: Path, names: tuple[str, ...], *, do: str = "fetch the file again") -> dict[str, np.ndarray]:
    """The variables ``names`` of a Matlab file up to version 7."""
    from scipy.io import loadmat

    # scipy, given a name, calls a missing file an unreadable one; a stream keeps the difference.
    with sentences(path, "a Matlab file (version 5 to 7)", do), path.open("rb") as stream:
        found = loadmat(stream)
    for name in names:
        if name not in found:
            there = sorted(n for n in found if not n.startswith("__"))
            raise SourceError(f"{path} holds {', '.join(there) or 'nothing'}", expected=f"the variable {name!r}", do=do)
    return {name: np.asarray(found[name]) for name in names}


def read_nifti(path: Path, *, do: str = "fetch the file again") -> np.ndarray:
    """The values of a NIfTI or CIFTI file, scaled as its header says."""
    import nibabel

    with sentences(path, "a NIfTI or CIFTI file", do):
        image: Any = nibabel.load(path)
        return np.asarray(image.dataobj)


def read_npy(path: Path, *, do: str = "save it again with numpy.save") -> np.ndarray:
    """A numpy array; a file that would run code (a pickle) is refused."""
    with sentences(path, "a .npy file of plain numbers", do):
        return np.load(path, allow_pickle=False)


def read_sheet(path: Path, sheet: str, *, do: str = "fetch the file again") -> list[tuple]:
    """All rows of one sheet of an Excel file, as tuples of cells."""
    import openpyxl

    with sentences(path, "an Excel file (.xlsx)", do):
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        if sheet not in book.sheetnames:
            raise SourceError(
                f"{path} has the sheets {', '.join(book.sheetnames)}", expected=f"a sheet {sheet!r}", do=do
            )
        return list(book[sheet].iter_rows(values_only=True))
    finally:
        book.close()


def need_numbers(path: Path, values: np.ndarray, shape: tuple[int, ...], axes: str) -> None:
    """Raise unless ``values`` are finite numbers of this shape; ``axes`` names the axes for the message."""
    if not (np.issubdtype(values.dtype, np.floating) or np.issubdtype(values.dtype, np.integer)):
        raise SourceError(f"{path} holds {values.dtype} values", expected="numbers", do="fetch the file again")
    if values.shape != shape:
        raise SourceError(
            f"{path} has the shape {values.shape}", expected=f"{shape} ({axes})", do="fetch the file again"
        )
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise SourceError(
            f"{path} has {bad} values that are NaN or infinite",
            expected="finite numbers",
            do="fetch the file again, or mask them yourself so that you know what was done",
        )


@contextmanager
def sentences(path: Path, expected: str, do: str) -> Iterator[None]:
    """Turn whatever a parser throws at a broken file into a `SourceError` about ``path``."""
    try:
        yield
    except SourceError:
        raise
    except FileNotFoundError as error:
        raise SourceError(f"{path} is missing", expected=expected, do=do) from error
    except PermissionError as error:
        raise SourceError(
            f"{path} may not be read (permission denied)", expected=expected, do="change its permissions"
        ) from error
    except Exception as error:
        # Parsers of binary formats meet damage with any exception there is (zlib, struct, KeyError, EOF …).
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SourceError(f"{path} cannot be read ({reason})", expected=expected, do=do) from error
