"""Saying an embedding in words: the nearest descriptions among those of the training clips."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from brainreel.metrics.identification import similarity
from brainreel.store.reader import Store
from brainreel.store.several import Folds, roles_in
from brainreel.store.targets import Targets


def training_captions(store: Store, targets: Targets, folds: Folds, fold: int) -> Int[np.ndarray, " captions"]:
    """Rows of the caption vectors that occur in training clips and in no test clip of a fold."""
    roles = roles_in(store, folds, fold)

    def of(role: str) -> set[str]:
        clips = np.unique(store.clip_index(np.flatnonzero(roles == role)))
        return {caption for captions in store.clips["captions"].iloc[clips] for caption in captions}

    allowed = of("train") - of("test")
    return np.array([index for index, caption in enumerate(targets.captions) if caption in allowed], dtype=int)


def nearest_captions(
    embedding: Float[np.ndarray, "trials dim"],
    targets: Targets,
    allowed: Int[np.ndarray, " captions"],
    centre: Float[np.ndarray, " dim"],
    count: int = 3,
) -> list[list[tuple[str, float]]]:
    """The ``count`` nearest descriptions of each embedding with their cosine, nearest first.

    Only descriptions of training clips are candidates, so the text never contains the answer: what is right in it
    was read from the brain.
    """
    alike = similarity(embedding, targets.caption_values[allowed], centre=centre)
    best = np.argsort(-alike, axis=1, kind="stable")[:, :count]
    return [
        [(targets.captions[allowed[column]], round(float(alike[row, column]), 4)) for column in columns]
        for row, columns in enumerate(best)
    ]
