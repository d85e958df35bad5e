"""Saying an embedding in words: the nearest description of a training clip, or one composed of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from brainreel.metrics.identification import similarity
from brainreel.regress.compose import Composer
from brainreel.regress.config import Captions
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


# Composing begins at so many of the nearest captions, and the best end counts.
STARTS = 5


@dataclass(frozen=True)
class CaptionPool:
    """Captions that a brain may be read out in: of training clips of any dataset, and of no test clip of any.

    Attributes:
        captions: Each once.
        values: Their vectors in the space of stage 1's targets.
        centre: The mean target of the training clips, which embeddings are centred by.
    """

    captions: list[str]
    values: Float[np.ndarray, "captions dim"]
    centre: Float[np.ndarray, " dim"]

    def read(
        self, embedding: Float[np.ndarray, "trials dim"], how: Captions = "nearest"
    ) -> tuple[list[str], Float[np.ndarray, " trials"]]:
        """The caption of each embedding, and its cosine; without captions, none and NaN.

        Args:
            embedding: Centred.
            how: ``nearest``: as one of them says it; ``composed``: rewritten until it fits better (see `Composer`).
        """
        if not self.captions:
            return [], np.full(len(embedding), np.nan)
        alike = similarity(embedding, self.values, centre=self.centre)
        best = np.argsort(-alike, axis=1, kind="stable")[:, :STARTS]
        if how == "composed":
            made = [self._composer.compose(row, starts) for row, starts in zip(embedding, best.tolist(), strict=True)]
            return [caption for caption, _ in made], np.array([cosine for _, cosine in made])
        return [self.captions[index] for index in best[:, 0]], np.take_along_axis(alike, best[:, :1], 1)[:, 0]

    @cached_property
    def _composer(self) -> Composer:
        return Composer(self.captions, self.values, self.centre)


def caption_pool(
    stores: Sequence[Store],
    targets: Sequence[Targets],
    folds: Folds,
    fold: int,
    centre: Float[np.ndarray, " dim"],
) -> CaptionPool:
    """The captions of the training clips of all stores; empty if the targets have no vectors of captions."""
    tested = {
        caption
        for store in stores
        for clip in np.unique(store.clip_index(np.flatnonzero(roles_in(store, folds, fold) == "test")))
        for caption in store.clips["captions"].iloc[clip]
    }
    found: dict[str, np.ndarray] = {}
    for store, spoken in zip(stores, targets, strict=True):
        if len(spoken.caption_values) != len(spoken.captions):
            continue
        for row in training_captions(store, spoken, folds, fold):
            if spoken.captions[row] not in tested:
                found.setdefault(spoken.captions[row], spoken.caption_values[row])
    values = np.stack(list(found.values())) if found else np.zeros((0, len(centre)), np.float32)
    return CaptionPool(list(found), values, centre)
