"""The sandbox recipe: three simulated releases, one model, videos for everybody and for a person it never saw.

Nothing in it is a path of its own: releases are ingested like real ones, networks load like the big ones.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from brainreel.align.config import StrategyName
from brainreel.align.jobs import AlignJob, Group
from brainreel.datasets import DATASETS
from brainreel.errors import UsageError
from brainreel.evaluate.methods import Method
from brainreel.experiment import Experiment
from brainreel.generate.config import GenerateConfig
from brainreel.generate.registry import GeneratorSource
from brainreel.generate.wan_weights import read_size
from brainreel.pipeline.evaluate_videos import evaluate_videos
from brainreel.pipeline.generate_stage import Part, find_parts, generate_stages, plan_tasks
from brainreel.pipeline.newcomer_conditions import newcomer_stages
from brainreel.pipeline.parallel import align_all
from brainreel.pipeline.plan import Plan, portable
from brainreel.pipeline.reconstruct import remember_generator
from brainreel.pipeline.reconstructions import write_reconstructions
from brainreel.pipeline.regress_stage import prepare_regress
from brainreel.pipeline.stages import Step, encode_stage, evaluate_stage, ingest_stage
from brainreel.pipeline.true_vectors import true_vectors_stage
from brainreel.pipeline.write_report import write_report
from brainreel.progress import duration, say
from brainreel.sandbox import comparisons
from brainreel.sandbox.config import RELEASES, SandboxConfig
from brainreel.sandbox.installed import Networks, find_networks
from brainreel.store import Store
from brainreel.store.targets import read_targets
from brainreel.training.devices import one_thread

FOLDS = "official"


class Made(NamedTuple):
    """What the recipe left: its report, where the videos are, and how many stages had to run."""

    report: Path
    reconstructions: Path
    stages: int


def run_sandbox(
    config: SandboxConfig,
    out: Path,
    *,
    weights: Path | None = None,
    device: str = "cpu",
    workers: int | None = 1,
) -> Made:
    """From nothing to reconstructions and their report: simulate, ingest, encode, all three stages, scores.

    The last people of the first release (one, if nothing else is asked for) are left out of training and read
    zero-shot.

    Args:
        config: Settings.
        out: The experiment's folder.
        weights: The sandbox's networks; None: those that were installed with the package.
        device: Where to compute.
        workers: Trainings of stage 1 at a time; None: one per core (see `align_all`).

    Raises:
        BrainreelError: one sentence about what is missing.
    """
    started = time.monotonic()
    networks = find_networks(weights)
    source = GeneratorSource("wan", networks.pipeline, device)
    experiment = Experiment(out)
    ran = 0
    with experiment.lock():
        stores = []
        for release in RELEASES:
            simulated = simulate_stage(experiment, release, config)
            stores.append(ingest_stage(experiment, release, simulated, None, f"ingest/{release}"))
        with one_thread(device):
            folder = encode_stage(experiment, stores, networks.encoders, device, video_shape(networks))
        targets = [read_targets(store, config.align.target, folder) for store in stores]
        everyone, left_out = people(stores, config.left_out)
        jobs = sandbox_jobs(config, everyone, left_out)
        ran += align_all(experiment, jobs, stores, targets, device, workers)
        if config.compare:
            ran += true_vectors_stage(experiment, like_of(jobs), stores, targets).ran
        plan = sandbox_plan(config, experiment, stores, folder, everyone, left_out).counting(jobs)
        plan.write(experiment)
        ran += evaluate_stage(experiment, plan).ran
    regression = prepare_regress(experiment, config.regress)
    others = comparisons.fitted(config, regression, left_out) if config.compare else []
    ran += sum(one.run(device) for one in (regression, *others))
    with experiment.lock():
        ran += sum(stage.ran for stage in newcomer_stages(experiment, regression, left_out, device))
        ran += sum(stage.ran for stage in comparisons.gather_alone(experiment, others))
        videos = []
        for variant, settings in ways(config).items():
            tasks = plan_tasks(experiment, sandbox_parts(config, experiment, left_out, variant), settings, source)
            stages = generate_stages(experiment, tasks, settings, source)
            ran += sum(stage.ran for stage in stages)
            videos.append((tasks, stages))
        remember_generator(experiment, source, config.generate)
        made = write_reconstructions(experiment, *videos[0])
        judges = {"classifier": networks.classifier, "clip": networks.clip, "device": device}
        ran += evaluate_videos(experiment, **judges, retrieve=retrieved(config)).ran
        report = write_report(experiment, plan)
    seconds = time.monotonic() - started
    say(f"{ran} stages in {duration(seconds)}" if ran else "everything is up to date: nothing to do")
    return Made(report, made, ran)


def ways(config: SandboxConfig) -> dict[str, GenerateConfig]:
    """The ways of making videos that are compared: name of the variant → settings; the first has no name."""
    more = {"text-to-video": config.generate.model_copy(update={"mode": "text-to-video"})}
    return {"": config.generate, **(more if config.text_to_video else {})}


def sandbox_parts(config: SandboxConfig, experiment: Experiment, left_out: Sequence[str], variant: str) -> list[Part]:
    """Whose videos are made: everybody's, or, where models are compared, those of the people who were left out."""
    parts = find_parts(experiment, clips=config.clips, variant=variant)
    return comparisons.filmed(parts, left_out, variant) if config.compare else parts


