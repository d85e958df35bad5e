"""Reading CIFTI files (dtseries, dscalar, dlabel): values in float32, and a check that they are what they should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from brainreel.datasets.reading import need_numbers, sentences
from brainreel.errors import SourceError

_LEFT, _RIGHT = "CIFTI_STRUCTURE_CORTEX_LEFT", "CIFTI_STRUCTURE_CORTEX_RIGHT"


class Brain(NamedTuple):
    """How many grayordinates a file has, and how many of them, the first ones, are cortex."""

    grayordinates: int
    cortex: int


def open_cifti(path: Path, *, do: str = "fetch the file again") -> tuple[Any, Brain]:
    """A CIFTI image, whose values are not read yet, and its size.

    Raises:
        SourceError: it is missing, broken, no CIFTI file of grayordinates, or its cortex is not left, then right.
    """
    import nibabel

    with sentences(path, "a CIFTI file", do):
        image: Any = nibabel.load(path)
        if not isinstance(image, nibabel.Cifti2Image):
            raise SourceError(f"{path} is no CIFTI file", expected="one of grayordinates (fsLR, .nii)", do=do)
        axis = image.header.get_axis(image.ndim - 1)
        if not hasattr(axis, "iter_structures"):
            raise SourceError(f"{path} has no grayordinates along its last axis", expected="a dense CIFTI file", do=do)
        structures = [(name, len(part)) for name, _, part in axis.iter_structures()]
    if [name for name, _ in structures[:2]] != [_LEFT, _RIGHT]:
        first = ", ".join(name.removeprefix("CIFTI_STRUCTURE_").lower() for name, _ in structures[:2])
        raise SourceError(f"{path} begins with {first}", expected="cortex_left, cortex_right", do="resample to fsLR32k")
    return image, Brain(len(axis), structures[0][1] + structures[1][1])


def read_cifti(
    path: Path,
    shape: tuple[int, int],
    axes: str,
    columns: np.ndarray | slice = slice(None),
    *,
    do: str = "fetch the file again",
) -> Float[np.ndarray, "rows vertices"]:
    """Some columns of a CIFTI file in float32; values outside them are not looked at.

    Args:
        path: The file.
        shape: What it must have: rows (volumes, conditions …) and grayordinates.
        axes: Names of both, for the message.
        columns: Which grayordinates, as `Space.vertex` has them.
        do: What to do if it is broken.

    Raises:
        SourceError: it is missing, broken, of another shape, or has NaN or infinite values in these columns.
    """
    image, _ = open_cifti(path, do=do)
    if image.shape != shape:
        raise SourceError(f"{path} has the shape {image.shape}", expected=f"{shape} ({axes})", do=do)
    with sentences(path, "a CIFTI file of numbers", do):
        values = np.asarray(image.dataobj, dtype=np.float32)[:, columns]
    need_numbers(path, values, values.shape, axes)
    return np.ascontiguousarray(values)
