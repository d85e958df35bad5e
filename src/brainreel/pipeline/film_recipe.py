"""The film benchmark: from seconds of one person's brain activity, what was on the screen?

The protocol is fixed (docs/sherlock.md): windows of 10 TRs, eight contiguous blocks, 45 s free around each, targets
centred by the training mean, identification inside a block.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from brainreel.align.jobs import AlignJob, Group
from brainreel.evaluate.methods import Method
from brainreel.metrics.controls import circular_shifts
from brainreel.pipeline.film_config import FOLDS, FilmConfig
from brainreel.pipeline.plan import Plan
from brainreel.store import Store

MINUTES = (0.0, 1.0, 2.0, 5.0, 10.0, float("inf"))
SIZES = (2, 4, 8)


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
        strategy: Literal["contrastive", "ridge", "pooled-ridge"],
        groups: Sequence[Group],
        seeds: Sequence[int],
        shifts: Sequence[int] = (),
        minutes: tuple[float, ...] = (),
        transductive: bool = False,
    ) -> list[AlignJob]:
        return [
            AlignJob(
                name=name,
                config=config.align.model_copy(update={"strategy": strategy, "seed": seed}),
                folds=FOLDS,
                fold=fold,
                groups=tuple(groups),
                minutes=minutes,
                transductive=transductive,
                shift=int(shift),
            )
            for (seed, shift), fold in itertools.product(
                zip(seeds, shifts if len(shifts) else itertools.repeat(0), strict=False), folds
            )
        ]

    together = [Group(train=everyone)]
    alone = [Group(train=(subject,)) for subject in everyone]
    null_seeds = [config.align.seed + index for index in range(len(shifts))]
    found = [
        *jobs("ridge", "ridge", together, seeds[:1]),
        *jobs("contrastive", "contrastive", together, seeds),
        *jobs("alone", "contrastive", alone, seeds),
        *jobs("null-ridge", "ridge", together, null_seeds, shifts[: config.count("null_ridge")]),
        *jobs("null-contrastive", "contrastive", together, null_seeds, shifts[: config.count("null_contrastive")]),
    ]
    if config.full:
        left_out = [
            Group(train=tuple(s for s in everyone if s != subject), newcomers=(subject,)) for subject in everyone
        ]
        for size in SIZES:
            if size < len(everyone):
                found += jobs(f"groups-of-{size}", "contrastive", groups_of(everyone, size), seeds)
        found += jobs("newcomer", "contrastive", left_out, seeds, minutes=MINUTES)
        found += jobs(
            "newcomer-transductive", "contrastive", left_out, seeds[:1], minutes=MINUTES[:1], transductive=True
        )
        found += jobs("newcomer-pooled-ridge", "pooled-ridge", left_out, seeds[:1], minutes=MINUTES[:1])
        found += jobs(
            "newcomer-pooled-ridge-transductive",
            "pooled-ridge",
            left_out,
            seeds[:1],
            minutes=MINUTES[:1],
            transductive=True,
        )
        found += jobs("newcomer-ridge", "ridge", left_out, seeds[:1], minutes=MINUTES[1:])
    return found


def groups_of(everyone: Sequence[str], size: int) -> list[Group]:
    """Disjoint groups in the release's order; the last is filled up with people from the beginning."""
    starts = range(0, len(everyone), size)
    return [
        Group(train=tuple(everyone[index % len(everyone)] for index in range(start, start + size))) for start in starts
    ]


def film_plan(config: FilmConfig, store: Store, stores: tuple[str, ...], targets: str) -> Plan:
    """What the benchmark compares."""
    people = len(store.subjects)
    methods = [
        Method(name="contrastive", job="contrastive", facts={"trained_subjects": people, "refit": True}),
        Method(name="ridge", job="ridge", facts={"trained_subjects": 1, "role": "rival"}),
        Method(name="contrastive-trained", job="contrastive", label="trained", facts={"trained_subjects": people}),
        Method(name="contrastive-alone", job="alone", facts={"trained_subjects": 1}),
        Method(name="contrastive-viewers", job="contrastive", facts={"viewers": people, "trained_subjects": people}),
        Method(
            name="contrastive-trained-viewers",
            job="contrastive",
            label="trained",
            facts={"viewers": people, "trained_subjects": people},
        ),
        Method(name="contrastive-alone-viewers", job="alone", facts={"viewers": people, "trained_subjects": 1}),
        Method(name="ridge-viewers", job="ridge", facts={"viewers": people, "trained_subjects": 1}),
    ]
    if config.count("null_ridge"):
        methods.append(Method(name="null-ridge", job="null-ridge", facts={"null": "shifted-text"}))
    if config.count("null_contrastive"):
        methods.append(Method(name="null-contrastive", job="null-contrastive", facts={"null": "shifted-text"}))
    differences = [
        ("contrastive", "ridge"),
        ("contrastive-trained", "contrastive-alone"),
        ("contrastive-trained", "ridge"),
        ("contrastive", "contrastive-trained"),
    ]
    if config.full:
        for size in SIZES:
            if size < people:
                facts = {"trained_subjects": size}
                methods.append(
                    Method(name=f"contrastive-{size}", job=f"groups-of-{size}", label="trained", facts=facts)
                )
                methods.append(Method(name=f"contrastive-{size}-refit", job=f"groups-of-{size}", facts=facts))
        newcomer = {"newcomer": True, "trained_subjects": people - 1}
        for minutes in MINUTES:
            facts = {**newcomer, "minutes": None if np.isinf(minutes) else minutes}
            given = amount(minutes)
            methods.append(Method(name=f"newcomer-{given}", job="newcomer", label=label_of(minutes), facts=facts))
            if minutes:
                name = f"newcomer-ridge-{given}"
                methods.append(
                    Method(
                        name=name, job="newcomer-ridge", label=label_of(minutes), facts={**facts, "trained_subjects": 0}
                    )
                )
                differences.append((f"newcomer-{given}", name))
        zero = {**newcomer, "minutes": 0.0}
        transductive = {**zero, "scaling": "transductive"}
        methods += [
            Method(name="newcomer-pooled-ridge", job="newcomer-pooled-ridge", label="minutes-0", facts=zero),
            Method(name="newcomer-transductive", job="newcomer-transductive", label="minutes-0", facts=transductive),
            Method(
                name="newcomer-pooled-ridge-transductive",
                job="newcomer-pooled-ridge-transductive",
                label="minutes-0",
                facts=transductive,
            ),
        ]
        differences += [
            ("newcomer-zero-shot", "newcomer-pooled-ridge"),
            ("newcomer-transductive", "newcomer-pooled-ridge-transductive"),
        ]
    return Plan(
        recipe="sherlock",
        stores=stores,
        targets=targets,
        target=config.align.target,
        folds=FOLDS,
        methods=tuple(methods),
        differences=tuple(differences),
        seed=config.align.seed,
    )


def label_of(minutes: float) -> str:
    """The file that a newcomer's predictions after so many minutes lie in."""
    return f"minutes-{minutes:g}"


def amount(minutes: float) -> str:
    """«zero-shot», «5-min» or «all»."""
    return "all" if np.isinf(minutes) else f"{minutes:g}-min" if minutes else "zero-shot"


def relative_folder(path: Path, root: Path) -> str:
    """A folder of an experiment as its plan names it."""
    return path.relative_to(root).as_posix()
