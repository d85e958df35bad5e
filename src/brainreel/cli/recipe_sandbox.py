"""Three simulated datasets through all three stages: what everybody watched, as videos, scores and a report.

Simulates and ingests the releases, encodes their clips, trains stage 1 on everybody but one person (also each person
alone, and ridge), fits stage 2, and makes and scores videos of everybody, of the person nobody trained on, and of the
controls. What is up to date is not run again; what was interrupted goes on.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from brainreel.cli.parse import Device, DryRun, Json, Workers
from brainreel.sandbox.config import SandboxConfig

EXAMPLE = "brainreel run sandbox --out runs/sandbox"
Weights = Annotated[
    Path | None, arg(metavar="DIR", help="the sandbox's networks; default: those installed with the package")
]


def run(
    *,
    weights: Weights = None,
    out: Annotated[Path, arg(metavar="DIR", help="the experiment's folder")] = Path("runs/sandbox"),
    device: Device = "cpu",
    workers: Workers = None,
    dry_run: DryRun = False,
    json: Json = None,
    config: Annotated[SandboxConfig, arg(name="")] = SandboxConfig(),  # noqa: B008  frozen
) -> None:
    """Run the sandbox."""
    sandbox(config, out, weights=weights, device=device, workers=workers, dry_run=dry_run, json=json)


def sandbox(
    config: SandboxConfig,
    out: Path,
    *,
    weights: Path | None,
    device: str,
    workers: int | None,
    dry_run: bool,
    json: Path | None,
) -> None:
    """Run the sandbox recipe and say where its report is; the demo does the same with other settings."""
    # torch takes seconds to import: usage errors come first.
    from brainreel.sandbox.installed import find_networks

    find_networks(weights)
    from brainreel.cli.run import carry_out
    from brainreel.sandbox.outlook import sandbox_outlook
    from brainreel.sandbox.recipe import run_sandbox
    from brainreel.training.devices import pick_device

    outlook = sandbox_outlook(config, out, weights=weights)
    work = partial(run_sandbox, config, out, weights=weights, device=str(pick_device(device)), workers=workers)
    carry_out(outlook, work, out, dry_run=dry_run, json=json)
