"""`Aligner`: stage 1 from stores to embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from brainreel.align.balance import refuse_streamed
from brainreel.align.budget import must_stream
from brainreel.align.config import AlignConfig
from brainreel.align.decoders import Decoder, dump_decoder, load_decoder
from brainreel.align.examples import Recording, Trials, read
from brainreel.align.goals import Goals, goals_of
from brainreel.align.origin import Origin, origin_of
from brainreel.align.spool import Asked, spooled
from brainreel.align.strategies import STRATEGIES, Known, Training
from brainreel.cortex.windows import Context
from brainreel.errors import ExperimentError, FoldError, UsageError, alternatives
from brainreel.files import write_bytes
from brainreel.store.reader import Store
from brainreel.store.several import Folds, named_folds, roles_in
from brainreel.store.targets import Targets, read_targets
from brainreel.training.devices import pick_device


class Aligner:
    """Maps responses of many subjects into one semantic space.

    Args:
        config: All settings; or give single ones by name (``Aligner(target="text-minilm", seed=0)``).
        device: Where to compute; affects speed only.
        **settings: Fields of `AlignConfig`.

    Attributes:
        decoder_: After `fit`: responses → embeddings.
        also_: After `fit`: other decoders that training left behind (``trained``: before the refit).
        subjects_: After `fit`: who was trained on, as ``dataset/subject``.
        origin_: After `fit`: what newcomers need to know of the training.
    """

    def __init__(self, config: AlignConfig | None = None, *, device: str = "auto", **settings: Any) -> None:
        self.config = (
            (config or AlignConfig()).model_copy(update=settings)
            if not settings
            else AlignConfig(**{**(config or AlignConfig()).model_dump(), **settings})
        )
        self._device = pick_device(device)

    def fit(
        self,
        stores: Sequence[Store | Path | str],
        *,
        folds: Folds = None,
        fold: int = 0,
        subjects: Sequence[str] | None = None,
        targets: Sequence[Targets] | Path | None = None,
        folder: Path | None = None,
        known: Known | None = None,
    ) -> Aligner:
        """Train on the training trials of a fold.

        Args:
            stores: Stores or their folders.
            folds: Name of the folds, a file of them (TSV or JSON), or store → either; default: the first that each
                store has; stores without folds train on all. `embed` knows a file's folds only of `Store` objects
                that were given here.
            fold: Which of them, from 0.
            subjects: Only these (``s1``, or ``dataset/s1`` where datasets share names); default: everyone.
            targets: Targets of each store, or the folder they lie in; default: those in the stores.
            folder: For checkpoints; a training found there goes on.
            known: ``also_`` of an earlier training of these people on the same fold, which is then not repeated.

        Raises:
            BrainreelError: if folds, subjects or targets do not exist or nothing is left to train on.
        """
        opened = [store if isinstance(store, Store) else Store(store) for store in stores]
        found = self._targets(opened, targets)
        folds = _folds(opened, folds)
        self.goals_, offsets, training = build_goals(opened, found, folds, fold)
        asked = []
        for store, offset, train in zip(opened, offsets, training, strict=True):
            for subject in store.subjects:
                if wanted(store, subject, subjects):
                    rows = store.rows(subject, train)
                    if len(rows):
                        asked.append(self._asked(store, subject, rows, offset))
        check_subjects(opened, subjects)
        if not asked:
            raise FoldError(f"fold {fold} of {folds!r} has no training trials of these subjects", do="choose another")
        with self._trials(asked, folder) as recordings:
            given = Training(recordings, self.goals_, self.config, folder, self._device, known or {})
            fitted = STRATEGIES[self.config.strategy](given)
        self.decoder_, self.also_ = fitted.decoder, fitted.also
        self.subjects_ = [recording.subject for recording in recordings]
        self.origin_ = origin_of(opened, found, recordings, folds, fold)
        return self

    def recording(self, store: Store, subject: str, rows: Int[np.ndarray, " trials"], offset: int = 0) -> Recording:
        """Trials of one subject as stage 1 takes them; ``offset`` is the store's first row in the goals."""
        return read(self._asked(store, subject, rows, offset))

    def _asked(self, store: Store, subject: str, rows: Int[np.ndarray, " trials"], offset: int) -> Asked:
        contexts = contexts_for(store, self.config.contexts)
        # Widths first: they refuse a feature group that does not exist.
        weight = np.concatenate([np.full(store.width(subject, c), c.weight, np.float32) for c in contexts])
        return Asked(
            store=store,
            person=subject,
            rows=rows,
            contexts=contexts,
            subject=f"{store.name}/{subject}",
            space=space_name(store, subject, contexts),
            clip=store.clip_index(rows) + offset,
            weight=weight,
        )

    @contextmanager
    def _trials(self, asked: Sequence[Asked], folder: Path | None) -> Iterator[Sequence[Trials]]:
        """Everybody's training trials, in memory or, beyond the budget, on disk."""
        response_bytes, budget = sum(one.bytes for one in asked), self.config.budget
        if not must_stream(self.config.strategy, response_bytes, budget):
            yield [read(one) for one in asked]
            return
        if self.config.strategy == "contrastive":
            # Before everything is copied to disk.
            refuse_streamed([one.subject for one in asked], self.config.contrastive.dataset_balance)
        phases = self.goals_.phases(np.unique(np.concatenate([one.clip for one in asked])))
        with spooled(asked, phases, budget or 0, self.config.seed, folder) as recordings:
            yield recordings

    def embed(
        self,
        store: Store | Path | str,
        subject: str,
        *,
        role: str | None = None,
        folds: Folds = None,
        fold: int | None = None,
        rows: Int[np.ndarray, " trials"] | None = None,
        decoder: Decoder | None = None,
    ) -> Float[np.ndarray, "trials dim"]:
        """Embeddings of a trained subject's trials, centred (zero is the mean target of the training clips).

        Args:
            store: Where the responses are.
            subject: Whose.
            role: Only trials with this role in the fold that was trained on; default: all trials.
            folds: Other folds than those that were trained on.
            fold: Another fold than the one that was trained on.
            rows: Rows of the trials table, instead of a role.
            decoder: One of ``also_`` instead of ``decoder_``.
        """
        store = store if isinstance(store, Store) else Store(store)
        if rows is None:
            number = self.origin_.fold if fold is None else fold
            keep = None if role is None else roles_in(store, folds or self.origin_.folds, number) == role
            rows = store.rows(subject, keep)
        responses = store.responses(subject, rows, contexts_for(store, self.config.contexts))
        return (decoder or self.decoder_).embed(f"{store.name}/{subject}", responses)

    def save(self, path: Path) -> None:
        """Write the decoder (without responses or targets) as one safetensors file."""
        write_bytes(path, self.dump())

    def dump(self) -> bytes:
        """What `save` writes."""
        facts = {
            "config": self.config.model_dump(mode="json"),
            "centre": self.goals_.centre.tolist(),
            "origin": self.origin_.model_dump(mode="json"),
        }
        return dump_decoder(self.decoder_, facts)

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> Aligner:
        """Read what `save` wrote; the goals are empty until `origin.rebase` gives the model a store's.

        Raises:
            ExperimentError: if the file is not a decoder of this version.
        """
        decoder, facts = load_decoder(path)
        try:
            model = cls(AlignConfig.model_validate(facts["config"]), device=device)
            model.origin_ = Origin.model_validate(facts["origin"])
            centre = np.asarray(facts["centre"], np.float32)
        except (KeyError, ValueError) as error:
            raise ExperimentError(
                f"{path} was not saved by this version of brainreel ({str(error).splitlines()[0]})",
                do="run `brainreel align` again",
            ) from error
        model.goals_ = goals_of([], np.empty((0, len(centre)), np.float32), centre)
        model.decoder_, model.also_, model.subjects_ = decoder, {}, list(model.origin_.subjects)
        return model

    def _targets(self, stores: Sequence[Store], targets: Sequence[Targets] | Path | None) -> list[Targets]:
        if targets is None or isinstance(targets, Path):
            return [read_targets(store, self.config.target, targets) for store in stores]
        return list(targets)


