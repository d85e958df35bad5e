"""Clips that share time of the same film."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from brainreel.store.reader import Store


def overlapping(
    training: Store, train: Int[np.ndarray, " train"], testing: Store, test: Int[np.ndarray, " test"]
) -> Bool[np.ndarray, " test"]:
    """Which test clips share stimulus time with a training clip; clips are rows of their stores' clips tables."""
    (film, span), (other_film, other) = spans(testing, test), spans(training, train)
    hit = np.zeros(len(test), dtype=bool)
    for name in np.unique(film[film != ""]):
        mine, theirs = film == name, other[other_film == name]
        shared = np.minimum(span[mine, 1:], theirs[:, 1]) - np.maximum(span[mine, :1], theirs[:, 0])
        hit[mine] = (shared > 1e-6).any(axis=1)
    return hit


def spans(store: Store, clips: Int[np.ndarray, " clips"]) -> tuple[np.ndarray, Float[np.ndarray, "clips 2"]]:
    """Stimulus («» where the clip is no part of one), onset and end."""
    table = store.clips.iloc[clips]
    onset_s = table["onset_s"].to_numpy(dtype=float)
    span = np.stack([onset_s, onset_s + table["duration_s"].to_numpy(dtype=float)], axis=1)
    stimulus = np.where(np.isfinite(span).all(axis=1), table["stimulus"].to_numpy(dtype=str), "")
    return stimulus, span
