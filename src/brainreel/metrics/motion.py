"""Does the reconstruction move as the truth does? Optical flow compared pixel by pixel and as a whole.

Farneback's flow in OpenCV with the settings of the field's released code. The reconstruction that never moves
is a strong rival: its error is the truth's own motion, `zero_motion_error`, and belongs beside every value.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from types import ModuleType
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from ..errors import UsageError, alternatives
from .videos import Clip, Rate, Videos, at_rate, check_pair, check_videos, map_clips, opencv, resized

DEFINITIONS: dict[str, dict[str, str]] = {
    "endpoint_error": {
        "relative": "Mean length of the difference of the Farneback flows of grey frames at 256² pixels "
        "and 8 per second, divided by the truth's mean flow length; several clips are the ratio of the sums; "
        "zero motion is 1, a still truth NaN.",
        "published-farneback": "Mean length of the difference of the Farneback flows, in pixels per frame "
        "step at the given size, on RGB frames made grey as if they were BGR, as published.",
    },
    "direction_agreement": {
        "mean-flow": "Cosine of the mean flow vectors of truth and reconstruction at 256² pixels and 8 "
        "frames per second; 0 for a still reconstruction, NaN for a still truth."
    },
}

Flow = Float32[np.ndarray, "clips steps rows columns 2"]
ClipFlow = Float32[np.ndarray, "steps rows columns 2"]
FlowOf = Callable[[np.ndarray], np.ndarray]

RATE, SIZE = 8.0, 256
FARNEBACK = {
    "pyr_scale": 0.5,
    "levels": 3,
    "winsize": 15,
    "iterations": 3,
    "poly_n": 5,
    "poly_sigma": 1.2,
    "flags": 0,
}


class FlowScores(NamedTuple):
    """All that one pass over the flows gives, per clip; flow is what costs, so ask for it once."""

    error: Float[np.ndarray, " clips"]
    motion: Float[np.ndarray, " clips"]
    direction: Float[np.ndarray, " clips"]


def endpoint_error(
    truth: Videos,
    recon: Videos,
    *,
    definition: str = "relative",
    fps: Rate = RATE,
    truth_flow: Flow | None = None,
) -> Float[np.ndarray, " clips"]:
    """Mean length of the difference of the two flows. Lower is better, 0 the same.

    No chance level exists; compare with `zero_motion_error(truth)`, which beats many methods. `relative`
    divides by the truth's motion and so is not symmetric.

    Args:
        truth: (clips, frames, H, W, 3) uint8 RGB, at least two frames.
        recon: The reconstructions, of the same shape.
        definition: `relative` (in units of the truth's motion; use `aggregate_endpoint_error`, not a mean) or
            `published-farneback` (pixels per frame step, so it depends on size and rate).
        fps: Frames per second of both, for `relative`.
        truth_flow: `optical_flow(truth, definition=…)`, to compare many reconstructions with one truth.

    Raises:
        UsageError: Unequal or wrong shapes, a single frame, an unknown definition, or OpenCV missing.
    """
    scores = flow_scores(truth, recon, definition=definition, fps=fps, truth_flow=truth_flow)
    if definition == "published-farneback":
        return scores.error
    still = np.full_like(scores.error, np.nan)
    return np.divide(scores.error, scores.motion, out=still, where=scores.motion > 0)


def direction_agreement(
    truth: Videos, recon: Videos, *, fps: Rate = RATE, truth_flow: Flow | None = None
) -> Float[np.ndarray, " clips"]:
    """Cosine of the mean flow vectors: 1 the same direction, −1 the opposite, chance 0.

    A time-reversed clip scores about −1, a still reconstruction 0; a still truth has no direction: NaN.

    Args:
        truth: (clips, frames, H, W, 3) uint8 RGB, at least two frames.
        recon: The reconstructions, of the same shape.
        fps: Frames per second of both.
        truth_flow: `optical_flow(truth, definition="relative")`, if it is at hand.

    Raises:
        UsageError: Unequal or wrong shapes, a single frame, or OpenCV missing.
    """
    return flow_scores(truth, recon, fps=fps, truth_flow=truth_flow).direction


def flow_scores(
    truth: Videos,
    recon: Videos,
    *,
    definition: str = "relative",
    fps: Rate = RATE,
    truth_flow: Flow | None = None,
    recon_flow: Flow | None = None,
) -> FlowScores:
    """Endpoint error and the truth's motion in pixels per step, and agreement in direction, in one pass.

    With both flows given (`optical_flow(…, definition=…)`) none is computed: a reconstruction that meets several
    truths needs its flow once.
    """
    check_pair(truth, recon)
    flow_of = _flow_of(truth, definition, fps)
    flows = _given(truth_flow, truth), _given(recon_flow, recon)
    clips = map_clips(partial(_scores, flow_of=flow_of), truth, recon, *flows, width=3)
    return FlowScores(*clips.T)


def aggregate_endpoint_error(scores: FlowScores) -> float:
    """`relative` of several clips: Σ error / Σ motion; NaN if no truth moves."""
    return float(scores.error.sum() / scores.motion.sum()) if scores.motion.any() else float("nan")


def zero_motion_error(
    truth: Videos,
    *,
    definition: str = "relative",
    fps: Rate = RATE,
    truth_flow: Flow | None = None,
) -> Float[np.ndarray, " clips"]:
    """The score of a reconstruction that never moves: the truth's mean flow length, or 1 under `relative`."""
    check_videos(truth, "the truth")
    flow_of = _flow_of(truth, definition, fps)
    motion = map_clips(partial(_motion, flow_of=flow_of), truth, _given(truth_flow, truth))
    return motion if definition == "published-farneback" else np.where(motion > 0, 1.0, np.nan)


def optical_flow(videos: Videos, *, definition: str = "relative", fps: Rate = RATE) -> Flow:
    """Farneback's flow between consecutive frames, in pixels per step: x to the right, y down.

    Each step of a 256² clip takes 0.5 MB: compute it for some clips at a time.
    """
    check_videos(videos)
    flow_of = _flow_of(videos, definition, fps)
    return np.stack([flow_of(clip) for clip in videos])


def compare_flows(truth_flow: ClipFlow, recon_flow: ClipFlow) -> tuple[float, float, float]:
    """What `FlowScores` holds, of one clip whose flows are both at hand: error, the truth's motion, direction."""
    error, motion = _length(truth_flow - recon_flow), _length(truth_flow)
    return error, motion, _cosine(_mean_vector(truth_flow), _mean_vector(recon_flow))


def _scores(
    truth: Clip, recon: Clip, truth_flow: ClipFlow | None, recon_flow: ClipFlow | None, *, flow_of: FlowOf
) -> tuple[float, float, float]:
    wanted = flow_of(truth) if truth_flow is None else truth_flow
    return compare_flows(wanted, flow_of(recon) if recon_flow is None else recon_flow)


def _motion(truth: Clip, truth_flow: ClipFlow | None, *, flow_of: FlowOf) -> float:
    return _length(flow_of(truth) if truth_flow is None else truth_flow)


def _length(flow: ClipFlow) -> float:
    # One step at a time stays in a core's cache, and plain products are several times as fast as einsum here.
    total = 0.0
    for step in flow:
        squares = np.square(step)
        squares = np.add(squares[..., 0], squares[..., 1])
        total += float(np.sqrt(squares, out=squares).sum(dtype=np.float64))
    return total / (flow.size / 2)


def _mean_vector(flow: ClipFlow) -> Float[np.ndarray, 2]:
    # A pair of components is a complex number: one sum over contiguous memory, where two strided ones take ten times
    # as long.
    total = sum(complex(np.ascontiguousarray(step).view(np.complex64).sum(dtype=np.complex128)) for step in flow)
    return np.array([total.real, total.imag]) / (flow.size / 2)


def _cosine(truth: Float[np.ndarray, 2], recon: Float[np.ndarray, 2]) -> float:
    if not truth.any():
        return float("nan")
    return float(truth @ recon / np.sqrt((truth @ truth) * (recon @ recon))) if recon.any() else 0.0


def _given(flow: Flow | None, videos: Videos) -> list[None] | Flow:
    if flow is not None and len(flow) != len(videos):
        raise UsageError(f"flow of {len(flow)} clips for {len(videos)}", expected="these videos' flow")
    return [None] * len(videos) if flow is None else flow


def _flow_of(videos: Videos, definition: str, fps: Rate) -> FlowOf:
    known = DEFINITIONS["endpoint_error"]
    if definition not in known:
        raise UsageError(f"unknown definition of endpoint_error: {alternatives(definition, known)}")
    published = definition == "published-farneback"
    frames = np.arange(videos.shape[1]) if published else at_rate(videos.shape[1], fps, RATE)
    if len(frames) < 2:
        raise UsageError(
            f"clips of {videos.shape[1]} frames at {fps:g} per second",
            expected="at least two frames to see motion",
        )
    return partial(_clip_flow, frames=frames, published=published, cv2=opencv())


def _clip_flow(clip: Clip, *, frames: Int[np.ndarray, " times"], published: bool, cv2: ModuleType) -> ClipFlow:
    grey = [_grey(clip[frame], published, cv2) for frame in frames]
    return np.stack([_step(a, b, published, cv2) for a, b in pairwise(grey)])


def _step(
    before: UInt8[np.ndarray, "height width"],
    after: UInt8[np.ndarray, "height width"],
    published: bool,
    cv2: ModuleType,
) -> Float32[np.ndarray, "height width 2"]:
    # Farneback sees motion of up to a fifth of a pixel between identical frames; a still truth would move by
    # that, and zero motion would have an error other than 1.
    if not published and np.array_equal(before, after):
        return np.zeros((*before.shape, 2), dtype=np.float32)
    return cv2.calcOpticalFlowFarneback(before, after, None, **FARNEBACK)


def _grey(
    frame: UInt8[np.ndarray, "height width 3"], published: bool, cv2: ModuleType
) -> UInt8[np.ndarray, "rows columns"]:
    frame = np.ascontiguousarray(frame)
    if published:
        # The released code hands RGB frames to BGR2GRAY, which swaps the weights of red and blue.
        return cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    return resized(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), SIZE)
