"""The report of an experiment whose scores are identifications of described clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brainreel import __version__
from brainreel.errors import ExperimentError
from brainreel.evaluate.brain_to_brain import STRATEGY as BRAIN_TO_BRAIN
from brainreel.experiment import Experiment
from brainreel.metrics.identification import DEFINITIONS
from brainreel.pipeline.audit_report import audit_sections
from brainreel.pipeline.plan import Plan
from brainreel.report import (
    Bar,
    Curves,
    Decoded,
    Difference,
    DifferenceTable,
    FilmTimeline,
    Headline,
    Method,
    Metric,
    Point,
    Prose,
    Reader,
    Reading,
    Report,
    Scaling,
    ScoreRow,
    ScoreTable,
    Section,
    Series,
    Stage,
    WhatRan,
    Window,
    write,
)

LABELS = {
    "contrastive": "everybody together, adapters solved again",
    "consensus": "everybody fitted to the others' answers",
    "contrastive-trained": "everybody together, as trained",
    "contrastive-alone": "the same network on one person",
    "ridge": "ridge on one person",
    "pooled-ridge": "one ridge for everybody",
    "contrastive-viewers": "mean over viewers: together, solved again",
    "consensus-viewers": "mean over viewers: fitted to the others' answers",
    "consensus-halves": "fitted to the answers of their own half",
    "newcomer-zero-shot": "newcomer, zero-shot",
    "newcomer-contrastive-zero-shot": "newcomer, zero-shot: common adapter of the network",
    "newcomer-pooled-ridge-zero-shot": "newcomer, zero-shot: pooled ridge",
    "newcomer-transductive": "newcomer, zero-shot, own mean and spread",
    "newcomer-pooled-ridge-transductive": "newcomer, pooled ridge, own mean and spread",
    "contrastive-trained-viewers": "mean over viewers: together, as trained",
    "contrastive-alone-viewers": "mean over viewers: each alone",
    "ridge-viewers": "mean over viewers: ridge",
    BRAIN_TO_BRAIN: "no model: one viewer against the mean of the others, by their responses",
    "null-ridge": "null: ridge on shifted text",
    "null-contrastive": "null: network on shifted text",
}
TWO_WAY = "two_way_identification"


def write_film_report(experiment: Experiment, plan: Plan) -> Path:
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
        _headline(means, scores["differences"], film, manifest.title, manifest.simulated, len(store.subjects))
    ]
    if film["windows"]:
        sections.append(_timeline(film))
    sections.append(_table(rows, [*(method.name for method in plan.methods), BRAIN_TO_BRAIN]))
    if scores["differences"]:
        sections.append(_differences(scores["differences"]))
    sections += [section for section in (_scaling(means), _newcomers(means), _curves(experiment)) if section]
    sections += audit_sections(json.loads((folder / "audit.json").read_text()), label)
    sections += [_honesty(manifest.responses, manifest.notes), _what_ran(experiment)]
    report = Report(
        title=f"brainreel: {manifest.title}", sections=tuple(sections), made_with=f"brainreel {__version__}"
    )
    return write(report, experiment.root / "report.html")


def averages(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The means over subjects; where there is one subject only, that subject's rows."""

    def key(row: dict[str, Any]) -> tuple[str, ...]:
        return row["metric"], row["strategy"], row["dataset"]

    averaged = {key(row) for row in rows if row["subject"] is None}
    return [row for row in rows if row["subject"] is None or key(row) not in averaged]


def label(strategy: str) -> str:
    """A method's name for people."""
    return LABELS.get(strategy, strategy.replace("-", " "))


