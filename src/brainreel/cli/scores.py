"""Scores as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from brainreel.cli.output import table


def score_table(rows: Sequence[dict[str, Any]]) -> str:
    """Means over subjects (or the only one), each with its interval, chance and shuffled control."""
    header = ("dataset", "method", "metric", "value", "95 % interval", "chance", "shuffled", "n")
    keys = ("dataset", "strategy", "metric", "value", "ci95", "chance", "shuffled", "n")
    return table(header, [[_cell(row[key]) for key in keys] for row in _means(rows)])


def video_table(rows: Sequence[dict[str, Any]]) -> str:
    """The same of videos, each beside what needs no brain; measures without a value are left out."""
    header = ("dataset", "videos", "metric", "value", "95 % interval", "oracle", "shuffled", "no brain", "grey", "n")
    keys = ("value", "ci95", "ceiling", "shuffled", "mean_response", "null_flat_grey", "n")
    shown = [row for row in _means(rows) if row["value"] is not None]
    names = [f"{row['metric']}, {row['ways']}-way" if row.get("ways") else row["metric"] for row in shown]
    return table(
        header,
        [
            (row["dataset"], row["strategy"], name, *(_cell(row[key]) for key in keys))
            for row, name in zip(shown, names, strict=True)
            # The published definition flatters; the tables on disk have it.
            if not row["published"]
        ],
    )


def _means(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    people: dict[tuple[str, str], set[str | None]] = {}
    for row in rows:
        people.setdefault((row["dataset"], row["strategy"]), set()).add(row["subject"])
    return [row for row in rows if row["subject"] is None or None not in people[row["dataset"], row["strategy"]]]


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return " to ".join(map(_cell, value))
    return f"{value:.3f}" if isinstance(value, float) else "–" if value is None else value
