"""The one on-disk format that everything after ingest reads."""

from brainreel.store.check import Problem, check
from brainreel.store.manifest import Manifest
from brainreel.store.reader import Store
from brainreel.store.writer import StoreWriter

__all__ = ["Manifest", "Problem", "Store", "StoreWriter", "check"]
