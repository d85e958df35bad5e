"""Write a trained model as one file that may be passed on: nobody's responses, nobody's own parameters.

What is left are means over two or more people, and a model card: datasets, licences, citations, scores with
chance, settings. --with-subjects keeps each person's adapter and scaling; treat that file like the recordings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from brainreel.cli.output import show

EXAMPLE = "brainreel export runs/mine mine.brainreel"


def run(
    experiment: Annotated[Positional[Path], arg(metavar="RUN", help="a trained experiment")],
    file: Annotated[Positional[Path], arg(metavar="FILE", help="the file to write")],
    *,
    strategy: Annotated[str | None, arg(metavar="NAME", help="of several in RUN; default: the first")] = None,
    with_subjects: Annotated[bool, arg(help="keep each person's adapter and scaling")] = False,
) -> None:
    """Export."""
    from brainreel.experiment import Experiment
    from brainreel.pipeline.portable import export_model

    card = export_model(Experiment(experiment), file, strategy=strategy, with_subjects=with_subjects)
    whose = "with the parameters of" if with_subjects else "without any parameter of single people; trained on"
    size_mb = file.stat().st_size / 1e6
    show(f"{file}: {card.strategy}, {size_mb:.1f} MB, {whose} {card.subjects} people")
