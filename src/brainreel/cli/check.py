"""Verify stores: damaged files, bad values, copies, and clips that train in one place and test in another.

Given several stores, it also looks for leaks between them. Exit status 2 and one line per problem if anything is
wrong.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from brainreel.cli.output import show, table, write_result
from brainreel.cli.parse import Json
from brainreel.errors import UsageError

EXAMPLE = "brainreel check stores/sherlock"


def run(
    stores: Annotated[Positional[tuple[Path, ...]], arg(metavar="STORE …", help="one or more")],
    *,
    json: Json = None,
) -> int:
    """Check them."""
    from brainreel.store import Store, check

    if not stores:
        raise UsageError("no store", expected="one or more folders that `brainreel ingest` made")
    problems = check(stores)
    write_result(json, {"stores": [str(path) for path in stores], "problems": [found.json() for found in problems]})
    for found in problems:
        print(f"{found.store}: {found.code}: {found.message}", file=sys.stderr)
    if problems:
        return 2
    opened = [Store(path) for path in stores]
    header = ("store", "dataset", "people", "clips", "trials", "folds", "simulated")
    rows = [
        (s.root, s.name, len(s.subjects), len(s.clips), len(s.trials), ", ".join(s.manifest.folds), _yes(s))
        for s in opened
    ]
    show(table(header, rows) + "\n\nno problems found")
    return 0


def _yes(store: object) -> str:
    return "yes" if store.manifest.simulated else "no"  # type: ignore[attr-defined]
