"""Run one of the benchmarks that the docs quote, and print what it measured on this machine.

`sandbox` is an experiment that goes on where it was stopped; the others take what they need and leave nothing.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from brainreel.cli.output import show, write_result
from brainreel.cli.parse import DryRun, Json, Workers
from brainreel.errors import UsageError, alternatives

EXAMPLE = "brainreel bench metrics --json metrics_bench.json"
BENCHMARKS = {
    "metrics": "metrics",
    "ingest": "ingest",
    "ingest-cc2017": "ingest_cc2017",
    "sandbox": "sandbox",
    "sandbox-networks": "sandbox_networks",
    "stream": "stream",
}
"""Name → module of `brainreel.bench` whose ``run() -> dict`` measures it and prints a table.

One that takes long has an ``outlook`` with the same arguments beside it.
"""


def run(
    name: Annotated[Positional[str | None], arg(metavar="NAME", help="which; default: a list")] = None,
    *,
    clips: Annotated[
        int | None,
        arg(
            metavar="N",
            help="how many; the docs quote 1200 (metrics), 1102 (ingest), 200 (sandbox), 2048 (stream)",
        ),
    ] = None,
    runs: Annotated[
        int | None, arg(metavar="N", help="ingest-cc2017: files; a person has 86, which the docs quote")
    ] = None,
    out: Annotated[Path | None, arg(metavar="DIR", help="sandbox: the experiment's folder")] = None,
    weights: Annotated[
        Path | None, arg(metavar="DIR", help="sandbox: its networks; default: those installed with the package")
    ] = None,
    vertices: Annotated[int | None, arg(metavar="N", help="stream: of a response")] = None,
    batch: Annotated[int | None, arg(metavar="N", help="stream: trials of a step")] = None,
    latent: Annotated[int | None, arg(metavar="N", help="stream: width of the adapters")] = None,
    memory_budget: Annotated[str | None, arg(metavar="BYTES", help="stream: of the streamed training")] = None,
    workers: Workers = None,
    dry_run: DryRun = False,
    json: Json = None,
) -> None:
    """Measure."""
    if name is None:
        show("\n".join(BENCHMARKS) or "no benchmarks are installed")
        return
    if name not in BENCHMARKS:
        raise UsageError(f"there is no benchmark {alternatives(name, BENCHMARKS)}")
    asked = {
        "clips": clips,
        "runs": runs,
        "out": out,
        "weights": weights,
        "vertices": vertices,
        "batch": batch,
        "latent": latent,
        "memory_budget": memory_budget,
        "workers": workers,
    }
    given = {key: value for key, value in asked.items() if value is not None}
    bench = importlib.import_module(f"brainreel.bench.{BENCHMARKS[name]}")
    takes = inspect.signature(bench.run).parameters
    stray = [key for key in given if key not in takes]
    if dry_run and not hasattr(bench, "outlook"):
        stray.append("dry_run")
    if stray:
        raise UsageError(f"the benchmark {name!r} has no --{stray[0].replace('_', '-')}", do="leave it out")
    if hasattr(bench, "outlook"):
        from brainreel.cli.run import foretell

        told = bench.outlook(**{key: value for key, value in given.items() if key != "workers"})
        if foretell(told, dry_run, json):
            return
    write_result(json, bench.run(**given))
