"""Trials as one block per space, so that all subjects pass through their adapters in one matrix product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from brainreel.align.spool import Asked, Spooled
from brainreel.cortex.standardise import Scaling, fit_scaling
from brainreel.errors import UsageError


@dataclass(frozen=True)
class Recording:
    """One subject's trials.

    Attributes:
        subject: A name that is unique over all datasets.
        space: Subjects with the same space have the same vertices.
        responses: Not yet standardised.
        clip: Which target each trial belongs to.
        scaling: Statistics to standardise with.
        weight: Multiplies each standardised feature.
    """

    subject: str
    space: str
    responses: Float[np.ndarray, "trials features"]
    clip: Int[np.ndarray, " trials"]
    scaling: Scaling
    weight: Float[np.ndarray, " features"]

    @property
    def features(self) -> int:
        """Number of features of a trial."""
        return self.responses.shape[1]

    @property
    def standardised(self) -> Float[np.ndarray, "trials features"]:
        """What adapters and ridges see."""
        return self.scaling(self.responses) * self.weight

    def take(self, trials: Int[np.ndarray, " some"]) -> Recording:
        """Some of the trials, standardised by their own statistics."""
        responses = self.responses[trials]
        return replace(self, responses=responses, clip=self.clip[trials], scaling=fit_scaling(responses))


def read(asked: Asked) -> Recording:
    """Trials of one subject, in memory, standardised by their own statistics."""
    responses = asked.store.responses(asked.person, asked.rows, asked.contexts)
    return Recording(asked.subject, asked.space, responses, asked.clip, fit_scaling(responses), asked.weight)


Trials = Recording | Spooled
"""One subject's trials, in memory or on disk."""


@dataclass(frozen=True)
class Block:
    """All recordings of one space, padded to the longest; where ``clip`` is -1 there is no trial."""

    space: str
    subjects: tuple[str, ...]
    responses: Float[Tensor, "subjects trials features"]
    clip: Int[Tensor, "subjects trials"]

    @property
    def features(self) -> int:
        """Number of features of a trial."""
        return self.responses.shape[-1]

    @property
    def there(self) -> Float[Tensor, "subjects trials"]:
        """1 where there is a trial, 0 where there is padding."""
        return (self.clip >= 0).to(torch.float32)

    def pick(self, columns: Int[Tensor, "subjects some"]) -> Float[Tensor, "subjects some features"]:
        """Some trials of every subject."""
        subjects, trials = self.clip.shape
        first = trials * torch.arange(subjects, device=columns.device)[:, None]
        return self.responses.flatten(0, 1)[first + columns]


@dataclass(frozen=True)
class DiskBlock:
    """A `Block` whose responses are on disk: the same clips, no responses."""

    space: str
    members: tuple[Spooled, ...]
    clip: Int[Tensor, "subjects trials"]

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names of the subjects."""
        return tuple(member.subject for member in self.members)

    @property
    def features(self) -> int:
        """Number of features of a trial."""
        return self.members[0].features

    @property
    def there(self) -> Float[Tensor, "subjects trials"]:
        """1 where there is a trial, 0 where there is padding."""
        return (self.clip >= 0).to(torch.float32)


Blocks = Sequence[Block] | Sequence[DiskBlock]


def blocks(recordings: Sequence[Trials], device: torch.device | str = "cpu") -> list[Block] | list[DiskBlock]:
    """One block per space, in the order in which spaces first appear; recordings in memory are standardised."""
    spaces = by_space(recordings).items()
    if isinstance(recordings[0], Spooled):
        return [_on_disk(space, [m for m in members if isinstance(m, Spooled)], device) for space, members in spaces]
    return [_stack(space, members, device) for space, members in spaces]


def in_memory(recordings: Sequence[Trials], device: torch.device | str = "cpu") -> list[Block]:
    """`blocks` of recordings in memory, for what does not stream."""
    return [_stack(space, members, device) for space, members in by_space(recordings).items()]


def by_space(recordings: Sequence[Trials]) -> dict[str, list[Trials]]:
    """The recordings of each space, in the order in which spaces first appear.

    Raises:
        UsageError: if a space has several widths.
    """
    out: dict[str, list[Trials]] = {}
    for recording in recordings:
        first = out.setdefault(recording.space, [recording])[0]
        if first is recording:
            continue
        one, other = first.features, recording.features
        if one != other:
            raise UsageError(
                f"{recording.subject} has {other} features in the space {recording.space!r}, "
                f"where {first.subject} has {one}",
                expected="the same vertices under the same name",
                do="give the spaces of different stores different names when ingesting",
            )
        out[recording.space].append(recording)
    return out


def _stack(space: str, members: Sequence[Trials], device: torch.device | str) -> Block:
    clip = padded([member.clip for member in members], -1)
    responses = np.zeros((*clip.shape, members[0].features), np.float32)
    # A loop over subjects, once per training, is how ragged recordings become one array.
    for row, member in enumerate(members):
        responses[row, : len(member.clip)] = member.standardised
    subjects = tuple(member.subject for member in members)
    return Block(space, subjects, torch.from_numpy(responses).to(device), torch.from_numpy(clip).to(device))


def _on_disk(space: str, members: Sequence[Spooled], device: torch.device | str) -> DiskBlock:
    clip = torch.from_numpy(padded([member.clip for member in members], -1))
    return DiskBlock(space, tuple(members), clip.to(device))


def padded(rows: Sequence[Int[np.ndarray, " _some"]], fill: int) -> Int[np.ndarray, "rows longest"]:
    """Rows of different lengths as one array, ``fill`` after their ends."""
    out = np.full((len(rows), max(map(len, rows))), fill)
    for row, values in enumerate(rows):
        out[row, : len(values)] = values
    return out


def scalings_of(recordings: Sequence[Trials]) -> dict[str, Scaling]:
    """subject → scaling."""
    return {recording.subject: recording.scaling for recording in recordings}


def spaces_of(recordings: Sequence[Trials]) -> dict[str, str]:
    """subject → space."""
    return {recording.subject: recording.space for recording in recordings}


def population_scaling(scalings: Mapping[str, Scaling]) -> Scaling:
    """What is known of a newcomer's scaling before any of their data: the mean over subjects."""
    means = np.stack([scaling.mean for scaling in scalings.values()])
    stds = np.stack([scaling.std for scaling in scalings.values()])
    return Scaling(means.mean(0), stds.mean(0))
