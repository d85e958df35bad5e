"""The film benchmark: from seconds of one person's brain activity, what was on the screen?

The protocol is fixed (docs/sherlock.md): windows of 10 TRs, eight contiguous blocks, 45 s free around each, targets
centred by the training mean, identification inside a block.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from brainreel.align.config import StrategyName
from brainreel.align.jobs import AlignJob, Group
from brainreel.evaluate.methods import Method
from brainreel.metrics.controls import circular_shifts
from brainreel.pipeline.film_config import FINAL_BLOCKS, FOLDS, FilmConfig
from brainreel.pipeline.plan import Plan
from brainreel.store import Store

MINUTES = (0.0, 1.0, 2.0, 5.0, 10.0, float("inf"))
SIZES = (2, 4, 8)
# One way of training for any number of people: contrastive steps, everybody solved towards the others (if there are
# any), contrastive steps from there. Number and rate were chosen on blocks 1-3 and 5-7.
POLISHED = {"polish_steps": 10}


class Film(NamedTuple):
    """What the number and kind of trainings depend on; known before anything is ingested."""

    dataset: str
    subjects: tuple[str, ...]
    folds: int
    volumes: int


def film_of(store: Store) -> Film:
    """The film of an ingested store."""
    volumes = store.manifest.stimulus_volumes or 0
    return Film(store.name, tuple(store.subjects), store.folds(FOLDS).shape[1], volumes)


def film_jobs(config: FilmConfig, film: Film) -> list[AlignJob]:
    """Every training of the benchmark, cheap and important ones first."""
    everyone = tuple(f"{film.dataset}/{subject}" for subject in film.subjects)
    folds = range(film.folds)
    seeds = [config.align.seed + offset for offset in range(config.count("seeds"))]
    # A null needs shifts that leave the film's autocorrelation behind; short films of twins have less room.
    least = min(60, max(1, film.volumes // 4))
    shifts = circular_shifts(
        film.volumes, max(config.count("null_ridge"), config.count("null_contrastive"), 1), seed=0, least=least
    ).tolist()

    def jobs(
        name: str,
        strategy: StrategyName,
        groups: Sequence[Group],
        seeds: Sequence[int],
        shifts: Sequence[int] = (),
        minutes: tuple[float, ...] = (),
        network: Mapping[str, Any] | None = None,
    ) -> list[AlignJob]:
        settings = config.align.contrastive.model_copy(update=network or {})
        return [
            AlignJob(
                name=name,
                config=config.align.model_copy(update={"strategy": strategy, "seed": seed, "contrastive": settings}),
                folds=FOLDS,
                fold=fold,
                groups=tuple(groups),
                minutes=minutes,
                shift=int(shift),
            )
            for (seed, shift), fold in itertools.product(
                zip(seeds, shifts if len(shifts) else itertools.repeat(0), strict=False), folds
            )
        ]

    together = [Group(train=everyone)]
    null_seeds = [config.align.seed + index for index in range(len(shifts))]
    ridge_shifts, network_shifts = shifts[: config.count("null_ridge")], shifts[: config.count("null_contrastive")]
    found = [
        *jobs("ridge", "ridge", together, seeds[:1]),
        *jobs("contrastive", "contrastive", together, seeds),
        *jobs("consensus", "consensus", together, seeds),
        *jobs("polished", "contrastive", together, seeds, network=POLISHED),
        *jobs("polished-alone", "contrastive", groups_of(everyone, 1), seeds, network=POLISHED),
    ]
    if config.full:
        left_out = [
            Group(train=tuple(s for s in everyone if s != subject), newcomers=(subject,)) for subject in everyone
        ]
        half = -(-len(everyone) // 2)
        found += jobs("newcomer", "consensus", left_out, seeds, minutes=MINUTES)
        # Nobody else's data enter a newcomer's own ridge: who is trained beside it makes no difference.
        first, *rest = everyone
        on_their_own = [Group(train=(rest[0],), newcomers=(first,)), Group(train=(first,), newcomers=tuple(rest))]
        found += jobs("newcomer-ridge", "ridge", on_their_own, seeds[:1], minutes=MINUTES[1:])
        found += jobs("halves", "consensus", [Group(train=everyone[:half]), Group(train=everyone[half:])], seeds)
        for size in SIZES:
            if size < len(everyone):
                found += jobs(f"groups-of-{size}", "contrastive", groups_of(everyone, size), seeds[:1])
        found += jobs("newcomer-pooled-ridge", "pooled-ridge", left_out, seeds[:1], minutes=MINUTES[:1])
        found += jobs("newcomer-contrastive", "contrastive", left_out, seeds[:1], minutes=(0.0, 10.0))
    if network_shifts:
        found += jobs("null-contrastive", "contrastive", together, null_seeds, network_shifts)
    if ridge_shifts:
        found += jobs("null-ridge", "ridge", together, null_seeds, ridge_shifts)
    return found


def groups_of(everyone: Sequence[str], size: int) -> list[Group]:
    """Disjoint groups in the release's order; the last is filled up with people from the beginning."""
    starts = range(0, len(everyone), size)
    return [
        Group(train=tuple(everyone[index % len(everyone)] for index in range(start, start + size))) for start in starts
    ]


