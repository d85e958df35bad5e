"""What the sandbox recipe would do: its stages, which of them are up to date, and what the rest would cost."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from brainreel.align.jobs import AlignJob
from brainreel.datasets.protocol import Size as TwinSize
from brainreel.datasets.sandbox import EVENT, MOVIE, SINGLE
from brainreel.datasets.sandbox_twin import SCALES, Scale
from brainreel.evaluate.video_clips import MEAN, ORACLE
from brainreel.experiment import Experiment, State
from brainreel.generate.config import GenerateConfig
from brainreel.generate.registry import GeneratorSource
from brainreel.pipeline.costs import (
    START_BYTES,
    START_S,
    Cost,
    Size,
    align_cost,
    evaluate_cost,
    generate_cost,
    regress_cost,
)
from brainreel.pipeline.evaluate_videos import video_steps
from brainreel.pipeline.generate_stage import find_parts, plan_tasks, strategy_name
from brainreel.pipeline.merged_scores import SUMMARY
from brainreel.pipeline.nearest_clips import VARIANT as RETRIEVED
from brainreel.pipeline.newcomer_conditions import METHOD, newcomer_step
from brainreel.pipeline.outlook import Outlook, predictions
from brainreel.pipeline.regress_stage import prepare_regress
from brainreel.pipeline.stages import Step, align_step, encode_step, evaluate_step, ingest_step
from brainreel.sandbox.config import RELEASES, SandboxConfig
from brainreel.sandbox.installed import Networks, find_networks
from brainreel.sandbox.networks import CLIP_DIM, LATENT_SHAPE, TEXT_DIM
from brainreel.sandbox.recipe import sandbox_jobs, sandbox_plan, twin_step, video_shape, ways
from brainreel.sandbox.words import TOKENS
from brainreel.store import Store
from brainreel.store.targets import read_targets
from brainreel.world.scenes import FRAMES, SIDE

# Seconds of one core, measured with a run of size small on the machine of the constants in `brainreel.pipeline.costs`.
SIMULATED_CLIP_S, SIMULATED_TRIAL_S = 0.0075, 3e-4
CLIP_BYTES, VALUE_BYTES = 25e3, 2.5
INGESTED_CLIP_S = 3e-4
ENCODED_CLIP_S, ENCODED_BYTES = 0.057, 760e6
# Looking at a training clip for the null videos; scoring one video with its wrong pairs.
LOOKED_CLIP_S, SCORED_VIDEO_S, SCORED_BYTES = 0.022, 0.35, 1.45e9
# What the process holds beside, once the networks' libraries are in and responses have been read.
HELD_BYTES = 350e6
NUMBERS = {"image": CLIP_DIM, "text": TOKENS * TEXT_DIM, "latent": LATENT_SHAPE[0] * 5 * 8 * 8}


@dataclass(frozen=True)
class Release:
    """How big one of the simulated datasets is, known before it is made."""

    name: str
    scale: Scale
    vertices: int
    repetitions: Mapping[str, int]

    @property
    def subjects(self) -> list[str]:
        """``dataset/subject`` of everybody."""
        return [f"{self.name}/sub-{n + 1:02d}" for n in range(self.scale.subjects)]

    @property
    def clips(self) -> int:
        """Different clips."""
        scale = self.scale
        if scale.films:
            return scale.films * (scale.train + scale.test)
        own = scale.train - scale.shared if scale.shared else 0
        return (scale.shared or scale.train) + own * scale.subjects + scale.test

    @property
    def tested(self) -> int:
        """Test clips."""
        return self.scale.test * max(1, self.scale.films)

    @property
    def trained(self) -> int:
        """Training trials of one person."""
        return max(1, self.scale.films) * self.scale.train * self.repetitions["train"]

    @property
    def trials(self) -> int:
        """All trials of one person."""
        return self.trained + self.tested * self.repetitions["test"]


def releases(size: TwinSize) -> list[Release]:
    """The three simulated datasets of a size."""
    return [
        Release(one.facts.name, SCALES[one.layout][size], sum(one.facts.spaces.values()), one.facts.repetitions)
        for one in (EVENT, MOVIE, SINGLE)
    ]


def sandbox_outlook(config: SandboxConfig, out: Path, *, weights: Path | None = None) -> Outlook:
    """What `run_sandbox` would do with the same arguments; reads, writes nothing.

    Raises:
        WeightsError: the networks are not there.
    """
    networks, experiment = find_networks(weights), Experiment(out)
    source = GeneratorSource("wan", networks.pipeline, "cpu")
    states: dict[str, State] = {}
    for phase in sandbox_steps(config, experiment, networks, source):
        found: dict[str, State] = {step.name: step.state(experiment) for step in phase}
        states |= found
        # Whatever reads what has to be made anew has to be made anew itself.
        if set(found.values()) != {"up to date"}:
            break
    costs = sandbox_costs(config, source.parameters)
    return Outlook(tuple((name, states.get(name, "run"), cost) for name, cost in costs))


def sandbox_steps(
    config: SandboxConfig, experiment: Experiment, networks: Networks, source: GeneratorSource
) -> Iterator[list[Step]]:
    """The recipe's steps, phase by phase; a phase can be told when all before it are up to date."""
    twins = [twin_step(release, config.size, config.simulation_seed) for release in RELEASES]
    yield twins
    simulated = {release: experiment.root / twin.name / release for release, twin in zip(RELEASES, twins, strict=True)}
    yield [ingest_step(release, path, None, f"ingest/{release}") for release, path in simulated.items()]
    stores = [Store(experiment.root / "ingest" / release / release) for release in RELEASES]
    encoded = encode_step(stores, networks.encoders, video_shape(networks))
    yield [encoded]
    folder = experiment.root / encoded.name
    targets = [read_targets(store, config.align.target, folder) for store in stores]
    everyone, newcomer = cast(releases(config.size))
    jobs = sandbox_jobs(config, everyone, newcomer)
    yield [align_step(job, stores, targets) for job in jobs]
    plan = sandbox_plan(config, experiment, stores, folder, len(everyone)).counting(jobs)
    yield [evaluate_step(experiment, plan, stores, targets)]
    regression = prepare_regress(experiment, config.regress)
    yield [regression.step(fold) for fold in regression.folds]
    yield [newcomer_step(experiment, regression, fold, newcomer) for fold in regression.folds]
    videos: list[Step] = []
    for variant, settings in ways(config).items():
        parts = find_parts(experiment, clips=config.clips, variant=variant)
        videos += [task.step for task in plan_tasks(experiment, parts, settings, source)]
    yield videos
    yield video_steps(experiment, classifier=networks.classifier, clip=networks.clip)


