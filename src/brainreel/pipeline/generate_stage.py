"""Stage 3 inside an experiment: the videos of everybody's conditions, of the true ones and of the brainless ones."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from brainreel.errors import ExperimentError, UsageError
from brainreel.experiment import Experiment, Stage
from brainreel.files import is_plain
from brainreel.generate.config import GenerateConfig
from brainreel.generate.protocol import choose_mode
from brainreel.generate.registry import GeneratorSource
from brainreel.generate.runs import fingerprint, reconstruct
from brainreel.pipeline.costs import Cost, generate_cost
from brainreel.pipeline.outlook import Outlook
from brainreel.pipeline.stages import Step
from brainreel.regress.conditions import Conditions

TRUTH, MEAN = "_truth", "_mean"
"""In the place of a subject: true conditions (the oracle), and the mean training condition (no brain in it)."""
GENERATING = ("files.py", "regress/conditions.py", "generate", "training/randomness.py")


@dataclass(frozen=True)
class Part:
    """The conditions of one subject (or control) from one training of stage 2, in one fold."""

    method: str
    seed: int
    fold: int
    dataset: str
    subject: str
    conditions: Conditions

    @property
    def stage(self) -> str:
        """Where its videos go below the experiment."""
        return f"generate/{self.method}/seed-{self.seed}/fold-{self.fold}/{self.dataset}/{self.subject}"

    @property
    def is_control(self) -> bool:
        """Whether nobody's brain is in it."""
        return self.subject in (TRUTH, MEAN)

    def step(self, config: GenerateConfig, source: GeneratorSource) -> Step:
        """What the videos depend on."""
        mode = choose_mode(self.conditions, source.takes, config.mode)
        settings = {**config.affecting(), "mode": mode, "generator": source.identity, "clips": self.conditions.clip_id}
        return Step(self.stage, settings, {"conditions": fingerprint(self.conditions)}, GENERATING)

    def cost(self, config: GenerateConfig, source: GeneratorSource) -> Cost:
        """Of all its clips."""
        size = tuple(source.identity["size"][side] for side in ("frames", "height", "width"))
        done = 1.0
        if choose_mode(self.conditions, source.takes, config.mode) == "video-to-video":
            done = config.strength
            # Wan's scale; others' differ, and this is an estimate.
            frames, height, width = self.conditions.vectors["latent"].shape[2:]
            size = (4 * frames - 3, 8 * height, 8 * width)
        passes = config.steps * done * (2 if config.guidance > 1 else 1)
        return generate_cost(len(self.conditions), passes, source.parameters, size)


def find_parts(experiment: Experiment, *, clips: int | None = None) -> list[Part]:
    """Everything that stage 2 left in an experiment, people before controls in every fold.

    Args:
        experiment: With `regress/<method>/seed-<s>/fold-<k>/{conditions/<dataset>/<subject>,truth/<dataset>,
            mean/<dataset>}.safetensors`.
        clips: At most so many of each dataset, see `choose_clips`.

    Raises:
        ExperimentError: there is nothing, or a file is damaged.
        UsageError: `clips` is not positive.
    """
    if clips is not None and clips < 1:
        raise UsageError(f"--clips {clips}", expected="at least one")
    parts = [
        Part(folder.parents[1].name, _number(folder.parent), _number(folder), dataset, subject, Conditions.read(path))
        for folder in sorted(experiment.root.glob("regress/*/seed-*/fold-*"), key=_place)
        for dataset, subject, path in _files(folder)
    ]
    if not parts:
        raise ExperimentError(f"{experiment.root} holds no conditions", do="run `brainreel regress` first")
    if clips is None:
        return parts
    chosen = choose_clips(parts, clips)
    limited = []
    for part in parts:
        rows = [row for row, clip in enumerate(part.conditions.clip_id) if clip in chosen[part.dataset]]
        if rows:
            limited.append(
                Part(part.method, part.seed, part.fold, part.dataset, part.subject, part.conditions.take(rows))
            )
    return limited


def choose_clips(parts: Sequence[Part], clips: int) -> dict[str, set[str]]:
    """At most `clips` of each dataset, the same for everybody: those that most people saw, among them the first by
    the SHA-256 of their id, so that nobody picks them and more of them include fewer.
    """
    seen: dict[str, dict[str, set[str]]] = {}
    for part in parts:
        there = seen.setdefault(part.dataset, {})
        for clip in part.conditions.clip_id:
            there.setdefault(clip, set()).update(() if part.is_control else (part.subject,))
    return {
        dataset: set(
            sorted(there, key=lambda clip: (-len(there[clip]), hashlib.sha256(clip.encode()).hexdigest()))[:clips]
        )
        for dataset, there in seen.items()
    }


def generate_outlook(
    experiment: Experiment, parts: Sequence[Part], config: GenerateConfig, source: GeneratorSource
) -> Outlook:
    """What `generate_stages` would do; changes nothing. Equal conditions cost once."""
    stages, counted = [], set[str]()
    for part in parts:
        step = part.step(config, source)
        key = experiment.key(step.settings, step.inputs, step.code)
        stages.append((part.stage, step.state(experiment), Cost() if key in counted else part.cost(config, source)))
        counted.add(key)
    return Outlook(tuple(stages))


def generate_stages(
    experiment: Experiment, parts: Sequence[Part], config: GenerateConfig, source: GeneratorSource
) -> list[Stage]:
    """Make the videos of every part that is not up to date, resuming clip by clip; loads the generator if any is.

    Each stage's folder gets what `reconstruct` writes. Conditions that are equal to others' (the true ones of every
    seed and method) are made once and copied.
    """
    stages: list[Stage] = []
    made: dict[str, Path] = {}
    for number, part in enumerate(parts, start=1):
        step = part.step(config, source)
        twin = made.get(experiment.key(step.settings, step.inputs, step.code))
        what = f"{part.dataset}/{part.subject} ({number} of {len(parts)})"
        work = partial(_make, part.conditions, source, config, twin, what)
        stages.append(step.run(experiment, work, seed=config.seed, device=source.device))
        made.setdefault(stages[-1].key, stages[-1].path)
    return stages


def _make(
    conditions: Conditions, source: GeneratorSource, config: GenerateConfig, twin: Path | None, what: str, folder: Path
) -> None:
    for path in _results(twin) if twin else ():
        shutil.copy2(path, folder / path.name)
    reconstruct(conditions, source.load(), folder, config, what=what)


def _results(folder: Path) -> Iterator[Path]:
    yield folder / "generation.json"
    yield from sorted(folder.glob("*.npy"))


def _files(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """Dataset, subject or control, and file of everything in one fold of stage 2."""
    for path in sorted(folder.glob("conditions/*/*.safetensors")):
        if is_plain(path.name) and is_plain(path.parent.name):
            yield path.parent.name, path.stem, path
    for name, control in (("truth", TRUTH), ("mean", MEAN)):
        for path in sorted(folder.glob(f"{name}/*.safetensors")):
            if is_plain(path.name):
                yield path.stem, control, path


def _number(folder: Path) -> int:
    return int(folder.name.split("-")[1])


def _place(folder: Path) -> tuple[str, int, int]:
    return folder.parents[1].name, _number(folder.parent), _number(folder)
