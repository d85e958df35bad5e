"""Sheets of frames: exact where small, smaller where not, and rows of them that are checked."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from brainreel.report import Sheet, VideoGallery, sheet_of
from brainreel.report.videos import MOST_FRAMES, TALLEST, WIDEST

from . import example


def frames_of(sheet: Sheet) -> np.ndarray:
    """The frames of a sheet, cut out again."""
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet.src.partition(",")[2]))).convert("RGB"))
    assert picture.shape == (sheet.rows * sheet.height, sheet.columns * sheet.width, 3)
    tiles = picture.reshape(sheet.rows, sheet.height, sheet.columns, sheet.width, 3).swapaxes(1, 2)
    return tiles.reshape(-1, sheet.height, sheet.width, 3)[: sheet.frames]


@pytest.mark.parametrize("frames", [1, 2, 17])
def test_a_small_video_is_embedded_as_it_is(frames):
    video = np.random.default_rng(frames).integers(0, 256, (frames, 20, 30, 3), dtype=np.uint8)
    sheet = sheet_of(video, 8.0)
    assert sheet.exact
    assert (sheet.fps, sheet.duration_s) == (8.0, frames / 8)
    np.testing.assert_array_equal(frames_of(sheet), video)


def test_a_large_video_is_shrunk_in_space_and_time_but_not_in_length():
    video = np.repeat(np.arange(120, dtype=np.uint8)[:, None, None, None], 3, axis=3)
    video = np.broadcast_to(video, (120, 300, 500, 3)).copy()
    sheet = sheet_of(video, 30.0)
    assert not sheet.exact
    assert sheet.frames == MOST_FRAMES
    assert sheet.height <= TALLEST
    assert sheet.width <= WIDEST
    assert sheet.width / sheet.height == pytest.approx(500 / 300, rel=0.01)
    assert sheet.duration_s == pytest.approx(4.0)
    shown = frames_of(sheet)[:, 50, 50, 0].astype(int)
    assert abs(shown[0]) <= 3
    assert abs(shown[-1] - 119) <= 3
    assert (np.diff(shown) >= 0).all()


def test_noise_that_would_fill_megabytes_is_embedded_with_loss():
    video = np.random.default_rng(0).integers(0, 256, (40, 128, 128, 3), dtype=np.uint8)
    sheet = sheet_of(video, 8.0)
    assert not sheet.exact
    assert sheet.frames == 40
    assert len(sheet.src) < 1_500_000


def test_same_video_same_bytes():
    assert sheet_of(example.clip(), 8.0) == sheet_of(example.clip(), 8.0)


def test_what_does_not_fit_together_is_refused():
    row = example.videos().rows[0]
    with pytest.raises(ValidationError, match="rank 4 of 3"):
        type(row)(**{**row.model_dump(), "rank": 4})
    other = row.model_copy(update={"group": "another"})
    with pytest.raises(ValidationError, match="one group together"):
        VideoGallery(title="v", rows=(row, other, row))
    with pytest.raises(ValidationError, match="pattern"):
        Sheet(src="https://example.org/x.png", frames=1, columns=1, width=1, height=1, fps=1)
