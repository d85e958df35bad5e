"""Settings of the film benchmark. Importing this costs little, so that the command line can show it as flags."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from brainreel.align.config import AlignConfig
from brainreel.cortex.windows import Context

FOLDS = "blocks-of-8"
# The fourth block of each scan: scored when a choice is final, and reported apart.
FINAL_BLOCKS = (3, 7)
# The voxels' own window, and the six regions' courses from 5 TRs before it to 5 after, in four parts. The regions
# count more than their number (24 of 505 features): chosen on blocks 1-3 and 5-7.
CONTEXTS = (Context(group="bold"), Context(group="regions", start_s=-7.5, stop_s=22.5, bins=4, weight=2.0))


class FilmConfig(BaseModel):
    """Settings of the film benchmark.

    Attributes:
        align: Stage 1; its seed is the first of ``seeds``.
        full: Also scaling over subjects, newcomers, split groups, and the full number of seeds and nulls.
        seeds: Independent trainings; scores are means over them.
        null_ridge: Refits of ridge on shifted text.
        null_contrastive: Refits of the network on shifted text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    align: AlignConfig = AlignConfig(contexts=CONTEXTS)
    full: bool = False
    seeds: int | None = Field(default=None, ge=1, description="default: 1, with --full 3")
    null_ridge: int | None = Field(default=None, ge=0, description="default: 1, with --full 20")
    null_contrastive: int | None = Field(default=None, ge=0, description="default: 1, with --full 5")

    def count(self, what: Literal["seeds", "null_ridge", "null_contrastive"]) -> int:
        """A number of repetitions, or its default."""
        given = getattr(self, what)
        quick, full = {"seeds": (1, 3), "null_ridge": (1, 20), "null_contrastive": (1, 5)}[what]
        return given if given is not None else (full if self.full else quick)
