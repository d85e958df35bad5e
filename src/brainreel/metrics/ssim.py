"""Structural similarity, in the four ways the field computes it.

    SSIM = (2 μx μy + C1)(2 σxy + C2) / ((μx² + μy² + C1)(σx² + σy² + C2)),  C = (K · data range)²

(Wang, Bovik, Sheikh & Simoncelli 2004, eq. 13; K1 = 0.01, K2 = 0.03), local moments under a window, mean over
the positions where the window lies inside the frame.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int32, Shaped, UInt8

from ..errors import UsageError, alternatives
from .videos import Clip, Videos, check_pair, map_clips

DEFINITIONS: dict[str, dict[str, str]] = {
    "ssim": {
        "gaussian-rgb": "Wang et al. 2004 on each RGB channel: Gaussian window σ 1.5, 11×11, population "
        "covariance, data range 255, mean of channels and frames.",
        "gaussian-grey": "The same on luminance (scikit-image's rgb2gray), data range 1.",
        "published-uniform-rgb": "7×7 uniform window on each RGB channel, sample covariance, data range 255 "
        "(MinD-Video, brain2video, Mind-Animator).",
        "published-column": "A bug kept to read old tables (NEURONS): each column of the grey image is "
        "compared as a one-dimensional signal, Gaussian window σ 1.5 of 11 rows, data range 1.",
    }
}

K1, K2 = 0.01, 0.03
# scikit-image's rgb2gray, from ITU-R BT.709 primaries.
LUMINANCE = np.array([0.2125, 0.7154, 0.0721])
# Rows of output per matrix product: measured fastest of 8 to 82, and 2.6 times as fast as scipy.ndimage.
BLOCK = 16
# Rows of a plane worked on at once, measured at 256²: matrix products want whole planes, sums of integers want their
# moments in a core's cache.
STRIP, UNIFORM_STRIP = 256, 128


class Window(NamedTuple):
    """One definition: the weights along an axis, and what they meet."""

    weights: Float[np.ndarray, " taps"]
    grey: bool = False
    columns_only: bool = False
    sample_covariance: bool = False

    @property
    def uniform(self) -> bool:
        """Equal weights on whole grey levels: the moments are sums of integers."""
        return not self.grey and bool((self.weights == self.weights[0]).all())


def _gaussian(sigma: float, radius: int) -> Float[np.ndarray, " taps"]:
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return weights / weights.sum()


WINDOWS = {
    "gaussian-rgb": Window(_gaussian(1.5, 5)),
    "gaussian-grey": Window(_gaussian(1.5, 5), grey=True),
    "published-uniform-rgb": Window(np.full(7, 1 / 7), sample_covariance=True),
    "published-column": Window(_gaussian(1.5, 5), grey=True, columns_only=True),
}


def ssim(truth: Videos, recon: Videos, *, definition: str = "gaussian-rgb") -> Float[np.ndarray, " clips"]:
    """Structural similarity of each reconstruction with its truth, mean over frames.

    Range [−1, 1], 1 for identical videos, higher is better, symmetric. No chance level exists: unrelated
    natural clips score about 0.2 and flat grey more than that, so read it beside the null videos.
    Equals scikit-image's `structural_similarity` to 1e-9.

    Args:
        truth: (clips, frames, H, W, 3) uint8 RGB.
        recon: The reconstructions of the same clips, of the same shape.
        definition: A key of `DEFINITIONS["ssim"]`; values of different definitions cannot be compared.

    Raises:
        UsageError: Unequal or wrong shapes, frames smaller than the window, or an unknown definition.
    """
    if definition not in WINDOWS:
        raise UsageError(f"unknown definition of ssim: {alternatives(definition, WINDOWS)}")
    check_pair(truth, recon)
    window = WINDOWS[definition]
    taps, (height, width) = window.weights.size, truth.shape[2:4]
    if height < taps or (width < taps and not window.columns_only):
        raise UsageError(
            f"frames of {height}×{width} pixels",
            expected=f"at least {taps} along each side the window of {definition!r} crosses",
        )
    return map_clips(partial(_clip_ssim, window=window), truth, recon)


class Buffers(NamedTuple):
    """What every strip of a clip reuses: fresh arrays would cost more in page faults than the arithmetic."""

    moments: Float[np.ndarray, "4 height width"]
    down: Float[np.ndarray, "4 rows width"]
    across: Float[np.ndarray, "4 rows columns"]
    cross: Float[np.ndarray, "rows columns"]

    @classmethod
    def of(cls, rows: int, reach: int, width: int, columns: int) -> Buffers:
        shapes = (4, rows + reach, width), (4, rows, width), (4, rows, columns), (rows, columns)
        return cls(*map(np.empty, shapes))

    def first(self, rows: int, reach: int) -> Buffers:
        return Buffers(self.moments[:, : rows + reach], self.down[:, :rows], self.across[:, :rows], self.cross[:rows])


def _clip_ssim(truth: Clip, recon: Clip, *, window: Window) -> float:
    height, width = truth.shape[1:3]
    reach = window.weights.size - 1
    rows, columns = height - reach, width if window.columns_only else width - reach
    strip = min(UNIFORM_STRIP if window.uniform else STRIP, rows)
    buffers = None if window.uniform else Buffers.of(strip, reach, width, columns)
    total = 0.0
    for frames in zip(truth, recon, strict=True):
        planes = [_planes(frame, window) for frame in frames]
        for x, y in zip(*planes, strict=True):
            for start in range(0, rows, strip):
                stop = min(start + strip, rows)
                here = slice(start, stop + reach)
                if buffers is None:
                    total += _uniform_sum(x[here], y[here], window)
                else:
                    total += _ssim_sum(x[here], y[here], window, buffers.first(stop - start, reach))
    return total / (len(truth) * len(planes[0]) * rows * columns)


def _planes(frame: UInt8[np.ndarray, "height width 3"], window: Window) -> Shaped[np.ndarray, "planes height width"]:
    # As floats first: a product of integers and floats goes without BLAS.
    return (frame.astype(np.float64) @ LUMINANCE)[None] / 255 if window.grey else np.moveaxis(frame, -1, 0)


def _ssim_sum(
    x: Shaped[np.ndarray, "height width"],
    y: Shaped[np.ndarray, "height width"],
    window: Window,
    buffers: Buffers,
) -> float:
    data_range = 1.0 if window.grey else 255.0
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    # The formula needs σx² and σy² only as a sum, so four filtered planes do for five.
    px, py, squares, product = buffers.moments
    px[:], py[:] = x, y
    np.multiply(px, px, out=squares)
    np.multiply(py, py, out=product)
    squares += product
    np.multiply(px, py, out=product)
    mx, my, variances, covariance = _filtered(window, buffers)
    cross = np.multiply(mx, my, out=buffers.cross)
    mx *= mx
    my *= my
    means = np.add(mx, my, out=mx)
    variances -= means
    covariance -= cross
    if window.sample_covariance:
        taps = window.weights.size**2
        buffers.across[2:] *= taps / (taps - 1)
    # numerator (2μxμy + C1)(2σxy + C2), denominator (μx² + μy² + C1)(σx² + σy² + C2)
    cross *= 2
    cross += c1
    covariance *= 2
    covariance += c2
    cross *= covariance
    means += c1
    variances += c2
    means *= variances
    cross /= means
    return float(cross.sum())


def _uniform_sum(x: UInt8[np.ndarray, "height width"], y: UInt8[np.ndarray, "height width"], window: Window) -> float:
    """As `_ssim_sum` where all weights are equal: exact sums of integers, which take fewer operations."""
    taps, n = window.weights.size, window.weights.size**2
    c1, c2 = (K1 * 255) ** 2, (K2 * 255) ** 2
    wide_x, wide_y = x.astype(np.int32), y.astype(np.int32)
    planes = np.stack([wide_x, wide_y, wide_x * wide_x + wide_y * wide_y, wide_x * wide_y])
    sx, sy, squares, product = _running_sums(_running_sums(planes, taps, 1), taps, 2)
    # All below 2³¹: 49 positions of two squares of 255, times 49, are 3.1e8.
    cross, means = sx * sy, sx * sx + sy * sy
    covariance, variances = n * product - cross, n * squares - means
    moment, spread = 1 / n**2, 1 / (n * (n - 1)) if window.sample_covariance else 1 / n**2
    over = (cross * (2 * moment) + c1) * (covariance * (2 * spread) + c2)
    under = (means * moment + c1) * (variances * spread + c2)
    return float(np.divide(over, under, out=over).sum())


def _running_sums(planes: Int32[np.ndarray, "4 _rows _columns"], taps: int, axis: int) -> Int32[np.ndarray, "4 _r _c"]:
    """Sums of `taps` neighbours wherever they fit, from sums of 1, 2, 4 … of them."""
    length = planes.shape[axis] - taps + 1
    total = np.zeros((), dtype=planes.dtype)
    part, size, used = planes, 1, 0
    while True:
        if taps & size:
            total = total + _cut(part, axis, used, used + length)
            used += size
        if used == taps:
            return total
        part = _cut(part, axis, 0, part.shape[axis] - size) + _cut(part, axis, size, part.shape[axis])
        size *= 2


def _cut(planes: np.ndarray, axis: int, start: int, stop: int) -> np.ndarray:
    return planes[:, start:stop] if axis == 1 else planes[:, :, start:stop]


def _filtered(window: Window, buffers: Buffers) -> Float[np.ndarray, "4 rows columns"]:
    """The window's weighted means wherever it fits, by banded matrix products over blocks."""
    moments, down, across, _ = buffers
    reach = window.weights.size - 1
    # Down the columns first; for one-dimensional signals that is all.
    into = across if window.columns_only else down
    for start, stop in _blocks(into.shape[1]):
        band = _band(window.weights.tobytes(), stop - start)
        np.matmul(band, moments[:, start : stop + reach], out=into[:, start:stop])
    if not window.columns_only:
        for start, stop in _blocks(across.shape[2]):
            band = _band(window.weights.tobytes(), stop - start)
            np.matmul(down[:, :, start : stop + reach], band.T, out=across[:, :, start:stop])
    return across


def _blocks(length: int) -> list[tuple[int, int]]:
    return [(start, min(start + BLOCK, length)) for start in range(0, length, BLOCK)]


@lru_cache(maxsize=64)
def _band(weights: bytes, rows: int) -> Float[np.ndarray, "rows columns"]:
    taps = np.frombuffer(weights)
    band = np.zeros((rows, rows + taps.size - 1))
    for row in range(rows):
        band[row, row : row + taps.size] = taps
    return band
