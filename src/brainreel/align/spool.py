"""Standardised training responses on disk, where a training that may not hold them all finds them by clip.

One file per subject, float32, uncompressed. Trials lie in the order of their clips, which is the same in all files: a
stretch of clips is one stretch of every file. The order is random and made once, so that clips that were recorded one
after the other are no neighbours here.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from brainreel.cortex.standardise import Moments, Scaling
from brainreel.cortex.windows import Context
from brainreel.errors import StoreError
from brainreel.files import is_disk_full
from brainreel.store.pieces import response_pieces
from brainreel.store.reader import Store
from brainreel.training.randomness import generator


@dataclass(frozen=True)
class Layout:
    """The order of clips in all files of a spool.

    Attributes:
        order: Clips, one phase's after the other's (`Goals.phases`), in a random order inside each.
        phases: How many clips each phase has.
        budget: Bytes of responses that may be in memory.
    """

    order: Int[np.ndarray, " clips"]
    phases: tuple[int, ...]
    budget: int

    def places(self, clip: Int[np.ndarray, " trials"]) -> Int[np.ndarray, " trials"]:
        """Where clips lie in the order."""
        place = np.full(int(self.order.max()) + 1, -1)
        place[self.order] = np.arange(len(self.order))
        return place[clip]


@dataclass(frozen=True)
class Asked:
    """One subject's training trials before they are spooled; fields as in `examples.Recording`."""

    store: Store
    person: str
    rows: Int[np.ndarray, " trials"]
    contexts: tuple[Context, ...]
    subject: str
    space: str
    clip: Int[np.ndarray, " trials"]
    weight: Float[np.ndarray, " features"]

    @property
    def bytes(self) -> int:
        """How much the responses are, in float32."""
        return 4 * len(self.weight) * len(self.rows)

    def pieces(self) -> Iterator[tuple[Int[np.ndarray, " some"], Float[np.ndarray, "some features"]]]:
        """Positions of trials and their responses, a piece at a time."""
        return response_pieces(self.store, self.person, self.rows, self.contexts)


@dataclass(frozen=True)
class Spooled:
    """One subject's training trials on disk; what it shares with `examples.Recording` means the same.

    Attributes:
        subject: A name that is unique over all datasets.
        space: Subjects with the same space have the same vertices.
        clip: Which target each trial belongs to, in the order of the file.
        scaling: Statistics that the file is standardised with.
        weight: Factors that the file's features were multiplied with.
        path: The file.
        layout: The order of clips in it.
    """

    subject: str
    space: str
    clip: Int[np.ndarray, " trials"]
    scaling: Scaling
    weight: Float[np.ndarray, " features"]
    path: Path
    layout: Layout

    @property
    def features(self) -> int:
        """Number of features of a trial."""
        return len(self.weight)

    @property
    def standardised(self) -> Float[np.ndarray, "trials features"]:
        """All trials, in memory."""
        return self.read(slice(0, len(self.clip)))

    def read(
        self, trials: slice, out: Float[np.ndarray, "some features"] | None = None
    ) -> Float[np.ndarray, "some features"]:
        """A stretch of trials, into ``out`` if it is given."""
        values = np.empty((trials.stop - trials.start, self.features), np.float32) if out is None else out
        with self.path.open("rb", buffering=0) as file:
            file.seek(4 * self.features * trials.start)
            view, done = values.data.cast("B"), 0
            while done < len(view):
                count = file.readinto(view[done:])
                if not count:
                    raise StoreError(f"{self.path} is shorter than it was written", do="run the command again")
                done += count
        return values

    def stretches(self, rows: int) -> Iterator[slice]:
        """The whole file in stretches of at most ``rows`` trials."""
        for start in range(0, len(self.clip), rows):
            yield slice(start, min(start + rows, len(self.clip)))


@contextmanager
def spooled(
    asked: Sequence[Asked], phases: Sequence[Int[np.ndarray, " _phase"]], budget: int, seed: int, folder: Path | None
) -> Iterator[list[Spooled]]:
    """Write everybody's trials to disk for as long as a training takes.

    Args:
        asked: Whose trials.
        phases: Their clips in groups that may meet in a batch.
        budget: Bytes of responses that may be in memory while training.
        seed: Of the clips' order.
        folder: Where to; what an interrupted training left there is removed. None: the system's temporary folder.

    Raises:
        StoreError: if the disk has no room for it, or the store is damaged.
    """
    noise = np.random.default_rng(generator("align", seed, "spool").initial_seed())
    order = np.concatenate([noise.permutation(phase) for phase in phases])
    layout = Layout(order, tuple(map(len, phases)), budget)
    if folder is None:
        root = Path(tempfile.mkdtemp(prefix="brainreel-spool-"))
    else:
        root = folder / "spool"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
    try:
        needed = sum(one.bytes for one in asked)
        free = shutil.disk_usage(root).free
        if free < needed:
            raise _full(root, needed, free)
        yield [_spool(one, layout, root / f"{index}.f32") for index, one in enumerate(asked)]
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _spool(asked: Asked, layout: Layout, path: Path) -> Spooled:
    """Standardise by statistics of these trials alone and write them, in two passes over the store."""
    moments = Moments()
    for _, responses in asked.pieces():
        moments.add(responses)
    scaling = moments.scaling()
    order = np.argsort(layout.places(asked.clip), kind="stable")
    place = np.empty(len(order), int)
    place[order] = np.arange(len(order))
    try:
        with path.open("wb") as file:
            for here, responses in asked.pieces():
                values = scaling(responses) * asked.weight
                for position, row in zip(place[here].tolist(), values, strict=True):
                    os.pwrite(file.fileno(), row.data, position * row.nbytes)
    except OSError as error:
        # Others write to the same disk.
        if not is_disk_full(error):
            raise
        raise _full(path.parent, asked.bytes, 0) from error
    return Spooled(asked.subject, asked.space, asked.clip[order], scaling, asked.weight, path, layout)


def _full(root: Path, needed: int, free: int) -> StoreError:
    return StoreError(
        f"{root} has room for {free / 1e9:.1f} GB",
        expected=f"{needed / 1e9:.1f} GB: training responses that exceed the memory budget are copied there",
        do="free space, choose another place, or raise --memory-budget",
    )
