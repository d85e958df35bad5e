"""Verify stores: damaged files, bad values, copies, and clips that train in one place and test in another.

Given several stores, it also looks for leaks between them, for people who are in two of them, and lists what is in each.
Clips are compared by what they show, whatever their names, sizes and encodings; what was looked at is kept beside the
store. Exit status 2 and one line per problem if anything is wrong.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from brainreel.cli.output import show, table, write_result
from brainreel.cli.parse import Json
from brainreel.errors import UsageError

if TYPE_CHECKING:
    from brainreel.store.alike import Likeness
    from brainreel.store.summary import Summary

EXAMPLE = "brainreel check stores/sherlock"
_SHOWN = 12


def run(
    stores: Annotated[Positional[tuple[Path, ...]], arg(metavar="STORE …", help="one or more")],
    *,
    no_videos: Annotated[
        FlagCreatePairsOff[bool], arg(help="compare clips by names and checksums only, which takes no time")
    ] = False,
    json: Json = None,
) -> int:
    """Check them."""
    from brainreel.store import inspect
    from brainreel.store.summary import summary

    if not stores:
        raise UsageError("no store", expected="one or more folders that `brainreel ingest` made")
    found = inspect(stores, videos=not no_videos)
    summaries = [summary(store) for store in found.stores]
    result = {
        "stores": [str(path) for path in stores],
        "problems": [problem.json() for problem in found.problems],
        "summary": [one.model_dump(mode="json") for one in summaries],
        "alike": [pair.json() for pair in found.alike.pairs],
    }
    write_result(json, result)
    for problem in found.problems:
        print(f"{problem.store}: {problem.code}: {problem.message}", file=sys.stderr)
    if summaries:
        show("\n\n".join([contents(summaries), *held_out(summaries), *alike(found.alike, summaries)]))
    if found.problems:
        return 2
    show("\nno problems found")
    return 0


def contents(summaries: list[Summary]) -> str:
    """What is in each store."""
    header = ("store", "dataset", "people", "clips", "videos", "trials", "repetitions", "hours", "TR (s)", "spaces", "simulated")  # fmt: skip
    rows = []
    for one in summaries:
        least, most = one.repetitions
        spaces = ", ".join(f"{name} ({count})" for name, count in list(one.spaces.items())[:2])
        more = f", {len(one.spaces) - 2} more" if len(one.spaces) > 2 else ""
        often = str(least) if least == most else f"{least}-{most}"
        tr_s = None if one.tr_s is None else f"{one.tr_s:g}"
        kind = "yes" if one.simulated else "no"
        numbers = (one.subjects, one.clips, one.videos, one.trials, often, one.hours, tr_s)
        rows.append((one.store, one.dataset, *numbers, spaces + more, kind))
    return table(header, rows)


def held_out(summaries: list[Summary]) -> list[str]:
    """Which folds each store has: a table, if any has some."""
    rows = [
        (one.store, each.name, each.folds, each.train_clips, each.test_clips, _times(each.test_repetitions))
        for one in summaries
        for each in one.held_out
    ]
    return (
        [table(("store", "folds", "number", "clips that train", "that test", "test repetitions"), rows)] if rows else []
    )


def alike(likeness: Likeness, summaries: list[Summary]) -> list[str]:
    """Clips that show the same, nearest first, and how many were looked at."""
    if not likeness.looks:
        return ["videos were not looked at"]
    seen = [int(looks.seen.sum()) for looks in likeness.looks]
    computed = sum(looks.computed for looks in likeness.looks)
    total = sum(one.clips for one in summaries)
    lines = [f"{sum(seen)} of {total} clips were looked at ({computed} read now, the others known from before)"]
    if not likeness.pairs:
        return [f"{lines[0]}: no two show the same" if sum(seen) else lines[0]]
    header = ("clip", "of", "shows what shows", "of", "how", "distance")
    rows = [
        (pair.clip, pair.store, pair.other_clip, pair.other_store, pair.how, f"{pair.distance:.2f}")
        for pair in likeness.pairs[:_SHOWN]
    ]
    more = len(likeness.pairs) - len(rows)
    return [*lines, table(header, rows) + (f"\n… and {more} more pairs (all of them with --json FILE)" if more else "")]


def _times(repetitions: tuple[int, int] | None) -> str | None:
    if repetitions is None:
        return None
    least, most = repetitions
    return str(least) if least == most else f"{least}-{most}"
