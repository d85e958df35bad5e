"""Stage 2: from embeddings, the conditions that a video model takes, in every fold and seed of RUN.

text, image and latent conditions are regressed, each towards the targets of an encoder: prompt, clip and latents.
Those that `brainreel encode` has made are taken. Ridge is fitted and scored beside the network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from brainreel.cli.output import show, table, write_result
from brainreel.cli.parse import Device, DryRun, Json
from brainreel.regress.config import RegressConfig

EXAMPLE = "brainreel regress runs/mine"


def run(
    experiment: Annotated[Positional[Path], arg(metavar="RUN", help="an experiment with a trained stage 1")],
    *,
    strategy: Annotated[
        str | None, arg(metavar="NAME", help="of several in RUN; default: contrastive, or the first")
    ] = None,
    targets: Annotated[
        Path | None, arg(metavar="DIR", help="where the targets lie; default: where RUN's lie, or in the stores")
    ] = None,
    device: Device = "auto",
    dry_run: DryRun = False,
    json: Json = None,
    config: Annotated[RegressConfig, arg(name="")] = RegressConfig(),  # noqa: B008  frozen
) -> None:
    """Fit."""
    from brainreel.cli.run import foretell
    from brainreel.experiment import Experiment
    from brainreel.pipeline.regress_stage import prepare_regress
    from brainreel.progress import say
    from brainreel.training.devices import pick_device

    where = str(pick_device(device))
    regression = prepare_regress(Experiment(experiment), config, strategy=strategy, targets=targets)
    if foretell(regression.outlook(), dry_run, json):
        return
    if not regression.run(where):
        say("everything is up to date: nothing to do")
    means = regression.means()
    header = ("dataset", "condition", "model", "two-way", "chance", "R²", "r per dimension")
    show(f"{table(header, [[row[name] for name in header] for row in means])}\n")
    show(f"{experiment / 'regress' / regression.method.name}")
    write_result(json, {"schema": 1, "scores": regression.scores()})
