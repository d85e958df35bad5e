"""`report.html` of an experiment, from what evaluation and training left."""

from __future__ import annotations

import json
from pathlib import Path

from brainreel import __version__
from brainreel.errors import ExperimentError
from brainreel.evaluate.brain_to_brain import STRATEGY as BRAIN_TO_BRAIN
from brainreel.experiment import Experiment
from brainreel.pipeline.audit_report import audit_sections
from brainreel.pipeline.film_sections import headline, timeline
from brainreel.pipeline.plan import Plan
from brainreel.pipeline.score_sections import (
    TWO_WAY,
    averages,
    difference_table,
    label,
    scaling_over_minutes,
    scaling_over_subjects,
    score_table,
)
from brainreel.report import Curves, Prose, Report, Section, Series, Stage, WhatRan, write


def write_report(experiment: Experiment, plan: Plan) -> Path:
    """Write ``report.html`` from what evaluation left; returns its path."""
    folder = experiment.stage("evaluate")
    scores = json.loads((folder / "metrics.json").read_text())
    film = json.loads((folder / "film.json").read_text())
    if not (folder / "audit.json").is_file():
        raise ExperimentError(f"{folder} was scored without an audit", do="run `brainreel evaluate` again")
    store = plan.open_stores(experiment)[0]
    manifest = store.manifest
    rows = averages(scores["scores"])
    means = {row["strategy"]: row for row in rows if row["metric"] == TWO_WAY and row["dataset"] == store.name}
    sections: list[Section] = [
        headline(means, scores["differences"], film, manifest.title, manifest.simulated, len(store.subjects))
    ]
    if film["windows"]:
        sections.append(timeline(film))
    sections.append(score_table(rows, [*(method.name for method in plan.methods), BRAIN_TO_BRAIN]))
    if scores["differences"]:
        sections.append(difference_table(scores["differences"]))
    sections += [
        section
        for section in (scaling_over_subjects(means), scaling_over_minutes(means), _curves(experiment))
        if section
    ]
    sections += audit_sections(json.loads((folder / "audit.json").read_text()), label)
    sections += [_honesty(manifest.responses, manifest.notes), _what_ran(experiment)]
    report = Report(
        title=f"brainreel: {manifest.title}", sections=tuple(sections), made_with=f"brainreel {__version__}"
    )
    return write(report, experiment.root / "report.html")


def _curves(experiment: Experiment) -> Curves | None:
    logs = {
        path.parts[path.parts.index("align") + 3]: [json.loads(line) for line in path.read_text().splitlines()]
        for path in sorted(
            experiment.root.glob("align/contrastive/seed-*/fold-*/parts/group-0/training/member-0/log.jsonl")
        )
    }
    if not logs:
        return None
    return Curves(
        title="Learning curves",
        nav="Learning",
        intro="Contrastive loss of each step's batch, one line per fold.",
        series=tuple(
            Series(name=fold, x=tuple(e["step"] for e in log), y=tuple(e["loss"] for e in log))
            for fold, log in logs.items()
        ),
        x_label="optimiser step",
        y_label="loss (nats)",
    )


def _honesty(responses: str, notes: list[str]) -> Prose:
    return Prose(
        title="What to know before quoting this",
        nav="Caveats",
        paragraphs=(f"Responses: {responses}.",),
        points=(
            *notes,
            "Chance is 50 % by construction: every control above is scored by the same code as the model.",
            "Single blocks of a film differ much; with fewer than ten blocks the interval is rough.",
            "A difference between methods is judged by its own paired interval.",
        ),
    )


def _what_ran(experiment: Experiment) -> WhatRan:
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
