"""The headline of an experiment on described clips, and what was read from the brain clip by clip."""

from __future__ import annotations

from typing import Any

from brainreel.metrics.identification import DEFINITIONS
from brainreel.pipeline.score_sections import TWO_WAY, label
from brainreel.report import Bar, Decoded, FilmTimeline, Headline, Reader, Reading, Window


def headline(
    means: dict[str, Any],
    differences: list[dict[str, Any]],
    film: dict[str, Any],
    title: str,
    simulated: bool,
    people: int,
) -> Headline:
    """The claim in one sentence, with its rival, its controls and the chance level."""
    first = next(iter(means.values()))
    rival = next((row for row in means.values() if row.get("role") == "rival" and row is not first), None)
    evidence, tested = _evidence(film)
    claim = f"{evidence} is told in {_percent(first['value'])} of cases (chance {_percent(first['chance'])})"
    if rival:
        found = next(
            (
                d
                for d in differences
                if [d[key] for key in ("first", "second", "dataset")]
                == [first["strategy"], rival["strategy"], first["dataset"]]
            ),
            None,
        )
        claim += f"; ridge on each person alone reaches {_percent(rival['value'])}"
        if found and found["ci95"]:
            low, high = found["ci95"]
            claim += (
                f", a paired difference of {100 * found['value']:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"
            )
    bars = [
        _bar(row, "model")
        for name, row in means.items()
        if name in ("contrastive", "consensus", "contrastive-alone", "pooled-ridge")
    ]
    bars += [_bar(rival, "rival")] if rival else []
    bars += [
        Bar(label="the same predictions, shuffled", value=first["shuffled"], role="control"),
        *[_bar(row, "control") for name, row in means.items() if name.startswith("null-")],
    ]
    chips = [f"{people} people", tested, f"chance {_percent(first['chance'])}"]
    return Headline(
        title=title,
        claim=claim + ".",
        chips=tuple(["simulated data", *chips] if simulated else chips),
        metric="Two-way identification.",
        definition=DEFINITIONS[TWO_WAY]["centred-cosine"],
        bars=tuple(bars),
        bar_range=(0.4, 0.9) if max(bar.value or 0 for bar in bars) < 0.9 else (0.4, 1.0),
        chance=first["chance"],
    )


def _evidence(film: dict[str, Any]) -> tuple[str, str]:
    """What was told apart from what, and how much of it was tested."""
    windows = film["windows"]
    if not _is_film(film):
        return "From one person's response to a clip, the right one of two clips", f"{len(windows)} clips tested"
    seconds = sum(window["end_s"] - window["start_s"] for window in windows)
    length = windows[0]["end_s"] - windows[0]["start_s"]
    return (
        f"From {length:.0f} s of one person's brain activity, the right one of two moments",
        f"{seconds / 60:.0f} min tested",
    )


def _is_film(film: dict[str, Any]) -> bool:
    return any(not window["name"] for window in film["windows"])


def _bar(row: dict[str, Any], role: Any) -> Bar:
    return Bar(label=label(row["strategy"]), value=row["value"], ci95=row["ci95"], role=role)


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{100 * value:.0f} %"


def timeline(film: dict[str, Any]) -> FilmTimeline:
    """Window by window (or clip by clip): what was there, and what every reader decoded."""
    windows = tuple(
        Window(
            name=window["name"],
            start_s=window["start_s"],
            end_s=window["end_s"],
            truths=tuple(window["truths"]),
            scan=window["scan"],
            block=str(window["block"]),
        )
        for window in film["windows"]
    )
    readers = tuple(
        Reader(
            name=reader["name"],
            role=reader["role"],
            readings=tuple(
                Reading(
                    decoded=tuple(Decoded(text=text, similarity=similarity) for text, similarity in reading["decoded"]),
                    score=reading.get("score"),
                    rank=reading.get("rank"),
                    gallery=reading.get("gallery"),
                )
                for reading in reader["readings"]
            ),
        )
        for reader in film["readers"]
    )
    shown, material, others = "Each stretch was", "time", "the block's other windows"
    title, nav = "The film, read from the brain", "Film"
    if not _is_film(film):
        shown, material, others = "These clips were", "clips", "the other test clips"
        title, nav = "The test clips, read from the brain", "Clips"
    return FilmTimeline(
        title=title,
        nav=nav,
        intro=(
            f"{shown} never trained on. The decoded text is the nearest description among those of the training "
            f"{material}, so it never contains the answer. The viewer shown is the one whose mean score is the "
            "median of all viewers."
        ),
        windows=windows,
        readers=readers,
        definition=f"the fraction of {others} whose description fits the prediction less well.",
    )
