"""What an experiment's folder records of itself: how training went, what to know, and what ran."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from brainreel.experiment import Experiment
from brainreel.report import Curves, Prose, Section, Series, Stage, WhatRan
from brainreel.store import Store

_ALIGN = "align/contrastive/seed-*/fold-*/parts/group-0/training/member-0/log.jsonl"
_REGRESS = "regress/*/seed-*/fold-*/log.jsonl"


def learning_curves(experiment: Experiment) -> list[Section]:
    """Losses over steps of stage 1 and, where it ran, of stage 2."""
    aligned = {path.parts[path.parts.index("align") + 3]: _log(path) for path in sorted(experiment.root.glob(_ALIGN))}
    regressed = {
        "/".join(path.relative_to(experiment.root).parts[1:4]): _log(path)
        for path in sorted(experiment.root.glob(_REGRESS))
    }
    found: list[Section] = []
    if aligned:
        found.append(
            Curves(
                title="Learning curves",
                nav="Learning",
                intro="Contrastive loss of each step's batch, one line per fold.",
                series=_series(aligned),
                x_label="optimiser step",
                y_label="loss (nats)",
            )
        )
    if any(regressed.values()):
        found.append(
            Curves(
                title="Learning curves of stage 2",
                nav="Stage 2",
                intro="Loss of each step's batch, all conditions together, one line per training.",
                series=_series(regressed),
                x_label="optimiser step",
                y_label="loss",
            )
        )
    return found


def caveats(stores: Sequence[Store], points: Sequence[str]) -> Prose:
    """How the responses were made, and what else a reader has to know; `points` stand after the stores' notes."""
    several = len(stores) > 1
    paragraphs = tuple(
        f"Responses{f' of {store.name}' if several else ''}: {store.manifest.responses}." for store in stores
    )
    notes = list(dict.fromkeys(note for store in stores for note in store.manifest.notes))
    return Prose(
        title="What to know before quoting this",
        nav="Caveats",
        paragraphs=paragraphs,
        points=(*notes, *points, "A difference between methods is judged by its own paired interval."),
    )


def what_ran(experiment: Experiment) -> WhatRan:
    """Every stage in the order in which it was finished."""
    stages = []
    for path in sorted(
        experiment.root.rglob("provenance.json"), key=lambda p: (json.loads(p.read_text())["finished"], str(p))
    ):
        made, config = json.loads(path.read_text()), json.loads((path.parent / "config.json").read_text())
        stages.append(
            Stage(
                name=path.parent.relative_to(experiment.root).as_posix(),
                seed=made["seed"],
                device=made["device"],
                wall_s=made["wall_s"],
                memory_bytes=made["peak_memory_mib"] * 2**20,
                versions={name: version for name, version in made["versions"].items() if version},
                config=config["settings"],
            )
        )
    return WhatRan(title="What ran", nav="What ran", stages=tuple(stages))


def _series(logs: dict[str, list[dict]]) -> tuple[Series, ...]:
    return tuple(
        Series(name=name, x=tuple(e["step"] for e in log), y=tuple(e["loss"] for e in log))
        for name, log in logs.items()
        if log
    )


def _log(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]
