"""Run every stage of a recipe: ingest, encode, train in every fold, score, report.

What is up to date is not run again; what was interrupted goes on. Settings that affect the result are flags, and
changing one runs exactly what depends on it.

sherlock: the real-fMRI benchmark on the tutorial kit (--source), or on a store made from it (--store). Without
--full the quick rows with one seed; --full adds scaling over people, newcomers and all nulls.
"""

from __future__ import annotations

import json as js
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from brainreel.cli.output import show, table, write_result
from brainreel.cli.parse import Device, DryRun, Json, Subjects, Workers
from brainreel.cli.recipes import RECIPES
from brainreel.errors import UsageError, alternatives
from brainreel.pipeline.film_config import FilmConfig

if TYPE_CHECKING:
    from brainreel.pipeline.outlook import Outlook

EXAMPLE = "brainreel run sherlock --source data/sherlock_kit --out runs/sherlock"


def run(
    recipe: Annotated[Positional[str], arg(metavar="RECIPE", help="as `brainreel recipes` lists them")],
    *,
    source: Annotated[Path | None, arg(metavar="DIR", help="the release's folder")] = None,
    store: Annotated[Path | None, arg(metavar="DIR", help="an ingested store, instead of --source")] = None,
    text_weights: Annotated[
        str | None, arg(metavar="ID_OR_DIR", help="sentence encoder; default: the installed MiniLM")
    ] = None,
    subjects: Subjects = None,
    out: Annotated[Path | None, arg(metavar="DIR", help="the experiment's folder; default: runs/RECIPE")] = None,
    device: Device = "cpu",
    workers: Workers = None,
    dry_run: DryRun = False,
    json: Json = None,
    config: Annotated[FilmConfig, arg(name="")] = FilmConfig(),  # noqa: B008  frozen
) -> None:
    """Run the recipe."""
    if recipe not in RECIPES:
        raise UsageError(f"there is no recipe {alternatives(recipe, RECIPES)}")
    # torch takes seconds to import: usage errors come first.
    from brainreel.pipeline.outlook import film_outlook
    from brainreel.pipeline.run import need_one

    need_one(source, store)
    out = out or Path("runs") / recipe
    what = {"source": source, "store": store, "subjects": subjects, "text_weights": text_weights}
    if not foretell(film_outlook(config, out, **what), dry_run, json):
        film(config, out, **what, device=device, workers=workers, json=json)


def foretell(outlook: Outlook, dry_run: bool, json: Path | None) -> bool:
    """Say what a command is about to do; True if that is all it was asked to."""
    from brainreel.progress import say

    if dry_run:
        show(f"{table(('stage', 'would be'), outlook.table())}\n\n{outlook.line()}")
        write_result(json, outlook.json())
    elif not outlook.idle:
        say(outlook.line())
    return dry_run


def film(config: FilmConfig, out: Path, *, json: Path | None, **what: Any) -> None:
    """Run the film benchmark and say where its report is; ``what`` as `run_film` takes it."""
    from brainreel.pipeline.run import run_film

    ran = run_film(config, out, **what)
    show(f"report: {ran.report}")
    if json is not None:
        write_result(json, {**js.loads((out / "metrics.json").read_text()), "report": str(ran.report)})
