"""Correlation of motion energy: what a bank of spatiotemporal Gabor filters, as in visual cortex, says.

The filters are pymoten's default pyramid (Nishimoto et al. 2011). They are projected here by one matrix
product, since those that differ only in time share their spatial part: the same values, far sooner.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array

from ..errors import UsageError
from .videos import Rate, Videos, at_rate, check_pair, check_videos, grey_levels, resized

DEFINITIONS: dict[str, dict[str, str]] = {
    "motion_energy_correlation": {
        "pymoten-96": "Pearson correlation, over the filters of pymoten's default pyramid on 96×96 grey "
        "frames at 8 per second, of the mean responses over time, z-scored by the training clips."
    }
}

RATE, SIZE = 8, 96
CLIPS_AT_ONCE = 16
# pymoten's own limit for the region of a filter, and the offset of its logarithm.
MASK_LIMIT, LOG_OFFSET = 1e-3, 1e-5


class Statistics(NamedTuple):
    """Mean and SD over the training clips of each filter's mean response."""

    mean: Float[np.ndarray, " filters"]
    sd: Float[np.ndarray, " filters"]


class Pyramid(NamedTuple):
    """Quadrature pairs: distinct ones in space, which of them each filter has, and each filter's in time.

    Attributes:
        spatial: Sine and cosine, each (distinct, pixels); nine tenths are zero, since most filters see a small part.
        spatial_of: The spatial part of each filter.
        temporal: Sine and cosine over delays.
    """

    spatial: tuple[csr_array, csr_array]
    spatial_of: Int[np.ndarray, " filters"]
    temporal: Float[np.ndarray, "2 delays filters"]


def motion_energy_correlation(
    truth: Videos, recon: Videos, *, training: Statistics, fps: Rate = RATE
) -> Float[np.ndarray, " clips"]:
    """Pearson correlation, over filters, of the motion energies: −1 to 1, higher is better.

    Symmetric. Blind to when something happens within the clip, not to where, how fast and in which direction.
    No closed-form chance; clips share what the training clips do not. NaN where one side does not vary.

    Args:
        truth: (clips, frames, H, W, 3) uint8 RGB.
        recon: The reconstructions, of the same shape.
        training: `motion_energy_statistics` of the training clips; never of the test clips.
        fps: Frames per second of both.

    Raises:
        UsageError: Unequal or wrong shapes, statistics of another pyramid, or pymoten missing.
    """
    check_pair(truth, recon)
    varies = training.sd > 0
    if not varies.any():
        raise UsageError("no filter varies over the training clips", expected="training clips that differ")
    sides = [motion_energy(videos, fps=fps) for videos in (truth, recon)]
    if sides[0].shape[1] != training.mean.size:
        raise UsageError(
            f"training statistics of {training.mean.size} filters",
            expected=f"{sides[0].shape[1]}",
            do="compute them with motion_energy_statistics",
        )
    x, y = ((side - training.mean)[:, varies] / training.sd[varies] for side in sides)
    x, y = (z - z.mean(axis=1, keepdims=True) for z in (x, y))
    lengths = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return np.divide((x * y).sum(axis=1), lengths, out=np.full(len(x), np.nan), where=lengths > 0)


def motion_energy_statistics(train: Videos, *, fps: Rate = RATE) -> Statistics:
    """What z-scores the responses, from at least two training clips."""
    if len(train) < 2:
        raise UsageError(f"{len(train)} training clips", expected="at least two, to know how filters vary")
    energy = motion_energy(train, fps=fps)
    return Statistics(energy.mean(axis=0), energy.std(axis=0))


