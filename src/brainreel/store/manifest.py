"""`dataset.json`: what a store holds, where it comes from and how its responses were made."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from brainreel import __version__
from brainreel.files import is_plain

SCHEMA = 1


class Manifest(BaseModel):
    """The facts of one ingested dataset, as written in ``dataset.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    title: str
    licence: str
    citation: str
    version: str = ""
    url: str = ""
    kind: Literal["continuous", "event"]
    responses: str = Field(description="How responses were made: GLM, shift, standardisation.")
    simulated: bool = False
    repetitions: dict[str, int] = Field(default_factory=dict, description="Role or clip set → repetitions declared.")
    fewer_repetitions: dict[str, dict[str, int]] = Field(
        default_factory=dict, description="subject → clip → repetitions, where a lost recording left fewer."
    )
    notes: list[str] = Field(default_factory=list)
    # Filled in by the writer from what was really added.
    tr_s: float | None = None
    stimulus_volumes: int | None = Field(default=None, description="Length of a continuous stimulus in volumes.")
    subjects: list[str] = Field(default_factory=list)
    groups: list[str] = Field(default_factory=list, description="Feature groups beside each other: bold, regions …")
    spaces: dict[str, dict[str, str]] = Field(default_factory=dict, description="group → subject → space")
    folds: list[str] = Field(default_factory=list)
    sources: dict[str, str] = Field(default_factory=dict, description="source file → sha256")
    brainreel: str = __version__
    schema_version: int = SCHEMA

    @field_validator("name")
    @classmethod
    def _names_a_folder(cls, name: str) -> str:
        # Targets outside the store lie in a folder of this name.
        if not is_plain(name):
            raise ValueError(f"{name!r} is no name: expected one without separators that begins with no dot")
        return name
