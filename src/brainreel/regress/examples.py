"""What stage 2 learns from: embeddings of single repetitions, and the compressed targets of their clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from brainreel.align.goals import Goals


@dataclass(frozen=True)
class Examples:
    """Training trials of all subjects of all datasets.

    Attributes:
        embedding: Standardised, one row per trial.
        clip: Which clip each trial is of, from 0 over all datasets.
        targets: condition → components of every clip; rows of clips that nobody trains on are never read.
        places: Which clips overlap in time, so cannot be each other's negatives or stand in different inner folds.
    """

    embedding: Float[np.ndarray, "trials dim"]
    clip: Int[np.ndarray, " trials"]
    targets: Mapping[str, Float[np.ndarray, "_clips _components"]]
    places: Goals


def apart(clips: int) -> Goals:
    """Places of ``clips`` clips of which none overlaps another: each is a stimulus of its own, one second long."""
    nothing = np.zeros((clips, 0), np.float32)
    return Goals(nothing, nothing.sum(0), np.arange(clips), np.zeros(clips), np.ones(clips))
