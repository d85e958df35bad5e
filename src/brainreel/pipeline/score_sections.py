"""Score tables, paired differences and scaling curves, from rows of metrics.json."""

from __future__ import annotations

from typing import Any

from brainreel.evaluate.brain_to_brain import STRATEGY as BRAIN_TO_BRAIN
from brainreel.metrics.identification import DEFINITIONS
from brainreel.report import Difference, DifferenceTable, Method, Metric, Point, Scaling, ScoreRow, ScoreTable

LABELS = {
    "contrastive": "everybody together, adapters solved again",
    "consensus": "everybody fitted to the others' answers",
    "contrastive-polished": "everybody together, solved again and trained on",
    "contrastive-polished-alone": "the same training on one person",
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


def averages(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The means over subjects; where there is one subject only, that subject's rows."""

    def key(row: dict[str, Any]) -> tuple[str, ...]:
        return row["metric"], row["strategy"], row["dataset"]

    averaged = {key(row) for row in rows if row["subject"] is None}
    return [row for row in rows if row["subject"] is None or key(row) not in averaged]


def label(strategy: str) -> str:
    """A method's name for people."""
    return LABELS.get(strategy, strategy.replace("-", " "))


def score_table(rows: list[dict[str, Any]], order: list[str]) -> ScoreTable:
    """Every score beside its controls; ``order``: names of the methods as the plan has them."""
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


def difference_table(rows: list[dict[str, Any]]) -> DifferenceTable:
    """Paired differences, each with its interval and how many subjects agree."""
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


def scaling_over_subjects(means: dict[str, Any]) -> Scaling | None:
    """The same test over the number of people in training; None if only one number was trained."""

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


def scaling_over_minutes(means: dict[str, Any]) -> Scaling | None:
    """Newcomers over the minutes of their own data; None if nobody was left out."""

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
