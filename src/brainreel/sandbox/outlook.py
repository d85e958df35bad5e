"""What the sandbox recipe would do: its stages, which of them are up to date, and what the rest would cost."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from brainreel.align.jobs import AlignJob
from brainreel.datasets.sandbox import EVENT, MOVIE, SINGLE
from brainreel.datasets.sandbox_twin import Scale, scale_of
from brainreel.evaluate.video_clips import MEAN, ORACLE
from brainreel.evaluate.video_fold import BLOCK
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
    read_cost,
    regress_cost,
)
from brainreel.pipeline.evaluate_videos import video_steps
from brainreel.pipeline.generate_stage import plan_tasks, strategy_name
from brainreel.pipeline.merged_scores import SUMMARY
from brainreel.pipeline.nearest_clips import VARIANT as RETRIEVED
from brainreel.pipeline.newcomer_conditions import METHOD, newcomer_step
from brainreel.pipeline.outlook import Outlook, predictions
from brainreel.pipeline.regress_stage import prepare_regress
from brainreel.pipeline.stages import Step, align_step, encode_step, evaluate_step, ingest_step
from brainreel.pipeline.true_vectors import NAME as TRUE
from brainreel.pipeline.true_vectors import true_vectors_step
from brainreel.sandbox import comparisons
from brainreel.sandbox.config import RELEASES, SandboxConfig
from brainreel.sandbox.installed import Networks, find_networks
from brainreel.sandbox.networks import CLIP_DIM, LATENT_SHAPE, TEXT_DIM
from brainreel.sandbox.recipe import (
    apart,
    given,
    like_of,
    retrieved,
    sandbox_jobs,
    sandbox_parts,
    sandbox_plan,
    twin_step,
    video_shape,
    ways,
)
from brainreel.sandbox.words import TOKENS
from brainreel.store import Store
from brainreel.store.targets import read_targets
from brainreel.world.scenes import FRAMES, SIDE

# Seconds of one core, measured with a run of size small on the machine of the constants in `brainreel.pipeline.costs`.
SIMULATED_CLIP_S, SIMULATED_TRIAL_S = 0.0075, 3e-4
CLIP_BYTES, VALUE_BYTES = 25e3, 2.5
INGESTED_CLIP_S = 3e-4
# Every network's share of a clip, and of each of its captions, which are short.
ENCODED_CLIP_S, ENCODED_CAPTION_S, ENCODED_BYTES = 0.048, 0.002, 900e6
# Looking at a training clip for the null videos; scoring one video, and each of its wrong pairs.
LOOKED_CLIP_S, SCORED_VIDEO_S, WRONG_PAIR_S, SCORED_BYTES = 0.022, 0.21, 0.01, 1.45e9
# What the process holds beside, once the networks' libraries are in and responses have been read.
HELD_BYTES = 350e6
# Of the targets of stage 1, and how many captions each clip has.
DIM, CAPTIONS = 384, 3
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


def releases(config: SandboxConfig) -> list[Release]:
    """The three simulated datasets."""
    return [
        Release(
            one.facts.name,
            scale_of(one.layout, config.size, **given(config, one.facts.name)),
            sum(one.facts.spaces.values()),
            one.facts.repetitions,
        )
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
    twins = [twin_step(release, config) for release in RELEASES]
    yield twins
    simulated = {release: experiment.root / twin.name / release for release, twin in zip(RELEASES, twins, strict=True)}
    yield [ingest_step(release, path, None, f"ingest/{release}") for release, path in simulated.items()]
    stores = [Store(experiment.root / "ingest" / release / release) for release in RELEASES]
    encoded = encode_step(stores, networks.encoders, video_shape(networks))
    yield [encoded]
    folder = experiment.root / encoded.name
    targets = [read_targets(store, config.align.target, folder) for store in stores]
    everyone, left_out = cast(config)
    jobs = sandbox_jobs(config, everyone, left_out)
    yield [align_step(job, stores, targets) for job in jobs]
    if config.compare:
        yield [true_vectors_step(experiment, like_of(jobs), stores, targets)]
    plan = sandbox_plan(config, experiment, stores, folder, everyone, left_out).counting(jobs)
    yield [evaluate_step(experiment, plan, stores, targets)]
    regression = prepare_regress(experiment, config.regress)
    others = comparisons.fitted(config, regression, left_out) if config.compare else []
    yield [one.step(fold) for one in (regression, *others) for fold in one.folds]
    yield [newcomer_step(experiment, regression, fold, left_out) for fold in regression.folds]
    if config.compare:
        yield comparisons.gathered(experiment, others)
    videos: list[Step] = []
    for variant, settings in ways(config).items():
        parts = sandbox_parts(config, experiment, left_out, variant)
        videos += [task.step for task in plan_tasks(experiment, parts, settings, source)]
    yield videos
    yield video_steps(experiment, classifier=networks.classifier, clip=networks.clip, retrieve=retrieved(config))


def cast(config: SandboxConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Everybody who is trained on, and those who are not, as `brainreel.sandbox.recipe.people` picks them."""
    return apart([name for one in releases(config) for name in one.subjects], config.left_out)


