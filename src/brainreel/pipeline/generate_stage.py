"""Stage 3 inside an experiment: the videos of everybody's conditions, of the true ones and of the brainless ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from brainreel.errors import ExperimentError, UsageError
from brainreel.evaluate.video_clips import MEAN, ORACLE
from brainreel.experiment import Experiment, Stage
from brainreel.files import is_plain, write_bytes
from brainreel.generate.config import GenerateConfig
from brainreel.generate.protocol import Mode, choose_mode
from brainreel.generate.registry import GeneratorSource
from brainreel.generate.runs import fingerprint, reconstruct
from brainreel.pipeline.costs import Cost, generate_cost
from brainreel.pipeline.outlook import Outlook
from brainreel.pipeline.stages import Step
from brainreel.regress.conditions import Conditions
from brainreel.training.devices import one_thread

GENERATING = ("files.py", "regress/conditions.py", "generate", "training/randomness.py")


@dataclass(frozen=True)
class Part:
    """The conditions of one subject (or control) from one training of stage 2, in one fold; read when needed.

    Attributes:
        clip_id: The clips that are wanted of the file.
        variant: Another way of making videos from the same conditions, see `find_parts`.
    """

    method: str
    seed: int
    fold: int
    dataset: str
    subject: str
    path: Path
    clip_id: tuple[str, ...]
    variant: str = ""

    @property
    def stage(self) -> str:
        """Where its videos go below the experiment."""
        strategy = strategy_name(self.method, self.variant)
        return f"generate/{strategy}/seed-{self.seed}/fold-{self.fold}/{self.dataset}/{self.subject}"

    @property
    def is_control(self) -> bool:
        """Whether nobody's brain is in it."""
        return self.subject in (ORACLE, MEAN)

    def conditions(self) -> Conditions:
        """What the file holds of the clips."""
        whole = Conditions.read(self.path)
        row = {clip: index for index, clip in enumerate(whole.clip_id)}
        return whole.take([row[clip] for clip in self.clip_id])


class Task(NamedTuple):
    """A part with what its videos depend on, the hash of that, and what they would cost."""

    part: Part
    step: Step
    key: str
    cost: Cost


def strategy_name(method: str, variant: str) -> str:
    """How a variant of a method is called in folders and rows: ``method+variant``, or the method alone."""
    return f"{method}+{variant}" if variant else method


def find_parts(experiment: Experiment, *, clips: int | None = None, variant: str = "") -> list[Part]:
    """Everything that stage 2 left in an experiment, people before controls in every fold.

    Args:
        experiment: With `regress/<method>/seed-<s>/fold-<k>/{conditions/<dataset>/<subject>,truth/<dataset>,
            mean/<dataset>}.safetensors`.
        clips: At most so many of each dataset, see `choose_clips`.
        variant: Name of a way of making videos that is to stand beside the first one, say ``text-to-video``.

    Raises:
        ExperimentError: there is nothing, or a file is damaged.
        UsageError: `clips` is not positive, or the variant's name cannot be a folder's.
    """
    if clips is not None and clips < 1:
        raise UsageError(f"--clips {clips}", expected="at least one")
    if variant and (not is_plain(variant) or "+" in variant):
        raise UsageError(f"a variant named {variant!r}", expected="a name without slashes and +, no dot in front")
    parts = [
        Part(
            folder.parents[1].name,
            _number(folder.parent),
            _number(folder),
            dataset,
            subject,
            path,
            tuple(Conditions.read(path).clip_id),
            variant,
        )
        for folder in sorted(experiment.root.glob("regress/*/seed-*/fold-*"), key=_place)
        for dataset, subject, path in _files(folder)
    ]
    if not parts:
        raise ExperimentError(f"{experiment.root} holds no conditions", do="run `brainreel regress` first")
    if clips is None:
        return parts
    chosen = choose_clips(parts, clips)
    limited = [
        replace(part, clip_id=tuple(clip for clip in part.clip_id if clip in chosen[part.dataset])) for part in parts
    ]
    return [part for part in limited if part.clip_id]


def choose_clips(parts: Sequence[Part], clips: int) -> dict[str, set[str]]:
    """At most `clips` of each dataset, the same for everybody: those that most people saw, among them the first by
    the SHA-256 of their id, so that nobody picks them and more of them include fewer.
    """
    seen: dict[str, dict[str, set[str]]] = {}
    for part in parts:
        there = seen.setdefault(part.dataset, {})
        for clip in part.clip_id:
            there.setdefault(clip, set()).update(() if part.is_control else (part.subject,))
    return {
        dataset: set(
            sorted(there, key=lambda clip: (-len(there[clip]), hashlib.sha256(clip.encode()).hexdigest()))[:clips]
        )
        for dataset, there in seen.items()
    }