def _headline(
    means: dict[str, Any],
    differences: list[dict[str, Any]],
    film: dict[str, Any],
    title: str,
    simulated: bool,
    people: int,
) -> Headline:
    first = next(iter(means.values()))
    rival = next((row for row in means.values() if row.get("role") == "rival" and row is not first), None)
    evidence, tested = _evidence(film)
    claim = f"{evidence} is told in {_percent(first['value'])} of cases (chance {_percent(first['chance'])})"
    if rival:
        found = next(
            (
                d
                for d in differences
                if [d[key] for key in ("first", "second", "dataset")]
                == [first["strategy"], rival["strategy"], first["dataset"]]
            ),
            None,
        )
        claim += f"; ridge on each person alone reaches {_percent(rival['value'])}"
        if found and found["ci95"]:
            low, high = found["ci95"]
            claim += (
                f", a paired difference of {100 * found['value']:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"
            )
    bars = [
        _bar(row, "model")
        for name, row in means.items()
        if name in ("contrastive", "consensus", "contrastive-alone", "pooled-ridge")
    ]
    bars += [_bar(rival, "rival")] if rival else []
    bars += [
        Bar(label="the same predictions, shuffled", value=first["shuffled"], role="control"),
        *[_bar(row, "control") for name, row in means.items() if name.startswith("null-")],
    ]
    chips = [f"{people} people", tested, f"chance {_percent(first['chance'])}"]
    return Headline(
        title=title,
        claim=claim + ".",
        chips=tuple(["simulated data", *chips] if simulated else chips),
        metric="Two-way identification.",
        definition=DEFINITIONS[TWO_WAY]["centred-cosine"],
        bars=tuple(bars),
        bar_range=(0.4, 0.9) if max(bar.value or 0 for bar in bars) < 0.9 else (0.4, 1.0),
        chance=first["chance"],
    )


def _evidence(film: dict[str, Any]) -> tuple[str, str]:
    """What was told apart from what, and how much of it was tested."""
    windows = film["windows"]
    if not _is_film(film):
        return "From one person's response to a clip, the right one of two clips", f"{len(windows)} clips tested"
    seconds = sum(window["end_s"] - window["start_s"] for window in windows)
    length = windows[0]["end_s"] - windows[0]["start_s"]
    return (
        f"From {length:.0f} s of one person's brain activity, the right one of two moments",
        f"{seconds / 60:.0f} min tested",
    )


def _is_film(film: dict[str, Any]) -> bool:
    return any(not window["name"] for window in film["windows"])


def _bar(row: dict[str, Any], role: Any) -> Bar:
    return Bar(label=label(row["strategy"]), value=row["value"], ci95=row["ci95"], role=role)


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{100 * value:.0f} %"


def _timeline(film: dict[str, Any]) -> FilmTimeline:
    windows = tuple(
        Window(
            name=window["name"],
            start_s=window["start_s"],
            end_s=window["end_s"],
            truths=tuple(window["truths"]),
            scan=window["scan"],
            block=str(window["block"]),
        )
        for window in film["windows"]
    )
    readers = tuple(
        Reader(
            name=reader["name"],
            role=reader["role"],
            readings=tuple(
                Reading(
                    decoded=tuple(Decoded(text=text, similarity=similarity) for text, similarity in reading["decoded"]),
                    score=reading.get("score"),
                    rank=reading.get("rank"),
                    gallery=reading.get("gallery"),
                )
                for reading in reader["readings"]
            ),
        )
        for reader in film["readers"]
    )
    shown, material, others = "Each stretch was", "time", "the block's other windows"
    title, nav = "The film, read from the brain", "Film"
    if not _is_film(film):
        shown, material, others = "These clips were", "clips", "the other test clips"
        title, nav = "The test clips, read from the brain", "Clips"
    return FilmTimeline(
        title=title,
        nav=nav,
        intro=(
            f"{shown} never trained on. The decoded text is the nearest description among those of the training "
            f"{material}, so it never contains the answer. The viewer shown is the one whose mean score is the "
            "median of all viewers."
        ),
        windows=windows,
        readers=readers,
        definition=f"the fraction of {others} whose description fits the prediction less well.",
    )


def _table(rows: list[dict[str, Any]], order: list[str]) -> ScoreTable:
    shown = sorted(rows, key=lambda row: order.index(row["strategy"]))
    several = len({row["dataset"] for row in rows}) > 1
    metrics = (
        Metric(name=TWO_WAY, label="Two-way identification", definition=DEFINITIONS[TWO_WAY]["centred-cosine"]),
        Metric(
            name="retrieval_top5",
            label="Among the best five",
            definition="Own clip among the five nearest of its gallery.",
        ),
        Metric(name="retrieval_top1", label="Best of all", definition="Own clip the nearest of its gallery."),
    )
    return ScoreTable(
        title="Scores and their controls",
        nav="Scores",
        intro="Means over subjects and folds; intervals resample subjects and blocks (clips) together.",
        metrics=metrics,
        rows=tuple(
            ScoreRow(
                **{
                    key: row[key]
                    for key in ("metric", "value", "ci95", "bootstrap", "chance", "constant", "mismatched", "shuffled",
                                "ceiling", "n", "circular")
                },
                label=f"{row['dataset']}: {label(row['strategy'])}" if several else label(row["strategy"]),
                note=row.get("note") or "",
            )
            for row in shown
        ),
    )  # fmt: skip


