"""Settings of stage 3. Importing this costs little, so that the command line can show it as flags."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from brainreel.errors import UsageError
from brainreel.generate.protocol import Mode
from brainreel.regress.conditions import Conditions

TextSource = Literal["regressed", "captions"]


class GenerateConfig(BaseModel):
    """How videos are made from conditions, see `brainreel.generate.protocol.Generator.generate`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    steps: int = Field(
        default=25, ge=1, le=1000, description="of the whole denoising; video-to-video does the last of them"
    )
    strength: float = Field(
        default=0.6, ge=0, le=1, description="noise on the regressed latents: 0 decodes them, 1 leaves nothing of them"
    )
    guidance: float = Field(default=4.0, ge=0, description="weight of classifier-free guidance; up to 1: none")
    mode: Mode | None = Field(default=None, description="default: video-to-video where there are latents")
    text: TextSource = Field(
        default="regressed",
        description="what the text condition is: regressed prompt embeddings, or those of the captions that were read",
    )
    seed: int = Field(default=0, ge=0, description="decides every clip's noise, together with its id")

    def given(self, conditions: Conditions) -> Conditions:
        """What the video model gets of some conditions.

        Raises:
            UsageError: there are no captions to take the place of the text condition.
        """
        if self.text == "regressed":
            return conditions
        if not any(conditions.captions):
            raise UsageError(
                "no captions were read from these responses",
                expected="captions, to make videos from",
                do="train stage 1 towards an encoder that embeds captions too (clip, text-minilm), or use --text regressed",
            )
        return conditions.without("text")

    def passed(self) -> dict[str, Any]:
        """What `brainreel.generate.protocol.Generator.generate` is told."""
        return self.model_dump(exclude={"text"})

    def affecting(self) -> dict[str, Any]:
        """What the videos depend on, as JSON."""
        return self.model_dump()


class SomeSettings(BaseModel):
    """Settings of `GenerateConfig` of which some are given; None: as before."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    steps: int | None = Field(default=None, ge=1, le=1000, description="of the whole denoising")
    strength: float | None = Field(default=None, ge=0, le=1, description="noise on the regressed latents, 0 to 1")
    guidance: float | None = Field(default=None, ge=0, description="weight of classifier-free guidance; up to 1: none")
    mode: Mode | None = Field(default=None, description="where denoising begins")
    text: TextSource | None = Field(default=None, description="what the text condition is")
    seed: int | None = Field(default=None, ge=0, description="decides every clip's noise, together with its id")

    def over(self, before: GenerateConfig) -> GenerateConfig:
        """What is given here, and the rest as before."""
        return GenerateConfig.model_validate({**before.model_dump(), **self.model_dump(exclude_none=True)})
