"""The video models that brainreel knows, by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
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
    return GeneratorSource(name, weights, device).load()


@dataclass(frozen=True)
class GeneratorSource:
    """A video model that is not loaded yet: what can be told of it is told from its files alone.

    Raises:
        UsageError: no such generator, no such device.
        WeightsError: from what follows, if the weights are not there.
    """

    name: str
    weights: str | Path
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.name not in GENERATORS:
            raise UsageError(f"there is no generator {alternatives(self.name, GENERATORS)}")
        object.__setattr__(self, "device", str(pick_device(self.device)))

    @property
    def takes(self) -> frozenset[str]:
        """See `Generator`."""
        return GENERATORS[self.name].takes

    @cached_property
    def identity(self) -> dict[str, Any]:
        """See `Generator`."""
        return GENERATORS[self.name].identify(self.weights, self.device)

    @cached_property
    def parameters(self) -> dict[str, float]:
        """How many parameters its networks have; empty if the weights are not on this machine."""
        return GENERATORS[self.name].parameters(self.weights)

    def fetch(self) -> None:
        """Have the weights on this machine: only then is the revision known that belongs to the identity."""
        if not GENERATORS[self.name].parameters(self.weights):
            self.load()

    def load(self) -> Generator:
        """The generator itself."""
        return self._loaded

    @cached_property
    def _loaded(self) -> Generator:
        return GENERATORS[self.name](self.weights, self.device)
