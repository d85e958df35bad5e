"""Clips that lie in a store or in an experiment, as sources that are read one clip at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from brainreel.errors import ExperimentError
from brainreel.evaluate.score_sources import Looked, Source
from brainreel.video import Format, Frames, Grid, Rate, Video, even_times, resample

# Pseudo-subjects of a generated fold: the generator fed the true vectors, and the mean response of no clip.
ORACLE, MEAN = "_truth", "_mean"

ReadClip = Callable[[str], tuple[Frames, Rate]]


class CalledClips(Source):
    """Clips by their names, through any function that reads one.

    Args:
        where: How messages call them.
        names: The clips, in the order that scores keep.
        read: From a name to uint8 RGB frames (frames, H, W, 3) and frames per second.
    """

    def __init__(self, where: str, names: Sequence[str], read: ReadClip) -> None:
        super().__init__(where, names, named=True)
        self._read = read

    def called(self, index: int) -> str:
        return f"clip {self.names[index]} of {self.where}"

    def read(self, index: int, grid: Grid | None = None) -> Video:
        frames, fps = self._read(self.names[index])
        times = even_times(len(frames), fps)
        count, height, width, _ = frames.shape
        source = Format(count, height, width, count / fps)
        if grid is None:
            return Video(frames, times, source)
        return Video(resample(frames, times, grid), times if grid.times_s is None else grid.times_s, source)

    def _look(self, index: int) -> Looked:
        video = self.read(index)
        assert video.times_s is not None
        return Looked(video.source, video.times_s)


def remembering(read: ReadClip, most_bytes: int = 256 * 2**20) -> ReadClip:
    """The same function, which keeps what it has read for as long as it fits: clips are asked for many times."""
    kept: dict[str, tuple[Frames, Rate]] = {}
    room = most_bytes

    def reading(name: str) -> tuple[Frames, Rate]:
        nonlocal room
        if name in kept:
            return kept[name]
        found = read(name)
        if found[0].nbytes <= room:
            kept[name] = found
            room -= found[0].nbytes
        return found

    return reading


def array_clips(where: str, videos: dict[str, Frames], fps: Rate) -> CalledClips:
    """Clips in memory, by name."""
    return CalledClips(where, list(videos), lambda name: (videos[name], fps))


def generated_clips(folder: Path, names: Sequence[str] | None = None) -> CalledClips:
    """The videos that generation left for one subject: ``<clip_id>.npy``, and their rate in ``generation.json``.

    Args:
        folder: ``RUN/generate/<method>/seed-<s>/fold-<k>/<dataset>/<subject>``.
        names: The clips that are wanted; where the folder holds one video for all of them (the mean response is
            the same whatever was shown), each of them is that one. None: those that are there.

    Raises:
        ExperimentError: no videos, no rate, or an array that is no video.
    """
    files = {path.name.removesuffix(".npy"): path for path in sorted(folder.glob("*.npy"))}
    if not files:
        raise ExperimentError(f"{folder} holds no videos", do="run `brainreel generate` again")
    fps = _fps(folder)
    if names is not None and len(files) == 1:
        files = dict.fromkeys(names, next(iter(files.values())))

    def read(name: str) -> tuple[Frames, Rate]:
        try:
            frames = np.load(files[name], allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ExperimentError(
                f"{files[name]} cannot be read ({error})", do="run `brainreel generate` again"
            ) from error
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape:
            raise ExperimentError(
                f"{files[name]} holds {frames.dtype} of shape {frames.shape}",
                expected="uint8 of shape (frames, height, width, 3)",
            )
        return frames, fps

    kept = list(files) if names is None else [name for name in names if name in files]
    return CalledClips(str(folder), kept, read)


def _fps(folder: Path) -> float:
    """From the nearest generation.json: the subject's, or one for the whole dataset or fold."""
    for place in (folder, folder.parent, folder.parent.parent):
        path = place / "generation.json"
        if path.is_file():
            try:
                return float(json.loads(path.read_text())["fps"])
            except (ValueError, KeyError, TypeError) as error:
                raise ExperimentError(f"{path} states no fps ({error})", do="run `brainreel generate` again") from error
    raise ExperimentError(f"{folder} has no generation.json", do="run `brainreel generate` again")
