"""How long `brainreel score` takes for a test set, and how much of that is Farneback's optical flow, the floor.

Every pixel and motion metric of one method, with mismatched pairs and null videos. The clips are drawn when they are
read, so that memory is scoring's own; drawing one costs a few milliseconds, which count.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ..evaluate.score import score_sources
from ..evaluate.score_flows import MOTION_FPS, flows_of
from ..evaluate.score_pairs import frames_at
from ..evaluate.score_pass import Plan
from ..evaluate.score_sources import Looked, Source
from ..evaluate.score_threads import on_threads, threads_for
from ..video import Format, Frames, Grid, Video, even_times

FRAMES, FPS = 6, 3.0
# The clips whose flow is timed alone.
FLOOR_CLIPS = 8


class Drifting(Source):
    """Noise that drifts, every clip its own; as reconstructions, under other noise.

    Args:
        clips: How many.
        size: Height and width.
        kind: `truth`, `recon` (of the same clips), or `train`.
    """

    def __init__(self, clips: int, size: int, kind: str) -> None:
        width = len(str(clips))
        super().__init__(
            kind, [f"{kind if kind == 'train' else 'clip'}{i:0{width}d}" for i in range(clips)], named=True
        )
        self.size, self.kind = size, kind

    def called(self, index: int) -> str:
        return f"{self.names[index]} of {self.where}"

    def read(self, index: int, grid: Grid | None = None) -> Video:
        looked = self.look(index)
        return Video(self._frames(index), looked.times_s, looked.format)

    def _look(self, index: int) -> Looked:
        return Looked(Format(FRAMES, self.size, self.size, FRAMES / FPS), even_times(FRAMES, FPS))

    def _frames(self, index: int) -> Frames:
        rng = np.random.default_rng([index, self.kind == "train"])
        wide = rng.integers(0, 256, (self.size, self.size + FRAMES, 3), dtype=np.uint8)
        frames = np.stack([wide[:, step : step + self.size] for step in range(FRAMES)])
        if self.kind == "recon":
            frames = frames // 2 + rng.integers(0, 128, frames.shape, dtype=np.uint8)
        return frames


def measure_test_set(clips: int, size: int, train: int) -> dict[str, Any]:
    """Score a synthetic test set on all cores.

    Args:
        clips: Test clips, of 6 frames at 3 per second.
        size: Their height and width.
        train: Training clips.

    Returns:
        What was scored, `seconds` (wall and processor), `floor_s` (wall time of the flows of every truth and
        reconstruction alone, extrapolated from a few clips) and their `ratio`, and the `controls` that were measured.
    """
    truth, recon = Drifting(clips, size, "truth"), Drifting(clips, size, "recon")
    wall, processor = time.perf_counter(), time.process_time()
    scored = score_sources(truth, {"recon": recon}, train=Drifting(train, size, "train"))
    seconds = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
    floor = _floor_s(truth, recon)
    plan = Plan.of(clips, 24)
    return {
        "clips": clips,
        "frames": FRAMES,
        "size": size,
        "train": train,
        "wrong_pairs": plan.wrong_clips * plan.shifts,
        "null_clips": plan.null_clips,
        "rows": len(scored.document["scores"]),
        "missing": [row["metric"] for row in scored.document["scores"] if row["value"] is None],
        "seconds": seconds,
        "floor_s": floor,
        "ratio": seconds["wall"] / floor,
    }


def _floor_s(truth: Source, recon: Source) -> float:
    some = min(FLOOR_CLIPS, len(truth))
    moving = frames_at(truth.look(0), MOTION_FPS)
    videos = [source.read(index).frames for source in (truth, recon) for index in range(some)]
    start = time.perf_counter()
    for _ in on_threads(lambda i: flows_of(videos[i], moving, frozenset()), range(len(videos)), threads_for(truth)):
        pass
    return (time.perf_counter() - start) * len(truth) / some
