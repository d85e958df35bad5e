"""Scores as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from brainreel.cli.output import table


def score_table(rows: Sequence[dict[str, Any]]) -> str:
    """Means over subjects (or the only one), each with its interval, chance and shuffled control."""
    header = ("dataset", "method", "metric", "value", "95 % interval", "chance", "shuffled", "n")
    people: dict[tuple[str, str], set[str | None]] = {}
    for row in rows:
        people.setdefault((row["dataset"], row["strategy"]), set()).add(row["subject"])
    shown = [row for row in rows if row["subject"] is None or None not in people[row["dataset"], row["strategy"]]]
    return table(
        header,
        [
            (
                row["dataset"],
                row["strategy"],
                row["metric"],
                _number(row["value"]),
                None if row["ci95"] is None else " to ".join(map(_number, row["ci95"])),
                _number(row["chance"]),
                _number(row["shuffled"]),
                row["n"],
            )
            for row in shown
        ],
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
