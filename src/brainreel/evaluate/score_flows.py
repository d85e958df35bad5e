"""Optical flow is most of the work of scoring, so every video's is computed once and kept while it is needed."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from concurrent.futures import Future
from threading import Lock
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from brainreel.metrics.motion import SIZE, Flow, optical_flow
from brainreel.video import Frames

# Flow and motion energy are defined at this rate.
MOTION_FPS = 8.0
# Longer or larger clips' published flow is taken stretch by stretch; only the error's mean is kept.
LARGEST_FLOW_BYTES = 64 * 2**20
# What flows of other reconstructions than the ones at work may take.
KEPT_BYTES = 128 * 2**20

RELATIVE, PUBLISHED = ("endpoint_error", "relative"), ("endpoint_error", "published-farneback")


class Flows(NamedTuple):
    """A video's flow by both definitions, (1, steps, rows, columns, 2) pixels per step; None where not wanted.

    They cannot share one computation: the published code swaps the weights of red and blue.
    """

    relative: Flow | None
    published: Flow | None

    def size(self) -> int:
        """Bytes."""
        return sum(flow.nbytes for flow in self if flow is not None)


def flows_of(frames: Frames, moving: Int[np.ndarray, " times"] | None, without: frozenset[tuple[str, str]]) -> Flows:
    """Farneback's flow of one video.

    Args:
        frames: The video.
        moving: Which of its frames are shown 8 times a second; None where no rate is known.
        without: Measures that are not wanted.
    """
    relative = published = None
    if moving is not None and RELATIVE not in without:
        relative = optical_flow(frames[moving][None], definition="relative", fps=MOTION_FPS)
    if PUBLISHED not in without and _fits(frames):
        published = optical_flow(frames[None], definition="published-farneback")
    return Flows(relative, published)


def still(frames: Frames, moving: Int[np.ndarray, " times"] | None, without: frozenset[tuple[str, str]]) -> Flows:
    """The flow of one flat colour for a video of this shape: exactly zero, as Farneback's is. Takes no memory."""
    relative = published = None
    if moving is not None and RELATIVE not in without:
        relative = np.broadcast_to(np.float32(0), (1, len(moving) - 1, SIZE, SIZE, 2))
    if PUBLISHED not in without and _fits(frames):
        published = np.broadcast_to(np.float32(0), (1, len(frames) - 1, *frames.shape[1:3], 2))
    return Flows(relative, published)


class KeptFlows:
    """Flows by the video's content, computed by whichever thread asks first; the oldest go when it is too much."""

    def __init__(self, without: frozenset[tuple[str, str]]) -> None:
        self.without, self.computed = without, 0
        self._kept: OrderedDict[bytes, Future[Flows]] = OrderedDict()
        self._lock = Lock()

    def of(self, frames: Frames, moving: Int[np.ndarray, " times"] | None) -> Flows:
        """The flow of a video; as `flows_of`."""
        shown = repr((frames.shape, None if moving is None else moving.tolist())).encode()
        key = hashlib.blake2b(np.ascontiguousarray(frames).tobytes() + shown, digest_size=32).digest()
        with self._lock:
            mine = key not in self._kept
            future = self._kept.setdefault(key, Future())
            self._kept.move_to_end(key)
            self.computed += mine
        if mine:
            try:
                future.set_result(flows_of(frames, moving, self.without))
            except BaseException as error:
                future.set_exception(error)
            self._forget()
        return future.result()

    def _forget(self) -> None:
        with self._lock:
            done = [
                (key, each.result().size()) for key, each in self._kept.items() if each.done() and not each.exception()
            ]
            total = sum(size for _, size in done)
            for key, size in done:
                if total <= KEPT_BYTES:
                    return
                del self._kept[key]
                total -= size


def _fits(frames: Frames) -> bool:
    return 8 * (len(frames) - 1) * frames[0, :, :, 0].size <= LARGEST_FLOW_BYTES
