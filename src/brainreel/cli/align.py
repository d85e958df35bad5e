"""Stage 1: train one strategy, responses → embeddings, in every fold of the stores.

Several stores are trained on together; people in different spaces share the trunk. Another strategy with the same
--out goes beside the first, so that `brainreel evaluate` compares them on the same trials. Targets must be there:
`brainreel encode` makes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from brainreel.align.config import AlignConfig
from brainreel.cli.output import show
from brainreel.cli.parse import Device, DryRun, Json, Subjects, Workers

EXAMPLE = "brainreel align stores/sherlock --out runs/mine --strategy contrastive"


def run(
    stores: Annotated[Positional[tuple[Path, ...]], arg(metavar="STORE …", help="one or more")],
    *,
    out: Annotated[Path, arg(metavar="RUN", help="the experiment's folder")],
    folds: Annotated[
        str | None,
        arg(
            metavar="NAME|FILE",
            help="folds that all stores have, or STORE=NAME,STORE=NAME, or a TSV or JSON file; default: each store's first",
        ),
    ] = None,
    subjects: Subjects = None,
    targets: Annotated[Path | None, arg(metavar="DIR", help="where the targets lie; default: in the stores")] = None,
    device: Device = "auto",
    workers: Workers = None,
    dry_run: DryRun = False,
    json: Json = None,
    config: Annotated[AlignConfig, arg(name="")] = AlignConfig(),  # noqa: B008  frozen
) -> None:
    """Train."""
    from brainreel.cli.run import foretell
    from brainreel.experiment import Experiment
    from brainreel.pipeline.single import prepare
    from brainreel.progress import say
    from brainreel.training.devices import pick_device

    where = str(pick_device(device))
    training = prepare(config, stores, folds=folds, subjects=subjects, targets=targets)
    experiment = Experiment(out)
    training.plan(experiment)
    if foretell(training.outlook(experiment), dry_run, json):
        return
    if not training.run(experiment, where, workers):
        say("everything is up to date: nothing to do")
    show(f"{out / 'align' / config.strategy}\nnext: brainreel evaluate {out}")
