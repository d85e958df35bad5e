"""Real clips, where the shared recordings are at hand."""

from __future__ import annotations

import numpy as np
import pytest

from shared_files import shared_clips

FRAMES, SIZE = 8, 256


@pytest.fixture(scope="session")
def real_clips() -> np.ndarray:
    """Six BOLD Moments clips, 8 frames each at 8 per second, 256² pixels."""
    cv2 = pytest.importorskip("cv2")
    clips = []
    for file in shared_clips(6):
        reader = cv2.VideoCapture(str(file))
        step = reader.get(cv2.CAP_PROP_FPS) / 8
        wanted = {round(step * i) for i in range(FRAMES)}
        frames = []
        for index in range(max(wanted) + 1):
            _, frame = reader.read()
            if index in wanted:
                resized = cv2.resize(frame, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
                frames.append(cv2.cvtColor(resized, cv2.COLOR_BGR2RGB))
        clips.append(np.stack(frames))
    return np.stack(clips)
