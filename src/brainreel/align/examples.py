"""Trials as one block per space, so that all subjects pass through their adapters in one matrix product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

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
    def standardised(self) -> Float[np.ndarray, "trials features"]:
        """What adapters and ridges see."""
        return self.scaling(self.responses) * self.weight

    def take(self, trials: Int[np.ndarray, " some"]) -> Recording:
        """Some of the trials, standardised by their own statistics."""
        responses = self.responses[trials]
        return replace(self, responses=responses, clip=self.clip[trials], scaling=fit_scaling(responses))


@dataclass(frozen=True)
class Block:
    """All recordings of one space, padded to the longest; where ``clip`` is -1 there is no trial."""

    space: str
    subjects: tuple[str, ...]
    responses: Float[Tensor, "subjects trials features"]
    clip: Int[Tensor, "subjects trials"]

    @property
    def there(self) -> Float[Tensor, "subjects trials"]:
        """1 where there is a trial, 0 where there is padding."""
        return (self.clip >= 0).to(self.responses.dtype)


def blocks(recordings: Sequence[Recording], device: torch.device | str = "cpu") -> list[Block]:
    """Standardise recordings and stack those of each space, in the order in which spaces first appear."""
    return [_stack(space, members, device) for space, members in by_space(recordings).items()]


def by_space(recordings: Sequence[Recording]) -> dict[str, list[Recording]]:
    """The recordings of each space, in the order in which spaces first appear.

    Raises:
        UsageError: if a space has several widths.
    """
    out: dict[str, list[Recording]] = {}
    for recording in recordings:
        first = out.setdefault(recording.space, [recording])[0]
        if first is recording:
            continue
        one, other = (r.responses.shape[1] for r in (first, recording))
        if one != other:
            raise UsageError(
                f"{recording.subject} has {other} features in the space {recording.space!r}, "
                f"where {first.subject} has {one}",
                expected="the same vertices under the same name",
                do="give the spaces of different stores different names when ingesting",
            )
        out[recording.space].append(recording)
    return out


def _stack(space: str, members: Sequence[Recording], device: torch.device | str) -> Block:
    longest = max(len(member.clip) for member in members)
    features = members[0].responses.shape[1]
    responses = np.zeros((len(members), longest, features), np.float32)
    clip = np.full((len(members), longest), -1)
    # A loop over subjects, once per training, is how ragged recordings become one array.
    for row, member in enumerate(members):
        responses[row, : len(member.clip)] = member.standardised
        clip[row, : len(member.clip)] = member.clip
    return Block(
        space,
        tuple(member.subject for member in members),
        torch.from_numpy(responses).to(device),
        torch.from_numpy(clip).to(device),
    )


def scalings_of(recordings: Sequence[Recording]) -> dict[str, Scaling]:
    """subject → scaling."""
    return {recording.subject: recording.scaling for recording in recordings}


def spaces_of(recordings: Sequence[Recording]) -> dict[str, str]:
    """subject → space."""
    return {recording.subject: recording.space for recording in recordings}


def population_scaling(scalings: Mapping[str, Scaling]) -> Scaling:
    """What is known of a newcomer's scaling before any of their data: the mean over subjects."""
    means = np.stack([scaling.mean for scaling in scalings.values()])
    stds = np.stack([scaling.std for scaling in scalings.values()])
    return Scaling(means.mean(0), stds.mean(0))
