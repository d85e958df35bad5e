"""Agreement in hue: is what was green reconstructed green?"""

from __future__ import annotations

from functools import partial

import numpy as np
from jaxtyping import Float, Float32, UInt8

from ..errors import UsageError, alternatives
from .videos import Clip, Videos, check_pair, map_clips, opencv

DEFINITIONS: dict[str, dict[str, str]] = {
    "hue_correlation": {
        "chroma-weighted": "Σ w·cos(Δhue)/Σ w with w the product of both chromas (S·V of HSV), mean over the "
        "frames in which any pixel is coloured in both; 1 same, -1 opposite.",
        "published-cosine": "Cosine of OpenCV's hue planes (0-179) of RGB frames read as BGR, mean over "
        "frames (Mind-Animator); independent noise scores 0.75.",
    }
}

# A frame of 256²: smaller parts were measured up to three times as slow, larger ones only take more memory.
PIXELS_AT_ONCE = 65536
# Hues in float32: the result is within 1e-6 of float64's, and its cosine is several times as fast.
SEXTANT = np.float32(np.pi / 3)


def hue_correlation(
    truth: Videos, recon: Videos, *, definition: str = "chroma-weighted"
) -> Float[np.ndarray, " clips"]:
    """Agreement of the hues of each reconstruction and its truth: higher is better, 1 the same, symmetric.

    `chroma-weighted` ranges over [−1, 1]; independent hues give 0 when they are uniform, but natural clips
    share warm ones, so read it beside `mismatched`. NaN where no frame has a pixel coloured in both.

    Args:
        truth: (clips, frames, H, W, 3) uint8 RGB.
        recon: The reconstructions, of the same shape.
        definition: A key of `DEFINITIONS["hue_correlation"]`; `published-cosine` needs OpenCV.

    Raises:
        UsageError: Unequal or wrong shapes, an unknown definition, or OpenCV missing.
    """
    known = DEFINITIONS["hue_correlation"]
    if definition not in known:
        raise UsageError(f"unknown definition of hue_correlation: {alternatives(definition, known)}")
    check_pair(truth, recon)
    if definition == "published-cosine":
        return map_clips(partial(_clip_cosine, cv2=opencv()), truth, recon)
    return map_clips(_clip_agreement, truth, recon)


def _clip_agreement(truth: Clip, recon: Clip) -> float:
    values = [_agreement(t, r) for t, r in zip(truth, recon, strict=True)]
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")


def _agreement(truth: UInt8[np.ndarray, "height width 3"], recon: UInt8[np.ndarray, "height width 3"]) -> float:
    agreement = total = 0.0
    pixels = truth.reshape(-1, 3), recon.reshape(-1, 3)
    for start in range(0, len(pixels[0]), PIXELS_AT_ONCE):
        here = slice(start, start + PIXELS_AT_ONCE)
        (hue_t, chroma_t), (hue_r, chroma_r) = (_hue_and_chroma(side[here]) for side in pixels)
        weight = np.multiply(chroma_t, chroma_r, dtype=np.float64)
        agreement += float(weight @ np.cos((hue_t - hue_r) * SEXTANT))
        total += float(weight.sum())
    return agreement / total if total else float("nan")


def _hue_and_chroma(
    pixels: UInt8[np.ndarray, "pixels 3"],
) -> tuple[Float32[np.ndarray, " pixels"], UInt8[np.ndarray, " pixels"]]:
    """HSV's hue in sextants (0 to 6; red 0, green 2, blue 4) and max − min, which is 255·S·V."""
    red, green, blue = np.ascontiguousarray(pixels.T)
    largest = np.maximum(np.maximum(red, green), blue)
    chroma = largest - np.minimum(np.minimum(red, green), blue)
    # Products with masks, since np.where mispredicts at every edge and takes three times as long.
    is_red = red == largest
    is_green = (green == largest) & ~is_red
    is_blue = ~(is_red | is_green)
    r, g, b = (channel.astype(np.int16) for channel in (red, green, blue))
    difference = (g - b) * is_red + (b - r) * is_green + (r - g) * is_blue
    start = is_green * np.uint8(2) + is_blue * np.uint8(4)
    return start + difference / np.maximum(chroma, 1).astype(np.float32), chroma


def _clip_cosine(truth: Clip, recon: Clip, *, cv2) -> float:
    values = []
    for frames in zip(truth, recon, strict=True):
        # BGR2HSV on RGB frames is the published code's, and so is the cosine of an angle's number.
        x, y = (
            cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_BGR2HSV)[..., 0].astype(np.float64).ravel()
            for frame in frames
        )
        norms = np.sqrt((x @ x) * (y @ y))
        values.append(x @ y / norms if norms else np.nan)
    return float(np.mean(values))
