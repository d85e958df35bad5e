"""Public releases: facts, ingest and simulated twins, one file per release."""

from brainreel.datasets import sandbox
from brainreel.datasets.cc2017 import CC2017
from brainreel.datasets.folder import Folder
from brainreel.datasets.had import HAD
from brainreel.datasets.protocol import Dataset, Facts
from brainreel.datasets.sherlock import Sherlock

DATASETS: dict[str, Dataset] = {
    "cc2017": CC2017(),
    "had": HAD(),
    "sherlock": Sherlock(),
    "folder": Folder(),
    "sandbox-event": sandbox.EVENT,
    "sandbox-movie": sandbox.MOVIE,
    "sandbox-single": sandbox.SINGLE,
}

__all__ = ["DATASETS", "Dataset", "Facts"]