def cast(sizes: Sequence[Release]) -> tuple[tuple[str, ...], str]:
    """Everybody who is trained on, and the person who is not, as `brainreel.sandbox.recipe.people` picks them."""
    newcomer = sizes[0].subjects[-1]
    return tuple(name for one in sizes for name in one.subjects if name != newcomer), newcomer


def sandbox_costs(config: SandboxConfig, parameters: Mapping[str, float]) -> Iterator[tuple[str, Cost]]:
    """Every stage in its order with what it costs from nothing; ``parameters`` of the video model's networks."""
    sizes = releases(config.size)
    everyone, newcomer = cast(sizes)
    clips = sum(one.clips for one in sizes)
    yield from ((f"twin/{one.name}", _twin(one)) for one in sizes)
    yield from ((f"ingest/{one.name}", _ingest(one)) for one in sizes)
    yield "encode", Cost(START_S + clips * ENCODED_CLIP_S, 4.0 * clips * (sum(NUMBERS.values())), ENCODED_BYTES)
    # The largest stands for all: costs are not more than this says.
    largest = max(sizes, key=lambda one: one.trained * one.vertices)
    seen = Size(largest.trained, largest.vertices, CLIP_DIM)
    jobs = sandbox_jobs(config, everyone, newcomer)
    yield from ((job.stage, _held(align_cost(job, seen))) for job in jobs)
    yield "evaluate", _held(evaluate_cost(predictions(jobs)))
    for seed in _seeds(config):
        yield f"regress/contrastive/seed-{seed}/fold-0", _held(_regress(config, sizes, jobs[0], seen, len(everyone)))
    for seed in _seeds(config):
        yield f"regress/{METHOD}/seed-{seed}/fold-0", _held(Cost(0.2, 4e6, START_BYTES))
    for variant, settings in ways(config).items():
        yield from _videos(config, sizes, variant, settings, parameters)
    yield from _scored(config, sizes)


