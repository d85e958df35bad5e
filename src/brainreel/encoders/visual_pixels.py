"""From uint8 frames to what a vision network takes, by the numbers of the model's own image processor.

Resizing is Pillow's on uint8, as in transformers' processors without torchvision, so that the values are the same
whether or not torchvision is installed (its resizing differs by grey levels).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from brainreel.errors import WeightsError

BILINEAR = 2


class Preparation(NamedTuple):
    """What an image processor does, in this order; None leaves a step out.

    Attributes:
        shortest: Resize so that the shorter side has this many pixels, keeping the aspect.
        size: Resize to (height, width).
        resample: Pillow's number of the filter.
        crop: (height, width) cut from the centre.
        scale: Multiplies the grey levels.
        mean, std: Per channel, subtracted from and divided into the scaled values.
    """

    shortest: int | None
    size: tuple[int, int] | None
    resample: int
    crop: tuple[int, int] | None
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


def read_preparation(config: Mapping[str, Any], *, square: bool) -> Preparation:
    """The steps that a ``preprocessor_config.json`` asks for.

    Args:
        config: Its content.
        square: What a bare number as ``size`` means: both sides, or else the shorter one.

    Raises:
        WeightsError: a size that is none of the forms that the released models use.
    """
    shortest, size = None, None
    if config.get("do_resize", True):
        given = config.get("size")
        if isinstance(given, int):
            given = {"height": given, "width": given} if square else {"shortest_edge": given}
        shortest, size = _sides(given)
    crop = None
    if config.get("do_center_crop", "crop_size" in config):
        given = config.get("crop_size")
        crop = (given, given) if isinstance(given, int) else _sides(given)[1]
    normalise = config.get("do_normalize", True)
    return Preparation(
        shortest,
        size,
        int(config.get("resample", BILINEAR)),
        crop,
        float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0,
        tuple(map(float, config["image_mean"])) if normalise else (0.0, 0.0, 0.0),
        tuple(map(float, config["image_std"])) if normalise else (1.0, 1.0, 1.0),
    )


def prepare(
    frames: UInt8[np.ndarray, "frames height width 3"], steps: Preparation
) -> Float32[np.ndarray, "frames 3 rows columns"]:
    """Resized, cropped, scaled and normalised frames, channels first.

    Raises:
        WeightsError: the crop is larger than the resized frame.
    """
    from PIL import Image

    height, width = _resized(frames.shape[1], frames.shape[2], steps)
    top, left, bottom, right = 0, 0, height, width
    if steps.crop is not None:
        rows, columns = steps.crop
        if rows > height or columns > width:
            raise WeightsError(
                f"the image processor crops {rows}×{columns} pixels from {height}×{width}",
                expected="a crop that fits into the resized frame",
                do="check size and crop_size in preprocessor_config.json",
            )
        top, left = (height - rows) // 2, (width - columns) // 2
        bottom, right = top + rows, left + columns
    out = np.empty((len(frames), 3, bottom - top, right - left), np.float32)
    mean, std = np.array(steps.mean), np.array(steps.std)
    # One affine map per channel; float64 here, so that only the last rounding is float32's.
    factor, offset = steps.scale / std, -mean / std
    for frame, into in zip(frames, out, strict=True):
        if frame.shape[:2] != (height, width):
            image = Image.fromarray(np.ascontiguousarray(frame))
            frame = np.asarray(image.resize((width, height), Image.Resampling(steps.resample)))
        into[:] = (frame[top:bottom, left:right] * factor + offset).transpose(2, 0, 1)
    return out


def _sides(given: object) -> tuple[int | None, tuple[int, int] | None]:
    if isinstance(given, Mapping):
        if given.get("shortest_edge") and not given.get("longest_edge"):
            return int(given["shortest_edge"]), None
        if given.get("height") and given.get("width"):
            return None, (int(given["height"]), int(given["width"]))
    raise WeightsError(
        f"the image processor's size is {given!r}",
        expected="a number, {'shortest_edge': n} or {'height': h, 'width': w}",
        do="correct size and crop_size in preprocessor_config.json",
    )


def _resized(height: int, width: int, steps: Preparation) -> tuple[int, int]:
    if steps.size is not None:
        return steps.size
    if steps.shortest is None:
        return height, width
    # The longer side is cut off, not rounded, as in transformers.
    longer = int(steps.shortest * max(height, width) / min(height, width))
    return (steps.shortest, longer) if height <= width else (longer, steps.shortest)
