"""The audit as sections of a report: what the score would be for other reasons than the brain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from brainreel.report import Metric, Prose, ScoreRow, ScoreTable, Section

# Per group of rows: heading, better direction, one sentence, and its questions with what people call them.
GROUPS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "brainless": (
        "What no brain scores already",
        "higher",
        "Two-way identification of the same truths by answers that know less; chance 0.5. The note is the share of "
        "the model's way from chance that the control goes too.",
        {
            "model": "the model",
            "shuffled": "its answers to other clips, shuffled",
            "constant": "its mean answer",
            "copying": "the training clip nearest to its answer, played instead",
        },
    ),
    "category": (
        "Classification or more?",
        "higher",
        "Two-way identification against distractors of other categories, which a classifier of categories wins, and "
        "of the same category, where it is at chance; then truths answered with predictions for other clips of "
        "their category.",
        {
            "across-category": "against other categories",
            "within-category": "within the category",
            "category-only": "predictions for other clips of the category",
        },
    ),
    "unseen": (
        "What training never showed",
        "higher",
        "Two-way identification of clips whose category occurs in training, and of those whose never does; then "
        "without clips that have a nearly identical one in training, and of these alone.",
        {
            "seen-category": "category seen in training",
            "unseen-category": "category never seen in training",
            "without-leaks": "without near-duplicates of training clips",
            "leaks-only": "near-duplicates of training clips only",
        },
    ),
    "memory": (
        "Truth against memory",
        "higher",
        "The fraction of training clips that fit the prediction less well than the truth; chance 0.5.",
        {"against-training": "truth against every training clip"},
    ),
    "copies": (
        "Nearer to a training clip than to the truth",
        "lower",
        "The fraction of predictions that fit the best of all training clips better than the truth (chance n/(n + 1) "
        "with n training clips), and of those that are nearly identical to one.",
        {"beaten-by-training": "some training clip fits better", "copied": "nearly identical to a training clip"},
    ),
}
SHOWN_PAIRS = 12


def audit_sections(audit: dict[str, Any], label: Callable[[str], str]) -> list[Section]:
    """A table of scores and a list of leaks, from the content of audit.json.

    Args:
        audit: What `audit_experiment` returned.
        label: A method's name for people.
    """
    found = audit["scores"]
    if not found:
        return []
    datasets = list(dict.fromkeys(row["dataset"] for row in found))
    rows = tuple(
        _row(row, group, _name(row, names[row["question"]], label, len(datasets) > 1))
        for group, (_, _, _, names) in GROUPS.items()
        for question in names
        for row in found
        if row["question"] == question
    )
    return [
        ScoreTable(
            title="Audit: what else could explain the score",
            nav="Audit",
            intro=_categories(audit["category"]),
            metrics=tuple(
                Metric(name=group, label=heading, direction=direction, definition=text)  # type: ignore[arg-type]
                for group, (heading, direction, text, _) in GROUPS.items()
            ),
            rows=rows,
        ),
        _leaks(audit),
    ]


def _row(row: dict[str, Any], group: str, name: str) -> ScoreRow:
    notes = [f"{row['clips']} clips"]
    if row["given_away"] is not None:
        notes.append(f"{100 * row['given_away']:.0f} % of the model's way from chance in these trials")
    return ScoreRow(
        metric=group,
        label=name,
        value=row["value"],
        ci95=row["ci95"],
        bootstrap=f"crossed, {row['n_units']} units",
        chance=row["chance"],
        n=row["n"],
        note="; ".join(notes),
    )


def _name(row: dict[str, Any], question: str, label: Callable[[str], str], several: bool) -> str:
    return f"{label(row['strategy'])}: {question}" + (f" ({row['dataset']})" if several else "")


def _categories(found: dict[str, Any]) -> str:
    told = ", ".join(
        f"the {facts['column']} of {facts['known']} of {facts['clips']} clips ({dataset})"
        for dataset, facts in found.items()
        if facts["known"]
    )
    return (
        f"A clip's category is {told}." if told else "No clip has a category, so only copies and leaks are looked for."
    )


def _leaks(audit: dict[str, Any]) -> Prose:
    leaks = audit["leakage"]
    doubles = sum(leak["nearly_identical"] for leak in leaks)
    shared = sum(leak["shared_clips"] for leak in leaks)
    tested = sum(leak["test_clips"] for leak in leaks)
    pairs = [
        f"{leak['dataset']}, fold {leak['fold'] + 1}: {pair['test']} is tested, {pair['train']} was trained on "
        f"(cosine {pair['cosine']:.3f})."
        for leak in leaks
        for pair in leak["pairs"]
    ]
    more = len(pairs) - SHOWN_PAIRS
    return Prose(
        title="Leaks between training and test",
        nav="Leaks",
        paragraphs=(
            f"Over {len(leaks)} folds, {shared} of {tested} tested clips are training clips too, and {doubles} have a "
            f"training clip with nearly the same target (centred cosine of {audit['nearly_identical']:g} or more), "
            "which no division by time or by clip can see.",
        ),
        points=(*pairs[:SHOWN_PAIRS], *([f"… and {more} more, in audit.json."] if more > 0 else [])),
    )
