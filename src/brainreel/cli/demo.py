"""The whole way on a fresh machine: simulated people watch short clips, and videos are made of what they saw.

Three simulated datasets, nine people, one of them never trained on: the recipe `sandbox` with its small trained
networks. --film: eight simulated people watch a film, and the benchmark that `run sherlock` does on real recordings
reads it back. Nothing is downloaded. Running it again does only what is missing.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from brainreel.cli.parse import Device, DryRun, Json, Out, Workers
from brainreel.cli.recipe_sandbox import Weights, sandbox
from brainreel.datasets.protocol import Size

EXAMPLE = "brainreel demo --out brainreel-demo"


def run(
    *,
    out: Out = Path("brainreel-demo"),
    seed: int = 0,
    size: Size = "small",
    film: Annotated[bool, arg(help="the film benchmark on simulated people, instead of the sandbox")] = False,
    weights: Weights = None,
    device: Device = "cpu",
    workers: Workers = None,
    dry_run: DryRun = False,
    json: Json = None,
) -> None:
    """Run the demo.

    Args:
        out: Where everything goes.
        seed: Of the simulated people, of training, of the videos, and of the intervals.
        size: How many people and clips; small is what a few minutes are enough for.
    """
    if film:
        _film(out, seed, size, device=device, workers=workers, dry_run=dry_run, json=json)
        return
    from brainreel.sandbox.config import demo_config

    config = demo_config(seed, size)
    sandbox(config, out, weights=weights, device=device, workers=workers, dry_run=dry_run, json=json)


def _film(
    out: Path,
    seed: int,
    size: Size,
    *,
    device: str,
    workers: int | None,
    dry_run: bool,
    json: Path | None,
) -> None:
    from brainreel.cli.run import carry_out
    from brainreel.pipeline.film_demo import film_demo_outlook, run_film_demo

    outlook = film_demo_outlook(out, seed, size)
    work = partial(run_film_demo, out, seed, size, device=device, workers=workers)
    carry_out(outlook, work, out, dry_run=dry_run, json=json)
