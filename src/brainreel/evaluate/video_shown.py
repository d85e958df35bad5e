"""The clips that were shown, with everything that is computed of each of them once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

import numpy as np
from jaxtyping import Float

from brainreel.evaluate.score_measures import MOTION_FPS, frames_move, not_installed
from brainreel.evaluate.score_nulls import Nulls, digest
from brainreel.evaluate.score_pairs import frames_at, length_groups
from brainreel.evaluate.score_semantics import Kind, Networks
from brainreel.evaluate.score_sources import Source
from brainreel.evaluate.video_measures import FRAMES, MOTION, PIXELS, Pixels, Views, answers, clip_flow, pixel_parts
from brainreel.metrics.motion import ClipFlow
from brainreel.metrics.nway import class_distribution
from brainreel.video import Frames

# A flow of two seconds takes 8 MB.
MOST_FLOWS = 24


class Shown:
    """The true clips, and the training clips that controls are made of.

    Args:
        truth: Where they are read from, one at a time.
        networks: Loaded networks by what they are for; each is asked about every clip at once.
        train: The training clips, if there are any.

    Attributes:
        digests: What tells two clips apart, whatever they are called.
        lengths: `length_groups` of the clips.
        answers: Network → its answers for the clips, (clips, views, dim).
        moves: Whether motion can be measured: OpenCV is there, and every clip has two frames at 8 per second.
    """

    def __init__(self, truth: Source, networks: Networks, train: Source | None = None) -> None:
        self.truth, self.networks, self.train = truth, networks, train
        self.digests = [digest(self.frames(index)) for index in range(len(truth))]
        looked = [truth.look(index) for index in range(len(truth))]
        self.lengths = length_groups(looked)
        self.fewest = min((each.format.frames for each in looked), default=0)
        self.reasons = not_installed()
        for each in looked:
            self.reasons |= frames_move(each.format.frames, frames_at(each, MOTION_FPS))
        self.moves = not any((asked.metric, asked.definition) in self.reasons for asked in PIXELS)
        self.answers: dict[Kind, Views] = {
            kind: self.ask(kind, (self.frames(index) for index in range(len(truth)))) for kind in networks
        }
        self._flows: dict[int, ClipFlow | None] = {}
        self._stand_ins: dict[tuple[int, bytes], Pixels] = {}
        self._views: dict[tuple[Kind, bytes], np.ndarray] = {}
        self._prior: dict[Kind, Float[np.ndarray, " classes"]] = {}

    @cached_property
    def nulls(self) -> Nulls:
        """The null videos of each clip."""
        return Nulls(self.truth, self.train, self.digests, energies=False)

    def prior(self, kind: Kind) -> Float[np.ndarray, " classes"] | None:
        """How often a classifier sees each class in the training clips; None without these."""
        if self.train is not None and kind not in self._prior:
            videos = (self.train.read(index).frames for index in range(len(self.train)))
            tops = self.ask(kind, videos).argmax(axis=2)
            self._prior[kind] = class_distribution(tops.ravel(), self.answers[kind].shape[2])
        return self._prior.get(kind)

    def frames(self, index: int) -> Frames:
        return self.truth.read(index).frames

    def own_flow(self, index: int) -> ClipFlow | None:
        """The flow of a true clip; those of the first few are kept."""
        if index in self._flows:
            return self._flows[index]
        found = self.flow(index, self.frames(index))
        if index < MOST_FLOWS:
            self._flows[index] = found
        return found

    def stand_in(self, index: int, video: Frames) -> Pixels:
        """`pixel_parts` of a true clip with a video on its grid that nobody's brain is in: many methods share these."""
        key = (index, digest(video))
        if key not in self._stand_ins:
            parts = pixel_parts(self.frames(index)[None], video, [self.own_flow(index)], self.flow(index, video))
            self._stand_ins[key] = parts[0]
        return self._stand_ins[key]

    def stand_in_views(self, kind: Kind, video: Frames) -> np.ndarray:
        """A network's answers for such a video, (views, dim)."""
        key = (kind, digest(video))
        if key not in self._views:
            self._views[key] = self.ask(kind, [video])[0].astype(np.float32)
        return self._views[key]

    def flow(self, index: int, frames: Frames) -> ClipFlow | None:
        """The flow of any video on a true clip's grid."""
        return clip_flow(frames, frames_at(self.truth.look(index), MOTION_FPS) if self.moves else None)

    def ask(self, kind: Kind, videos: Iterable[Frames]) -> Views:
        return answers(kind, self.networks[kind], videos, frames=min(FRAMES, self.fewest))

    def missing(self) -> dict[str, str]:
        return {
            f"{each.metric}/{each.definition}": self.reasons[each.metric, each.definition]
            for each in PIXELS
            if (each.metric, each.definition) in self.reasons
        } | ({} if self.moves else {f"{each.metric}/{each.definition}": _first(self.reasons) for each in PIXELS[-2:]})


def _first(reasons: Mapping[tuple[str, str], str]) -> str:
    return next(reason for key, reason in reasons.items() if key[0] in MOTION)
