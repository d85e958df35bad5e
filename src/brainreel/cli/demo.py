"""The whole way on a fresh machine: simulated people watch a simulated film, and the real benchmark reads it back.

The recordings are simulated and say so; every line of code after that is what real recordings go through. Nothing
is downloaded. Running it again does only what is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from brainreel.cli.parse import Device, DryRun, Json, Out, Workers

EXAMPLE = "brainreel demo --out brainreel-demo"


def run(
    *,
    out: Out = Path("brainreel-demo"),
    seed: int = 0,
    size: Literal["tiny", "small", "full"] = "small",
    device: Device = "cpu",
    workers: Workers = None,
    dry_run: DryRun = False,
    json: Json = None,
) -> None:
    """Run the demo.

    Args:
        out: Where everything goes.
        size: How many people, how long a film; full is as large as the real one.
        seed: Of the simulated people, of training, and of the intervals.
    """
    from brainreel.cli.run import film, foretell
    from brainreel.pipeline.demo import demo_config, demo_outlook, simulate

    outlook = demo_outlook(out, seed, size)
    if foretell(outlook, dry_run, json):
        return
    film(demo_config(seed), out, source=simulate(out, seed, size), device=device, workers=workers, json=json)
