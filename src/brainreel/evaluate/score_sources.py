"""Where clips to score come from: a folder of videos, a folder of frame folders, or one array; read one at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from brainreel.errors import SourceError, UsageError
from brainreel.metrics.videos import Videos, check_videos
from brainreel.video import (
    SUFFIXES,
    Format,
    Frame,
    Frames,
    Grid,
    Rate,
    Times,
    Video,
    even_times,
    look,
    read_video,
    resample,
)

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm")
# A clip lies in memory whole, twice.
LARGEST_CLIP_BYTES = 512 * 2**20


class Looked(NamedTuple):
    """A clip's format, and its frames' times where a rate is known."""

    format: Format
    times_s: Times | None


class Source(ABC):
    """Named clips, read when they are asked for.

    Args:
        where: How messages call it.
        names: The clips, sorted; an array's are its row numbers.
        named: Whether the names mean anything, so that clips of two sources can be paired by them.
        ignored: Files that lie there and are no clips.
    """

    def __init__(self, where: str, names: Sequence[str], *, named: bool, ignored: Sequence[str] = ()) -> None:
        self.where, self.names, self.named, self.ignored = where, tuple(names), named, tuple(ignored)
        self._looked: dict[int, Looked] = {}

    def __len__(self) -> int:
        return len(self.names)

    def look(self, index: int) -> Looked:
        """A clip's format; checks the whole clip the first time, by decoding it."""
        if index not in self._looked:
            looked = self._look(index)
            size = looked.format.frames * looked.format.height * looked.format.width * 3
            if size > LARGEST_CLIP_BYTES:
                raise SourceError(
                    f"{self.called(index)} takes {size / 2**20:.0f} MiB as frames",
                    expected=f"clips of at most {LARGEST_CLIP_BYTES / 2**20:.0f} MiB",
                    do="cut it into shorter clips, or make it smaller, on both sides",
                )
            self._looked[index] = looked
        return self._looked[index]

    @abstractmethod
    def called(self, index: int) -> str:
        """How messages call a clip."""

    @abstractmethod
    def read(self, index: int, grid: Grid | None = None) -> Video:
        """A clip, resampled to a grid while it is read."""

    @abstractmethod
    def _look(self, index: int) -> Looked: ...


class ArrayClips(Source):
    """The rows of a (clips, frames, H, W, 3) uint8 array, which may be a memory map."""

    def __init__(self, videos: Videos, where: str, *, fps: Rate | None, names: Sequence[str] | None = None) -> None:
        _check_array(videos, where)
        if names is not None and (len(names) != len(videos) or len(set(names)) != len(names)):
            raise UsageError(f"{len(set(names))} different names", expected=f"one for each of {len(videos)} clips")
        width = len(str(len(videos) - 1))
        numbered = [f"{row:0{width}d}" for row in range(len(videos))]
        super().__init__(where, numbered if names is None else names, named=names is not None)
        self.videos, self.fps = videos, fps
        self._in_file = isinstance(videos, np.memmap) and videos.flags.c_contiguous

    def called(self, index: int) -> str:
        return f"clip {self.names[index]} of {self.where}"

    def read(self, index: int, grid: Grid | None = None) -> Video:
        return _resampled(self._row(index), self.look(index), grid)

    def _look(self, index: int) -> Looked:
        return _with_rate(self.videos.shape[1:4], self.fps)

    def _row(self, index: int) -> Frames:
        if not self._in_file:
            return self.videos[index]
        # Pages of a memory map count as this process's memory until the system takes them back.
        assert isinstance(self.videos, np.memmap)
        shape = self.videos.shape[1:]
        size = int(np.prod(shape))
        offset = self.videos.offset + index * size
        return np.fromfile(str(self.videos.filename), np.uint8, count=size, offset=offset).reshape(shape)


class VideoFiles(Source):
    """A folder of videos; a clip's name is its file's without the suffix."""

    def __init__(self, folder: Path, files: Sequence[Path], ignored: Sequence[str]) -> None:
        super().__init__(str(folder), [file.stem for file in files], named=True, ignored=ignored)
        self.files = tuple(files)

    def called(self, index: int) -> str:
        return str(self.files[index])

    def read(self, index: int, grid: Grid | None = None) -> Video:
        known = self.look(index)
        assert known.times_s is not None
        return read_video(self.files[index], grid, known=(known.format, known.times_s))

    def _look(self, index: int) -> Looked:
        return Looked(*look(self.files[index]))


