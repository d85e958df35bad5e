"""From a `FilmTimeline` to what its page needs: the strip's geometry, compact data, the galleries."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from brainreel.report.pick import Picks, median_by_score, pick_by_score
from brainreel.report.sections import FilmTimeline, Reader

BINS = "0123456789abc"
UNKNOWN_BIN = "x"
_SCAN_GAP = 0.012  # of the film's length: visible at 360 px, small at 1280 px
_TICK_STEPS_MIN = (1, 2, 5, 10, 15, 30, 60, 120)
_MOST_TICKS = 11


def score_bin(score: float | None, chance: float, score_range: tuple[float, float]) -> str:
    """One of 13 colours, as a character of `BINS`: 0 the lowest score, 6 chance, c the highest; x unknown."""
    if score is None:
        return UNKNOWN_BIN
    low, high = score_range
    from_chance = (score - chance) / (high - chance if score >= chance else chance - low)
    return BINS[round(6 * from_chance) + 6]


@dataclass(frozen=True)
class StripRow:
    """One reader's row of the strip: per colour one SVG path; its mean over the windows that have a score."""

    reader: Reader
    paths: tuple[tuple[str, str], ...]
    mean: float | None
    scored: int


@dataclass(frozen=True)
class Strip:
    """The film laid out: x in seconds, with a gap wherever the scan changes."""

    width: float
    spans: tuple[tuple[float, float], ...]
    ticks: tuple[tuple[float, int], ...]
    scans: tuple[tuple[float, float, str], ...]
    rows: tuple[StripRow, ...]


def strip(section: FilmTimeline) -> Strip:
    """Where every window, minute tick and scan label lies."""
    windows = section.windows
    if not windows:
        return Strip(0.0, (), (), (), tuple(StripRow(reader, (), None, 0) for reader in section.readers))
    origin = windows[0].start_s
    length = max(window.end_s for window in windows) - origin
    breaks = [after.start_s for before, after in pairwise(windows) if before.scan != after.scan]
    gap = _SCAN_GAP * length

    def place(time_s: float, scan_breaks: int) -> float:
        return round(time_s - origin + gap * scan_breaks, 2)

    spans = []
    for window in windows:
        passed = sum(start <= window.start_s for start in breaks)
        spans.append((place(window.start_s, passed), place(window.end_s, passed)))
    width = max(end for _, end in spans)

    step_min = next((step for step in _TICK_STEPS_MIN if length / 60 / step <= _MOST_TICKS), _TICK_STEPS_MIN[-1])
    ticks = []
    for minute in range(0, int((origin + length) / 60) + 1, step_min):
        if origin <= minute * 60.0:
            ticks.append((place(minute * 60.0, sum(start <= minute * 60.0 for start in breaks)), minute))

    edges = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(windows)) if a.scan != b.scan), len(windows)]
    scans = tuple((spans[a][0], spans[b - 1][1], windows[a].scan) for a, b in pairwise(edges))
    rows = tuple(_row(section, reader, spans) for reader in section.readers)
    return Strip(width, tuple(spans), tuple(ticks), scans, rows)


def bins(section: FilmTimeline, reader: Reader) -> str:
    """The colours of a reader's windows, one character each."""
    return "".join(score_bin(r.score, section.chance, section.score_range) for r in reader.readings)


def _row(section: FilmTimeline, reader: Reader, spans: list[tuple[float, float]]) -> StripRow:
    by_bin: dict[str, list[str]] = {}
    for (start, end), colour in zip(spans, bins(section, reader), strict=True):
        by_bin.setdefault(colour, []).append(f"M{start:g} 0H{end:g}V1H{start:g}z")
    known = [reading.score for reading in reader.readings if reading.score is not None]
    mean = sum(known) / len(known) if known else None
    return StripRow(reader, tuple((c, "".join(by_bin[c])) for c in sorted(by_bin)), mean, len(known))


@dataclass(frozen=True)
class Galleries:
    """The picked windows, whose reading picked them, and the control shown beside them."""

    reader: Reader
    control: Reader | None
    picks: Picks
    median: int | None
    scored: int


def galleries(section: FilmTimeline) -> Galleries | None:
    """Best, median and worst windows of the gallery's reader; None if there is nobody or nothing to show."""
    if not section.readers or not section.windows:
        return None
    by_name = {reader.name: reader for reader in section.readers}
    reader = by_name[section.gallery_reader] if section.gallery_reader else section.readers[0]
    controls = [r for r in section.readers if r.role == "control" and r is not reader]
    control = by_name[section.gallery_control] if section.gallery_control else next(iter(controls), None)
    scores = [reading.score for reading in reader.readings]
    return Galleries(
        reader,
        control,
        pick_by_score(scores, section.gallery_count),
        median_by_score(scores),
        sum(score is not None for score in scores),
    )


def payload(section: FilmTimeline) -> dict[str, Any]:
    """Everything the timeline's script shows, each text once, scores and similarities in thousandths."""
    texts: dict[str, int] = {}

    def index(text: str) -> int:
        return texts.setdefault(text, len(texts))

    def thousandths(value: float | None) -> int | None:
        return None if value is None else round(value * 1000)

    layout, picked = strip(section), galleries(section)
    shown = section.shown or tuple(reader.name for reader in section.readers[:3])
    if not section.shown and picked and picked.control:
        shown += (picked.control.name,)
    windows = [
        [w.start_s, w.end_s, w.scan, w.block, [index(text) for text in w.truths], w.name] for w in section.windows
    ]
    readers = []
    for reader in section.readers:
        readings = []
        for reading in reader.readings:
            nearest: list[int | None] = []
            for decoded in reading.decoded:
                nearest += [index(decoded.text), thousandths(decoded.similarity)]
            readings.append([thousandths(reading.score), reading.rank, reading.gallery, nearest])
        readers.append(
            {
                "name": reader.name,
                "note": reader.note,
                "role": reader.role,
                "shown": reader.name in shown,
                "bins": bins(section, reader),
                "readings": readings,
            }
        )
    first = picked.median if picked and picked.median is not None else 0
    return {
        "metric": section.metric,
        "width": layout.width,
        "spans": layout.spans,
        "selected": first,
        "windows": windows,
        "readers": readers,
        "texts": list(texts),
    }
