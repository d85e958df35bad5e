"""What every video metric shares: checks of its input, the walk over clips, videos that know nothing.

A pixel or motion metric means little alone. The three null videos (flat grey, the mean training clip, the
blurred nearest training clip) and the mismatched pairs say what it gives to somebody who saw no brain.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sized
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np
from jaxtyping import Float, Float32, Int, Shaped, UInt8

from ..errors import UsageError

# What a caller may get wrong is answered by `check_videos` in a sentence, so its type promises nothing yet.
Videos = Shaped[np.ndarray, "..."]
# A whole number of frames per second is a rate too, and run-time type checks tell int from float.
Rate = float | int
Clip = UInt8[np.ndarray, "frames height width 3"]

MID_GREY = 128
THUMBNAIL = 16


def check_videos(videos: Videos, name: str = "videos") -> None:
    """Refuse what is not (clips, frames, H, W, 3) uint8 RGB with something in it.

    Raises:
        UsageError: Another dtype (floats hide NaN and two ranges), grey, alpha, a single clip, or nothing.
    """
    expected = "uint8 RGB of shape (clips, frames, height, width, 3)"
    if videos.dtype != np.uint8:
        undefined = np.issubdtype(videos.dtype, np.floating) and bool(np.isnan(videos).any())
        got = f"{name} of dtype {videos.dtype}" + (" with NaN in it" if undefined else "")
        raise UsageError(got, expected=expected, do="scale to 0-255, round and convert with .astype(np.uint8)")
    if videos.ndim != 5 or videos.shape[-1] != 3 or 0 in videos.shape:
        hint = "one clip needs a leading axis: clip[None]" if videos.ndim == 4 and videos.shape[-1] == 3 else ""
        if videos.ndim == 5 and videos.shape[-1] in (1, 4):
            hint = {1: "repeat the grey channel three times", 4: "drop the alpha channel"}[videos.shape[-1]]
        raise UsageError(f"{name} of shape {videos.shape}", expected=expected, do=hint)


def check_pair(truth: Videos, recon: Videos) -> None:
    """Refuse videos that differ in number, length or size: only `score` resamples, and it says so.

    Raises:
        UsageError: Naming the first axis on which the two differ.
    """
    check_videos(truth, "the truth")
    check_videos(recon, "the reconstruction")
    for axis, word in enumerate(("clips", "frames per clip", "pixels of height", "pixels of width")):
        if truth.shape[axis] != recon.shape[axis]:
            raise UsageError(
                f"the truth has {truth.shape[axis]} {word}, the reconstruction {recon.shape[axis]}",
                expected="videos of one shape",
                do="pair the clips by id" if axis == 0 else "resample, as `brainreel score` does",
            )


def map_clips(
    score: Callable[..., float | tuple[float, ...]], *sides: Iterable, width: int = 0
) -> Float[np.ndarray, clips * values]:
    """`score` of each clip, on as many threads as there are cores; memory holds one clip's work per thread.

    numpy, scipy and OpenCV release the interpreter while they compute, so threads suffice. With `width` a
    score is that many values.
    """
    # A caller with threads of its own hands over one clip at a time: no pool for that.
    sides = tuple(side if isinstance(side, Sized) else list(side) for side in sides)
    threads = min(_cores(), min(len(side) for side in sides))
    if threads <= 1:
        values = [score(*clip) for clip in zip(*sides, strict=True)]
    else:
        with ThreadPoolExecutor(threads) as pool:
            values = list(pool.map(score, *sides))
    return np.array(values, dtype=np.float64).reshape(-1, width) if width else np.array(values, dtype=np.float64)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def flat_grey(truth: Videos) -> Videos:
    """A null video per clip: every pixel mid-grey. A read-only view, so it costs no memory."""
    check_videos(truth, "the truth")
    return np.broadcast_to(np.uint8(MID_GREY), truth.shape)


def mean_clip(train: Videos) -> Clip:
    """The mean training clip, frame by frame and pixel by pixel, rounded; the second null video."""
    check_videos(train, "the training clips")
    total = np.zeros(train.shape[1:], dtype=np.int64)
    for clip in train:
        total += clip
    return np.rint(total / len(train)).astype(np.uint8)


def nearest_training_clip(truth: Videos, train: Videos) -> Int[np.ndarray, " clips"]:
    """Which training clip looks most like each true clip: least squared error of 16×16 thumbnails."""
    check_videos(truth, "the truth")
    check_videos(train, "the training clips")
    if truth.shape[1] != train.shape[1]:
        raise UsageError(
            f"true clips of {truth.shape[1]} frames, training clips of {train.shape[1]}",
            expected="clips of one length",
            do="resample them to the same frame times",
        )
    wanted, known = (np.stack([_thumbnail(clip) for clip in clips]) for clips in (truth, train))
    distance = (known**2).sum(axis=1) - 2 * wanted @ known.T
    return distance.argmin(axis=1)


def blurred(videos: Videos, sigma: Rate | None = None) -> Videos:
    """Every frame blurred by a Gaussian of `sigma` pixels (a 32nd of the height unless given).

    `blurred(train[nearest_training_clip(truth, train)])` is the third null video.
    """
    from scipy.ndimage import gaussian_filter

    check_videos(videos)
    width = videos.shape[2] / 32 if sigma is None else sigma
    out = np.empty_like(videos)
    for clip, into in zip(videos, out, strict=True):
        soft = gaussian_filter(clip.astype(np.float32), (0, width, width, 0), mode="nearest")
        into[:] = np.rint(soft).astype(np.uint8)
    return out


def _thumbnail(clip: Clip) -> Float[np.ndarray, " values"]:
    height, width = clip.shape[1:3]
    rows = np.arange(min(THUMBNAIL, height)) * height // min(THUMBNAIL, height)
    columns = np.arange(min(THUMBNAIL, width)) * width // min(THUMBNAIL, width)
    sums = np.add.reduceat(np.add.reduceat(clip, rows, axis=1, dtype=np.float64), columns, axis=2)
    heights, widths = np.diff([*rows, height]), np.diff([*columns, width])
    areas = heights[:, None, None] * widths[:, None]
    return (sums / areas).ravel()


def mismatched_pairs(
    clip_ids: Iterable[object], *, offsets: int | None = None
) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
    """Indices (truth, reconstruction) of wrong pairs, for the `mismatched` control.

    Row i meets row i + s; with `offsets` only that many values of s, evenly spread, each using each row once.
    Rows of the same clip are never paired.

    Args:
        clip_ids: The clip of each row, `range(n)` if all differ.
        offsets: How many of the n − 1 shifts to use; None takes all.

    Raises:
        UsageError: No two rows show different clips, or fewer than one offset.
    """
    _, clip = np.unique([str(c) for c in clip_ids], return_inverse=True)
    rows = len(clip)
    count = rows - 1 if offsets is None else min(offsets, rows - 1)
    if count < 1 or clip.max() == 0:
        raise UsageError(
            f"{rows} rows, {len(set(clip))} clips and {offsets} offsets",
            expected="at least two different clips and one offset",
        )
    shifts = 1 + (np.arange(count) * (rows - 1)) // count
    truth = np.tile(np.arange(rows), count)
    recon = (truth + np.repeat(shifts, rows)) % rows
    differ = clip[truth] != clip[recon]
    return truth[differ], recon[differ]


def at_rate(frames: int, fps: Rate, wanted: Rate) -> Int[np.ndarray, " times"]:
    """Which of `frames` at `fps` to show at the times of another rate: the nearest, the earlier on ties."""
    if fps <= 0:
        raise UsageError(f"fps={fps:g}", expected="a positive number of frames per second")
    times = np.arange(max(1, round(frames * wanted / fps))) / wanted
    return np.clip(np.ceil(times * fps - 0.5 - 1e-9).astype(int), 0, frames - 1)


def resized(plane: Shaped[np.ndarray, "height width"], size: int) -> Shaped[np.ndarray, "size size"]:
    """A grey plane at size × size by Pillow's antialiased bicubic, as `score` resamples."""
    from PIL import Image

    if plane.shape == (size, size):
        return plane
    return np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.BICUBIC))


def grey_levels(frame: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "height width"]:
    """Luma of ITU-R BT.601, the weights of OpenCV's RGB2GRAY, unrounded, 0 to 255."""
    return (frame @ np.array([0.299, 0.587, 0.114])).astype(np.float32)


def opencv() -> ModuleType:
    """OpenCV, which only the flow metrics and one published colour metric need.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise UsageError(
            "OpenCV is not installed", expected="the extra `flow`", do="pip install 'brainreel[flow]'"
        ) from error
    return cv2