def film_plan(config: FilmConfig, film: Film, stores: tuple[str, ...], targets: str) -> Plan:
    """What the benchmark compares."""
    people = len(film.subjects)
    all_of_them, one, viewers = {"trained_subjects": people}, {"trained_subjects": 1}, {"viewers": people}
    methods = [
        Method(name="contrastive", job="contrastive", facts={**all_of_them, "refit": True}),
        Method(name="consensus", job="consensus", facts=all_of_them),
        Method(name="ridge", job="ridge", facts={**one, "role": "rival"}),
        Method(name="contrastive-polished", job="polished", facts={**all_of_them, "refit": True}),
        Method(name="contrastive-polished-alone", job="polished-alone", facts=one),
        Method(name="contrastive-trained", job="contrastive", label="trained", facts=all_of_them),
        Method(name="contrastive-alone", job="consensus", label="alone", facts=one),
        Method(name="contrastive-viewers", job="contrastive", facts={**all_of_them, **viewers}),
        Method(name="consensus-viewers", job="consensus", facts={**all_of_them, **viewers}),
        Method(name="contrastive-alone-viewers", job="consensus", label="alone", facts={**one, **viewers}),
        Method(name="ridge-viewers", job="ridge", facts={**one, **viewers}),
    ]
    differences = [
        ("contrastive", "ridge"),
        ("contrastive", "contrastive-alone"),
        ("contrastive-polished", "contrastive-polished-alone"),
        ("contrastive-polished", "ridge"),
        ("contrastive-trained", "contrastive-alone"),
        ("contrastive-trained", "ridge"),
        ("contrastive", "contrastive-trained"),
        ("consensus", "ridge"),
        ("consensus", "contrastive-alone"),
        ("consensus", "contrastive"),
        ("contrastive-alone-viewers", "ridge-viewers"),
    ]
    if config.count("null_ridge"):
        methods.append(Method(name="null-ridge", job="null-ridge", facts={"null": "shifted-text"}))
    if config.count("null_contrastive"):
        methods.append(Method(name="null-contrastive", job="null-contrastive", facts={"null": "shifted-text"}))
    if config.full:
        for size in SIZES:
            if size < people:
                job, facts = f"groups-of-{size}", {"trained_subjects": size}
                methods.append(Method(name=f"contrastive-{size}", job=job, label="trained", facts=facts))
                methods.append(Method(name=f"contrastive-{size}-refit", job=job, facts=facts))
        methods.append(Method(name="consensus-halves", job="halves", facts={"trained_subjects": -(-people // 2)}))
        differences.append(("consensus", "consensus-halves"))
        more, compared = newcomer_methods(people)
        methods += more
        differences += compared
    return Plan(
        recipe="sherlock",
        stores=stores,
        targets=targets,
        target=config.align.target,
        folds=FOLDS,
        methods=tuple(methods),
        differences=tuple(differences),
        seed=config.align.seed,
        final_folds=FINAL_BLOCKS,
    )


def newcomer_methods(people: int) -> tuple[list[Method], list[tuple[str, str]]]:
    """Somebody left out of training, with and without minutes of their own, and what they are compared with."""
    newcomer = {"newcomer": True, "trained_subjects": people - 1}
    methods, differences = [], []
    for minutes in MINUTES:
        facts = {**newcomer, "minutes": None if np.isinf(minutes) else minutes}
        name = f"newcomer-{amount(minutes)}"
        methods.append(Method(name=name, job="newcomer", label=label_of(minutes), facts=facts))
        if minutes:
            rival, alone = f"newcomer-ridge-{amount(minutes)}", {**facts, "trained_subjects": 0}
            methods.append(Method(name=rival, job="newcomer-ridge", label=label_of(minutes), facts=alone))
            differences += [(name, rival), (name, "newcomer-zero-shot")]
    zero = {**newcomer, "minutes": 0.0}
    by_own_statistics = {**zero, "scaling": "transductive"}
    for name, job in (
        ("newcomer-contrastive", "newcomer-contrastive"),
        ("newcomer-pooled-ridge", "newcomer-pooled-ridge"),
    ):
        methods.append(Method(name=f"{name}-zero-shot", job=job, label="minutes-0", facts=zero))
        differences.append(("newcomer-zero-shot", f"{name}-zero-shot"))
    for name, job in (("newcomer", "newcomer"), ("newcomer-pooled-ridge", "newcomer-pooled-ridge")):
        methods.append(Method(name=f"{name}-transductive", job=job, label="transductive", facts=by_own_statistics))
    differences.append(("newcomer-transductive", "newcomer-pooled-ridge-transductive"))
    return methods, differences


def label_of(minutes: float) -> str:
    """The file that a newcomer's predictions after so many minutes lie in."""
    return f"minutes-{minutes:g}"


def amount(minutes: float) -> str:
    """«zero-shot», «5-min» or «all»."""
    return "all" if np.isinf(minutes) else f"{minutes:g}-min" if minutes else "zero-shot"


def relative_folder(path: Path, root: Path) -> str:
    """A folder of an experiment as its plan names it."""
    return path.relative_to(root).as_posix()
