"""Differences pixel by pixel: mean squared error, peak signal-to-noise ratio, correlation.

Sums over a frame are kept exact: the sum of squares of 256×256×3 uint8 differences overflows
int32 (and uint8 subtraction wraps), but float64 holds every integer below 2⁵³.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from jaxtyping import Float, UInt8

from ..errors import UsageError, alternatives
from .videos import Clip, Videos, check_pair, map_clips

DEFINITIONS: dict[str, dict[str, str]] = {
    "mse": {"clip": "Mean squared difference over all frames, pixels and channels, in squared grey levels."},
    "psnr": {
        "clip": "20·log10(255/√mse) of the clip's mean squared error; identical clips are infinite, and "
        "several clips are aggregated as the PSNR of their mean error.",
        "frame-mean": "Mean over frames of each frame's PSNR; infinite if any frame is identical.",
        "published-capped": "Mean over frames of each frame's PSNR, 100 where its squared error is below "
        "1e-10 (Mind-Animator).",
    },
    "pixel_correlation": {
        "clip": "Pearson correlation over all values of the clip; NaN where either is one flat grey.",
        "frame-mean": "Pearson correlation within each frame, mean over the frames where it is defined.",
    },
}

PEAK = 255.0
CAP_DB = 100.0
CAPPED_BELOW = 1e-10


def mse(truth: Videos, recon: Videos) -> Float[np.ndarray, " clips"]:
    """Mean squared error of each clip in squared grey levels: 0 to 65,025, lower is better, no chance level.

    Args:
        truth: (clips, frames, H, W, 3) uint8 RGB.
        recon: The reconstructions, of the same shape.

    Raises:
        UsageError: Unequal or wrong shapes.
    """
    check_pair(truth, recon)
    return map_clips(lambda t, r: float(_frame_errors(t, r).mean()), truth, recon)


def psnr(truth: Videos, recon: Videos, *, definition: str = "clip") -> Float[np.ndarray, " clips"]:
    """Peak signal-to-noise ratio in dB: 20·log10(255/√mse). Higher is better, identical is inf, no chance.

    Several clips are summarised by `aggregate_psnr`: a mean with an inf in it says nothing.

    Args:
        truth: (clips, frames, H, W, 3) uint8 RGB.
        recon: The reconstructions, of the same shape.
        definition: A key of `DEFINITIONS["psnr"]`.

    Raises:
        UsageError: Unequal or wrong shapes, or an unknown definition.
    """
    _check_definition("psnr", definition)
    check_pair(truth, recon)
    return map_clips(partial(_clip_psnr, definition=definition), truth, recon)


def aggregate_psnr(values: Float[np.ndarray, " clips"]) -> float:
    """The PSNR of the mean squared error of clips whose `psnr` (definition `clip`) is given."""
    if len(values) == 0:
        raise UsageError("no PSNR values to aggregate", expected="at least one clip")
    return float(_decibel(np.mean(10.0 ** (-values / 10)) * PEAK**2))


def pixel_correlation(truth: Videos, recon: Videos, *, definition: str = "clip") -> Float[np.ndarray, " clips"]:
    """Pearson correlation of the pixel values: −1 to 1, higher is better, symmetric.

    Blind to brightness and contrast. No chance level exists: natural clips share their layout, so read it
    beside `mismatched`. NaN where one side does not vary.

    Args:
        truth: (clips, frames, H, W, 3) uint8 RGB.
        recon: The reconstructions, of the same shape.
        definition: A key of `DEFINITIONS["pixel_correlation"]`.

    Raises:
        UsageError: Unequal or wrong shapes, or an unknown definition.
    """
    _check_definition("pixel_correlation", definition)
    check_pair(truth, recon)
    return map_clips(partial(_clip_correlation, definition=definition), truth, recon)


def _clip_psnr(truth: Clip, recon: Clip, *, definition: str) -> float:
    errors = _frame_errors(truth, recon)
    if definition == "clip":
        return float(_decibel(errors.mean()))
    values = _decibel(errors)
    if definition == "published-capped":
        values = np.where(errors < CAPPED_BELOW, CAP_DB, values)
    return float(values.mean())


def _clip_correlation(truth: Clip, recon: Clip, *, definition: str) -> float:
    sums = np.array([_sums(t, r) for t, r in zip(truth, recon, strict=True)])
    if definition == "clip":
        return _pearson(sums.sum(axis=0), truth.size)
    values = np.array([_pearson(frame, truth[0].size) for frame in sums])
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def _sums(
    truth: UInt8[np.ndarray, "height width 3"], recon: UInt8[np.ndarray, "height width 3"]
) -> tuple[float, float, float, float, float]:
    """Σx, Σy, Σx², Σy², Σxy."""
    x, y = truth.astype(np.float64).ravel(), recon.astype(np.float64).ravel()
    return float(x.sum()), float(y.sum()), float(x @ x), float(y @ y), float(x @ y)


def _frame_errors(truth: Clip, recon: Clip) -> Float[np.ndarray, " frames"]:
    errors = np.empty(len(truth))
    for frame, (t, r) in enumerate(zip(truth, recon, strict=True)):
        difference = np.subtract(t, r, dtype=np.int16).astype(np.float64).ravel()
        errors[frame] = difference @ difference / difference.size
    return errors


def _decibel(error: Float[np.ndarray, "*frames"] | np.floating | float) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(PEAK**2 / np.asarray(error)))


def _pearson(sums: Float[np.ndarray, " sums"], count: int) -> float:
    # Python's integers: n·Σxy of a clip exceeds what float64 holds exactly, and the difference cancels.
    sx, sy, sxx, syy, sxy = (int(s) for s in sums)
    spread = (count * sxx - sx * sx) * (count * syy - sy * sy)
    return (count * sxy - sx * sy) / spread**0.5 if spread else float("nan")


def _check_definition(metric: str, definition: str) -> None:
    if definition not in DEFINITIONS[metric]:
        raise UsageError(f"unknown definition of {metric}: {alternatives(definition, DEFINITIONS[metric])}")
