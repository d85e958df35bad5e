"""Settings of the sandbox recipe. Importing this costs little, so that the command line can show it as flags."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from brainreel.align.config import AlignConfig, ContrastiveConfig
from brainreel.datasets.protocol import Size
from brainreel.generate.config import GenerateConfig
from brainreel.regress.config import RegressConfig

RELEASES = ("sandbox-event", "sandbox-movie", "sandbox-single")


class SandboxConfig(BaseModel):
    """Settings of the sandbox recipe; every seed that is not the simulation's is stage 1's.

    Attributes:
        align: Stage 1; its seed is the first of ``seeds``.
        regress: Stage 2.
        generate: Stage 3.
        size: Of the three simulated releases.
        simulation_seed: Of clips, people and noise.
        seeds: Independent trainings; scores are means over them.
        clips: Test clips of each dataset that videos are made of; None: all of them.
        text_to_video: Also videos that start from noise alone, as a variant ``text-to-video`` that is scored beside.
        people: People of the first dataset; None: as many as its size has.
        test_clips: Test clips of the first dataset; None: as many as its size has.
        left_out: Its last so many people are left out of training.
        compare: Also read the people who were left out by models that know them: everybody's, their own, and their
            dataset's (`brainreel.sandbox.comparisons`). Videos are then made of these people only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    # Why these and not the stages' own defaults: docs/sandbox.md.
    align: AlignConfig = AlignConfig(target="text-minilm", contrastive=ContrastiveConfig(refit_penalty=1000.0))
    regress: RegressConfig = RegressConfig(captions="composed")
    generate: GenerateConfig = GenerateConfig(steps=12, guidance=1.0, strength=0.8, text="captions")
    size: Size = Field(default="small", description="of the three simulated datasets")
    simulation_seed: int = Field(default=0, ge=0, description="of clips, people and noise")
    seeds: int = Field(default=1, ge=1, description="independent trainings")
    clips: int | None = Field(default=8, ge=1, description="test clips of each dataset that videos are made of")
    text_to_video: bool = Field(default=False, description="also videos from text alone, to see what latents add")
    people: int | None = Field(default=None, ge=2, description="people of the first dataset; default: its size's")
    test_clips: int | None = Field(
        default=None, ge=2, description="test clips of the first dataset; default: its size's"
    )
    left_out: int = Field(default=1, ge=1, description="people of the first dataset whom nothing is trained on")
    compare: bool = Field(
        default=False, description="also models that know the people left out, and videos of these people alone"
    )

    @model_validator(mode="before")
    @classmethod
    def _keep_the_sandbox_s_own(cls, given: Any) -> Any:
        """Naming one setting of a stage leaves the others the sandbox's, not that stage's defaults."""
        stages = {name: cls.model_fields[name].default for name in ("align", "regress", "generate")}
        whole = {
            name: _filled(given[name], default.model_dump())
            for name, default in stages.items()
            if isinstance(given, dict) and isinstance(given.get(name), dict)
        }
        return {**given, **whole} if whole else given


def _filled(given: dict[str, Any], default: dict[str, Any]) -> dict[str, Any]:
    """Settings with what is not said of them, at any depth."""
    both = {name for name, value in given.items() if isinstance(value, dict) and isinstance(default.get(name), dict)}
    return {**default, **given, **{name: _filled(given[name], default[name]) for name in both}}


def demo_config(seed: int, size: Size) -> SandboxConfig:
    """The demo's settings: one seed for everything that is drawn."""
    default = SandboxConfig()
    return default.model_copy(
        update={
            "align": default.align.model_copy(update={"seed": seed}),
            "generate": default.generate.model_copy(update={"seed": seed}),
            "size": size,
            "simulation_seed": seed,
        }
    )