def _held(cost: Cost) -> Cost:
    return cost._replace(memory_bytes=cost.memory_bytes + HELD_BYTES)


def _methods(sizes: Sequence[Release]) -> dict[str, list[tuple[Release, list[str]]]]:
    """Method of stage 2 → datasets with the people whose videos are made."""
    everyone, newcomer = cast(sizes)
    trained = [(one, [name for name in one.subjects if name in everyone]) for one in sizes]
    return {"contrastive": trained, METHOD: [(one, [newcomer]) for one in sizes if newcomer in one.subjects]}


def _videos(
    config: SandboxConfig,
    sizes: Sequence[Release],
    variant: str,
    settings: GenerateConfig,
    parameters: Mapping[str, float],
) -> Iterator[tuple[str, Cost]]:
    """The videos of everybody and of the controls; the oracle's are the same for every method and seed: made once."""
    done = 1.0 if settings.mode == "text-to-video" else settings.strength
    passes = settings.steps * done * (2 if settings.guidance > 1 else 1)
    made: set[str] = set()
    for method, there in _methods(sizes).items():
        for seed, (one, people) in itertools.product(_seeds(config), there):
            controls = (ORACLE,) if method == METHOD else (ORACLE, MEAN)
            for name in [*people, *(f"{one.name}/{control}" for control in controls)]:
                again = name.endswith(ORACLE) and name in made
                made.add(name)
                count = 0 if again else min(one.tested, config.clips or one.tested)
                cost = generate_cost(count, passes, parameters, (FRAMES, SIDE, SIDE))
                yield f"generate/{strategy_name(method, variant)}/seed-{seed}/fold-0/{name}", _held(cost)


def _scored(config: SandboxConfig, sizes: Sequence[Release]) -> Iterator[tuple[str, Cost]]:
    """The videos' scores, of every variant and of the nearest training clip."""
    known: set[str] = set()
    for method, there in _methods(sizes).items():
        for variant, seed, (one, people) in itertools.product([*ways(config), RETRIEVED], _seeds(config), there):
            clips = min(one.tested, config.clips or one.tested)
            # What was shown, and the oracle and the mean response of it, are looked at once.
            first = 0.0 if one.name in known else one.clips * LOOKED_CLIP_S + 2 * clips * SCORED_VIDEO_S
            known.add(one.name)
            cost = Cost(first + len(people) * clips * SCORED_VIDEO_S, 1e5, SCORED_BYTES)
            yield f"evaluate-videos/folds/{strategy_name(method, variant)}/seed-{seed}/fold-0/{one.name}", cost
    yield SUMMARY, Cost(2.0, 2e6, SCORED_BYTES)


def _seeds(config: SandboxConfig) -> list[int]:
    return [config.align.seed + offset for offset in range(config.seeds)]


def _twin(one: Release) -> Cost:
    trials = one.trials * one.scale.subjects
    seconds = 1.0 + one.clips * SIMULATED_CLIP_S + trials * SIMULATED_TRIAL_S
    return Cost(seconds, one.clips * CLIP_BYTES + trials * one.vertices * VALUE_BYTES, START_BYTES)


def _ingest(one: Release) -> Cost:
    values = one.trials * one.scale.subjects * one.vertices * VALUE_BYTES
    return Cost(0.1 + one.clips * INGESTED_CLIP_S, values, START_BYTES + 2 * values)


def _regress(config: SandboxConfig, sizes: Sequence[Release], job: AlignJob, seen: Size, people: int) -> Cost:
    """A fit, and the trainings of stage 1 that embed the training clips for it."""
    trials, clips = sum(one.trained * one.scale.subjects for one in sizes), sum(one.clips for one in sizes)
    fitted = regress_cost(config.regress, trials, clips, CLIP_DIM, NUMBERS, people)
    again = align_cost(job, seen)
    return Cost(config.regress.crossfit * again.seconds, 0.0, again.memory_bytes).then(fitted)
