"""Scores and comparisons as Markdown and as LaTeX, from the document that `score_videos` returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from brainreel.evaluate.score_rows import Column

ARROWS = {"higher": "↑", "lower": "↓"}
LATEX_ARROWS = {"↑": r"$\uparrow$", "↓": r"$\downarrow$", "–": "--", "−": "$-$", "†": r"$^\dagger$"}
SPECIAL = {
    "\\": r"\textbackslash{}",
    **{each: f"\\{each}" for each in "_%&#${}"},
    "~": r"\textasciitilde{}",
    "^": r"\^{}",
}
PUBLISHED = "† as published code computes it, kept to read old tables; never a headline."


class Grid(NamedTuple):
    """A table before it is written in any language; the first column is text, bold cells are (row, column)."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    bold: set[tuple[int, int]]


def score_grid(document: dict[str, Any]) -> Grid:
    """Value, interval and controls of each method under each measure; the best method in bold."""
    header = ("metric", "method", "value", "95 %", "wrong pairs", "flat grey", "mean clip", "nearest", "chance", "n")
    keys = ("mismatched", "null_flat_grey", "null_mean_clip", "null_blurred_nearest", "chance")
    by_measure: dict[str, list[dict[str, Any]]] = {}
    for row in document["scores"]:
        by_measure.setdefault(_called(row), []).append(row)
    rows: list[tuple[str, ...]] = []
    bold: set[tuple[int, int]] = set()
    for name, alike in by_measure.items():
        known = [row["value"] for row in alike if row["value"] is not None]
        best = (max if alike[0]["direction"] == "higher" else min)(known, default=None)
        for row in alike:
            if len(document["methods"]) > 1 and best is not None and row["value"] == best:
                bold.add((len(rows), 2))
            ends = "–" if row["ci95"] is None else " to ".join(map(_number, row["ci95"]))
            value = "∞" if row["value"] is None and "infinite" in row["note"] else _number(row["value"])
            controls = (_number(row.get(key)) for key in keys)
            rows.append((name, row["strategy"], value, ends, *controls, str(row["n"])))
    return Grid("Scores", header, rows, bold)


def difference_grid(document: dict[str, Any]) -> Grid:
    """Paired differences of every two methods; in bold what stays below 0.05 after correction."""
    header = ("metric", "first", "second", "first − second", "95 %", "first better in", "p", "p corrected")
    rows: list[tuple[str, ...]] = []
    bold: set[tuple[int, int]] = set()
    for row in document["differences"]:
        if row["p_adjusted"] is not None and row["p_adjusted"] < 0.05:
            bold.add((len(rows), 7))
        rows.append(
            (
                _called(row),
                row["first"],
                row["second"],
                _number(row["value"]),
                "–" if row["ci95"] is None else " to ".join(map(_number, row["ci95"])),
                f"{row['first_better']} of {row['n']}",
                _number(row["p_sign_flip"]),
                _number(row["p_adjusted"]),
            )
        )
    return Grid("Paired differences", header, rows, bold)


def markdown(document: dict[str, Any]) -> str:
    """Both tables (one for a single method) with aligned columns, and what the marks mean."""
    parts = []
    for grid in _grids(document):
        cells = [
            [
                f"**{cell}**" if (number, place) in grid.bold else cell.replace("|", r"\|")
                for place, cell in enumerate(row)
            ]
            for number, row in enumerate(grid.rows)
        ]
        widths = [max(map(len, column)) for column in zip(grid.header, *cells, strict=True)]
        lines = [grid.header, tuple("-" * width for width in widths), *cells]
        body = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
            for line in lines
        ]
        parts.append("\n".join([f"### {grid.title}", "", *body]))
    return "\n\n".join([*parts, *_legend(document)]) + "\n"


def latex(document: dict[str, Any]) -> str:
    """The same as `booktabs` tables, to be included in a paper."""
    parts = [r"% needs \usepackage{booktabs}"]
    for grid in _grids(document):
        lines = [
            r"\begin{table}",
            r"\centering\small",
            rf"\caption{{{_escaped(grid.title)}. {_latex_legend(document)}}}",
        ]
        numbers = "l" * (3 if grid.header[1] == "first" else 2)
        lines += [rf"\begin{{tabular}}{{{numbers}{'r' * (len(grid.header) - len(numbers))}}}", r"\toprule"]
        lines += [" & ".join(map(_escaped, grid.header)) + r" \\", r"\midrule"]
        for number, row in enumerate(grid.rows):
            cells = [
                rf"\textbf{{{_escaped(cell)}}}" if (number, place) in grid.bold else _escaped(cell)
                for place, cell in enumerate(row)
            ]
            lines.append(" & ".join(cells) + r" \\")
        parts.append("\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]))
    return "\n\n".join(parts) + "\n"


def per_clip(found: Sequence[Column], clips: Sequence[str]) -> pd.DataFrame:
    """What each value averages: a row per method, clip and measure.

    Args:
        found: Columns whose clips are in the order of `clips`.
        clips: The clips' names; rows are sorted by them.
    """
    order = sorted(range(len(clips)), key=lambda place: clips[place])
    frames = []
    for column in found:
        frames.append(
            pd.DataFrame(
                {
                    "strategy": column.strategy,
                    "clip_id": [clips[place] for place in order],
                    "metric": column.measure.metric,
                    "definition": column.measure.definition,
                    **{key: column.facts[key] for key in ("ways", "k", "level") if key in column.facts},
                    "value": column.values()[order],
                    "numerator": column.parts[order, 0],
                    "denominator": column.parts[order, 1],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _grids(document: dict[str, Any]) -> list[Grid]:
    return [score_grid(document), *([difference_grid(document)] if document["differences"] else [])]


def _legend(document: dict[str, Any]) -> list[str]:
    controls = document["controls"]
    lines = [controls["nulls"], controls["wrong_pairs"], controls["interval"]]
    if document["differences"]:
        lines.append(controls["tests"])
    return ["\n".join(f"* {line}" for line in [*lines, PUBLISHED] if line)]


def _latex_legend(document: dict[str, Any]) -> str:
    return _escaped(f"{document['controls']['interval']} {PUBLISHED}")


def _called(row: dict[str, Any]) -> str:
    ways = f" {row['ways']}-way top-{row['k']}" if "ways" in row else ""
    mark = "†" if row["published"] else ""
    return f"{row['metric']}{ways} ({row['definition']}{mark}) {ARROWS[row['direction']]}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}" if abs(value) >= 10 else f"{value:.3f}"


def _escaped(text: str) -> str:
    safe = "".join(SPECIAL.get(letter, letter) for letter in text)
    for letter, command in {**LATEX_ARROWS, "∞": r"$\infty$", "≥": r"$\geq$"}.items():
        safe = safe.replace(letter, command)
    return safe
