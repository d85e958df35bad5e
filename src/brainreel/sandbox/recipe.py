"""The sandbox recipe: three simulated releases, one model, videos for everybody and for a person it never saw.

Nothing in it is a path of its own: releases are ingested like real ones, networks load like the big ones.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from brainreel.align.config import StrategyName
from brainreel.align.jobs import AlignJob, Group
from brainreel.datasets import DATASETS
from brainreel.datasets.protocol import Size as TwinSize
from brainreel.evaluate.methods import Method
from brainreel.experiment import Experiment
from brainreel.generate.config import GenerateConfig
from brainreel.generate.registry import GeneratorSource
from brainreel.generate.wan_weights import read_size
from brainreel.pipeline.evaluate_videos import evaluate_videos
from brainreel.pipeline.generate_stage import find_parts, generate_stages, plan_tasks
from brainreel.pipeline.newcomer_conditions import newcomer_stages
from brainreel.pipeline.parallel import align_all
from brainreel.pipeline.plan import Plan, portable
from brainreel.pipeline.reconstruct import remember_generator
from brainreel.pipeline.reconstructions import write_reconstructions
from brainreel.pipeline.regress_stage import prepare_regress
from brainreel.pipeline.stages import Step, encode_stage, evaluate_stage, ingest_stage
from brainreel.pipeline.write_report import write_report
from brainreel.progress import duration, say
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

    The last person of the first release is left out of every training and read zero-shot.

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
            simulated = simulate_stage(experiment, release, config.size, config.simulation_seed)
            stores.append(ingest_stage(experiment, release, simulated, None, f"ingest/{release}"))
        with one_thread(device):
            folder = encode_stage(experiment, stores, networks.encoders, device, video_shape(networks))
        targets = [read_targets(store, config.align.target, folder) for store in stores]
        everyone, newcomer = people(stores)
        jobs = sandbox_jobs(config, everyone, newcomer)
        ran += align_all(experiment, jobs, stores, targets, device, workers)
        plan = sandbox_plan(config, experiment, stores, folder, len(everyone)).counting(jobs)
        plan.write(experiment)
        ran += evaluate_stage(experiment, plan).ran
    regression = prepare_regress(experiment, config.regress)
    ran += regression.run(device)
    with experiment.lock():
        ran += sum(stage.ran for stage in newcomer_stages(experiment, regression, newcomer, device))
        videos = []
        for variant, settings in ways(config).items():
            tasks = plan_tasks(
                experiment, find_parts(experiment, clips=config.clips, variant=variant), settings, source
            )
            stages = generate_stages(experiment, tasks, settings, source)
            ran += sum(stage.ran for stage in stages)
            videos.append((tasks, stages))
        remember_generator(experiment, source)
        made = write_reconstructions(experiment, *videos[0])
        ran += evaluate_videos(experiment, classifier=networks.classifier, clip=networks.clip, device=device).ran
        report = write_report(experiment, plan)
    seconds = time.monotonic() - started
    say(f"{ran} stages in {duration(seconds)}" if ran else "everything is up to date: nothing to do")
    return Made(report, made, ran)


def ways(config: SandboxConfig) -> dict[str, GenerateConfig]:
    """The ways of making videos that are compared: name of the variant → settings; the first has no name."""
    more = {"text-to-video": config.generate.model_copy(update={"mode": "text-to-video"})}
    return {"": config.generate, **(more if config.text_to_video else {})}


def video_shape(networks: Networks) -> tuple[int, int, int] | None:
    """Frames, height and width that the video model makes: what its latents are encoded from."""
    size = read_size(networks.pipeline)
    return None if size is None else (size.frames, size.height, size.width)


def twin_step(release: str, size: TwinSize, seed: int) -> Step:
    """The stage that simulates a release."""
    return Step(f"twin/{release}", {"dataset": release, "size": size, "seed": seed}, {}, ("world", "datasets"))


def simulate_stage(experiment: Experiment, release: str, size: TwinSize, seed: int) -> Path:
    """Write a simulated release into an experiment, unless the same one is there; returns its folder."""

    def work(folder: Path) -> None:
        # Killed between the twin and its provenance, a stage finds its twin complete.
        if not (folder / release).exists():
            DATASETS[release].twin(folder / release, size=size, seed=seed)

    return twin_step(release, size, seed).run(experiment, work, seed=seed).path / release


def people(stores: Sequence[Store]) -> tuple[tuple[str, ...], str]:
    """Everybody who is trained on as ``dataset/subject``, and the person who is not: the first store's last."""
    everybody = [f"{store.name}/{subject}" for store in stores for subject in store.subjects]
    newcomer = f"{stores[0].name}/{stores[0].subjects[-1]}"
    return tuple(name for name in everybody if name != newcomer), newcomer


def sandbox_jobs(config: SandboxConfig, everyone: tuple[str, ...], newcomer: str) -> list[AlignJob]:
    """Every training of stage 1: everybody together, each alone, ridge, and everybody with a newcomer to read."""

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

    alone = [Group(train=(name,)) for name in everyone]
    apart = [Group(train=everyone, newcomers=(newcomer,))]
    return list(
        itertools.chain(
            jobs("contrastive", "contrastive", [Group(train=everyone)]),
            jobs("contrastive-alone", "contrastive", alone),
            jobs("ridge", "ridge", [Group(train=everyone)]),
            jobs("newcomer", "contrastive", apart, minutes=(0.0,)),
        )
    )


def sandbox_plan(config: SandboxConfig, experiment: Experiment, stores: Sequence[Store], folder: Path, n: int) -> Plan:
    """What the recipe compares in stage 1."""
    alone = {"trained_subjects": 1}
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
        ),
        differences=(("contrastive", "contrastive-alone"), ("contrastive", "ridge")),
        seed=config.align.seed,
    )
