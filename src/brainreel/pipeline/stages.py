"""The stages of an experiment: each runs once, and again only if something it depends on changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from brainreel.align.jobs import AlignJob, run_job
from brainreel.datasets import DATASETS
from brainreel.encoders import encode
from brainreel.encoders.encode import SETTINGS, identity_of
from brainreel.errors import SourceError, UsageError, alternatives
from brainreel.evaluate.experiment import evaluate_methods
from brainreel.evaluate.methods import find
from brainreel.evaluate.tables import markdown_tables
from brainreel.experiment import Experiment, Stage, State
from brainreel.files import sha256, walk, write_bytes
from brainreel.pipeline.merged_scores import merge_scores
from brainreel.pipeline.plan import Plan
from brainreel.progress import duration, say
from brainreel.store import Store, StoreWriter
from brainreel.store.targets import Targets

READING = ("files.py", "cortex", "store", "datasets")
ENCODING = ("files.py", "cortex", "store", "encoders")
TRAINING = ("files.py", "cortex", "store", "training", "align")
REGRESSING = ("files.py", "cortex", "store", "training", "align", "metrics", "regress")
SCORING = ("files.py", "cortex", "store", "metrics", "regress/captions.py", "evaluate")


@dataclass(frozen=True)
class Step:
    """What a stage's result depends on: enough to run it, and enough to tell whether it would run."""

    name: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    code: Sequence[str]

    def state(self, experiment: Experiment) -> State:
        """What `run` would do; changes nothing."""
        return experiment.state(self.name, experiment.key(self.settings, self.inputs, self.code))

    def run(
        self, experiment: Experiment, work: Callable[[Path], object], *, seed: int | None = None, device: str = "cpu"
    ) -> Stage:
        """Run the stage unless it is up to date."""
        stage = experiment.run(
            self.name,
            work,
            settings=self.settings,
            inputs=self.inputs,
            code=self.code,
            seed=seed,
            device=device,
        )
        if stage.ran:
            wall_s = json.loads((stage.path / "provenance.json").read_text())["wall_s"]
            say(f"{self.name}: done in {duration(wall_s)}")
        return stage


def ingest(
    dataset: str,
    source: Path | str,
    *,
    store: Path | str,
    subjects: Sequence[str] | None = None,
    space: str | None = None,
    stimuli: Path | str | None = None,
    replace: bool = False,
) -> Store:
    """Read a release into a new store.

    Args:
        dataset: One of `DATASETS`.
        source: The release's folder.
        store: The store's folder. It must not exist yet, unless ``replace``.
        subjects: Only these people.
        space: Name of a space, for datasets that offer several.
        stimuli: Where the clips are, if not in the release.
        replace: Put the new store in the place of an existing one.

    Raises:
        BrainreelError: one sentence about the first thing that is wrong with the release.
    """
    source, stimuli = Path(source), None if stimuli is None else Path(stimuli)
    check_ingest(dataset, source, Path(store), replace=replace)
    reader = DATASETS[dataset]
    with StoreWriter(Path(store), reader.manifest(source), replace=replace) as writer:
        reader.ingest(source, writer, subjects=subjects, space=space, stimuli=stimuli, progress=say)
    return Store(store)


def check_ingest(dataset: str, source: Path, store: Path, *, replace: bool = False) -> None:
    """Refuse an unknown dataset, a folder that is not its release, and a store that may not be made."""
    if dataset not in DATASETS:
        raise UsageError(f"there is no dataset {alternatives(dataset, DATASETS)}")
    if not source.is_dir():
        raise SourceError(f"{source} is not a folder", expected=f"the files of {dataset!r}", do="check the path")
    StoreWriter(store, DATASETS[dataset].manifest(source), replace=replace)


def ingest_step(dataset: str, source: Path, subjects: Sequence[str] | None, stage: str = "ingest") -> Step:
    """`ingest` inside an experiment; an experiment of several datasets gives each a stage of its own."""
    if not source.is_dir():
        raise SourceError(f"{source} is not a folder", expected=f"the files of {dataset!r}", do="check --source")
    settings = {"dataset": dataset, "subjects": list(subjects) if subjects else None}
    return Step(stage, settings, {"source": folder_hash(source)}, READING)


def ingest_stage(
    experiment: Experiment, dataset: str, source: Path, subjects: Sequence[str] | None, stage: str = "ingest"
) -> Store:
    """`ingest` inside an experiment: the store lies at ``<stage>/<dataset>``."""
    done = ingest_step(dataset, source, subjects, stage).run(
        experiment, lambda folder: ingest(dataset, source, store=folder / dataset, subjects=subjects, replace=True)
    )
    return Store(done.path / dataset)


