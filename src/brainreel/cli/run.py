"""Run every stage of a recipe: ingest, encode, train in every fold, score, report.

What is up to date is not run again; what was interrupted goes on. Settings that affect the result are flags, and
changing one runs exactly what depends on it. `brainreel run RECIPE --help` explains a recipe's flags.
"""

from __future__ import annotations

import importlib
import json as js
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Protocol

from tyro.conf import Positional, arg

from brainreel.cli.output import show, table, write_result
from brainreel.cli.recipes import RECIPES
from brainreel.errors import UsageError, alternatives

if TYPE_CHECKING:
    from brainreel.pipeline.outlook import Outlook

EXAMPLE = "brainreel run sandbox --out runs/sandbox"


class Left(Protocol):
    """What a recipe left."""

    @property
    def report(self) -> Path:
        """Its report."""
        ...


def run(
    recipe: Annotated[Positional[str], arg(metavar="RECIPE", help=f"{' or '.join(RECIPES)}, then its own flags")],
) -> None:
    """Stands for all recipes where none is named: `choose` finds those that are."""
    raise _unknown(recipe)


def choose(command: str, arguments: Sequence[str]) -> tuple[str, ModuleType | None, list[str]]:
    """The recipe that is named: how the command is called, the module that runs it, and what is left of the arguments.

    It comes first, or behind flags as a word of its own. None: no recipe is named.
    """
    first = arguments[0] if arguments else "-"
    name = first if not first.startswith("-") else next((word for word in arguments if word in RECIPES), None)
    if name is None:
        return command, None, list(arguments)
    if name not in RECIPES:
        raise _unknown(name)
    at = list(arguments).index(name)
    rest = [*arguments[:at], *arguments[at + 1 :]]
    return f"{command} {name}", importlib.import_module(RECIPES[name].module), rest


def _unknown(recipe: str) -> UsageError:
    return UsageError(f"there is no recipe {alternatives(recipe, RECIPES)}", do="see `brainreel recipes`")


def foretell(outlook: Outlook, dry_run: bool, json: Path | None) -> bool:
    """Say what a command is about to do; True if that is all it was asked to."""
    from brainreel.progress import say

    if dry_run:
        show(f"{table(('stage', 'would be', 'time', 'memory'), outlook.table())}\n\n{outlook.line()}")
        write_result(json, outlook.json())
    elif not outlook.idle:
        say(outlook.line())
    return dry_run


def carry_out(outlook: Outlook, work: Callable[[], Left], out: Path, *, dry_run: bool, json: Path | None) -> None:
    """Say what a recipe is about to do, do it, and say where its report is.

    Args:
        outlook: What would be done.
        work: Does it.
        out: The experiment's folder.
        dry_run: Do nothing.
        json: Gets ``metrics.json`` with the report's path (of a dry run: the outlook).
    """
    if foretell(outlook, dry_run, json):
        return
    report = work().report
    show(f"report: {report}")
    if json is not None:
        write_result(json, {**js.loads((out / "metrics.json").read_text()), "report": str(report)})
