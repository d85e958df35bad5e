"""Write report.html: one file with the scores, their controls, what was read from the brain, and what ran.

It needs the scores that `brainreel evaluate` leaves, and no network to be looked at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from brainreel.cli.output import show

EXAMPLE = "brainreel report runs/sherlock"


def run(experiment: Annotated[Positional[Path], arg(metavar="RUN", help="an experiment's folder")]) -> None:
    """Write it."""
    from brainreel.experiment import Experiment
    from brainreel.pipeline.plan import read_plan
    from brainreel.pipeline.write_report import write_report

    opened = Experiment(experiment)
    show(str(write_report(opened, read_plan(opened))))
