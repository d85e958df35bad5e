"""Tables of the videos' scores and of their paired differences, from rows of metrics.json."""

from __future__ import annotations

from typing import Any

from brainreel.pipeline.video_scores import Key, VideoScores, key_of, means_of, metric_of, video_label
from brainreel.report import Difference, DifferenceTable, ScoreRow, ScoreTable, Section

NULLS = {
    "null_flat_grey": "flat grey",
    "null_mean_clip": "mean training clip",
    "null_blurred_nearest": "blurred nearest training clip",
}
_SHARED = ("value", "ci95", "bootstrap", "chance", "constant", "mismatched", "shuffled", "mean_response", "ceiling",
           "n", "circular")  # fmt: skip


def video_tables(scores: VideoScores, lead: Key | None) -> list[Section]:
    """The leading measure first, then the others; definitions that the field published stand apart, at the end."""
    keys = list(dict.fromkeys(key_of(row) for row in scores.rows if row["value"] is not None))
    keys.sort(key=lambda key: key != lead)
    published = {key_of(row) for row in scores.rows if row["published"]}
    missing = _missing(scores.rows)
    intro = (
        "Reconstructions against what was shown, compared as arrays: means over subjects, with intervals that resample "
        "subjects and clips together. Shuffled: the videos of other clips. Mean response: what the generator makes "
        "of the mean response to all clips. Ceiling: the generator fed the true vectors."
    )
    found: list[Section] = [
        _table("Scores of the videos", "Video scores", intro + missing, [k for k in keys if k not in published], scores)
    ]
    if any(key in published for key in keys):
        found.append(
            _table(
                "The same under published definitions",
                "Published",
                "As released code of the field computes them, so that old tables can be read; their chance differs.",
                [key for key in keys if key in published],
                scores,
            )
        )
    return found


def video_differences(scores: VideoScores, key: Key) -> DifferenceTable | None:
    """Paired differences of one measure; None if there are none."""
    rows = [row for row in scores.differences if key_of(row) == key]
    if not rows:
        return None
    several = len({row["dataset"] for row in rows}) > 1
    metric = metric_of(key)
    return DifferenceTable(
        title="Paired differences of the videos",
        nav="Video differences",
        intro="Over the same subjects and clips. Oracle: the generator fed the true vectors.",
        metric=metric.model_copy(update={"label": f"{metric.label}, difference"}),
        rows=tuple(
            Difference(
                a=f"{row['dataset']}: {video_label(row['first'])}" if several else video_label(row["first"]),
                b=_beside(row["first"], row["second"]),
                value=row["value"],
                ci95=row["ci95"],
                n=row.get("n"),
                bootstrap=row["bootstrap"],
                note=_tested(row),
            )
            for row in rows
        ),
    )


def _table(title: str, nav: str, intro: str, keys: list[Key], scores: VideoScores) -> ScoreTable:
    datasets = list(dict.fromkeys(row["dataset"] for row in scores.rows))
    rows: list[ScoreRow] = []
    for key in keys:
        metric, told = metric_of(key), set[str]()
        for row in sorted(means_of(scores.rows, key), key=lambda row: datasets.index(row["dataset"])):
            # The null videos are the same whatever is beside them: said once per dataset.
            notes = [row.get("note") or "", "" if row["dataset"] in told else _nulls(row, metric.decimals)]
            told.add(row["dataset"])
            name = video_label(row["strategy"])
            rows.append(
                ScoreRow(
                    metric=metric.name,
                    label=f"{row['dataset']}: {name}" if len(datasets) > 1 else name,
                    note=". ".join(filter(None, notes)),
                    **{name: row.get(name) for name in _SHARED},  # type: ignore[arg-type]
                )
            )
    return ScoreTable(title=title, nav=nav, intro=intro, metrics=tuple(map(metric_of, keys)), rows=tuple(rows))


def _nulls(row: dict[str, Any], decimals: int) -> str:
    """What videos without any brain get on the same clips."""
    known = [f"{name} {row[key]:.{decimals}f}" for key, name in NULLS.items() if row.get(key) is not None]
    return f"Without a brain in this dataset: {', '.join(known)}" if known else ""


def _missing(rows: list[dict[str, Any]]) -> str:
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row["value"] is None and row["note"]:
            reasons.setdefault(row["note"], []).append(row["metric"].replace("_", " "))
    told = "; ".join(f"{', '.join(dict.fromkeys(names))} ({why})" for why, names in reasons.items())
    return f" Not measured: {told}." if told else ""


def _beside(first: str, second: str) -> str:
    """The second side of a difference; of the same reconstructions, only what is done to them."""
    (one, _, _), (other, _, control) = first.partition(", "), second.partition(", ")
    return video_label(second) if one != other else f"the same, {control}" if control else "the same"


def _tested(row: dict[str, Any]) -> str:
    if row.get("p_adjusted") is None:
        return ""
    return (
        f"sign flips p = {row['p_sign_flip']:.3g}, adjusted for {row['tests_in_family']} tests {row['p_adjusted']:.3g}"
    )