def _differences(rows: list[dict[str, Any]]) -> DifferenceTable:
    several = len({row["dataset"] for row in rows}) > 1
    return DifferenceTable(
        title="Paired differences",
        nav="Differences",
        intro="Over the same subjects and blocks (clips); whether two intervals above overlap says nothing about this.",
        metric=Metric(name=TWO_WAY, label="Two-way identification, difference"),
        rows=tuple(
            Difference(
                a=f"{row['dataset']}: {label(row['first'])}" if several else label(row["first"]),
                b=label(row["second"]),
                value=row["value"],
                ci95=row["ci95"],
                n=row["n_units"],
                bootstrap=row["bootstrap"],
                note=f"first better in {row['subjects_above']} of {row['subjects']} subjects; sign flips p = {row['p_sign_flip']:.3g}",
            )
            for row in rows
        ),
    )


def _scaling(means: dict[str, Any]) -> Scaling | None:
    def points(names: list[str]) -> tuple[Point, ...]:
        found = [means[name] for name in names if name in means]
        found.sort(key=lambda row: row["trained_subjects"])
        return tuple(Point(x=row["trained_subjects"], value=row["value"], ci95=row["ci95"]) for row in found)

    sizes = sorted({row["trained_subjects"] for name, row in means.items() if name.split("-")[-1].isdigit()})
    trained = points(["contrastive-alone", *(f"contrastive-{size}" for size in sizes), "contrastive-trained"])
    solved = points([*(f"contrastive-{size}-refit" for size in sizes), "contrastive"])
    methods = [
        Method(name="as trained", points=trained),
        Method(name="adapters solved again", points=solved),
        Method(name="fitted to the others' answers", points=points(["consensus-halves", "consensus"])),
        Method(name="ridge on one person", points=points(["ridge"]), role="rival"),
    ]
    methods = [method for method in methods if method.points]
    if sum(len(method.points) for method in methods) < 2:
        return None
    return Scaling(
        title="More people, better for each",
        nav="Scaling",
        intro="Every point is tested on single viewers; only the number of people in training changes.",
        methods=tuple(methods),
        x_label="people trained together",
        y_label="two-way identification",
        chance=0.5,
        log_x=True,
    )


def _newcomers(means: dict[str, Any]) -> Scaling | None:
    def points(prefix: str) -> tuple[Point, ...]:
        rows = [
            row
            for name, row in means.items()
            if row.get("newcomer")
            and row.get("minutes") is not None
            and name.startswith(prefix)
            and name.removeprefix(prefix)[:1].isdigit() | (name.removeprefix(prefix) == "zero-shot")
        ]
        return tuple(
            Point(x=row["minutes"], value=row["value"], ci95=row["ci95"])
            for row in sorted(rows, key=lambda r: r["minutes"])
        )

    own, alone = points("newcomer-"), points("newcomer-ridge-")
    if not own:
        return None
    pooled = tuple(
        Point(x=0, value=row["value"], ci95=row["ci95"])
        for name, row in means.items()
        if name == "newcomer-pooled-ridge-zero-shot"
    )
    return Scaling(
        title="A person the model has never seen",
        nav="Newcomers",
        intro="Left out of training, tested on unseen time, after some minutes of their own data (0: none).",
        methods=tuple(
            method
            for method in (
                Method(name="trained on everybody else", points=own),
                Method(name="ridge on the newcomer's minutes", points=alone, role="rival"),
                Method(name="pooled ridge of everybody else", points=pooled, role="rival"),
            )
            if method.points
        ),
        x_label="minutes of the newcomer's own data",
        y_label="two-way identification",
        chance=0.5,
    )


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
