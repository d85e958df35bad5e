"""Score an experiment: identification with chance, controls and intervals, for every method in it.

Leaves metrics.json, per_clip.tsv and captions.tsv in RUN.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from brainreel.cli.output import show, write_result
from brainreel.cli.parse import Json

EXAMPLE = "brainreel evaluate runs/sherlock"


def run(
    experiment: Annotated[Positional[Path], arg(metavar="RUN", help="an experiment's folder")], *, json: Json = None
) -> None:
    """Score it."""
    import json as js

    from brainreel.cli.scores import score_table
    from brainreel.experiment import Experiment
    from brainreel.pipeline.plan import read_plan
    from brainreel.pipeline.stages import evaluate_stage

    opened = Experiment(experiment)
    plan = read_plan(opened)
    with opened.lock():
        evaluate_stage(opened, plan)
    scores = js.loads((experiment / "metrics.json").read_text())
    show(f"{score_table(scores['scores'])}\n\nnext: brainreel report {experiment}")
    write_result(json, scores)
