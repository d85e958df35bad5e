"""The real-fMRI benchmark, on the tutorial kit (--source) or on a store made from it (--store).

Ingest, encode, train in every fold, score, report. Without --full the quick rows with one seed; --full adds scaling
over people, newcomers and all nulls. What is up to date is not run again; what was interrupted goes on.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import arg

from brainreel.cli.parse import Device, DryRun, Json, Subjects, Workers
from brainreel.pipeline.film_config import FilmConfig

EXAMPLE = "brainreel run sherlock --source data/sherlock_kit --out runs/sherlock"


def run(
    *,
    source: Annotated[Path | None, arg(metavar="DIR", help="the release's folder")] = None,
    store: Annotated[Path | None, arg(metavar="DIR", help="an ingested store, instead of --source")] = None,
    text_weights: Annotated[
        str | None, arg(metavar="ID_OR_DIR", help="sentence encoder; default: the installed MiniLM")
    ] = None,
    subjects: Subjects = None,
    out: Annotated[Path, arg(metavar="DIR", help="the experiment's folder")] = Path("runs/sherlock"),
    device: Device = "cpu",
    workers: Workers = None,
    dry_run: DryRun = False,
    json: Json = None,
    config: Annotated[FilmConfig, arg(name="")] = FilmConfig(),  # noqa: B008  frozen
) -> None:
    """Run the benchmark."""
    # torch takes seconds to import: usage errors come first.
    from brainreel.cli.run import carry_out
    from brainreel.pipeline.outlook import film_outlook
    from brainreel.pipeline.run import need_one, run_film

    need_one(source, store)
    what: dict[str, Any] = {"source": source, "store": store, "subjects": subjects, "text_weights": text_weights}
    outlook = film_outlook(config, out, **what)
    work = partial(run_film, config, out, **what, device=device, workers=workers)
    carry_out(outlook, work, out, dry_run=dry_run, json=json)
