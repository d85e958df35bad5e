"""Embeddings of test trials on disk: what evaluation reads, whoever made them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from brainreel.errors import ExperimentError
from brainreel.files import write_bytes


@dataclass(frozen=True)
class Predictions:
    """Embeddings of some subjects' test trials in one fold.

    Attributes:
        embedding: subject (``dataset/s1``) → one centred embedding per trial.
        row: subject → rows of the store's trials table.
        centre: What was subtracted from the targets in training.
        facts: What a table of results must say of them: ``fold``, ``folds``, ``target``, ``strategy``, ``seed``,
            ``trained_subjects``, ``shift`` …
    """

    embedding: dict[str, Float[np.ndarray, "_trials dim"]]
    row: dict[str, Int[np.ndarray, " _trials"]]
    centre: Float[np.ndarray, " dim"]
    facts: dict[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Save as safetensors, without any loss."""
        arrays = {"centre": self.centre}
        for subject, values in self.embedding.items():
            arrays |= {f"embedding/{subject}": np.ascontiguousarray(values), f"row/{subject}": self.row[subject]}
        write_bytes(path, save(arrays, {"facts": json.dumps(self.facts)}))

    @classmethod
    def read(cls, path: Path) -> Predictions:
        """Read what `write` saved."""
        try:
            with safe_open(path, framework="numpy") as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
                facts = json.loads(file.metadata()["facts"])
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise ExperimentError(f"{path} holds no predictions ({error})", do="run `brainreel align` again") from error
        subjects = [name.removeprefix("embedding/") for name in arrays if name.startswith("embedding/")]
        return cls(
            {subject: arrays[f"embedding/{subject}"] for subject in subjects},
            {subject: arrays[f"row/{subject}"] for subject in subjects},
            arrays["centre"],
            facts,
        )
