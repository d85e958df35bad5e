"""The sandbox's trained networks on this machine. Importing this costs nothing, so that usage errors come at once."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from brainreel.errors import WeightsError
from brainreel.sandbox import WEIGHTS


class Networks(NamedTuple):
    """Where the sandbox's networks lie."""

    clip: Path
    pipeline: Path
    classifier: Path

    @property
    def encoders(self) -> dict[str, str | None]:
        """Encoder → weights."""
        return {
            "clip": str(self.clip),
            "prompt": str(self.pipeline),
            "latents": str(self.pipeline),
            # Its own weights, which were installed with the package.
            "text-minilm": None,
        }


def find_networks(weights: Path | None = None) -> Networks:
    """The networks in a folder that `brainreel.sandbox.train` wrote; None: those that were installed with the package.

    Raises:
        WeightsError: they are not there.
    """
    folder = weights or WEIGHTS
    found = Networks(folder / "clip", folder / "pipeline", folder / "classifier")
    needed = (found.clip / "config.json", found.pipeline / "model_index.json", found.classifier / "config.json")
    missing = [path for path in needed if not path.is_file()]
    if missing:
        raise WeightsError(
            f"{missing[0]} is not there",
            expected="the sandbox's trained networks: the folders clip, pipeline and classifier",
            do="train them with `python -m brainreel.sandbox.train --work DIR --out WEIGHTS` (hours) and give --weights "
            "WEIGHTS, or try `brainreel demo --film`, which needs none",
        )
    return found
