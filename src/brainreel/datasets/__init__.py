"""Public releases: facts, ingest and simulated twins, one file per release."""

from brainreel.datasets import sandbox
from brainreel.datasets.bmd import BoldMoments
from brainreel.datasets.cc2017 import CC2017
from brainreel.datasets.folder import Folder
from brainreel.datasets.group41 import Group41
from brainreel.datasets.had import HAD
from brainreel.datasets.mosaic import Mosaic
from brainreel.datasets.protocol import Dataset, Facts
from brainreel.datasets.remote import ByHand, Remote
from brainreel.datasets.sherlock import Sherlock

DATASETS: dict[str, Dataset] = {
    "bmd": BoldMoments(),
    "cc2017": CC2017(),
    "had": HAD(),
    "sherlock": Sherlock(),
    "mosaic": Mosaic(),
    "group41": Group41(),
    "folder": Folder(),
    "sandbox-event": sandbox.EVENT,
    "sandbox-movie": sandbox.MOVIE,
    "sandbox-single": sandbox.SINGLE,
}

__all__ = ["DATASETS", "ByHand", "Dataset", "Facts", "Remote"]
