"""One training of stage 1 in one fold, with the test predictions it leaves: what recipes are made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from pydantic import BaseModel, ConfigDict

from brainreel.align.aligner import Aligner
from brainreel.align.config import AlignConfig
from brainreel.align.decoders import Decoder
from brainreel.align.newcomers import adapt, first_minutes
from brainreel.align.predictions import Predictions
from brainreel.align.strategies import Known
from brainreel.errors import UsageError
from brainreel.files import write_folder
from brainreel.progress import track
from brainreel.store.reader import Store
from brainreel.store.several import roles_in
from brainreel.store.targets import Targets, shifted


class Group(BaseModel):
    """People who are trained together, and people the result is then tried on.

    Attributes:
        train: ``dataset/subject`` of everybody in this training.
        newcomers: People it has not seen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    train: tuple[str, ...]
    newcomers: tuple[str, ...] = ()


class AlignJob(BaseModel):
    """Everything that one fold's predictions depend on, beside the stores and targets.

    ``folds`` is one name for all stores, or store → name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    config: AlignConfig
    folds: str | dict[str, str]
    fold: int
    groups: tuple[Group, ...]
    minutes: tuple[float, ...] = ()
    shift: int = 0

    @property
    def stage(self) -> str:
        """Where its result lies in an experiment."""
        return f"align/{self.name}/seed-{self.config.seed}/fold-{self.fold}"


def run_job(job: AlignJob, stores: Sequence[Store], targets: Sequence[Targets], device: str, folder: Path) -> None:
    """Train every group and write ``predictions/<label>.safetensors`` (and ``decoder.safetensors``) to ``folder``.

    Labels: ``decoder`` for people who were trained on, others the strategy leaves (``trained``), and for newcomers
    ``minutes-<m>`` per amount of their own data, and ``transductive`` for none of it but the mean and spread of all
    their unlabelled training time. Groups that an interrupted run finished are not trained again.
    """
    if job.shift:
        targets = [shifted(store, found, job.shift) for store, found in zip(stores, targets, strict=True)]
    # The folder of predictions appears when all groups are in it: only then may their parts go.
    if not (folder / "predictions").exists():
        write_folder(folder / "predictions", lambda beside: _run_groups(job, stores, targets, device, folder, beside))
    for path in folder.glob("parts/*/*.safetensors"):
        path.unlink()


def _run_groups(
    job: AlignJob, stores: Sequence[Store], targets: Sequence[Targets], device: str, folder: Path, out: Path
) -> None:
    parts: dict[str, list[Predictions]] = {}
    known = _soloists(job, stores, targets, device, folder)
    for index, group in enumerate(track(job.groups, job.stage, len(job.groups))):
        done = folder / "parts" / f"group-{index}"
        if not (done / "finished").exists():
            _run_group(job, group, stores, targets, device, done, folder, known)
            (done / "finished").touch()
        for path in sorted(done.glob("*.safetensors")):
            parts.setdefault(path.stem, []).append(Predictions.read(path))
    for label, found in parts.items():
        _merge(found).write(out / f"{label}.safetensors")


def _soloists(job: AlignJob, stores: Sequence[Store], targets: Sequence[Targets], device: str, folder: Path) -> Known:
    """What people learn alone does not depend on the group they are in: learnt once, for all groups."""
    if job.config.strategy != "consensus" or len(job.groups) == 1:
        return {}
    everyone = tuple(dict.fromkeys(subject for group in job.groups for subject in group.train))
    model = Aligner(job.config, device=device)
    model.fit(stores, folds=job.folds, fold=job.fold, subjects=everyone, targets=targets, folder=folder / "alone")
    return model.also_


def _run_group(
    job: AlignJob,
    group: Group,
    stores: Sequence[Store],
    targets: Sequence[Targets],
    device: str,
    done: Path,
    top: Path,
    known: Known,
) -> None:
    model = Aligner(job.config, device=device).fit(
        stores,
        folds=job.folds,
        fold=job.fold,
        subjects=group.train,
        targets=targets,
        folder=done / "training",
        known=known,
    )
    facts = {
        "folds": job.folds,
        "fold": job.fold,
        "target": job.config.target,
        "strategy": job.config.strategy,
        "seed": job.config.seed,
        "shift": job.shift,
        "trained_subjects": len(group.train),
    }
    done.mkdir(parents=True, exist_ok=True)
    # A null has no use beyond its scores.
    if len(job.groups) == 1 and not job.shift:
        model.save(top / "decoder.safetensors")
    if not group.newcomers:
        for label, decoder in {"decoder": model.decoder_, **model.also_}.items():
            _predict(job, model, decoder, group.train, stores, facts).write(done / f"{label}.safetensors")
    for minutes in job.minutes if group.newcomers else ():
        found = [_newcomer(job, model, name, minutes, stores, facts) for name in group.newcomers]
        _merge(found).write(done / f"minutes-{minutes:g}.safetensors")
        if not minutes:
            found = [_newcomer(job, model, name, 0.0, stores, facts, transductive=True) for name in group.newcomers]
            _merge(found).write(done / "transductive.safetensors")


def _predict(
    job: AlignJob,
    model: Aligner,
    decoder: Decoder,
    subjects: Sequence[str],
    stores: Sequence[Store],
    facts: dict[str, Any],
) -> Predictions:
    embedding, row = {}, {}
    for subject in subjects:
        store, name = whose(subject, stores)
        row[subject] = store.rows(name, in_role(store, job, "test"))
        embedding[subject] = model.embed(store, name, rows=row[subject], decoder=decoder)
    return Predictions(embedding, row, model.goals_.centre, facts)


def _newcomer(
    job: AlignJob,
    model: Aligner,
    subject: str,
    minutes: float,
    stores: Sequence[Store],
    facts: dict[str, Any],
    *,
    transductive: bool = False,
) -> Predictions:
    """Test predictions of somebody who gives ``minutes`` of their own training time (0: none)."""
    store, name = whose(subject, stores)
    offset = sum(len(other.clips) for other in stores[: [s.name for s in stores].index(store.name)])
    test = store.rows(name, in_role(store, job, "test"))
    everything = store.rows(name, in_role(store, job, "train"))
    given = everything if np.isinf(minutes) else first_minutes(store, everything, minutes)
    own = model.recording(store, name, given, offset) if len(given) else None
    scale_by = model.recording(store, name, everything, offset).scaling if transductive else None
    decoder = adapt(model, own, scaling=scale_by)
    responses = model.recording(store, name, test, offset)
    embedding = decoder(responses)
    return Predictions({subject: embedding}, {subject: test}, model.goals_.centre, {**facts, "minutes": minutes})


def in_role(store: Store, job: AlignJob, role: str) -> Bool[np.ndarray, " trials"]:
    """Which trials have a role in the job's fold."""
    return roles_in(store, job.folds, job.fold) == role


def whose(subject: str, stores: Sequence[Store]) -> tuple[Store, str]:
    """The store and the bare name of ``dataset/subject``."""
    dataset, name = subject.split("/", 1)
    for store in stores:
        if store.name == dataset:
            return store, name
    raise UsageError(f"no store is called {dataset!r}", expected=f"one of {', '.join(s.name for s in stores)}")


def _merge(parts: Sequence[Predictions]) -> Predictions:
    """One file of several groups' subjects; a subject in several groups is kept from the last."""
    embedding = {subject: values for part in parts for subject, values in part.embedding.items()}
    row = {subject: values for part in parts for subject, values in part.row.items()}
    return Predictions(embedding, row, parts[0].centre, parts[0].facts)
