"""Public releases: facts, ingest and simulated twins, one file per release."""

from brainreel.datasets.folder import Folder
from brainreel.datasets.protocol import Dataset, Facts
from brainreel.datasets.sherlock import Sherlock

DATASETS: dict[str, Dataset] = {"sherlock": Sherlock(), "folder": Folder()}

__all__ = ["DATASETS", "Dataset", "Facts"]
