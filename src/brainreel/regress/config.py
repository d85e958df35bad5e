"""Settings of stage 2. Importing this costs nothing, so that the command line can show it as flags."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

ModelName = Literal["network", "ridge"]
Captions = Literal["nearest", "composed"]


class RivalConfig(BaseModel):
    """Ridge regression from embeddings to components; the penalty is chosen on training clips left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    penalties: tuple[float, ...] = (1.0, 10.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5, 3e5)
    inner_folds: int = Field(default=4, ge=2)
    gap_s: float = Field(default=45.0, ge=0, description="time left free between inner folds of a continuous stimulus")


class RegressConfig(BaseModel):
    """Everything that affects the result of stage 2."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    model: ModelName = Field(default="network", description="whose predictions become conditions; both are scored")
    components: int = Field(
        default=256, ge=1, description="principal components of each condition, at most; all of them lose nothing"
    )
    width: int = Field(default=256, ge=1, description="width of the trunk")
    depth: int = Field(default=2, ge=0, description="residual blocks of the trunk")
    steps: int = Field(default=150, ge=1, description="optimiser steps")
    lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.3, ge=0)
    dropout_in: float = Field(default=0.2, ge=0, lt=1, description="dropout on embeddings")
    dropout_hidden: float = Field(default=0.3, ge=0, lt=1, description="dropout inside the trunk")
    mse: float = Field(default=1.0, ge=0, description="weight of the squared error of a head")
    contrastive: float = Field(default=0.1, ge=0, description="weight of the contrastive loss of a head")
    clips_per_batch: int = Field(default=256, ge=2, description="distinct clips of one step, at most")
    crossfit: int = Field(
        default=4,
        ge=0,
        description="parts of the training clips that stage 1 is trained without, to embed them; 0: none",
    )
    average: Literal["predictions", "responses"] = Field(
        default="predictions", description="what is averaged over the repetitions of a test clip"
    )
    captions: Captions = Field(
        default="nearest",
        description="what a brain is said to have seen: the nearest caption of a training clip, or one composed of theirs",
    )
    ridge: RivalConfig = RivalConfig()
    seed: int = Field(default=0, description="the command takes the seeds of stage 1 instead")

    def affecting(self) -> dict[str, Any]:
        """The settings that the result depends on, as JSON: all of them, since network and ridge are both fitted."""
        return self.model_dump(mode="json")
