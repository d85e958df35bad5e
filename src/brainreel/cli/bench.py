"""Run one of the benchmarks that the docs quote, and print what it measured on this machine."""

from __future__ import annotations

import importlib
from typing import Annotated

from tyro.conf import Positional, arg

from brainreel.cli.output import show, write_result
from brainreel.cli.parse import Json
from brainreel.errors import UsageError, alternatives

EXAMPLE = "brainreel bench metrics --json metrics_bench.json"
BENCHMARKS = {"metrics": "metrics", "ingest": "ingest"}
"""Name → module of `brainreel.bench` whose ``run() -> dict`` measures it and prints a table."""


def run(
    name: Annotated[Positional[str | None], arg(metavar="NAME", help="which; default: a list")] = None,
    *,
    clips: Annotated[
        int | None, arg(metavar="N", help="how many; the docs quote 1200 (metrics), 1102 (ingest)")
    ] = None,
    json: Json = None,
) -> None:
    """Measure."""
    if name is None:
        show("\n".join(BENCHMARKS) or "no benchmarks are installed")
        return
    if name not in BENCHMARKS:
        raise UsageError(f"there is no benchmark {alternatives(name, BENCHMARKS)}")
    sizes = {} if clips is None else {"clips": clips}
    write_result(json, importlib.import_module(f"brainreel.bench.{BENCHMARKS[name]}").run(**sizes))