def sandbox_costs(config: SandboxConfig, parameters: Mapping[str, float]) -> Iterator[tuple[str, Cost]]:
    """Every stage in its order with what it costs from nothing; ``parameters`` of the video model's networks."""
    sizes = releases(config)
    everyone, left_out = cast(config)
    clips = sum(one.clips for one in sizes)
    yield from ((f"twin/{one.name}", _twin(one)) for one in sizes)
    yield from ((f"ingest/{one.name}", _ingest(one)) for one in sizes)
    encoded = START_S + clips * (ENCODED_CLIP_S + CAPTIONS * ENCODED_CAPTION_S)
    numbers = clips * (sum(NUMBERS.values()) + (1 + CAPTIONS) * DIM)
    yield "encode", Cost(encoded, 4.0 * numbers, ENCODED_BYTES)
    # The largest stands for all: costs are not more than this says.
    largest = max(sizes, key=lambda one: one.trained * one.vertices)
    seen = Size(largest.trained, largest.vertices, DIM)
    jobs = sandbox_jobs(config, everyone, left_out)
    yield from ((job.stage, _held(align_cost(job, seen))) for job in jobs)
    if config.compare:
        yield like_of(jobs).model_copy(update={"name": TRUE}).stage, _held(Cost(0.1, 4e6, START_BYTES))
    yield "evaluate", _held(evaluate_cost(predictions(jobs)))
    fits = ("contrastive", comparisons.ALL, *map(comparisons.job_of, left_out)) if config.compare else ("contrastive",)
    for job in jobs:
        if job.name in fits:
            people = job.groups[0].train
            there = [(one, sum(name in people for name in one.subjects)) for one in sizes]
            yield f"regress/{job.name}/seed-{job.config.seed}/fold-0", _held(_regress(config, there, job, seen))
    gathered = Cost(0.2, 4e6, START_BYTES)
    unseen = gathered.then(read_cost(config.regress, len(left_out) * sizes[0].tested))
    for method, cost in {METHOD: unseen, **({comparisons.ALONE: gathered} if config.compare else {})}.items():
        for seed in _seeds(config):
            yield f"regress/{method}/seed-{seed}/fold-0", _held(cost)
    for variant, settings in ways(config).items():
        yield from _videos(config, variant, settings, parameters)
    yield from _scored(config)


def _held(cost: Cost) -> Cost:
    return cost._replace(memory_bytes=cost.memory_bytes + HELD_BYTES)


def _methods(config: SandboxConfig, variant: str) -> dict[str, list[tuple[Release, list[str]]]]:
    """Method of stage 2 → datasets with the people whose videos are made."""
    sizes, (everyone, left_out) = releases(config), cast(config)
    unseen = [(sizes[0], list(left_out))]
    if config.compare:
        return dict.fromkeys(comparisons.FILMED[:1] if variant else comparisons.FILMED, unseen)
    trained = [(one, [name for name in one.subjects if name in everyone]) for one in sizes]
    return {"contrastive": trained, METHOD: unseen}


