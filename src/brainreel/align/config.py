"""Settings of stage 1. Importing this costs nothing, so that the command line can show it as flags."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from brainreel.align.budget import parse_bytes
from brainreel.cortex.windows import Context

StrategyName = Literal["contrastive", "consensus", "ridge", "pooled-ridge"]


class ContrastiveConfig(BaseModel):
    """The network of stage 1 and how it is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    latent: int = Field(default=512, ge=1, description="width of the latent that all adapters share")
    depth: int = Field(default=0, ge=0, description="residual blocks of the trunk")
    steps: int = Field(default=40, ge=1, description="optimiser steps")
    lr: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=0.3, ge=0)
    dropout_in: float = Field(default=0.3, ge=0, lt=1, description="dropout on responses")
    dropout_hidden: float = Field(default=0.3, ge=0, lt=1, description="dropout inside the trunk")
    mse: float = Field(default=0.0, ge=0, description="weight of a squared-error loss beside the contrastive one")
    clips_per_batch: int = Field(default=256, ge=2, description="distinct clips of one step, at most")
    subjects_at_once: int | None = Field(
        default=None, ge=1, description="hold the activations of so many subjects at a time: less memory, same gradient"
    )
    balance: float = Field(default=1.0, ge=0, le=1, description="a subject counts as (number of trials) ** balance")
    dataset_balance: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="a dataset counts as (its trials) ** this, in batches and loss; 0: all alike",
    )
    members: int = Field(default=1, ge=1, description="independently trained networks whose predictions are averaged")
    refit: bool = Field(default=True, description="solve every adapter again towards the others' mean latent")
    refit_penalty: float = Field(default=300.0, gt=0)
    refit_rounds: int = Field(default=1, ge=1)
    polish_steps: int = Field(default=0, ge=0, description="more contrastive steps after that")
    polish_lr: float = Field(default=3e-4, gt=0)
    newcomer_penalty: float = Field(default=300.0, gt=0, description="of the closed form for a newcomer's minutes")


class ConsensusConfig(BaseModel):
    """Fitting everybody to the mean answer of the others; how people learn alone is in the contrastive settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    penalty: float = Field(default=100.0, gt=0)
    newcomer_penalty: float = Field(default=1000.0, gt=0, description="of the map for the unseen, per trained subject")
    own_penalty: float = Field(
        default=1e6, gt=0, description="of a newcomer's own minutes against that map, divided by their trials"
    )
    own_statistics: float = Field(
        default=400.0, ge=0, description="trials at which a newcomer's own mean and spread count half"
    )


class RidgeConfig(BaseModel):
    """Ridge regression from responses to targets; the penalty is chosen inside the training trials."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    penalties: tuple[float, ...] = (100.0, 300.0, 1e3, 2e3, 3e3, 5e3, 1e4, 3e4, 1e5)
    inner_folds: int = Field(default=4, ge=2)


class AlignConfig(BaseModel):
    """Everything that affects the result of stage 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    target: str = Field(default="text-minilm", description="encoder whose vectors are predicted")
    strategy: StrategyName = "contrastive"
    contexts: tuple[Context, ...] = Field(default=(), description="what answers for a trial; default: its own window")
    gap_s: float = Field(default=45.0, ge=0, description="time left free between inner folds of a continuous stimulus")
    contrastive: ContrastiveConfig = ContrastiveConfig()
    consensus: ConsensusConfig = ConsensusConfig()
    ridge: RidgeConfig = RidgeConfig()
    seed: int = 0
    memory_budget: str | None = Field(
        default=None,
        description="of training responses (2GB, 500MiB): more than that is read from disk while training; default: "
        "all are held in memory",
    )

    @field_validator("memory_budget")
    @classmethod
    def _is_an_amount(cls, text: str | None) -> str | None:
        if text is not None:
            parse_bytes(text)
        return text

    @property
    def budget(self) -> int | None:
        """The memory budget in bytes."""
        return None if self.memory_budget is None else parse_bytes(self.memory_budget)

    def affecting(self) -> dict[str, Any]:
        """The settings that the result of this strategy depends on, as JSON: another one's may change freely."""
        used = {"contrastive": {"contrastive"}, "consensus": {"contrastive", "consensus"}}.get(
            self.strategy, {"ridge", "gap_s"}
        )
        unused = {"contrastive", "consensus", "ridge", "gap_s"} - used
        # Which trials meet in a batch depends on what fits in memory.
        unused |= {"memory_budget"} if self.memory_budget is None else set()
        return self.model_dump(mode="json", exclude=unused)
