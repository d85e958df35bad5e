"""What a command would do: its stages, which of them are up to date, and an estimate of the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brainreel.align.aligner import contexts_for
from brainreel.align.config import AlignConfig
from brainreel.align.jobs import AlignJob
from brainreel.datasets import DATASETS
from brainreel.experiment import Experiment, State
from brainreel.pipeline.costs import Cost, Size, align_cost, encode_cost, evaluate_cost, ingest_cost, size
from brainreel.pipeline.film_config import FilmConfig
from brainreel.pipeline.film_recipe import Film, film_jobs, film_of, film_plan
from brainreel.pipeline.plan import Plan, portable
from brainreel.pipeline.run import check_film
from brainreel.pipeline.stages import align_step, encode_step, evaluate_step, ingest_step
from brainreel.progress import duration
from brainreel.store.reader import Store
from brainreel.store.targets import Targets, read_targets

DIM = 384
Entry = tuple[str, State, Cost]


@dataclass(frozen=True)
class Outlook:
    """Stages in their order, each with what would be done about it and what that costs."""

    stages: tuple[Entry, ...]

    @property
    def cost(self) -> Cost:
        """Of everything that is not up to date."""
        total = Cost()
        for _, state, cost in self.stages:
            if state != "up to date":
                total = total.then(cost)
        return total

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return all(state == "up to date" for _, state, _ in self.stages)

    def line(self) -> str:
        """One line for people."""
        todo = sum(state != "up to date" for _, state, _ in self.stages)
        return "everything is up to date" if self.idle else f"{todo} of {len(self.stages)} stages to run: {self.cost}"

    def json(self) -> dict[str, Any]:
        """The same for programs."""
        stages = [
            {"stage": name, "state": state, "seconds": round(cost.seconds, 1)} for name, state, cost in self.stages
        ]
        return {"stages": stages, "estimate": {key: round(value, 1) for key, value in self.cost._asdict().items()}}

    def table(self) -> list[tuple[str, str, str | None, str | None]]:
        """Stage, what would be done, how long that takes, and in how much memory.

        Folds and seeds of one training are counted together.
        """
        rows: dict[str, Counter[str]] = {}
        costs: dict[str, Cost] = {}
        for name, state, cost in self.stages:
            row = "/".join(name.split("/")[:2])
            rows.setdefault(row, Counter())[state] += 1
            if state != "up to date":
                costs[row] = costs.get(row, Cost()).then(cost)
        return [
            (
                name,
                next(iter(states)) if states.total() == 1 else ", ".join(f"{n} {s}" for s, n in states.items()),
                duration(max(1.0, costs[name].seconds)) if name in costs else None,
                size(costs[name].memory_bytes) if name in costs else None,
            )
            for name, states in rows.items()
        ]


def film_outlook(
    config: FilmConfig,
    out: Path,
    *,
    source: Path | None = None,
    store: Path | None = None,
    subjects: Sequence[str] | None = None,
    text_weights: str | None = None,
    dataset: str = "sherlock",
) -> Outlook:
    """What `run_film` would do with the same arguments; reads, writes nothing.

    Raises:
        BrainreelError: what `run_film` would raise about its arguments.
    """
    experiment, stages = Experiment(out), list[Entry]()
    if source is not None:
        step = ingest_step(dataset, source, subjects)
        stages.append((step.name, step.state(experiment), ingest_cost(source)))
        if stages[-1][1] == "up to date":
            opened = Store(experiment.root / "ingest" / dataset)
        else:
            film, size = _unread(source, subjects)
            captions = DATASETS[dataset].facts.segments or size.trials
            return unread_outlook(config, film, size, captions, ingest_cost(source))
    else:
        opened = Store(store or "")
    check_film(opened)
    encoded = encode_step([opened], {config.align.target: text_weights})
    stages.append((encoded.name, encoded.state(experiment), encode_stores_cost([opened])))
    targets = None
    if stages[-1][1] == "up to date":
        targets = [read_targets(opened, config.align.target, experiment.root / encoded.name)]
    film = film_of(opened)
    jobs = film_jobs(config, film)
    stages += align_outlook(experiment, jobs, training_size(opened, config.align), [opened], targets)
    plan = film_plan(
        config, film, (portable(opened.root, experiment),), portable(experiment.root / "encode", experiment)
    ).counting(jobs)
    stages.append(evaluate_outlook(experiment, plan, jobs, stages, [opened], targets))
    return Outlook(tuple(stages))


def unread_outlook(config: FilmConfig, film: Film, size: Size, captions: int, ingest: Cost) -> Outlook:
    """Everything has to run, on a film that is not ingested yet."""
    jobs = film_jobs(config, film)
    return Outlook(
        (
            ("ingest", "run", ingest),
            ("encode", "run", encode_cost(captions, size.trials, DIM)),
            *((job.stage, "run", align_cost(job, size)) for job in jobs),
            ("evaluate", "run", evaluate_cost(predictions(jobs))),
        )
    )


def _unread(source: Path, subjects: Sequence[str] | None) -> tuple[Film, Size]:
    """What can be known of a kit before it is ingested."""
    from brainreel.datasets.protocol import chosen, facts_of
    from brainreel.datasets.sherlock import BLOCKS, FACTS, STEP_TRS
    from brainreel.datasets.sherlock_kit import REGIONS, present_subjects

    people = chosen(present_subjects(source), subjects, source)
    facts, _ = facts_of(source, FACTS)
    volumes = sum(facts.run_volumes.values())
    features = sum(facts.spaces.values()) + 4 * len(REGIONS)
    return Film(FACTS.name, tuple(people), BLOCKS, volumes), Size(volumes // STEP_TRS, features, DIM)


def encode_stores_cost(stores: Sequence[Store]) -> Cost:
    """Cost of encoding all captions of some stores."""
    total = Cost()
    for store in stores:
        texts = {text for captions in store.clips["captions"] for text in captions}
        notes = 0 if store.annotations is None else len(set(store.annotations["caption"]))
        total = total.then(encode_cost(max(len(texts), notes), len(store.clips), DIM))
    return total


def align_outlook(
    experiment: Experiment,
    jobs: Sequence[AlignJob],
    size: Size,
    stores: Sequence[Store],
    targets: Sequence[Targets] | None,
) -> list[Entry]:
    """The trainings; without targets none of them can be up to date."""
    return [
        (
            job.stage,
            "run" if targets is None else align_step(job, stores, targets).state(experiment),
            align_cost(job, size),
        )
        for job in jobs
    ]


def evaluate_outlook(
    experiment: Experiment,
    plan: Plan,
    jobs: Sequence[AlignJob],
    before: Sequence[Entry],
    stores: Sequence[Store],
    targets: Sequence[Targets] | None,
) -> Entry:
    """Scoring: up to date only if everything before it is."""
    state: State = "run"
    if targets is not None and all(found == "up to date" for _, found, _ in before):
        state = evaluate_step(experiment, plan, stores, targets).state(experiment)
    return "evaluate", state, evaluate_cost(predictions(jobs))


def predictions(jobs: Sequence[AlignJob]) -> int:
    """How many sets of one person's predictions in one fold some jobs leave."""
    return sum(len(group.train) + len(group.newcomers) * len(job.minutes) for job in jobs for group in job.groups)


def training_size(store: Store, config: AlignConfig) -> Size:
    """Trials and features of the store's first subject, who stands for all."""
    subject = store.subjects[0]
    features = sum(store.width(subject, context) for context in contexts_for(store, config.contexts))
    return Size(len(store.rows(subject)), features, DIM)
