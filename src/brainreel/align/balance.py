"""Several datasets in one training: how much of each batch, and of the loss, is whose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from brainreel.align.batches import ClipBatches, distinct
from brainreel.align.examples import Blocks
from brainreel.align.goals import Goals
from brainreel.errors import UsageError


class DatasetBatches:
    """Batches to which every dataset contributes a share of the clips, however few it has.

    A dataset of n clips takes n ** balance / Σ n ** balance of a batch, at least two clips and at most all it has. Each
    goes through its own clips in its own epochs, so a small one is seen more often than a large one. With a balance of
    1 the shares are those of the clips, and a batch may by chance hold few of a small dataset's.

    Args:
        goals: For the clips' places in time.
        clips: dataset → its clips.
        size: Distinct clips of a batch, at most (but for datasets whose share rounds to less than two).
        balance: From 0 (datasets count alike) to 1 (clips do).
        place: Seeds of this training.
    """

    def __init__(
        self,
        goals: Goals,
        clips: dict[str, Int[np.ndarray, " _clips"]],
        size: int,
        balance: float,
        place: tuple[int | str, ...],
    ) -> None:
        counts = np.array([len(mine) for mine in clips.values()], dtype=float)
        share = counts**balance / (counts**balance).sum()
        size = min(size, int(counts.sum()))
        self.quota = {
            name: min(len(mine), max(2, round(size * part)))
            for (name, mine), part in zip(clips.items(), share.tolist(), strict=True)
        }
        self.parts = {
            name: ClipBatches(goals, mine, self.quota[name], (*place, "dataset", name)) for name, mine in clips.items()
        }

    def __call__(self, step: int) -> Int[np.ndarray, " clips"]:
        """The clips of a step."""
        return np.sort(np.concatenate([part(step) for part in self.parts.values()]))


def clips_by_dataset(blocks: Blocks) -> dict[str, Int[np.ndarray, " clips"]]:
    """dataset → the clips that its people saw; subjects are called ``dataset/subject``."""
    rows: dict[str, list[np.ndarray]] = {}
    for block in blocks:
        for subject, clip in zip(block.subjects, block.clip.cpu().numpy(), strict=True):
            rows.setdefault(dataset_of(subject), []).append(clip[clip >= 0])
    return {name: np.unique(np.concatenate(found)) for name, found in rows.items()}


def batches_for(
    goals: Goals, blocks: Blocks, size: int, balance: float, place: tuple[int | str, ...]
) -> tuple[ClipBatches | DatasetBatches, list[Float[Tensor, "subjects 1"]]]:
    """The batches of a training, and how much more a trial of each subject must count for the shares to hold.

    In expectation over steps a dataset of n trials then counts n ** balance in the loss. A balance of 1, or a single
    dataset, changes nothing.
    """
    found = clips_by_dataset(blocks)
    if balance == 1 or len(found) == 1:
        return ClipBatches(goals, distinct(blocks), size, place), evenly(blocks)
    batches = DatasetBatches(goals, found, size, balance, place)
    trials = dict.fromkeys(found, 0.0)
    for block in blocks:
        for subject, count in zip(block.subjects, block.there.sum(1).tolist(), strict=True):
            trials[dataset_of(subject)] += count
    # A clip that comes up in one of k steps counts k-fold when it does.
    factor = {name: trials[name] ** (balance - 1) * part.epoch_steps for name, part in batches.parts.items()}
    return batches, [
        torch.tensor([[factor[dataset_of(subject)]] for subject in block.subjects]).to(block.there) for block in blocks
    ]


def evenly(blocks: Blocks) -> list[Float[Tensor, "subjects 1"]]:
    """The factors of `batches_for` where every trial counts alike."""
    return [block.there.new_ones(len(block.subjects), 1) for block in blocks]


def refuse_streamed(subjects: Sequence[str], balance: float) -> None:
    """Raise a UsageError where training on disk would have to share its batches among datasets.

    A pool is a draw from all clips, so the clips of a small dataset are in it only now and then.
    """
    if balance != 1 and len(names := sorted({dataset_of(subject) for subject in subjects})) > 1:
        raise UsageError(
            f"--contrastive.dataset-balance {balance:g} of {' and '.join(names)} needs all responses in memory",
            expected="--contrastive.dataset-balance 1 where responses exceed --memory-budget",
            do="leave one of the two flags out",
        )


def dataset_of(subject: str) -> str:
    """The dataset of somebody who is called ``dataset/subject``."""
    return subject.split("/")[0]
