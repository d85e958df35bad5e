"""Reading, writing and resampling video: RGB frames with the times at which they are shown.

Frames come from PyAV as 24-bit RGB, converted with the colour matrix and range that the file states (BT.601 where
it states none), turned as its rotation says, as a player would show them. Times are the presentation times, from
0 at the first frame, so a variable frame rate needs nothing special. Reading for given times keeps only the frames
that are asked for, at the size that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from brainreel.errors import SourceError, UsageError

# The underscores let one call take and return videos of different size and length.
Frame = UInt8[np.ndarray, "_height _width 3"]
Frames = UInt8[np.ndarray, "_frames _height _width 3"]
Times = Float[np.ndarray, " _frames"]

# A whole number of frames per second is a rate too, and run-time type checks tell int from float.
Rate = float | int
# Two times that differ by less are the same: the clocks of containers round.
SAME_TIME_S = 1e-6
SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ogv", ".ts")


class Format(NamedTuple):
    """What a video is like before anything is resampled; no rate is known of bare arrays and frames."""

    frames: int
    height: int
    width: int
    duration_s: float | None = None

    @property
    def fps(self) -> float | None:
        """Frames per second on average."""
        return None if self.duration_s is None else self.frames / self.duration_s


@dataclass(frozen=True)
class Video:
    """A clip in memory.

    Attributes:
        frames: uint8 RGB.
        times_s: When each is shown, from 0; None where no rate is known.
        source: What the file was like; differs from `frames` where that was resampled.
    """

    frames: Frames
    times_s: Times | None
    source: Format

    @property
    def duration_s(self) -> float | None:
        """From the first frame's beginning to the last one's end, in the source."""
        return self.source.duration_s


class Grid(NamedTuple):
    """What a video is resampled to: a size, and times; without times frame i stays frame i."""

    height: int
    width: int
    times_s: Times | None


def even_times(frames: int, fps: Rate) -> Times:
    """When the frames of a constant rate are shown."""
    if not fps > 0:
        raise UsageError(f"fps = {fps:g}", expected="a positive number of frames per second")
    return np.arange(frames) / fps


def nearest_frames(times_s: Times, wanted_s: Float[np.ndarray, " wanted"]) -> Int[np.ndarray, " wanted"]:
    """Which of the frames shown at `times_s` (ascending) is nearest to each wanted time; the earlier on ties."""
    middle = (times_s[1:] + times_s[:-1]) / 2
    return np.searchsorted(middle, wanted_s - SAME_TIME_S, side="left")


def resized(frame: Frame, height: int, width: int) -> Frame:
    """One frame at another size: Pillow's bicubic, which filters before it shrinks (antialiasing)."""
    if frame.shape[:2] == (height, width):
        return frame
    from PIL import Image

    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC))


def resample(frames: Iterable[Frame], times_s: Times, grid: Grid) -> Frames:
    """The frames nearest to the grid's times, at its size; holds no others.

    Args:
        frames: One after the other, as many as there are times.
        times_s: When each is shown, ascending.
        grid: Its times are ascending too; None takes every frame.
    """
    wanted = np.arange(len(times_s)) if grid.times_s is None else nearest_frames(times_s, grid.times_s)
    out = np.empty((len(wanted), grid.height, grid.width, 3), dtype=np.uint8)
    for index, frame in enumerate(frames):
        first, last = np.searchsorted(wanted, [index, index + 1])
        if last > first:
            out[first:last] = resized(frame, grid.height, grid.width)
    return out


def look(path: Path) -> tuple[Format, Times]:
    """Decode a whole video, keeping nothing but its format and its frames' times.

    Raises:
        SourceError: It is not a video, is damaged, cut off, grey or with an alpha channel, or runs backwards.
    """
    height = width = 0
    times: list[float] = []
    end = 0.0
    for time_s, length_s, frame in _decoded(path):
        height, width = frame.shape[:2]
        times.append(time_s)
        end = time_s + length_s
    starts = np.array(times) - times[0]
    if np.any(np.diff(starts) <= 0):
        raise SourceError(f"{path} shows frames at times that do not ascend", expected="ascending presentation times")
    return Format(len(times), height, width, end - times[0]), starts


def read_video(path: Path, grid: Grid | None = None, *, known: tuple[Format, Times] | None = None) -> Video:
    """A whole video, or what a grid asks of it.

    Args:
        path: Anything that FFmpeg reads.
        grid: Resample to its size and times while reading; None keeps every frame at its size.
        known: What `look` said, if it has been asked already: a video tells its times only when it is decoded.

    Raises:
        SourceError: As `look`.
    """
    source, times = look(path) if known is None else known
    if grid is None:
        grid = Grid(source.height, source.width, None)
    frames = resample((frame for _, _, frame in _decoded(path)), times, grid)
    return Video(frames, times if grid.times_s is None else grid.times_s, source)


