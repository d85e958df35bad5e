"""Videos that know nothing of the brain: flat grey, the mean training clip, the blurred nearest training clip."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from brainreel.errors import SourceError, UsageError
from brainreel.evaluate.score_flows import MOTION_FPS
from brainreel.evaluate.score_pairs import check_durations, frames_at, length_groups
from brainreel.evaluate.score_sources import Looked, Source
from brainreel.evaluate.score_threads import on_threads, threads_for
from brainreel.metrics.motion_energy import motion_energy
from brainreel.metrics.videos import THUMBNAIL, blurred, flat_grey, nearest_training_clip
from brainreel.progress import track
from brainreel.video import Format, Frames, Grid, even_times

NULLS = ("null_flat_grey", "null_mean_clip", "null_blurred_nearest")


class Learned(NamedTuple):
    """What training clips say of true clips of one format."""

    mean: Frames
    nearest: Int[np.ndarray, " clips"]


class Nulls:
    """The three null videos of each true clip; without training clips, only the first.

    Args:
        truth: The true clips.
        train: The training clips; read once for each format among the true clips, and again for the nearest ones. A true
            clip's null videos are made of those that last as long as it does.
        digests: `digest` of the true clips, none of which may be a training clip.
        energies: Whether to compute the training clips' motion energies.

    Attributes:
        energy: Mean and SD over the training clips of each motion-energy filter; None where unknown.

    Raises:
        SourceError: Not two training clips that last as long as a true clip, or one that is also a true clip.
    """

    def __init__(self, truth: Source, train: Source | None, digests: list[bytes], *, energies: bool) -> None:
        self.truth, self.train = truth, train
        self.energy: Float[np.ndarray, "2 filters"] | None = None
        self._learned: dict[Format, Learned] = {}
        self._row: dict[int, tuple[Format, int]] = {}
        if train is None:
            return
        if len(train) < 2:
            raise UsageError(f"{train.where} holds {len(train)} clip", expected="at least two training clips")
        groups: dict[Format, list[int]] = {}
        for index in range(len(truth)):
            groups.setdefault(_alike(truth.look(index).format), []).append(index)
        looked = [truth.look(index) for index in range(len(truth))]
        looked += list(on_threads(train.look, range(len(train)), threads_for(train)))
        lengths = length_groups(looked)
        for alike, members in groups.items():
            as_long = np.flatnonzero(lengths[len(truth) :] == lengths[members[0]])
            # Where there are too few, one of the others is read, and refused for its length.
            some = as_long if len(as_long) > 1 else np.arange(len(train))
            self._learned[alike] = self._learn(members, some, set(digests), energies and self.energy is None)
            self._row |= {index: (alike, row) for row, index in enumerate(members)}

    def of(self, index: int, frames: Frames) -> list[Frames | None]:
        """The null videos of a true clip, as in `NULLS`; None without training clips."""
        grey = flat_grey(frames[None])[0]
        if self.train is None:
            return [grey, None, None]
        alike, row = self._row[index]
        learned = self._learned[alike]
        nearest = int(learned.nearest[row])
        near = self.train.read(nearest, grid_of_any(self.truth.look(index), self.train.look(nearest))).frames
        return [grey, learned.mean, blurred(near[None])[0]]

    def _learn(
        self, members: list[int], some: Int[np.ndarray, " clips"], digests: set[bytes], energies: bool
    ) -> Learned:
        """The mean of some training clips, and which of them is nearest to each member."""
        assert self.train is not None
        first = self.truth.look(members[0])
        moving = frames_at(first, MOTION_FPS) if energies else None
        total = np.zeros((first.format.frames, first.format.height, first.format.width, 3), dtype=np.int64)
        small, energy = [], []

        def read(index: int) -> tuple[Frames, Frames, Float[np.ndarray, " filters"] | None]:
            assert self.train is not None
            looked = self.train.look(index)
            names = self.truth.called(members[0]), self.train.called(index)
            if first.times_s is not None and looked.times_s is not None:
                check_durations(first.format, looked.format, names)
            clip = self.train.read(index, grid_of_any(first, looked)).frames
            if digest(clip) in digests:
                raise SourceError(
                    f"{names[1]} is one of the clips to be scored", expected="training clips that are not in the test"
                )
            responses = None if moving is None else motion_energy(clip[None], shown=moving)[0]
            return clip, thumbnails(clip), responses

        everything = on_threads(read, some.tolist(), threads_for(self.train))
        for clip, thumbnail, responses in track(everything, "training clips", total=len(some)):
            total += clip
            small.append(thumbnail)
            if responses is not None:
                energy.append(responses)
        if energy:
            self.energy = np.stack([np.mean(energy, axis=0), np.std(energy, axis=0)])
        wanted = np.stack([thumbnails(self.truth.read(index).frames) for index in members])
        mean = np.rint(total / len(some)).astype(np.uint8)
        return Learned(mean, some[nearest_training_clip(wanted, np.stack(small))])


def grid_of_any(truth: Looked, other: Looked) -> Grid:
    """A grid that makes any clip comparable with a true one, for controls: a shorter clip's last frame stays."""
    size = truth.format.height, truth.format.width
    if truth.times_s is not None and other.times_s is not None:
        return Grid(*size, truth.times_s)
    if other.times_s is None or other.format.duration_s is None:
        return Grid(*size, np.arange(truth.format.frames, dtype=float))
    return Grid(*size, even_times(truth.format.frames, truth.format.frames / other.format.duration_s))


def thumbnails(frames: Frames) -> Frames:
    """Every frame at 16×16 by area means, by which training clips are looked up."""
    from PIL import Image

    height, width = (min(THUMBNAIL, side) for side in frames.shape[1:3])
    return np.stack(
        [np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BOX)) for frame in frames]
    )


def digest(frames: Frames) -> bytes:
    """What tells two clips apart, whatever they are called."""
    return hashlib.blake2b(np.ascontiguousarray(frames).tobytes() + repr(frames.shape).encode()).digest()


def _alike(what: Format) -> Format:
    """Clips of one size and number of frames share a mean clip; their rates differ by rounding at most."""
    return what._replace(duration_s=None if what.duration_s is None else round(what.duration_s, 1))