def _folds(stores: Sequence[Store], folds: Folds) -> Folds:
    """The same folds by their names; None where none are asked for, so that stores without any train on all."""
    if folds is None:
        return None
    names, _ = named_folds(stores, folds)
    if isinstance(folds, str) and len(set(names.values())) == 1:
        return names[stores[0].name]
    return {store: name for store, name in names.items() if name is not None}


def build_goals(
    stores: Sequence[Store], targets: Sequence[Targets], folds: Folds, fold: int
) -> tuple[Goals, list[int], list[np.ndarray]]:
    """The centred targets of all stores, where each store's clips begin, and which trials train.

    The centre is the mean target of the clips that train, each counted once.
    """
    training = [roles_in(store, folds, fold) == "train" for store in stores]
    offsets = np.concatenate([[0], np.cumsum([len(store.clips) for store in stores])]).astype(int).tolist()
    values = np.concatenate([found.values for found in targets])
    trained = np.concatenate(
        [np.unique(s.clip_index(np.flatnonzero(t))) + o for s, t, o in zip(stores, training, offsets, strict=False)]
    )
    if not len(trained):
        raise FoldError(f"fold {fold} of {folds!r} has no training trials", do="choose another fold")
    centre = values[trained].mean(0, dtype=np.float64).astype(np.float32)
    goals = goals_of(stores, values, centre)
    return goals, offsets[:-1], training


def contexts_for(store: Store, contexts: tuple[Context, ...]) -> tuple[Context, ...]:
    """The configured contexts, or the trial's own window of the first feature group."""
    return contexts or (Context(group=store.manifest.groups[0]),)


def space_name(store: Store, subject: str, contexts: Sequence[Context]) -> str:
    """Subjects with the same name here have the same features."""
    return "+".join(f"{store.manifest.spaces[c.group][subject]}x{c.bins}" for c in contexts)


def wanted(store: Store, subject: str, subjects: Sequence[str] | None) -> bool:
    """Whether a subject is among those asked for."""
    return subjects is None or subject in subjects or f"{store.name}/{subject}" in subjects


def check_subjects(stores: Sequence[Store], subjects: Sequence[str] | None) -> None:
    """Raise a UsageError for a subject that no store has."""
    known = [name for store in stores for subject in store.subjects for name in (subject, f"{store.name}/{subject}")]
    for subject in subjects or ():
        if subject not in known:
            raise UsageError(f"no store has the subject {alternatives(subject, [k for k in known if '/' not in k])}")