def encode_step(
    stores: Sequence[Store], encoders: Mapping[str, str | None], shape: tuple[int, int, int] | None = None
) -> Step:
    """`encode` inside an experiment.

    Args:
        stores: Whose clips.
        encoders: name → weights (hub id or folder; None: the encoder's own).
        shape: (frames, height, width) that the encoder of latents resamples videos to, the same for all stores.
    """
    settings = {
        name: {"identity": identity_of(name, weights, **_shape_for(name, shape))} for name, weights in encoders.items()
    }
    return Step("encode", settings, {store.name: store.fingerprint for store in stores}, ENCODING)


def encode_stage(
    experiment: Experiment,
    stores: Sequence[Store],
    encoders: Mapping[str, str | None],
    device: str,
    shape: tuple[int, int, int] | None = None,
) -> Path:
    """`encode` inside an experiment; returns the folder of the targets."""

    def work(folder: Path) -> None:
        for name, weights in encoders.items():
            encode(stores, encoder=name, weights=weights, targets=folder, device=device, **_shape_for(name, shape))

    return encode_step(stores, encoders, shape).run(experiment, work, device=device).path


def _shape_for(encoder: str, shape: tuple[int, int, int] | None) -> dict[str, Any]:
    if shape is None or "size" not in SETTINGS.get(encoder, ()):
        return {}
    frames, height, width = shape
    return {"size": (height, width), "frames": frames}


def align_step(job: AlignJob, stores: Sequence[Store], targets: Sequence[Targets]) -> Step:
    """One fold's training."""
    settings = {**json.loads(job.model_dump_json()), "config": job.config.affecting()}
    return Step(job.stage, settings, job_inputs(stores, targets), TRAINING)


def align_stage(
    experiment: Experiment, job: AlignJob, stores: Sequence[Store], targets: Sequence[Targets], device: str
) -> Stage:
    """Run one fold's training unless it is up to date."""
    return align_step(job, stores, targets).run(
        experiment,
        lambda folder: run_job(job, stores, targets, device, folder),
        seed=job.config.seed,
        device=device,
    )


def job_inputs(stores: Sequence[Store], targets: Sequence[Targets]) -> dict[str, str]:
    """What all trainings of an experiment read."""
    return {
        **{f"store/{store.name}": store.fingerprint for store in stores},
        **{f"targets/{store.name}": found.key for store, found in zip(stores, targets, strict=True)},
    }


def evaluate_step(experiment: Experiment, plan: Plan, stores: Sequence[Store], targets: Sequence[Targets]) -> Step:
    """Scoring what is there now."""
    keys = {
        path.relative_to(experiment.root).as_posix(): json.loads((path / "config.json").read_text())["key"]
        for method in plan.methods
        for path in find(experiment.root, method).folders
    }
    settings = json.loads(plan.model_dump_json(include={"methods", "differences", "target", "folds", "seed"}))
    return Step("evaluate", settings, {**job_inputs(stores, targets), **keys}, SCORING)


def evaluate_stage(experiment: Experiment, plan: Plan) -> Stage:
    """Score every method; ``metrics.json``, ``per_clip.tsv``, ``captions.tsv`` and ``tables.md`` go to the top.

    The first two keep the rows of `evaluate_videos`.
    """
    stores = plan.open_stores(experiment)
    targets = plan.read_targets(experiment, stores)
    stage = evaluate_step(experiment, plan, stores, targets).run(
        experiment,
        lambda folder: evaluate_methods(
            experiment.root, stores, targets, plan.methods, plan.differences, plan.target, plan.seed, folder
        ),
        seed=plan.seed,
    )
    per_clip = pd.read_csv(stage.path / "per_clip.tsv", sep="\t", dtype={"subject": str, "fold": int})
    document = json.loads((stage.path / "metrics.json").read_text())
    tables = markdown_tables(document, per_clip, plan.final_folds).encode()
    captions = (stage.path / "captions.tsv").read_bytes()
    for name, content in {"captions.tsv": captions, "tables.md": tables}.items():
        top = experiment.root / name
        if not top.is_file() or top.read_bytes() != content:
            write_bytes(top, content)
    merge_scores(experiment)
    return stage


def folder_hash(folder: Path) -> str:
    """SHA-256 over the names and contents of all files of a release."""
    digest = hashlib.sha256()
    try:
        for path in walk(folder):
            digest.update(f"{path.relative_to(folder).as_posix()} {sha256(path)}\n".encode())
    except OSError as error:
        raise SourceError(f"{error.filename} cannot be read ({error.strerror})", do="make it readable") from error
    return digest.hexdigest()
