"""Write a simulated release: files in exactly the layout of a public one, with nobody's data in them.

Everything that reads the real release reads its twin, so a pipeline can be tried before the data are there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from brainreel.cli.output import show
from brainreel.datasets import DATASETS
from brainreel.errors import UsageError, alternatives
from brainreel.progress import say

EXAMPLE = "brainreel twin sherlock data/sherlock_twin --size small"


def run(
    dataset: Annotated[Positional[str], arg(metavar="DATASET", help="as `brainreel datasets` lists them")],
    out: Annotated[Positional[Path], arg(metavar="OUT", help="a new or empty folder")],
    *,
    subjects: Annotated[int | None, arg(metavar="N", help="number of people; default: as many as the size has")] = None,
    size: Literal["tiny", "small", "full"] = "small",
    seed: int = 0,
) -> None:
    """Write the twin."""
    if dataset not in DATASETS:
        raise UsageError(f"there is no dataset {alternatives(dataset, DATASETS)}")
    say(f"simulating {dataset} ({size}, seed {seed})")
    DATASETS[dataset].twin(out, subjects=subjects, size=size, seed=seed)
    show(f"{out}\nnext: brainreel ingest {dataset} {out} --store stores/{dataset}")