def motion_energy(
    videos: Videos, *, fps: Rate = RATE, shown: Int[np.ndarray, " times"] | None = None
) -> Float[np.ndarray, "clips filters"]:
    """Each filter's response to each clip, log(√(sin² + cos²) + 1e-5), mean over time.

    Luminance runs from 0 to 100, as pymoten's own does; frames beyond the clip's ends count as black.

    Args:
        videos: (clips, frames, H, W, 3) uint8 RGB.
        fps: Frames per second.
        shown: Which frame is shown at each time of 8 per second, instead of a rate.
    """
    check_videos(videos)
    pyramid = default_pyramid()
    times = at_rate(videos.shape[1], fps, RATE) if shown is None else shown
    # A frame that is shown several times meets the filters once.
    frames, back = np.unique(times, return_inverse=True)
    parts = []
    for start in range(0, len(videos), CLIPS_AT_ONCE):
        clips = videos[start : start + CLIPS_AT_ONCE]
        grey = np.array([[_luminance(clip[frame]) for frame in frames] for clip in clips])
        parts.append(np.log(amplitudes(grey, pyramid, back) + LOG_OFFSET).mean(axis=1))
    return np.concatenate(parts)


def amplitudes(
    luminance: Float[np.ndarray, "clips _frames pixels"],
    pyramid: Pyramid,
    shown: Int[np.ndarray, " times"] | None = None,
) -> Float[np.ndarray, "clips times filters"]:
    """√(sin² + cos²) of every filter at every time (every frame, or those that are `shown`), the filter centred on it."""
    clips, distinct, pixels = luminance.shape
    shown = np.arange(distinct) if shown is None else shown
    frames = len(shown)
    # One product for all clips: a stack of small ones is several times slower.
    flat = luminance.reshape(-1, pixels)
    sine, cosine = (
        (part @ flat.T).T.reshape(clips, distinct, -1)[:, shown][:, :, pyramid.spatial_of] for part in pyramid.spatial
    )
    odd, even = np.zeros_like(sine), np.zeros_like(sine)
    delays = pyramid.temporal.shape[1]
    for delay, (t_sine, t_cosine) in enumerate(zip(*pyramid.temporal, strict=True)):
        shift = delay - (delays + 1) // 2 + 1
        into = slice(max(shift, 0), frames + min(shift, 0))
        come = slice(max(-shift, 0), frames - max(shift, 0))
        odd[:, into] += sine[:, come] * t_cosine + cosine[:, come] * t_sine
        even[:, into] += cosine[:, come] * t_cosine - sine[:, come] * t_sine
    return np.sqrt(odd**2 + even**2)


@lru_cache(maxsize=1)
def default_pyramid() -> Pyramid:
    """pymoten's default pyramid for 96×96 pixels at 8 per second: 1,380 filters, 540 distinct in space.

    Raises:
        UsageError: pymoten is not installed.
    """
    try:
        import moten
    except ImportError as error:
        raise UsageError(
            "pymoten is not installed", expected="the extra `flow`", do="pip install 'brainreel[flow]'"
        ) from error
    pyramid = moten.get_default_pyramid(vhsize=(SIZE, SIZE), fps=RATE)
    in_time = np.isin(pyramid.parameters_names, ["temporal_freq", "temporal_env"])
    first, spatial_of = _distinct(pyramid.parameters_matrix[:, ~in_time])
    spatial = np.array([pyramid.get_filter_spatial_quadrature(i) for i in first]).reshape(len(first), 2, -1)
    spatial *= np.abs(spatial).sum(axis=1, keepdims=True) > MASK_LIMIT
    first, temporal_of = _distinct(pyramid.parameters_matrix[:, in_time])
    temporal = np.array([pyramid.get_filter_temporal_quadrature(i) for i in first])[temporal_of]
    return Pyramid(
        spatial=(csr_array(spatial[:, 0]), csr_array(spatial[:, 1])),
        spatial_of=spatial_of,
        temporal=np.ascontiguousarray(temporal.transpose(1, 2, 0)),
    )


def _distinct(
    parameters: Float[np.ndarray, "filters names"],
) -> tuple[list[int], Int[np.ndarray, " filters"]]:
    """Filters that stand for all with the same parameters, and which of them stands for each."""
    _, first, which = np.unique(parameters, axis=0, return_index=True, return_inverse=True)
    return first.tolist(), which.ravel()


def _luminance(frame: np.ndarray) -> Float[np.ndarray, " pixels"]:
    return resized(grey_levels(frame), SIZE).ravel() * (100 / 255)
