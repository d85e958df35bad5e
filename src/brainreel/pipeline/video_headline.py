"""The headline of an experiment with videos: how much of what was shown is in what was made from the brain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from brainreel.pipeline.plan import NEWCOMER
from brainreel.pipeline.video_scores import Key, means_of, metric_of, video_label
from brainreel.report import Bar, Headline
from brainreel.store import Store

_CONTROLS = (
    ("shuffled", "videos of other clips (shuffled)", "control"),
    ("mean_response", "video of the mean response", "control"),
    ("ceiling", "video of the true vectors", "ceiling"),
)


def video_headline(rows: list[dict[str, Any]], lead: Key, model: str, stores: Sequence[Store]) -> Headline:
    """The leading measure of every dataset, each beside its controls and the most that its generator can do."""
    means = [row for row in means_of(rows, lead) if row["value"] is not None]
    mine = [row for row in means if row["strategy"] == model]
    unseen = [row for row in means if row["strategy"] == NEWCOMER]
    metric, fraction = metric_of(lead), lead[0] == "n_way_accuracy"
    several = len(mine) > 1
    bars = []
    for row in mine:
        prefix = f"{row['dataset']}: " if several else ""
        bars.append(Bar(label=prefix + video_label(model), value=row["value"], ci95=row["ci95"]))
        bars += [
            Bar(label=prefix + video_label(NEWCOMER), value=other["value"], ci95=other["ci95"], role="rival")
            for other in unseen
            if other["dataset"] == row["dataset"]
        ]
        bars += [
            Bar(label=label, value=row[key], role=role)  # type: ignore[arg-type]
            for key, label, role in _CONTROLS
            if row.get(key) is not None
        ]
    people = sum(len(store.subjects) for store in stores)
    simulated = all(store.manifest.simulated for store in stores)
    chips = [
        *(["simulated data"] if simulated else []),
        f"{people} people",
        f"{len(stores)} dataset{'s' if len(stores) > 1 else ''}",
        f"{sum(row['n'] for row in mine)} videos scored",
        *(["1 person never trained on"] if unseen else []),
    ]
    return Headline(
        title="Videos from simulated brain activity" if simulated else "Videos from brain activity",
        nav="Summary",
        claim=_claim(mine, unseen, lead, fraction),
        chips=tuple(chips),
        metric=f"{metric.label}.",
        definition=metric.definition,
        direction=metric.direction,
        bars=tuple(bars),
        bar_range=(0.0, 1.0),
        chance=mine[0]["chance"] if mine else None,
    )


def _claim(mine: list[dict[str, Any]], unseen: list[dict[str, Any]], lead: Key, fraction: bool) -> str:
    if not mine:
        return "No video was scored."

    def over(key: str, rows: list[dict[str, Any]] = mine) -> str | None:
        values = [row[key] for row in rows if row.get(key) is not None]
        if not values:
            return None
        told = [f"{100 * value:.0f}" if fraction else f"{value:.2f}" for value in (min(values), max(values))]
        return (told[0] if told[0] == told[1] else f"{told[0]} to {told[1]}") + (" %" if fraction else "")

    if fraction:
        network = (lead[3] or "network").replace("_", " ")
        first = (
            f"From one person's response to a clip a video is made, in which a {network} recognises what was "
            f"shown among {lead[2]} possibilities in {over('value')} of cases (chance {over('chance')}"
        )
    else:
        first = (
            f"From one person's response to a clip a video is made, whose {metric_of(lead).label} with what was "
            f"shown is {over('value')} ("
        )
    beside = [
        f"{name} {value}"
        for name, value in (
            ("shuffled", over("shuffled")),
            ("without a brain", over("mean_response")),
            ("the generator given the true vectors", over("ceiling")),
        )
        if value is not None
    ]
    told = first + (", " if fraction and beside else "") + ", ".join(beside) + ")"
    if unseen:
        told += f"; for a person whom the model never saw, {over('value', unseen)}"
    return told.replace(" ()", "") + "."