class FrameFolders(Source):
    """A folder of folders of images, each a clip; frames are in the order of the numbers in their names."""

    def __init__(self, folder: Path, folders: Sequence[Path], ignored: Sequence[str], *, fps: Rate | None) -> None:
        super().__init__(str(folder), [each.name for each in folders], named=True, ignored=ignored)
        self.folders, self.fps = tuple(folders), fps

    def called(self, index: int) -> str:
        return str(self.folders[index])

    def read(self, index: int, grid: Grid | None = None) -> Video:
        looked = self.look(index)
        return _resampled(_Images(_images(self.folders[index])), looked, grid)

    def _look(self, index: int) -> Looked:
        files = _images(self.folders[index])
        if not files:
            raise SourceError(f"{self.folders[index]} holds no images", expected=f"frames ({', '.join(IMAGES)})")
        sizes = {_image(file).shape[:2] for file in files}
        if len(sizes) > 1:
            raise SourceError(
                f"{self.folders[index]} holds frames of {len(sizes)} sizes", expected="frames of one size in a clip"
            )
        return _with_rate((len(files), *sizes.pop()), self.fps)


class _Images(Sequence[Frame]):
    """Image files as frames, opened when they are asked for."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index):
        return _image(self.files[index])


def open_source(path: Path, *, fps: Rate | None = None) -> Source:
    """The clips of a folder or of an .npy file.

    Args:
        path: A folder of videos, a folder of folders of images, or an array (clips, frames, H, W, 3), which is
            memory-mapped.
        fps: Frames per second of arrays and images; videos carry their own times.

    Raises:
        SourceError: Nothing there, nothing that can be read, or two clips of one name.
    """
    if path.is_dir():
        return _open_folder(path, fps)
    if path.suffix == ".npy" and path.is_file():
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise SourceError(f"{path} cannot be read as an array", expected="a whole .npy file of numbers") from error
        return ArrayClips(array, str(path), fps=fps)
    raise SourceError(
        f"{path} is {'a file' if path.exists() else 'not there'}",
        expected="a folder of videos, a folder of frame folders, or a .npy file",
        do="put single videos into a folder" if path.suffix.lower() in SUFFIXES and path.exists() else "check the path",
    )


def _open_folder(path: Path, fps: Rate | None) -> Source:
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    files = [entry for entry in entries if entry.is_file() and entry.suffix.lower() in SUFFIXES]
    folders = [entry for entry in entries if entry.is_dir()]
    others = [entry.name for entry in entries if entry not in files and entry not in folders]
    expected = "a folder of videos, or of one folder of frames per clip"
    if files and folders:
        raise SourceError(f"{path} holds videos ({files[0].name}) and folders ({folders[0].name})", expected=expected)
    if files:
        stems = [file.stem for file in files]
        twice = [stem for stem in stems if stems.count(stem) > 1]
        if twice:
            raise SourceError(f"{path} holds {stems.count(twice[0])} videos named {twice[0]}", expected="one each")
        return VideoFiles(path, files, others)
    if folders:
        return FrameFolders(path, folders, others, fps=fps)
    if any(Path(name).suffix.lower() in IMAGES for name in others):
        raise SourceError(f"{path} holds frames itself", expected=expected, do="give the folder above it")
    gifs = any(name.lower().endswith(".gif") for name in others)
    why = "GIF keeps 256 colours, which alone changes every score" if gifs else ""
    raise SourceError(f"{path} holds no videos" + (" but GIFs" if gifs else ""), expected=expected, do=why)


def _check_array(videos: np.ndarray, where: str) -> None:
    """As `check_videos`, but an array of floats is searched for NaN clip by clip: it may be larger than memory."""
    if videos.ndim == 5 and len(videos) and np.issubdtype(videos.dtype, np.floating):
        undefined = next((row for row in range(len(videos)) if np.isnan(videos[row]).any()), 0)
        check_videos(videos[undefined : undefined + 1], where)
    check_videos(videos, where)


def _with_rate(shape: Sequence[int], fps: Rate | None) -> Looked:
    frames, height, width = shape
    times = None if fps is None else even_times(frames, fps)
    return Looked(Format(frames, height, width, None if fps is None else frames / fps), times)


def _resampled(frames: Frames | Sequence[Frame], looked: Looked, grid: Grid | None) -> Video:
    if grid is None:
        grid = Grid(looked.format.height, looked.format.width, None)
    index = np.arange(len(frames)) if looked.times_s is None else looked.times_s
    out = resample(frames, index.astype(float), grid)
    return Video(out, looked.times_s if grid.times_s is None else grid.times_s, looked.format)


def _images(folder: Path) -> list[Path]:
    """Image files by the numbers in their names, so that 10.png follows 9.png."""
    import re

    files = [file for file in folder.iterdir() if file.suffix.lower() in IMAGES and not file.name.startswith(".")]
    return sorted(
        files, key=lambda file: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", file.name)]
    )


def _image(file: Path) -> Frame:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            if image.mode != "RGB":
                kinds = {"L": "grey", "LA": "grey", "1": "black and white", "RGBA": "RGB with alpha", "P": "palette"}
                raise SourceError(
                    f"{file} is {kinds.get(image.mode, image.mode)}", expected="RGB", do="convert it yourself"
                )
            return np.asarray(image)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise SourceError(f"{file} cannot be read as an image", expected="a whole image file") from error
