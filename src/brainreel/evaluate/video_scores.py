"""From scored folds to rows of metrics.json: each subject and the mean over subjects, with intervals and controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from brainreel.errors import UsageError
from brainreel.evaluate.score_measures import Measure
from brainreel.evaluate.score_nulls import NULLS
from brainreel.evaluate.score_rows import number
from brainreel.evaluate.video_fold import CELL, CELLS, DERANGEMENTS, Asked, FoldScores, mean_parts
from brainreel.evaluate.video_measures import MOTION
from brainreel.metrics import FACTS
from brainreel.metrics.bootstrap import Interval, crossed_bootstrap, nested_bootstrap, table_mean

Table = Float[np.ndarray, "subjects clips"]
TableParts = Float[np.ndarray, "subjects clips 2"]


@dataclass(frozen=True)
class VideoScores:
    """All reconstructions of one method on one dataset, over folds and seeds.

    Attributes:
        method: How rows and tables call it.
        dataset: Whose clips these are.
        asked: The measures.
        subjects, clips: What the first two axes of `parts` are.
        parts: Numerators and denominators, means over the seeds; NaN where a subject has no such clip.
        folds: The fold of each clip; contiguous stretches of a film are resampled by it.
        continuous: Whether the clips are stretches of a film, so that neighbours are not independent.
        seeds: Trainings that were averaged.
        missing: Measure → why it could not be had.
        notes: What was done to the reconstructions.
        facts: Further keys that its rows carry (`method`, `variant`, `mode` …).
        stretches: What each clip is resampled with (labels of a film's contiguous stretches); empty: see `block`.
        people: How many people `over_subjects` averaged; 0: each row of `parts` is a subject's own.
        trainings: The same scores of each seed alone.
    """

    method: str
    dataset: str
    asked: list[Asked]
    subjects: tuple[str, ...]
    clips: tuple[str, ...]
    parts: Float[np.ndarray, "subjects clips cells measures 2"]
    folds: tuple[int, ...]
    continuous: bool
    seeds: tuple[int, ...]
    missing: dict[str, str]
    notes: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    stretches: tuple[int, ...] = ()
    people: int = 0
    trainings: tuple[VideoScores, ...] = ()

    @classmethod
    def of(
        cls,
        method: str,
        dataset: str,
        folds: Mapping[tuple[int, int], FoldScores],
        *,
        continuous: bool = False,
        facts: Mapping[str, Any] | None = None,
        stretches: Mapping[str, int] | None = None,
    ) -> VideoScores:
        """Gather folds.

        Args:
            method: How rows call it.
            dataset: The dataset's name.
            folds: (seed, fold) → what `score_fold` found.
            continuous: As the attribute.
            facts: As the attribute.
            stretches: Clip → label of its contiguous stretch of a film.

        Raises:
            UsageError: no folds, or folds that were measured differently.
        """
        if not folds:
            raise UsageError("no fold was scored", expected="at least one")
        first = next(iter(folds.values()))
        keys = [one.key for one in first.asked]
        found: dict[tuple[str, str], list[np.ndarray]] = {}
        fold_of: dict[str, int] = {}
        for (_, fold), scores in folds.items():
            if [one.key for one in scores.asked] != keys:
                raise UsageError("folds measured differently", expected="the same networks for all of them")
            for (subject, clip), cell in scores.cells.items():
                found.setdefault((subject, clip), []).append(cell)
                fold_of.setdefault(clip, fold)
        subjects = tuple(dict.fromkeys(subject for subject, _ in found))
        clips = tuple(fold_of)
        parts = np.full((len(subjects), len(clips), len(CELLS), len(keys), 2), np.nan)
        row = {subject: place for place, subject in enumerate(subjects)}
        column = {clip: place for place, clip in enumerate(clips)}
        for (subject, clip), cells in found.items():
            stacked = np.stack(cells).reshape(len(cells), -1, 2)
            parts[row[subject], column[clip]] = mean_parts(stacked).reshape(cells[0].shape)
        seeds = tuple(sorted({seed for seed, _ in folds}))
        return cls(
            method,
            dataset,
            first.asked,
            subjects,
            clips,
            parts,
            tuple(fold_of.values()),
            continuous,
            seeds,
            {key: reason for scores in folds.values() for key, reason in scores.missing.items()},
            tuple(dict.fromkeys(note for scores in folds.values() for note in scores.notes)),
            facts or {},
            tuple(stretches[clip] for clip in clips) if stretches else (),
            trainings=tuple(
                cls.of(method, dataset, {key: each for key, each in folds.items() if key[0] == seed}) for seed in seeds
            )
            if len(seeds) > 1
            else (),
        )

    def over_subjects(self) -> VideoScores:
        """Everybody's mean, clip by clip, as if it were one person's."""
        flat = self.parts.reshape(len(self.subjects), -1, 2)
        mean = mean_parts(flat).reshape(1, *self.parts.shape[1:])
        return replace(self, subjects=("everybody",), parts=mean, people=len(self.subjects), trainings=())

    def table(self, cell: str, place: int) -> TableParts:
        """Parts of one kind of cell under one measure, where the subject's own score is defined."""
        own = np.isnan(self.parts[:, :, CELL["value"], place]).any(axis=2, keepdims=True)
        return np.where(own, np.nan, self.parts[:, :, CELL[cell], place])

    @property
    def block(self) -> np.ndarray | None:
        """What bootstraps resample together: stretches of a film, else its folds."""
        if self.stretches:
            return np.array(self.stretches) if len(set(self.stretches)) > 1 else None
        return np.array(self.folds) if self.continuous and len(set(self.folds)) > 1 else None

    @property
    def crossed(self) -> bool:
        """Whether some clip was seen by several subjects."""
        seen = ~np.isnan(self.parts[:, :, CELL["value"], :, 0]).all(axis=2)
        return len(self.subjects) == 1 or bool((seen.sum(axis=0) > 1).any())


def video_rows(scores: VideoScores, *, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of metrics.json: under every measure the mean over subjects (``subject: null``), then each subject.

    A single subject has a row of its own only.
    """
    rows = []
    everybody = list(range(len(scores.subjects)))
    for place in range(len(scores.asked)):
        if len(everybody) > 1:
            rows.append(_row(scores, place, everybody, None, seed))
        rows += [_row(scores, place, [which], scores.subjects[which], seed) for which in everybody]
    return rows


def aggregate(measure: Measure, parts: TableParts) -> float:
    """The mean over subjects of each one's value; decibels are those of the mean error. NaN if there is none."""
    return decibels(measure, table_mean(*ratio(parts)))


def ratio(parts: TableParts) -> tuple[Table, Table]:
    """Cells and their weights, as `metrics.bootstrap` takes them."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(parts[..., 1] > 0, parts[..., 0] / parts[..., 1], np.nan), np.nan_to_num(parts[..., 1])


def decibels(measure: Measure, value: float) -> float:
    """A mean error as PSNR, if that is what is asked for."""
    return float(measure.of(np.array([value, 1.0]))) if measure.kind == "decibel" else value


def bootstrap_of(scores: VideoScores, table: Table, weight: Table, seed: int) -> Interval:
    """Crossed where subjects saw the same clips, nested where each saw clips of its own."""
    if scores.crossed:
        return crossed_bootstrap(table, weight=weight, seed=seed, block=scores.block)
    if len(table) == 1 or scores.block is not None:
        return nested_bootstrap(table, weight=weight, seed=seed, block=scores.block)
    return nested_bootstrap(table, weight=weight, seed=seed)


def per_clip(scores: VideoScores) -> pd.DataFrame:
    """What each value averages: a row per subject, clip and measure, each kind of cell a column."""
    shown = np.stack([one.measure.of(scores.parts[:, :, :, place]) for place, one in enumerate(scores.asked)], axis=-1)
    # What could not be had averages nothing.
    own = scores.parts[:, :, CELL["value"]]
    measured = [not np.isnan(own[:, :, place]).all() for place in range(len(scores.asked))]
    rows = [
        {
            "strategy": scores.method,
            "fold": scores.folds[column],
            "dataset": scores.dataset,
            "subject": subject,
            "clip_id": clip,
            "metric": one.measure.metric,
            "definition": one.measure.definition,
            "ways": one.facts.get("ways"),
            "encoder_kind": one.network,
            **{name: number(shown[row, column, CELL[name], place]) for name in CELLS},
        }
        for row, subject in enumerate(scores.subjects)
        for column, clip in enumerate(scores.clips)
        for place, one in enumerate(scores.asked)
        if not np.isnan(scores.parts[row, column, CELL["value"]]).all() and measured[place]
    ]
    return pd.DataFrame(rows).astype({"ways": "Int64"})


def _row(scores: VideoScores, place: int, who: list[int], subject: str | None, seed: int) -> dict[str, Any]:
    one = scores.asked[place]
    measure = one.measure
    fact = FACTS.get(measure.metric, {}).get(measure.definition)
    own = scores.table("value", place)[who]
    cells, weight = ratio(own)
    interval = bootstrap_of(scores, cells, weight, seed)
    ends = sorted(decibels(measure, end) for end in (interval.low, interval.high))
    there = ~np.isnan(scores.parts[who][:, :, CELL["value"]]).all(axis=(2, 3))
    units = "clips" if scores.block is None else "stretches of film" if scores.stretches else "blocks"
    chance = None if fact is None or callable(fact.chance) else fact.chance
    value = decibels(measure, interval.value)
    notes = [scores.missing.get(f"{measure.metric}/{measure.definition}", ""), interval.note]
    notes += ["infinite: identical clips"] if np.isinf(value) else []
    controls = {name: number(aggregate(measure, scores.table(name, place)[who])) for name in CELLS[1:]}
    return {
        "metric": measure.metric,
        "stage": "generate",
        "strategy": scores.method,
        "dataset": scores.dataset,
        "subject": subject,
        "split": "test",
        "definition": measure.definition,
        "value": number(value),
        "ci95": [number(end) for end in ends] if np.isfinite(ends).all() else None,
        "bootstrap": interval.bootstrap if len(who) > 1 else "units",
        "resampled": f"subjects × {units}" if len(who) > 1 else units,
        "chance": number(one.facts.get("chance", chance)),
        **{name: controls[name] for name in ("constant", "mismatched", "shuffled", "ceiling", "mean_response", *NULLS)},
        **({"zero_motion": controls["null_flat_grey"]} if measure.metric in MOTION else {}),
        "shuffles": DERANGEMENTS,
        **(
            {"ties": int((scores.table("ties", place)[who][..., 0] > 0).sum())}
            if one.network and "ways" in one.facts
            else {}
        ),
        "direction": "higher" if fact is None else fact.direction,
        "n": int(there.sum()),
        "n_units": interval.n,
        "undefined": int((there & np.isnan(cells)).sum()),
        "unit": "cosine" if fact is None else fact.unit,
        "published": bool(fact and fact.published),
        "seeds": list(scores.seeds),
        "seed_values": _seed_values(scores, place, who, value),
        **scores.facts,
        "resampling": list(scores.notes),
        **{key: each for key, each in one.facts.items() if key != "chance"},
        "note": "; ".join(note for note in notes if note),
    }


def _seed_values(scores: VideoScores, place: int, who: list[int], value: float) -> list[float | None]:
    """What each training alone reaches: how far they scatter."""
    measure, names = scores.asked[place].measure, {scores.subjects[which] for which in who}
    if not scores.trainings:
        return [number(value)]
    found = []
    for one in scores.trainings:
        there = [row for row, subject in enumerate(one.subjects) if subject in names]
        found.append(number(aggregate(measure, one.table("value", place)[there])) if there else None)
    return found
