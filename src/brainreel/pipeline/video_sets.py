"""Which reconstructions lie in an experiment: everybody's videos of one method, seed, fold and dataset make a set."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brainreel.evaluate.score_sources import Source
from brainreel.evaluate.video_clips import MEAN, ORACLE, generated_clips
from brainreel.experiment import Experiment
from brainreel.files import is_plain
from brainreel.generate.runs import read_generation
from brainreel.pipeline.generate_stage import strategy_name
from brainreel.pipeline.newcomer_conditions import METHOD as NEWCOMER

CONTROLS = (ORACLE, MEAN)


@dataclass(frozen=True)
class VideoSet:
    """Reconstructions of one fold's test clips of one dataset.

    Attributes:
        method: Whose conditions they are made from.
        variant: How they were made, see `find_parts`; empty: the first way.
        inputs: Stage → key, of everything that they are.
        facts: Keys that their rows carry.
        generator: What made them, in full.
        subjects: People, without controls.
        clips: Clips of each subject and control.
        open: From a subject or control to its videos.
    """

    method: str
    variant: str
    seed: int
    fold: int
    dataset: str
    inputs: Mapping[str, str]
    facts: Mapping[str, Any]
    generator: Mapping[str, Any]
    subjects: tuple[str, ...]
    clips: Mapping[str, tuple[str, ...]]
    open: Callable[[str], Source]

    @property
    def strategy(self) -> str:
        """How rows call it."""
        return strategy_name(self.method, self.variant)

    @property
    def stage(self) -> str:
        """Where its scores go."""
        return f"evaluate-videos/folds/{self.strategy}/seed-{self.seed}/fold-{self.fold}/{self.dataset}"

    @property
    def shown(self) -> tuple[str, ...]:
        """The clips that anybody has a reconstruction of, sorted."""
        return tuple(sorted({clip for subject in self.subjects for clip in self.clips[subject]}))

    def control(self, name: str) -> Source | None:
        """The oracle's or the mean response's videos, if they were made."""
        return self.open(name) if name in self.clips else None


def has_videos(experiment: Experiment) -> bool:
    """Whether any stage of generation is finished."""
    return any(_people(folder) for folder in _datasets(experiment))


def find_generated(experiment: Experiment) -> list[VideoSet]:
    """Everything that generation finished, ordered by method, variant, seed, fold and dataset."""
    sets = []
    for folder in sorted(_datasets(experiment), key=_place):
        people = _people(folder)
        if not people:
            continue
        method, variant, seed, fold, dataset = _place(folder)
        there = {path.name: path for path in (*people, *(folder / name for name in CONTROLS)) if _done(path)}
        if MEAN not in there and _done(mean := _mean_of_trained(experiment, folder)):
            there[MEAN] = mean
        made = read_generation(people[0])
        facts = {
            **facts_of(method, variant, made["mode"], made["generator"].get("generator")),
            **{key: made[key] for key in ("steps", "guidance")},
            "strength": made["strength"] if made["mode"] == "video-to-video" else None,
        }
        sets.append(
            VideoSet(
                method,
                variant,
                seed,
                fold,
                dataset,
                {path.relative_to(experiment.root).as_posix(): key_of(path) for path in there.values()},
                facts,
                made["generator"],
                tuple(path.name for path in people),
                {name: tuple(sorted(file.stem for file in path.glob("*.npy"))) for name, path in there.items()},
                lambda name, there=there: generated_clips(there[name]),
            )
        )
    return sets


def facts_of(method: str, variant: str, mode: str, generator: str | None) -> dict[str, Any]:
    """Keys that rows of videos carry."""
    about = {"method": method, "variant": variant, "mode": mode, "newcomer": method == NEWCOMER}
    return {**about, "generator": generator, **dict.fromkeys(("steps", "guidance", "strength"))}


def key_of(folder: Path) -> str:
    """The key of a finished stage."""
    return json.loads((folder / "config.json").read_text())["key"]


def trained_method(experiment: Experiment, method: str, seed: int, fold: int) -> str:
    """The method that reads a newcomer; any other is its own."""
    path = experiment.root / f"regress/{method}/seed-{seed}/fold-{fold}/config.json"
    try:
        return str(json.loads(path.read_text())["settings"]["method"])
    except (OSError, ValueError, KeyError, TypeError):
        return method


def _datasets(experiment: Experiment) -> list[Path]:
    found = experiment.root.glob("generate/*/seed-*/fold-*/*")
    return [path for path in found if all(map(is_plain, path.relative_to(experiment.root).parts)) and path.is_dir()]


def _people(dataset: Path) -> list[Path]:
    return sorted(path for path in dataset.iterdir() if path.name not in CONTROLS and _done(path))


def _done(path: Path) -> bool:
    return is_plain(path.name) and (path / "provenance.json").is_file()


def _mean_of_trained(experiment: Experiment, folder: Path) -> Path:
    """No brain is in the mean response, so that of the people who were trained on stands for a newcomer's too."""
    method, variant, seed, fold, dataset = _place(folder)
    trained = strategy_name(trained_method(experiment, method, seed, fold), variant)
    return experiment.root / f"generate/{trained}/seed-{seed}/fold-{fold}/{dataset}/{MEAN}"


def _place(folder: Path) -> tuple[str, str, int, int, str]:
    strategy, seed, fold, dataset = folder.parts[-4:]
    method, _, variant = strategy.partition("+")
    return method, variant, int(seed.split("-")[1]), int(fold.split("-")[1]), dataset