def plan_tasks(
    experiment: Experiment, parts: Sequence[Part], config: GenerateConfig, source: GeneratorSource
) -> list[Task]:
    """What has to be made and what it depends on; equal conditions cost once.

    Raises:
        UsageError: conditions that the generator cannot be given.
    """
    tasks, counted = [], set[str]()
    for part in parts:
        conditions = config.given(part.conditions())
        mode = choose_mode(conditions, source.takes, config.mode)
        settings = {**config.affecting(), "mode": mode, "generator": source.identity, "clips": conditions.clip_id}
        step = Step(part.stage, settings, {"conditions": fingerprint(conditions)}, GENERATING)
        key = experiment.key(step.settings, step.inputs, step.code)
        cost = Cost() if key in counted else videos_cost(conditions, mode, config, source)
        tasks.append(Task(part, step, key, cost))
        counted.add(key)
    return tasks


def generate_outlook(experiment: Experiment, tasks: Sequence[Task]) -> Outlook:
    """What `generate_stages` would do; changes nothing."""
    return Outlook(tuple((task.part.stage, task.step.state(experiment), task.cost) for task in tasks))


def generate_stages(
    experiment: Experiment, tasks: Sequence[Task], config: GenerateConfig, source: GeneratorSource
) -> list[Stage]:
    """Make the videos of every part that is not up to date, resuming clip by clip; loads the generator if any is.

    Each stage's folder gets what `reconstruct` writes. Conditions that are equal to others' (the true ones of every
    seed and method) are made once and copied. A CPU computes with one thread, so that videos do not depend on how many
    cores there are: sums in another order differ in their last bits.
    """
    with one_thread(source.device):
        return _run(experiment, tasks, config, source)


def _run(experiment: Experiment, tasks: Sequence[Task], config: GenerateConfig, source: GeneratorSource) -> list[Stage]:
    stages: list[Stage] = []
    made: dict[str, Path] = {}
    for number, task in enumerate(tasks, start=1):
        what = f"{task.part.dataset}/{task.part.subject} ({number} of {len(tasks)})"
        work = partial(_make, task.part, source, config, made.get(task.key), what)
        stages.append(task.step.run(experiment, work, seed=config.seed, device=source.device))
        made.setdefault(task.key, stages[-1].path)
    return stages


def _make(
    part: Part, source: GeneratorSource, config: GenerateConfig, twin: Path | None, what: str, folder: Path
) -> None:
    for path in _results(twin) if twin else ():
        # Whole or not at all: a file that is there counts as made.
        write_bytes(folder / path.name, path.read_bytes())
    reconstruct(part.conditions(), source.load(), folder, config, what=what)


def videos_cost(conditions: Conditions, mode: Mode, config: GenerateConfig, source: GeneratorSource) -> Cost:
    """What the videos of some conditions cost."""
    size = tuple(source.identity["size"][side] for side in ("frames", "height", "width"))
    done = 1.0
    if mode == "video-to-video":
        done = config.strength
        # Wan's scale; others' differ, and this is an estimate.
        frames, height, width = conditions.vectors["latent"].shape[-3:]
        size = (4 * frames - 3, 8 * height, 8 * width)
    passes = config.steps * done * (2 if config.guidance > 1 else 1)
    return generate_cost(len(conditions), passes, source.parameters, size)


def _results(folder: Path) -> Iterator[Path]:
    yield folder / "generation.json"
    yield from sorted(folder.glob("*.npy"))


def _files(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """Dataset, subject or control, and file of everything in one fold of stage 2."""
    for path in sorted(folder.glob("conditions/*/*.safetensors")):
        if is_plain(path.name) and is_plain(path.parent.name):
            yield path.parent.name, path.stem, path
    for name, control in (("truth", ORACLE), ("mean", MEAN)):
        for path in sorted(folder.glob(f"{name}/*.safetensors")):
            if is_plain(path.name):
                yield path.stem, control, path


def _number(folder: Path) -> int:
    return int(folder.name.split("-")[1])


def _place(folder: Path) -> tuple[str, int, int]:
    return folder.parents[1].name, _number(folder.parent), _number(folder)
