"""The stages of an experiment: each runs once, and again only if something it depends on changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from brainreel.align.jobs import AlignJob, run_job
from brainreel.datasets import DATASETS
from brainreel.encoders import encode
from brainreel.encoders.encode import identity_of
from brainreel.errors import SourceError, UsageError, alternatives
from brainreel.evaluate.experiment import evaluate_methods
from brainreel.experiment import Experiment, Stage
from brainreel.files import sha256, walk, write_bytes
from brainreel.pipeline.plan import Plan
from brainreel.progress import duration, say
from brainreel.store import Store, StoreWriter
from brainreel.store.targets import Targets

READING = ("files.py", "cortex", "store", "datasets")
ENCODING = ("encoders",)
TRAINING = ("cortex", "training", "align")
SCORING = ("metrics", "evaluate")


def ingest(
    dataset: str,
    source: Path,
    destination: Path,
    *,
    subjects: Sequence[str] | None = None,
    space: str | None = None,
    stimuli: Path | None = None,
    replace: bool = False,
) -> Store:
    """Read a release into a new store.

    Raises:
        BrainreelError: one sentence about the first thing that is wrong with the release.
    """
    if dataset not in DATASETS:
        raise UsageError(f"there is no dataset {alternatives(dataset, DATASETS)}")
    if not source.is_dir():
        raise SourceError(f"{source} is not a folder", expected=f"the files of {dataset!r}", do="check the path")
    reader = DATASETS[dataset]
    with StoreWriter(destination, reader.manifest(source), replace=replace) as writer:
        reader.ingest(source, writer, subjects=subjects, space=space, stimuli=stimuli, progress=say)
    return Store(destination)


def ingest_stage(experiment: Experiment, dataset: str, source: Path, subjects: Sequence[str] | None) -> Store:
    """`ingest` inside an experiment: the store lies at ``ingest/<dataset>``."""
    if not source.is_dir():
        raise SourceError(f"{source} is not a folder", expected=f"the files of {dataset!r}", do="check --source")
    stage = _run(
        experiment,
        "ingest",
        lambda folder: ingest(dataset, source, folder / dataset, subjects=subjects, replace=True),
        settings={"dataset": dataset, "subjects": list(subjects) if subjects else None},
        inputs={"source": folder_hash(source)},
        code=READING,
    )
    return Store(stage.path / dataset)


def encode_stage(
    experiment: Experiment, stores: Sequence[Store], encoder: str, weights: str | None, device: str
) -> Path:
    """`encode` inside an experiment; returns the folder of the targets."""
    return _run(
        experiment,
        "encode",
        lambda folder: encode(stores, encoder=encoder, weights=weights, targets=folder, device=device),
        settings={"encoder": encoder, "identity": identity_of(encoder, weights)},
        inputs={store.name: store.fingerprint for store in stores},
        code=ENCODING,
        device=device,
    ).path


def align_stage(
    experiment: Experiment, job: AlignJob, stores: Sequence[Store], targets: Sequence[Targets], device: str
) -> Stage:
    """One fold's training."""
    return _run(
        experiment,
        job.stage,
        lambda folder: run_job(job, stores, targets, device, folder),
        settings=json.loads(job.model_dump_json()),
        inputs=job_inputs(stores, targets),
        code=TRAINING,
        seed=job.config.seed,
        device=device,
    )


def job_inputs(stores: Sequence[Store], targets: Sequence[Targets]) -> dict[str, str]:
    """What all trainings of an experiment read."""
    return {
        **{f"store/{store.name}": store.fingerprint for store in stores},
        **{f"targets/{store.name}": found.key for store, found in zip(stores, targets, strict=True)},
    }


def evaluate_stage(experiment: Experiment, plan: Plan) -> Stage:
    """Score every method; ``metrics.json``, ``per_clip.tsv`` and ``captions.tsv`` go to the experiment's top."""
    stores = plan.open_stores(experiment)
    targets = plan.read_targets(experiment, stores)
    jobs = dict.fromkeys(method.job for method in plan.methods)
    keys = {
        path.parent.relative_to(experiment.root).as_posix(): json.loads(path.read_text())["key"]
        for job in jobs
        for path in sorted(experiment.root.glob(f"align/{job}/seed-*/fold-*/config.json"))
    }
    stage = _run(
        experiment,
        "evaluate",
        lambda folder: evaluate_methods(
            experiment.root, stores, targets, plan.methods, plan.differences, plan.target, plan.seed, folder
        ),
        settings=json.loads(plan.model_dump_json(include={"methods", "differences", "target", "folds", "seed"})),
        inputs={**job_inputs(stores, targets), **keys},
        code=SCORING,
        seed=plan.seed,
    )
    for name in ("metrics.json", "per_clip.tsv", "captions.tsv"):
        content = (stage.path / name).read_bytes()
        if stage.ran or not (experiment.root / name).is_file():
            write_bytes(experiment.root / name, content)
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


def _run(experiment: Experiment, name: str, work, **facts) -> Stage:
    stage = experiment.run(name, work, **facts)
    if stage.ran:
        wall_s = json.loads((stage.path / "provenance.json").read_text())["wall_s"]
        say(f"{name}: done in {duration(wall_s)}")
    return stage
