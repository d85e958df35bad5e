"""The video models that brainreel knows, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from brainreel.errors import UsageError, alternatives
from brainreel.generate.protocol import Generator
from brainreel.generate.wan import WanGenerator
from brainreel.training.devices import pick_device

GENERATORS = {"wan": WanGenerator}


def load_generator(name: str = "wan", *, weights: str | Path, device: str = "auto") -> Generator:
    """Load a video model.

    Args:
        name: One of `GENERATORS`.
        weights: A hub id or a local folder.
        device: Where to compute.

    Raises:
        UsageError: no such generator, no such device.
        WeightsError: the weights cannot be loaded.
    """
    return _known(name)(weights, str(pick_device(device)))


def identify_generator(name: str, weights: str | Path, device: str) -> dict[str, Any]:
    """The `Generator.identity` that `load_generator` would give, without loading anything."""
    return _known(name).identify(weights, str(pick_device(device)))


def _known(name: str) -> type[WanGenerator]:
    if name not in GENERATORS:
        raise UsageError(f"there is no generator {alternatives(name, GENERATORS)}")
    return GENERATORS[name]
