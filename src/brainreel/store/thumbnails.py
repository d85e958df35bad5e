"""Five small frames of a clip: what is compared when clips are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from brainreel.errors import SourceError
from brainreel.video import SAME_TIME_S, Grid, look, nearest_frames, read_video

AT = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Where in a clip the frames lie, as fractions of its duration: another frame rate changes little."""
SIDE = 16
Span = tuple[float, float]


def thumbnails(path: Path, spans: Sequence[Span] | None = None) -> UInt8[np.ndarray, "spans frames side side 3"]:
    """Frames at `AT` of each span, averaged down to `SIDE` by `SIDE` pixels in RGB, whatever the aspect ratio.

    The film is decoded once, only the frames that are wanted are converted, and nothing behind the last of them is
    read, so damage there is not seen.

    Args:
        path: Anything that FFmpeg reads; grey and alpha are welcome.
        spans: Beginning and end in seconds from the first frame; None is the whole file as one span.

    Raises:
        SourceError: it is no video, or is damaged or ends before the last wanted frame.
    """
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise SourceError(f"{path} has no video stream", expected="a video")
            stream = container.streams.video[0]
            unit = float(stream.time_base or 0)
            packets = [packet for packet in container.demux(stream) if packet.size]
            stamps = np.array(sorted(packet.pts for packet in packets if packet.pts is not None))
        if not packets or not unit or len(stamps) < len(packets):
            return _all_decoded(path, spans)
        times_s = (stamps - stamps[0]) * unit
        wanted_s = _wanted(times_s, spans)
        wanted = stamps[nearest_frames(times_s, wanted_s.ravel())]
        found: dict[int, np.ndarray] = {}
        missing = set(wanted.tolist())
        with av.open(str(path)) as container:
            for frame in container.decode(container.streams.video[0]):
                if frame.pts is not None and frame.pts in missing:
                    found[frame.pts] = _small(frame)
                    missing.discard(frame.pts)
                if not missing:
                    break
    except FFmpegError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SourceError(f"{path} cannot be read as video ({reason})", expected="a whole video file") from error
    if missing:
        raise SourceError(f"{path} lacks {len(missing)} of its frames", expected="a whole video file")
    return np.stack([found[stamp] for stamp in wanted.tolist()]).reshape(*wanted_s.shape, SIDE, SIDE, 3)


def _wanted(times_s: Float[np.ndarray, " frames"], spans: Sequence[Span] | None) -> Float[np.ndarray, "spans at"]:
    """The times of the frames; a time lies in the frame that is shown then, half a frame after its beginning."""
    usual = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    bounds = np.array([(0.0, float(times_s[-1]) + usual)] if spans is None else spans)
    start, length = bounds[:, :1], bounds[:, 1:] - bounds[:, :1]
    if (bounds[:, 0] > times_s[-1] + usual + SAME_TIME_S).any():
        raise SourceError(f"a film of {times_s[-1] + usual:g} s ends before its clips begin", expected="the whole film")
    return start + length * np.array(AT) - usual / 2


def _small(frame) -> UInt8[np.ndarray, "side side 3"]:
    # FFmpeg's area filter first, to twice the side: its filters have a longest size.
    pixels = frame.reformat(2 * SIDE, 2 * SIDE, "rgb24", interpolation="AREA").to_ndarray()
    return np.rot90(_halved(pixels), round((frame.rotation or 0) / 90) % 4)


def _halved(pixels: UInt8[np.ndarray, "*more double double 3"]) -> UInt8[np.ndarray, "*more side side 3"]:
    halves = pixels.reshape(*pixels.shape[:-3], SIDE, 2, SIDE, 2, 3).mean(axis=(-4, -2))
    return np.rint(halves).astype(np.uint8)


def _all_decoded(path: Path, spans: Sequence[Span] | None) -> UInt8[np.ndarray, "spans frames side side 3"]:
    """The same for containers that do not say when frames are shown, which only decoding tells."""
    known = look(path)
    wanted_s = _wanted(known[1], spans)
    times_s, place = np.unique(wanted_s, return_inverse=True)
    frames = read_video(path, Grid(2 * SIDE, 2 * SIDE, times_s), known=known).frames
    return _halved(frames[place.ravel()]).reshape(*wanted_s.shape, SIDE, SIDE, 3)