def _controls(config: SandboxConfig, method: str) -> tuple[str, ...]:
    """The mean response's videos are made for the people who were trained on, or for the model of everybody."""
    of_mean = comparisons.ALL if config.compare else "contrastive"
    return (ORACLE, MEAN) if method == of_mean else (ORACLE,)


def _videos(
    config: SandboxConfig,
    variant: str,
    settings: GenerateConfig,
    parameters: Mapping[str, float],
) -> Iterator[tuple[str, Cost]]:
    """The videos of everybody and of the controls; the oracle's are the same for every method and seed: made once."""
    done = 1.0 if settings.mode == "text-to-video" else settings.strength
    passes = settings.steps * done * (2 if settings.guidance > 1 else 1)
    made: set[str] = set()
    for method, there in _methods(config, variant).items():
        for seed, (one, people) in itertools.product(_seeds(config, method, variant), there):
            for name in [*people, *(f"{one.name}/{control}" for control in _controls(config, method))]:
                again = name.endswith(ORACLE) and name in made
                made.add(name)
                count = 0 if again else min(one.tested, config.clips or one.tested)
                cost = generate_cost(count, passes, parameters, (FRAMES, SIDE, SIDE))
                yield f"generate/{strategy_name(method, variant)}/seed-{seed}/fold-0/{name}", _held(cost)


def _scored(config: SandboxConfig) -> Iterator[tuple[str, Cost]]:
    """The videos' scores, of every variant and of the nearest training clip."""
    known: set[str] = set()
    found = [(variant, *each) for variant in (*ways(config), RETRIEVED) for each in _methods(config, variant).items()]
    for variant, method, there in found:
        for seed, (one, people) in itertools.product(_seeds(config, method, variant), there):
            clips = min(one.tested, config.clips or one.tested)
            # What was shown, and the oracle and the mean response of it, are looked at once.
            first = 0.0 if one.name in known else one.clips * LOOKED_CLIP_S + 2 * clips * SCORED_VIDEO_S
            scored = SCORED_VIDEO_S + min(clips, BLOCK) * WRONG_PAIR_S
            known.add(one.name)
            cost = Cost(first + len(people) * clips * scored, 1e5, SCORED_BYTES)
            yield f"evaluate-videos/folds/{strategy_name(method, variant)}/seed-{seed}/fold-0/{one.name}", cost
    yield SUMMARY, Cost(2.0, 2e6, SCORED_BYTES)


def _seeds(config: SandboxConfig, method: str = "", variant: str = "") -> list[int]:
    """All seeds; where models are compared, those of a method's variant."""
    seeds = [config.align.seed + offset for offset in range(config.seeds)]
    followed = retrieved(config) if variant else None
    return [seed for seed in seeds if followed is None or (method, seed) in followed]


def _twin(one: Release) -> Cost:
    trials = one.trials * one.scale.subjects
    seconds = 1.0 + one.clips * SIMULATED_CLIP_S + trials * SIMULATED_TRIAL_S
    return Cost(seconds, one.clips * CLIP_BYTES + trials * one.vertices * VALUE_BYTES, START_BYTES)


def _ingest(one: Release) -> Cost:
    values = one.trials * one.scale.subjects * one.vertices * VALUE_BYTES
    return Cost(0.1 + one.clips * INGESTED_CLIP_S, values, START_BYTES + 2 * values)


def _regress(config: SandboxConfig, there: Sequence[tuple[Release, int]], job: AlignJob, seen: Size) -> Cost:
    """A fit to some people of each dataset, and the trainings of stage 1 that embed the training clips for it."""
    trials, clips = sum(one.trained * count for one, count in there), sum(one.clips for one, count in there if count)
    fitted = regress_cost(config.regress, trials, clips, DIM, NUMBERS, sum(count for _, count in there))
    said = read_cost(config.regress, sum(one.tested * count for one, count in there))
    again = align_cost(job, seen)
    return Cost(config.regress.crossfit * again.seconds, 0.0, again.memory_bytes).then(fitted).then(said)
