"""An experiment's scores as Markdown tables, to quote from: docs/sherlock.md is made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

TWO_WAY = "two_way_identification"


def markdown_tables(document: Mapping[str, Any], per_clip: pd.DataFrame, final: Sequence[int] = ()) -> str:
    """Scores of all methods, and their paired differences, as two Markdown tables.

    Args:
        document: The content of metrics.json.
        per_clip: That of per_clip.tsv.
        final: Folds that no choice was made on; their mean stands apart from that of the others. None: no such column.
    """
    means = [row for row in document["scores"] if row["subject"] is None]
    top5 = {(row["dataset"], row["strategy"]): row["value"] for row in means if row["metric"] == "retrieval_top5"}
    several = len({row["dataset"] for row in means}) > 1
    blocks = ("other blocks / final blocks",) if final else ()
    header = ("method", "trainings", "two-way [95 %]", *blocks, "top-5", "chance", "shuffled", "constant")
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for row in means:
        if row["metric"] == TWO_WAY:
            seeds = row.get("seed_values") or []
            # Single refits on shifted text scatter more than an interval over people and blocks says.
            spread = f" ({_digits(min(seeds))} to {_digits(max(seeds))})" if row.get("null") and len(seeds) > 1 else ""
            own = per_clip.loc[(per_clip["strategy"] == row["strategy"]) & (per_clip["dataset"] == row["dataset"])]
            parts = [" / ".join(_digits(value) for value in by_blocks(own, final)) if len(own) else ""] if final else []
            cells = (
                f"{row['dataset']}: {row['strategy']}" if several else row["strategy"],
                str(len(seeds) or 1),
                with_interval(row["value"], None if spread else row["ci95"]) + spread,
                *parts,
                _digits(top5.get((row["dataset"], row["strategy"]))),
                *(_digits(row[control]) for control in ("chance", "shuffled", "constant")),
            )
            lines.append(f"| {' | '.join(cells)} |")
    if document["differences"]:
        lines += ["", "| paired difference | [95 %] | people | sign flips over blocks |", "|---|---|---|---|"]
    for row in document["differences"]:
        people = f"{row['subjects_above']} of {row['subjects']}"
        ends = [_signed(end) for end in row["ci95"] or ()]
        interval = _signed(row["value"]) + (f" [{', '.join(ends)}]" if ends else "")
        p = row["p_sign_flip"]
        p_value = "" if p is None else f"p = {p:.3f}"
        name = f"{row['dataset']}: {row['first']}" if several else row["first"]
        lines.append(f"| {name} − {row['second']} | {interval} | {people} | {p_value} |")
    return "\n".join(lines) + "\n"


def by_blocks(trials: pd.DataFrame, final: Sequence[int]) -> tuple[float, float]:
    """Means over the folds that choices were made on, and over the final ones; subjects count equally, and so do folds."""
    means = {
        int(str(fold)): np.mean([own["two_way"].mean() for _, own in part.groupby("subject")])
        for fold, part in trials.groupby("fold")
    }
    sides = [[value for fold, value in means.items() if (fold in final) == last] for last in (False, True)]
    chosen, untouched = (float(np.mean(side)) if side else float("nan") for side in sides)
    return chosen, untouched


def with_interval(value: float | None, ci95: Sequence[float] | None) -> str:
    """«.749 [.716, .784]»."""
    return _digits(value) + ("" if ci95 is None else f" [{_digits(ci95[0])}, {_digits(ci95[1])}]")


def _digits(value: float | None) -> str:
    """«.749»; nothing for an unknown or undefined number."""
    if value is None or value != value:
        return ""
    return re.sub(r"^(-?)0\.", r"\1.", f"{value:.3f}")


def _signed(value: float | None) -> str:
    return "" if value is None else re.sub(r"^([+-])0\.", r"\1.", f"{value:+.3f}").replace("-", "−")
