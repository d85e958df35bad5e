"""Make an experiment of an exported file, so that `brainreel adapt` can use the model.

The file's checksums, names, sizes and shapes are verified first; nothing in it is executed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from brainreel.cli.output import show

EXAMPLE = "brainreel import mine.brainreel --out runs/imported"


def run(
    file: Annotated[Positional[Path], arg(metavar="FILE", help="what `brainreel export` wrote")],
    *,
    out: Annotated[Path, arg(metavar="RUN", help="the experiment to make")],
) -> None:
    """Import."""
    from brainreel.pipeline.portable import import_model

    card = import_model(file, out)
    show(
        f"{out}: {card.strategy}, trained on {card.subjects} people; read {out / 'MODEL_CARD.md'}\n"
        f"next: brainreel adapt {out} STORE --subject S --minutes 0"
    )
