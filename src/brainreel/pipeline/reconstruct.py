"""`brainreel reconstruct`: videos and captions from responses without any truth, with everything an experiment learnt."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from brainreel.align.aligner import Aligner
from brainreel.errors import ExperimentError, UsageError, alternatives
from brainreel.experiment import Experiment, State
from brainreel.files import write_json, write_tsv
from brainreel.generate.config import GenerateConfig, SomeSettings
from brainreel.generate.protocol import choose_mode
from brainreel.generate.registry import GeneratorSource
from brainreel.generate.runs import read_generation, reconstruct
from brainreel.pipeline.generate_stage import videos_cost
from brainreel.pipeline.new_responses import Read
from brainreel.pipeline.outlook import Outlook
from brainreel.pipeline.plan import read_plan
from brainreel.regress.averaging import certainty_of, conditions_of
from brainreel.regress.captions import CaptionPool, caption_pool
from brainreel.regress.conditions import Conditions
from brainreel.regress.regressor import Regressor
from brainreel.training.devices import one_thread
from brainreel.video import write_video

_RECORD = "generate/generator.json"


@dataclass(frozen=True)
class Trained:
    """Stages 1 and 2 of one fold and seed of an experiment: what reads a response."""

    experiment: Experiment
    method: str
    stage: Path
    seed: int
    fold: int

    @cached_property
    def aligner(self) -> Aligner:
        """Stage 1."""
        place = f"seed-{self.seed}/fold-{self.fold}/decoder.safetensors"
        methods = {method.name: method.job for method in read_plan(self.experiment).methods}
        return Aligner.load(self.experiment.root / "align" / methods.get(self.method, self.method) / place)

    @cached_property
    def regressor(self) -> Regressor:
        """Stage 2."""
        return Regressor.load(self.stage / "model" / "regressor.safetensors")

    @cached_property
    def pool(self) -> CaptionPool:
        """The captions of training clips, which answers are read out in."""
        plan = read_plan(self.experiment)
        stores = plan.open_stores(self.experiment)
        spoken = plan.read_targets(self.experiment, stores)
        return caption_pool(stores, spoken, plan.folds, self.fold, self.aligner.goals_.centre)

    def conditions(self, read: Read) -> Conditions:
        """What a video model is given for every name of the responses that were read."""
        facts = {"subject": read.subject, "zero_shot": read.zero_shot, "strategy": self.method}
        facts |= {"seed": self.seed, "fold": self.fold, "stage": self.stage.name}
        return conditions_of(read.embedding, read.name, self.regressor, pool=self.pool, facts=facts)


def find_trained(experiment: Experiment, *, strategy: str | None = None, fold: int | None = None) -> Trained:
    """What stages 1 and 2 left of a method: of its first seed, and of a fold (default: the first).

    Raises:
        ExperimentError: nothing is there.
        UsageError: no such method or fold.
    """
    read_plan(experiment)
    found: dict[str, dict[int, Trained]] = {}
    for path in sorted(experiment.root.glob("regress/*/seed-*/fold-*/model/regressor.safetensors")):
        stage = path.parents[1]
        method, seed, number = stage.parts[-3], int(stage.parts[-2].split("-")[1]), int(stage.name.split("-")[1])
        if (stage / "provenance.json").is_file():
            found.setdefault(method, {}).setdefault(number, Trained(experiment, method, stage, seed, number))
    if not found:
        raise ExperimentError(
            f"{experiment.root} has no finished stage 2",
            expected="regress/METHOD/…",
            do="run `brainreel regress` first",
        )
    if strategy is not None and strategy not in found:
        raise UsageError(f"the experiment has no strategy {alternatives(strategy, found)}")
    folds = found[strategy or ("contrastive" if "contrastive" in found else min(found))]
    if fold is not None and fold not in folds:
        raise UsageError(f"--fold {fold}", expected=f"one of {', '.join(map(str, sorted(folds)))}")
    return folds[min(folds) if fold is None else fold]


def remember_generator(experiment: Experiment, source: GeneratorSource, config: GenerateConfig) -> None:
    """Note what an experiment's videos were made with, for `last_weights` and `last_settings`."""
    weights = Path(source.weights)
    where = weights.resolve() if weights.is_dir() else source.weights
    record = {"generator": source.name, "weights": str(where), "settings": config.model_dump()}
    write_json(experiment.root / _RECORD, record)


def last_weights(experiment: Experiment) -> str | None:
    """The video model that an experiment's videos were made with last; None: nobody noted it, or it is gone."""
    try:
        weights = str(json.loads((experiment.root / _RECORD).read_text())["weights"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None if weights.startswith("/") and not Path(weights).is_dir() else weights


def last_settings(experiment: Experiment, asked: SomeSettings) -> GenerateConfig:
    """How an experiment's videos were made last, but for what is asked for; where nobody noted it, the defaults."""
    try:
        noted = GenerateConfig.model_validate(json.loads((experiment.root / _RECORD).read_text())["settings"])
    except (OSError, ValueError, KeyError, TypeError):
        noted = GenerateConfig()
    return asked.over(noted)


def reconstruct_outlook(conditions: Conditions, out: Path, config: GenerateConfig, source: GeneratorSource) -> Outlook:
    """What `write_videos` would do; changes nothing.

    Raises:
        UsageError: conditions that the generator cannot be given.
    """
    conditions = config.given(conditions)
    there = sum((out / "arrays" / f"{clip}.npy").is_file() for clip in conditions.clip_id)
    files = sum((out / f"{clip}.mp4").is_file() for clip in conditions.clip_id)
    done = min(there, files) == len(conditions)
    state: State = "up to date" if done else "resume" if there else "run"
    mode = choose_mode(conditions, source.takes, config.mode)
    return Outlook((("reconstruct", state, videos_cost(conditions.take(slice(there, None)), mode, config, source)),))


def write_videos(
    trained: Trained, read: Read, conditions: Conditions, out: Path, config: GenerateConfig, source: GeneratorSource
) -> list[dict[str, Any]]:
    """Make the videos of some conditions: ``<name>.mp4`` for people, ``arrays/<name>.npy`` without any loss.

    Beside them ``captions.tsv`` (what each was read as, see `certainty_of`) and ``conditions.safetensors``. Interrupted,
    the same call goes on.

    Returns:
        A row of captions.tsv per video.

    Raises:
        ExperimentError: the folder holds videos of other responses, settings or weights.
    """
    arrays = out / "arrays"
    with one_thread(source.device):
        paths = reconstruct(conditions, source.load(), arrays, config)
    fps = read_generation(arrays)["fps"]
    for path in paths:
        video = out / f"{path.stem}.mp4"
        if not video.is_file():
            write_video(video, np.load(path), fps=fps)
    conditions.write(out / "conditions.safetensors")
    table = certainty_of(read.embedding, read.name, trained.regressor, pool=trained.pool)
    table.insert(1, "caption", conditions.captions or "")
    write_tsv(out / "captions.tsv", table.round(4))
    return json.loads(table.round(4).to_json(orient="records") or "[]")
