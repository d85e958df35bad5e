"""Run one of the benchmarks that the docs quote, and print what it measured on this machine."""

from __future__ import annotations

import importlib
import inspect
from typing import Annotated

from tyro.conf import Positional, arg

from brainreel.cli.output import show, write_result
from brainreel.cli.parse import Json
from brainreel.errors import UsageError, alternatives

EXAMPLE = "brainreel bench metrics --json metrics_bench.json"
BENCHMARKS = {"metrics": "metrics", "ingest": "ingest", "stream": "stream"}
"""Name → module of `brainreel.bench` whose ``run() -> dict`` measures it and prints a table."""


def run(
    name: Annotated[Positional[str | None], arg(metavar="NAME", help="which; default: a list")] = None,
    *,
    clips: Annotated[
        int | None, arg(metavar="N", help="how many; the docs quote 1200 (metrics), 1102 (ingest), 2048 (stream)")
    ] = None,
    vertices: Annotated[int | None, arg(metavar="N", help="of a response (stream)")] = None,
    batch: Annotated[int | None, arg(metavar="N", help="trials of a step (stream)")] = None,
    latent: Annotated[int | None, arg(metavar="N", help="width of the adapters (stream)")] = None,
    memory_budget: Annotated[str | None, arg(metavar="BYTES", help="of the streamed training (stream)")] = None,
    json: Json = None,
) -> None:
    """Measure."""
    if name is None:
        show("\n".join(BENCHMARKS) or "no benchmarks are installed")
        return
    if name not in BENCHMARKS:
        raise UsageError(f"there is no benchmark {alternatives(name, BENCHMARKS)}")
    asked = {"clips": clips, "vertices": vertices, "batch": batch, "latent": latent, "memory_budget": memory_budget}
    sizes = {key: value for key, value in asked.items() if value is not None}
    measure = importlib.import_module(f"brainreel.bench.{BENCHMARKS[name]}").run
    for key in sizes:
        if key not in inspect.signature(measure).parameters:
            raise UsageError(f"the benchmark {name!r} has no --{key.replace('_', '-')}", do="leave it out")
    write_result(json, measure(**sizes))
