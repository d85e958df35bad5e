"""What a trained model knows of where it comes from: enough to adapt it to newcomers, no responses."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int
from pydantic import BaseModel, ConfigDict

from brainreel.align.decoders import Decoder, LinearDecoder, NetworkDecoder
from brainreel.align.examples import Trials
from brainreel.align.goals import goals_of
from brainreel.errors import UsageError
from brainreel.store.reader import Store
from brainreel.store.targets import Targets

if TYPE_CHECKING:
    from brainreel.align.aligner import Aligner


class Source(BaseModel):
    """One dataset that was trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    title: str
    licence: str
    citation: str
    simulated: bool
    subjects: int


class Origin(BaseModel):
    """What a model was trained on.

    Attributes:
        subjects: ``dataset/subject`` of everybody.
        clips: ``dataset/clip`` of every clip of the stores, in the order of the goals.
        viewers: How many people saw each of them in training; 0: nobody, so it may test.
        folds: Name of the folds, or store → name; None: each store's first.
        fold: Which fold.
        encoder: What made the targets: encoder, weights, preprocessing.
        sources: The datasets.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    subjects: tuple[str, ...]
    clips: tuple[str, ...]
    viewers: tuple[int, ...]
    folds: str | dict[str, str] | None
    fold: int
    encoder: dict[str, Any]
    sources: tuple[Source, ...]

    def place(self, store: Store) -> Int[np.ndarray, " clips"]:
        """For each clip of a store, where the model's goals have it; -1: nowhere."""
        known = {clip: index for index, clip in enumerate(self.clips)}
        return np.array([known.get(name, -1) for name in clip_names(store)], dtype=int)

    def trained(self, store: Store) -> np.ndarray:
        """For each clip of a store, whether somebody saw it in training."""
        place = self.place(store)
        return (place >= 0) & (np.array([*self.viewers, 0])[place] > 0)


def origin_of(
    stores: Sequence[Store],
    targets: Sequence[Targets],
    recordings: Sequence[Trials],
    folds: str | Mapping[str, str] | None,
    fold: int,
) -> Origin:
    """The origin of a model that is being trained."""
    clips = tuple(name for store in stores for name in clip_names(store))
    viewers = np.zeros(len(clips), int)
    for recording in recordings:
        viewers[np.unique(recording.clip)] += 1
    people = [recording.subject for recording in recordings]
    return Origin(
        subjects=tuple(people),
        clips=clips,
        viewers=tuple(viewers.tolist()),
        folds=dict(folds) if isinstance(folds, Mapping) else folds,
        fold=fold,
        encoder=encoder_of(targets[0]),
        sources=tuple(
            Source(
                **store.manifest.model_dump(include={"name", "title", "licence", "citation", "simulated"}),
                subjects=sum(name.startswith(f"{store.name}/") for name in people),
            )
            for store in stores
        ),
    )


def encoder_of(targets: Targets) -> dict[str, Any]:
    """What made some targets, apart from the store they belong to."""
    return {key: value for key, value in targets.identity.items() if key != "store"}


def clip_names(store: Store) -> list[str]:
    """``dataset/clip`` of all clips of a store."""
    return [f"{store.name}/{clip}" for clip in store.clips["clip_id"]]


def rebase(model: Aligner, store: Store, targets: Targets) -> Aligner:
    """The same model with the clips of one store as its goals, so that somebody recorded there can be adapted to.

    Raises:
        UsageError: if the targets were made by another encoder than the model's.
    """
    if encoder_of(targets) != model.origin_.encoder:
        raise UsageError(
            f"the targets of store {store.name!r} were made by other weights than the model was trained on",
            expected=f"{model.origin_.encoder}",
            do="run `brainreel encode` with the model's --weights",
        )
    model = copy.copy(model)
    model.goals_ = goals_of([store], targets.values, model.goals_.centre)
    model.decoder_ = model.decoder_.rebased(model.origin_.place(store))
    return model


def fitted_to(decoder: Decoder) -> np.ndarray | None:
    """For each clip of the goals, whether a newcomer who saw it can be fitted to what others made of it.

    None: the strategy fits newcomers to the targets themselves.
    """
    if isinstance(decoder, NetworkDecoder):
        return decoder.clip_latents[0].isfinite().all(-1).numpy()
    if isinstance(decoder, LinearDecoder) and decoder.answers is not None:
        return np.asarray(np.isfinite(decoder.answers).all(axis=1))
    return None
