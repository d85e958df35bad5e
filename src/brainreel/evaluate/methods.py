"""What is compared: a method is a set of predictions over folds and seeds, under one name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict


class Method(BaseModel):
    """Where the predictions of one method lie below an experiment's ``align`` folder.

    Attributes:
        name: How tables call it.
        job: Folder below ``align``.
        label: File below each fold's ``predictions``.
        seeds: Trainings that count; others of earlier settings may lie beside them. Empty: all that are there.
        facts: Keys that its rows of metrics.json carry beside the common ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    job: str
    label: str = "decoder"
    seeds: tuple[int, ...] = ()
    facts: dict[str, Any] = {}


@dataclass(frozen=True)
class Found:
    """The files of a method: seed → fold → predictions."""

    method: Method
    files: dict[int, dict[int, Path]] = field(default_factory=dict)

    @property
    def folders(self) -> list[Path]:
        """The finished trainings that the files are from."""
        return [path.parents[1] for folds in self.files.values() for path in folds.values()]


def find(root: Path, method: Method) -> Found:
    """All predictions of a method in an experiment, by seed and fold."""
    files: dict[int, dict[int, Path]] = {}
    for path in sorted(root.glob(f"align/{method.job}/seed-*/fold-*/predictions/{method.label}.safetensors")):
        seed, fold = (int(part.split("-")[1]) for part in path.parts[-4:-2])
        if not method.seeds or seed in method.seeds:
            files.setdefault(seed, {})[fold] = path
    return Found(method, files)
