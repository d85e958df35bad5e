"""Conditions on disk: what a video model is given for each clip, read from a brain or computed from the clip."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from brainreel.errors import ExperimentError
from brainreel.files import write_bytes


@dataclass(frozen=True)
class Conditions:
    """The conditions of some clips, one row per clip in every array.

    Attributes:
        clip_id: Which clips, each once.
        vectors: Name of a condition (``text``: prompt embeddings (clips, tokens, dim); ``image``: CLIP image vectors
            (clips, dim); ``latent``: video latents (clips, channels, frames, height, width)) → float32 values.
        captions: A sentence per clip, read from the brain or true; empty where there is none.
        facts: Where they come from: ``subject``, ``dataset``, ``fold``, ``seed``, encoders' identities …
    """

    clip_id: list[str]
    vectors: dict[str, np.ndarray]
    captions: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(set(self.clip_id)) < len(self.clip_id):
            raise ValueError("a clip is there twice")
        for name, values in self.vectors.items():
            if len(values) != len(self.clip_id):
                raise ValueError(f"{len(values)} rows of {name!r} for {len(self.clip_id)} clips")
        if self.captions and len(self.captions) != len(self.clip_id):
            raise ValueError(f"{len(self.captions)} captions for {len(self.clip_id)} clips")

    def __len__(self) -> int:
        return len(self.clip_id)

    def take(self, rows: np.ndarray | list[int] | slice) -> Conditions:
        """Some of the clips."""
        order = np.arange(len(self))[rows]
        return Conditions(
            [self.clip_id[row] for row in order],
            {name: values[order] for name, values in self.vectors.items()},
            [self.captions[row] for row in order] if self.captions else [],
            self.facts,
        )

    def without(self, name: str) -> Conditions:
        """The same without one of the vectors."""
        vectors = {other: values for other, values in self.vectors.items() if other != name}
        return Conditions(self.clip_id, vectors, self.captions, self.facts)

    def write(self, path: Path) -> None:
        """Save as safetensors, without any loss."""
        arrays = {name: np.ascontiguousarray(values, np.float32) for name, values in self.vectors.items()}
        about = {"clip_id": self.clip_id, "captions": self.captions, "facts": self.facts}
        write_bytes(path, save(arrays, {"conditions": json.dumps(about)}))

    @classmethod
    def read(cls, path: Path) -> Conditions:
        """Read what `write` saved.

        Raises:
            ExperimentError: if the file is missing, cut short, or something else.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                vectors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
                about = json.loads(file.metadata()["conditions"])
            return cls(about["clip_id"], vectors, about["captions"], about["facts"])
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise ExperimentError(
                f"{path} holds no conditions ({error})", do="run `brainreel regress` again"
            ) from error