def read_span(path: Path, start_s: Rate, stop_s: Rate) -> Video:
    """The frames of a film between two times, without decoding what comes long before them.

    A frame belongs to the span in which its middle lies, so spans that follow one another share no frame and miss
    none, however the container's clock rounds.

    Returns:
        The frames, possibly none; `times_s` from 0 at the first of them; `source` describes the span.

    Raises:
        SourceError: It is not a video, is damaged before the span's end, grey or with an alpha channel.
    """
    frames: list[Frame] = []
    times: list[float] = []
    end = 0.0
    for time_s, length_s, frame in _decoded_from(path, start_s):
        middle = time_s + length_s / 2
        if middle >= stop_s:
            break
        if middle >= start_s:
            frames.append(frame)
            times.append(time_s)
            end = time_s + length_s
    if not frames:
        return Video(np.zeros((0, 0, 0, 3), np.uint8), np.zeros(0), Format(0, 0, 0, 0.0))
    height, width = frames[0].shape[:2]
    starts = np.array(times) - times[0]
    return Video(np.stack(frames), starts, Format(len(frames), height, width, end - times[0]))


def write_video(path: Path, frames: Frames, *, fps: Rate, lossless: bool = False) -> None:
    """Write an H.264 file that browsers play; appears whole or not at all.

    Lossy, and with halved colour resolution, unless `lossless` (H.264 in RGB, which few browsers play): scores are
    computed from arrays, never from this.

    Raises:
        UsageError: Odd sides without `lossless`, or no frames.
    """
    import av

    if frames.ndim != 4 or 0 in frames.shape or (not lossless and any(side % 2 for side in frames.shape[1:3])):
        raise UsageError(
            f"frames of shape {frames.shape}", expected="(frames, height, width, 3) with even sides", do="crop or pad"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".partial.{path.name}")
    try:
        with av.open(str(beside), "w") as container:
            codec, pixels = ("libx264rgb", "rgb24") if lossless else ("libx264", "yuv420p")
            stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(65535))
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = pixels
            stream.options = {"crf": "0"} if lossless else {"crf": "12"}
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
            container.mux(stream.encode(None))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _decoded_from(path: Path, start_s: Rate) -> Iterator[tuple[float, float, Frame]]:
    """As `_decoded`, with times from 0 at the film's first frame, beginning at or somewhere before ``start_s``."""
    # Containers begin at any time, which only the first frame tells.
    zero = next(iter(_decoded(path)))[0]
    there = _decoded(path, zero + start_s)
    first = next(there, None)
    if first is None or first[0] - zero > start_s:
        # An index that leads past the time it was asked for.
        there, first = _decoded(path), None
    for time_s, length_s, frame in there if first is None else chain([first], there):
        yield time_s - zero, length_s, frame


def _decoded(path: Path, near_s: float | None = None) -> Iterator[tuple[float, float, Frame]]:
    """Each frame with the time it is shown and for how long; from the key frame before ``near_s`` if that is given."""
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise SourceError(f"{path} has no video stream", expected="a video")
            stream = container.streams.video[0]
            _refuse_grey_and_alpha(path, stream)
            usual = 1 / float(stream.average_rate or 25)
            unit = float(stream.time_base or 0)
            if near_s is not None:
                container.seek(int(near_s / unit) if unit else 0, stream=stream)
            count = 0
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    raise _damaged(path, f"frame {count} is damaged")
                time = count * usual if frame.time is None else float(frame.time)
                yield time, (frame.duration or 0) * unit or usual, _rgb(frame)
                count += 1
            # A container may count a last packet that holds no picture; a file cut off lacks many.
            if near_s is None and (count == 0 or count < stream.frames - 1):
                raise _damaged(path, f"{count} of {stream.frames} frames could be decoded")
    except FFmpegError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise _damaged(path, reason) from error


def _rgb(frame) -> Frame:
    turns = round((frame.rotation or 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))


def _refuse_grey_and_alpha(path: Path, stream) -> None:
    pixels = stream.codec_context.format
    if pixels is None:
        raise _damaged(path, "its pixels' format is unknown")
    # FFmpeg's GIF decoder always gives alpha: a palette of 256 colours is refused with it.
    kind = "grey" if len(pixels.components) == 1 else "with an alpha channel" if _alpha(pixels) else ""
    if kind or pixels.has_palette:
        raise SourceError(
            f"{path} is {kind or 'of palette colours'} ({pixels.name})",
            expected="colour video",
            do="convert both sides to RGB or YUV yourself, so that it is known how",
        )


def _alpha(pixels) -> bool:
    return any(component.is_alpha for component in pixels.components)


def _damaged(path: Path, reason: str) -> SourceError:
    return SourceError(f"{path} cannot be read as video ({reason})", expected="a whole video file", do="write it again")
