"""Scores of an experiment's videos as Markdown tables, to quote from: every method beside its controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from brainreel.evaluate.tables import with_interval

Row = Mapping[str, Any]
CONTROLS = {
    "ceiling": "oracle",
    "shuffled": "shuffled",
    "mean_response": "mean response",
    "null_flat_grey": "flat grey",
    "null_mean_clip": "mean clip",
    "null_blurred_nearest": "blurred nearest",
    "constant": "constant",
    "chance": "chance",
}


def video_tables(scores: Sequence[Row], differences: Sequence[Row]) -> str:
    """A table of scores per dataset, and one of paired differences; rows without a value are left out.

    Args:
        scores: Rows of metrics.json; means over subjects are shown, or the only subject.
        differences: Those of its `differences`.
    """
    averaged = {(row["strategy"], row["dataset"]) for row in scores if row["subject"] is None}
    shown = [row for row in scores if row["subject"] is None or (row["strategy"], row["dataset"]) not in averaged]
    blocks = []
    for dataset in dict.fromkeys(row["dataset"] for row in shown):
        header = ("metric", "videos", "value [95 %]", *CONTROLS.values(), "n")
        mine = [row for row in shown if row["dataset"] == dataset and row["value"] is not None]
        cells = [
            (
                measure_name(row) + (" (circular)" if row["circular"] else ""),
                row["strategy"],
                with_interval(row["value"], row["ci95"]),
                *(with_interval(row[control], None) for control in CONTROLS),
                str(row["n"]),
            )
            for metric in dict.fromkeys(map(measure_name, mine))
            for row in mine
            if measure_name(row) == metric
        ]
        blocks.append(f"### {dataset}\n\n{_markdown(header, cells)}")
    header = ("dataset", "metric", "paired difference", "value [95 %]", "better in", "p, adjusted")
    cells = [
        (
            row["dataset"],
            measure_name(row),
            f"{row['first']} − {row['second']}",
            with_interval(row["value"], row["ci95"]),
            f"{_better(row)} of {row['subjects']}" if row["paired"] != "clips" else "",
            "" if row["p_adjusted"] is None else f"{row['p_adjusted']:.3f}",
        )
        for row in differences
    ]
    return "\n\n".join([*blocks, f"### Paired differences\n\n{_markdown(header, cells)}"]) + "\n"


def measure_name(row: Row) -> str:
    """«n_way_accuracy exact, 50-way»."""
    ways = f", {row['ways']}-way" if row.get("ways") else ""
    return f"{row['metric']} {row['definition']}{ways}"


def _better(row: Row) -> int:
    """Subjects in whom the first is better, whichever direction that is."""
    return row["subjects_above"] if row["direction"] == "higher" else row["subjects"] - row["subjects_above"]


def _markdown(header: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
