"""The one on-disk format that everything after ingest reads."""

from brainreel.store.check import Findings, check, inspect
from brainreel.store.manifest import Manifest
from brainreel.store.problems import Problem
from brainreel.store.reader import Store
from brainreel.store.writer import StoreWriter

__all__ = ["Findings", "Manifest", "Problem", "Store", "StoreWriter", "check", "inspect"]