def retrieved(config: SandboxConfig) -> set[tuple[str, int]] | None:
    """Methods and seeds that the nearest training clips stand beside; None: all of them."""
    return {(comparisons.ALL, config.align.seed)} if config.compare else None


def video_shape(networks: Networks) -> tuple[int, int, int] | None:
    """Frames, height and width that the video model makes: what its latents are encoded from."""
    size = read_size(networks.pipeline)
    return None if size is None else (size.frames, size.height, size.width)


def given(config: SandboxConfig, release: str) -> dict[str, int]:
    """How many people and test clips a release has where that is not its size's to say."""
    asked = {"subjects": config.people, "test_clips": config.test_clips} if release == RELEASES[0] else {}
    return {name: count for name, count in asked.items() if count is not None}


def twin_step(release: str, config: SandboxConfig) -> Step:
    """The stage that simulates a release."""
    settings = {"dataset": release, "size": config.size, "seed": config.simulation_seed, **given(config, release)}
    return Step(f"twin/{release}", settings, {}, ("world", "datasets"))


def simulate_stage(experiment: Experiment, release: str, config: SandboxConfig) -> Path:
    """Write a simulated release into an experiment, unless the same one is there; returns its folder."""
    seed = config.simulation_seed

    def work(folder: Path) -> None:
        # Killed between the twin and its provenance, a stage finds its twin complete.
        if not (folder / release).exists():
            # The simulated releases' own say more than every release's: how many people and test clips.
            twin: Callable[..., None] = DATASETS[release].twin
            twin(folder / release, size=config.size, seed=seed, **given(config, release))

    return twin_step(release, config).run(experiment, work, seed=seed).path / release


def people(stores: Sequence[Store], left_out: int = 1) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Everybody who is trained on as ``dataset/subject``, and those who are not: the last ones of the first store.

    Raises:
        UsageError: nobody of the first store would be left.
    """
    return apart([f"{store.name}/{subject}" for store in stores for subject in store.subjects], left_out)


def apart(names: Sequence[str], left_out: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """`people` of whom only the names are known."""
    first = [name for name in names if name.startswith(f"{names[0].split('/', 1)[0]}/")]
    if left_out >= len(first):
        raise UsageError(
            f"{left_out} of {len(first)} people left out",
            expected="somebody of their dataset in training",
            do="leave out fewer, or simulate more people",
        )
    newcomers = tuple(first[-left_out:])
    return tuple(name for name in names if name not in newcomers), newcomers


def sandbox_jobs(config: SandboxConfig, everyone: tuple[str, ...], left_out: tuple[str, ...]) -> list[AlignJob]:
    """Every training of stage 1: everybody together, each alone, ridge, and everybody with newcomers to read."""

    def jobs(name: str, strategy: StrategyName, groups: Sequence[Group], **more: Any) -> list[AlignJob]:
        count = 1 if strategy == "ridge" else config.seeds
        return [
            AlignJob(
                name=name,
                config=config.align.model_copy(update={"strategy": strategy, "seed": config.align.seed + offset}),
                folds=FOLDS,
                fold=0,
                groups=tuple(groups),
                **more,
            )
            for offset in range(count)
        ]

    known = everyone + left_out if config.compare else everyone
    compared = comparisons.groups(everyone, left_out) if config.compare else {}
    return list(
        itertools.chain(
            jobs("contrastive", "contrastive", [Group(train=everyone)]),
            jobs("contrastive-alone", "contrastive", [Group(train=(name,)) for name in known]),
            jobs("ridge", "ridge", [Group(train=everyone)]),
            jobs("newcomer", "contrastive", [Group(train=everyone, newcomers=left_out)], minutes=(0.0,)),
            *(jobs(name, "contrastive", [group]) for name, group in compared.items()),
        )
    )


def like_of(jobs: Sequence[AlignJob]) -> AlignJob:
    """Whose test trials the true vectors answer: those of everybody, once for all seeds."""
    return next(job for job in jobs if job.name == comparisons.ALL)


def sandbox_plan(
    config: SandboxConfig,
    experiment: Experiment,
    stores: Sequence[Store],
    folder: Path,
    everyone: Sequence[str],
    left_out: Sequence[str],
) -> Plan:
    """What the recipe compares in stage 1."""
    n, alone = len(everyone), {"trained_subjects": 1}
    return Plan(
        recipe="sandbox",
        stores=tuple(portable(store.root, experiment) for store in stores),
        targets=portable(folder, experiment),
        target=config.align.target,
        folds=FOLDS,
        methods=(
            Method(name="contrastive", job="contrastive", facts={"trained_subjects": n, "refit": True}),
            Method(name="contrastive-alone", job="contrastive-alone", facts=alone),
            Method(
                name="newcomer-zero-shot",
                job="newcomer",
                label="minutes-0",
                facts={"newcomer": True, "minutes": 0.0, "trained_subjects": n},
            ),
            Method(name="ridge", job="ridge", facts={**alone, "role": "rival"}),
            *(comparisons.methods(everyone, left_out) if config.compare else ()),
        ),
        differences=(
            ("contrastive", "contrastive-alone"),
            ("contrastive", "ridge"),
            *(comparisons.differences() if config.compare else ()),
        ),
        seed=config.align.seed,
    )
