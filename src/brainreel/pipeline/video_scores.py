"""The scores of an experiment's videos as a report reads them: which there are, what they are called, which one leads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from brainreel.experiment import Experiment
from brainreel.metrics import DEFINITIONS, FACTS
from brainreel.pipeline.plan import NEWCOMER
from brainreel.pipeline.score_sections import averages
from brainreel.report import Metric

SUMMARY = "evaluate-videos/summary"

Key = tuple[str, str, int | None, str | None]
"""Metric, definition, ways, kind of network: what tells one measure of a video from the others."""

# Label, decimals; what is not here is called by its name.
_LABELS = {
    "n_way_accuracy": ("What it shows, told from {ways} choices", 3),
    "clip_similarity": ("CLIP similarity", 3),
    "ssim": ("SSIM", 3),
    "mse": ("Squared error", 0),
    "psnr": ("PSNR", 2),
    "pixel_correlation": ("Pixel correlation", 3),
    "hue_correlation": ("Hue correlation", 3),
    "endpoint_error": ("Motion error", 3),
    "direction_agreement": ("Direction of motion", 3),
    "frame_consistency": ("Steadiness as the truth's", 3),
}
_VARIANTS = {
    "text-to-video": "from its text alone",
    "nearest-training-clip": "nearest training clip",
}


class VideoScores(NamedTuple):
    """Rows of metrics.json, paired differences, and what they average; videos only."""

    rows: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    per_clip: pd.DataFrame


def read_video_scores(experiment: Experiment) -> VideoScores | None:
    """What scoring the videos left; None if they were not scored."""
    folder: Path = experiment.root / SUMMARY
    if not (folder / "metrics.json").is_file():
        return None
    found = json.loads((folder / "metrics.json").read_text())
    per_clip = pd.read_csv(
        folder / "per_clip.tsv", sep="\t", na_values=["n/a"], dtype={"subject": str, "clip_id": str, "ways": "Int64"}
    )
    rows = [row for row in found["scores"] if row["stage"] == "generate"]
    differences = [row for row in found["differences"] if row.get("stage", "generate") == "generate"]
    return VideoScores(rows, differences, per_clip)


def key_of(row: dict[str, Any]) -> Key:
    """Which measure a row is of."""
    return row["metric"], row["definition"], row.get("ways"), row.get("encoder_kind")


def leading(rows: list[dict[str, Any]]) -> Key | None:
    """The measure that a report leads with and chooses videos by; None if nothing has a value.

    What a classifier that judged nothing in training recognises, among as many choices as it can be asked for; then
    CLIP's similarity, unless CLIP was a target; then SSIM. Never a circular one, and never one that the field has
    published with a flaw.
    """

    def rank(row: dict[str, Any]) -> tuple[int, int] | None:
        if row["value"] is None or row["circular"]:
            return None
        match row["metric"], row["definition"]:
            case "n_way_accuracy", "exact":
                return (0 if row["encoder_kind"] == "video_classifier" else 1), -row["ways"]
            case "clip_similarity", _:
                return 2, 0
            case "ssim", "gaussian-rgb":
                return 3, 0
        return None

    ranked = [(place, key_of(row)) for row in rows if (place := rank(row))]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


def of_measure(per_clip: pd.DataFrame, key: Key) -> pd.DataFrame:
    """The rows of `per_clip.tsv` of one measure."""
    metric, definition, ways, network = key
    mine = per_clip.loc[(per_clip["metric"] == metric) & (per_clip["definition"] == definition)]
    if ways is not None:
        mine = mine.loc[mine["ways"] == ways]
    return mine if network is None else mine.loc[mine["encoder_kind"] == network]


def metric_of(key: Key) -> Metric:
    """A measure as tables head it."""
    metric, definition, ways, network = key
    label, decimals = _LABELS.get(metric, (metric.replace("_", " "), 3))
    fact = FACTS.get(metric, {}).get(definition)
    judge = f" Judged by: {network.replace('_', ' ')}." if network else ""
    return Metric(
        name="/".join(str(part) for part in key if part is not None),
        label=label.format(ways=ways),
        unit="" if fact is None or fact.unit in ("fraction", "cosine", "r", metric) else fact.unit,
        direction="higher" if fact is None else fact.direction,
        definition=DEFINITIONS.get(metric, {}).get(definition, definition) + judge,
        decimals=decimals,
    )


def short_label(key: Key) -> str:
    """A measure where there is little room."""
    return f"{key[2]}-way accuracy" if key[0] == "n_way_accuracy" else metric_of(key).label


def means_of(rows: list[dict[str, Any]], key: Key) -> list[dict[str, Any]]:
    """One row per method and dataset under one measure: the mean over subjects, or the only subject."""
    return averages([row for row in rows if key_of(row) == key])


def video_label(strategy: str) -> str:
    """A way of making videos, for people; the controls that differences name stay behind its comma."""
    method, comma, control = strategy.partition(", ")
    base, _, variant = method.partition("+")
    named = {"contrastive": "everybody together", NEWCOMER: "newcomer, zero-shot"}.get(base, base.replace("-", " "))
    if variant:
        named += f": {_VARIANTS.get(variant, variant.replace('-', ' '))}"
    return named + comma + control
