"""Clips beside what was reconstructed of them: still sheets of frames, which the page plays on one clock per row.

A video is embedded as one picture that holds all its frames. No codec is needed, small videos are shown exactly as
they are scored, and every frame of a row is drawn at the same moment because nothing has to be decoded first.
"""

from __future__ import annotations

import base64
import io
import math
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from pydantic import Field, field_validator, model_validator

from brainreel.report.base import Data, Number, Section
from brainreel.video import Frames, resized

MOST_FRAMES = 48
TALLEST, WIDEST = 192, 256
# Below this a video is small enough to be embedded without loss.
LOSSLESS_BYTES = 200_000
_LOSSY_QUALITY = 88

CellRole = Literal["truth", "model", "control", "ceiling"]
Place = Literal["best", "median", "worst"]


class Sheet(Data):
    """All frames of a video in one picture, row by row from its top left corner.

    Attributes:
        src: The picture as a ``data:`` URI.
        frames, columns: How many frames, and how many in each row of the picture.
        width, height: Of one frame, pixels.
        fps: Frames per second.
        exact: Whether these are the video's own pixels and frames, all of them.
    """

    src: str = Field(pattern=r"^data:image/(webp|png);base64,[A-Za-z0-9+/=]+$")
    frames: int = Field(ge=1)
    columns: int = Field(ge=1)
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    fps: float = Field(gt=0)
    exact: bool = True

    @property
    def rows(self) -> int:
        """Rows of frames in the picture."""
        return math.ceil(self.frames / self.columns)

    @property
    def duration_s(self) -> float:
        """From the first frame's beginning to the last one's end."""
        return self.frames / self.fps


class Measured(Data):
    """A score of one video against the truth."""

    label: str
    value: Number


class VideoCell(Data):
    """One video of a row: what it is, what is said of it in words, its scores and what they are if not its own."""

    name: str
    role: CellRole = "model"
    sheet: Sheet | None = None
    caption: str = ""
    note: str = ""
    scores: tuple[Measured, ...] = ()
    scores_note: str = ""


class VideoRow(Data):
    """A clip and everything that was made of it, played together.

    `place` is why it is here: its `rank` of `of` clips by score.
    """

    group: str
    place: Place
    rank: int = Field(ge=1)
    of: int = Field(ge=1)
    clip: str
    person: str
    cells: tuple[VideoCell, ...]

    @model_validator(mode="after")
    def _rank_lies_in_ranking(self) -> VideoRow:
        if self.rank > self.of:
            raise ValueError(f"got rank {self.rank} of {self.of}, expected at most the last")
        return self

    @property
    def duration_s(self) -> float:
        """Of its longest video; the others hold their last frame."""
        return max((cell.sheet.duration_s for cell in self.cells if cell.sheet), default=0.0)

    @property
    def fps(self) -> float:
        """Of the video with most frames per second: a step of the scrubber shows every frame."""
        return max((cell.sheet.fps for cell in self.cells if cell.sheet), default=1.0)


class Term(Data):
    """A column of the gallery in a sentence."""

    name: str
    meaning: str


class VideoGallery(Section):
    """Truth beside reconstruction, in rows that were chosen by score. Rows of one `group` stand together.

    `metric` names the score that they were chosen by, `rule` says how, `terms` explain the columns.
    """

    kind: Literal["video_gallery"] = "video_gallery"
    rows: tuple[VideoRow, ...]
    metric: str = ""
    rule: str = ""
    terms: tuple[Term, ...] = ()

    @field_validator("rows")
    @classmethod
    def _groups_stand_together(cls, rows: tuple[VideoRow, ...]) -> tuple[VideoRow, ...]:
        groups = [row.group for row in rows]
        if sorted(groups, key=groups.index) != groups:
            raise ValueError(f"got rows of the groups {groups}, expected those of one group together")
        return rows

    @property
    def median_row(self) -> VideoRow | None:
        """The first row in the middle of its ranking; a report's headline shows it."""
        return next((row for row in self.rows if row.place == "median"), None)


def sheet_of(frames: Frames, fps: float) -> Sheet:
    """A video as a page shows it: at most 256×192 pixels and 48 frames, without loss if that is below 200 kB.

    Args:
        frames: uint8 RGB (frames, height, width, 3).
        fps: Frames per second.
    """
    kept = np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES)).round().astype(int)
    height, width = frames.shape[1:3]
    smaller = min(1.0, TALLEST / height, WIDEST / width)
    height, width = max(1, round(height * smaller)), max(1, round(width * smaller))
    shown = np.stack([resized(frames[index], height, width) for index in kept])
    src, lossless = _encoded(_tiled(shown))
    return Sheet(
        src=src,
        frames=len(shown),
        columns=columns_of(len(shown)),
        width=width,
        height=height,
        fps=fps * len(shown) / len(frames),
        exact=lossless and shown.shape == frames.shape,
    )


def columns_of(frames: int) -> int:
    """A picture that is about as wide as it is high stays within what browsers and WebP can hold."""
    return math.ceil(math.sqrt(frames))


def _tiled(frames: Frames) -> UInt8[np.ndarray, "_rows _columns 3"]:
    count, height, width, _ = frames.shape
    columns = columns_of(count)
    rows = math.ceil(count / columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for index, frame in enumerate(frames):
        y, x = index // columns * height, index % columns * width
        sheet[y : y + height, x : x + width] = frame
    return sheet


def _encoded(sheet: UInt8[np.ndarray, "_rows _columns 3"]) -> tuple[str, bool]:
    """As a ``data:`` URI, and whether without loss."""
    from PIL import Image

    picture = Image.fromarray(sheet)
    content = io.BytesIO()
    picture.save(content, "WEBP", lossless=True, method=4)
    lossless = len(content.getvalue()) <= LOSSLESS_BYTES
    if not lossless:
        content = io.BytesIO()
        picture.save(content, "WEBP", quality=_LOSSY_QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}", lossless
