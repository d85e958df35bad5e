"""Real recordings and clips, which are not part of the project: found beside it, or tests that need them are skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def shared(*parts: str) -> Path:
    """A file or folder below ``data`` of BRAINREEL_SHARED, or of ``shared`` beside the project; skips where it is absent."""
    root = Path(os.environ.get("BRAINREEL_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    path = root.joinpath("data", *parts)
    if not path.exists():
        pytest.skip(f"{path} is not there; set BRAINREEL_SHARED to the folder that holds data/{parts[0]}")
    return path


def shared_clips(count: int) -> list[Path]:
    """So many real clips of BOLD Moments."""
    found = sorted(shared("clips", "bmd").glob("*.mp4"))[:count]
    if len(found) < count:
        pytest.skip(
            f"{count} clips wanted, {len(found)} there; set BRAINREEL_SHARED to the folder that holds data/clips"
        )
    return found
