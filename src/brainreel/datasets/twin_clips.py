"""Rendering the clips of a simulated release, and what they offer to a simulated cortex."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from brainreel.video import write_video
from brainreel.world.drives import drives
from brainreel.world.render import render
from brainreel.world.scenes import Scenes
from brainreel.world.viewers import Drives

_BATCH = 256


def write_clips(scenes: Scenes, paths: Sequence[Path], *, fps: float) -> Drives:
    """Write each scene's video losslessly to its path, a few at a time; returns what they offer to the cortex."""
    parts = []
    for start in range(0, len(scenes), _BATCH):
        some = scenes[start : start + _BATCH]
        videos = render(some)
        for path, video in zip(paths[start : start + _BATCH], videos, strict=True):
            write_video(path, video, fps=fps, lossless=True)
        parts.append(drives(some, videos))
    return {drive: np.concatenate([part[drive] for part in parts]) for drive in parts[0]}


def both(one: Drives, other: Drives) -> Drives:
    """The clips of two sets, one after the other."""
    return {name: np.concatenate([one[name], other[name]]) for name in one}


def rows(shown: Drives, which: Int[np.ndarray, " trials"]) -> Drives:
    """What each trial offered, by the clip it showed."""
    return {name: drive[which] for name, drive in shown.items()}
