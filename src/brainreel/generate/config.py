"""The settings of stage 3."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from brainreel.generate.protocol import Mode


class GenerateConfig(BaseModel):
    """How videos are made from conditions; `Generator.generate` tells what each setting does.

    Attributes:
        steps: Of the whole denoising; video-to-video does the last of them.
        strength: 0 (the regressed latents, decoded) to 1 (nothing of them is left).
        guidance: Weight of classifier-free guidance; up to 1: none.
        mode: Default: video-to-video if there are latents, else text-to-video.
        seed: Decides every clip's noise, together with its id.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    steps: int = Field(25, ge=1, le=1000)
    strength: float = Field(0.6, ge=0, le=1)
    guidance: float = Field(4.0, ge=0)
    mode: Mode | None = None
    seed: int = Field(0, ge=0)

    def affecting(self) -> dict[str, Any]:
        """What the videos depend on, as JSON."""
        return self.model_dump()
