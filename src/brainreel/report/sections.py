"""What a report consists of: typed, frozen sections that hold data and know nothing of who made them.

A new kind of section is one class here, one template named after its `kind`, one entry in `SECTIONS`.
Every text is plain text and shown as such. Unknown numbers are None (NaN is read as None) and shown as "–".
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue, SerializeAsAny, field_validator, model_validator

from brainreel.errors import alternatives
from brainreel.report.base import Data, Direction, Interval, Number, Role, Section
from brainreel.report.videos import VideoGallery


class Bar(Data):
    """One bar of the headline's comparison: a method or a control, its score and interval."""

    label: str
    value: Number
    ci95: Interval = None
    role: Role = "model"
    note: str = ""


class Headline(Section):
    """The first thing read: the claim in one sentence with its numbers, and the comparison that supports it.

    `chips` are key facts ("13 people", "48 min"). `bars` stand on one scale, `bar_range`, with a line at
    `chance`. `metric` names what the bars measure; `definition` says how in one sentence.
    If the report has a `FilmTimeline`, its median window by score is shown beside the bars.
    """

    kind: Literal["headline"] = "headline"
    claim: str
    chips: tuple[str, ...] = ()
    metric: str = ""
    definition: str = ""
    direction: Direction = "higher"
    bars: tuple[Bar, ...] = ()
    bar_range: tuple[float, float] = (0.0, 1.0)
    chance: Number = None


class Prose(Section):
    """Paragraphs and, below them, a list of points."""

    kind: Literal["prose"] = "prose"
    paragraphs: tuple[str, ...] = ()
    points: tuple[str, ...] = ()


class Metric(Data):
    """What a group of scores measures: unit ("" for none), better direction, one-sentence definition."""

    name: str
    label: str
    unit: str = ""
    direction: Direction = "higher"
    definition: str = ""
    decimals: int = Field(default=3, ge=0, le=6)


class ScoreRow(Data):
    """One score with everything that accompanies a number (the keys of metrics.json)."""

    metric: str
    label: str
    value: Number
    ci95: Interval = None
    bootstrap: str | None = None
    chance: Number = None
    constant: Number = None
    mismatched: Number = None
    shuffled: Number = None
    mean_response: Number = None
    ceiling: Number = None
    n: int | None = None
    circular: bool = False
    note: str = ""


class ScoreTable(Section):
    """Scores, grouped by metric in the order of `metrics`; rows keep their order and none is singled out."""

    kind: Literal["score_table"] = "score_table"
    metrics: tuple[Metric, ...]
    rows: tuple[ScoreRow, ...]

    @model_validator(mode="after")
    def _metrics_are_described(self) -> ScoreTable:
        known = [metric.name for metric in self.metrics]
        for row in self.rows:
            if row.metric not in known:
                raise ValueError(f"no metric describes the score {alternatives(row.metric, known)}")
        return self


class Difference(Data):
    """`a` minus `b` over the same trials: mean, 95 % interval, n pairs, how the interval was made."""

    a: str
    b: str
    value: Number
    ci95: Interval = None
    n: int | None = None
    bootstrap: str | None = None
    note: str = ""


class DifferenceTable(Section):
    """Paired differences of one metric between methods, each beside zero."""

    kind: Literal["difference_table"] = "difference_table"
    metric: Metric
    rows: tuple[Difference, ...]


class Window(Data):
    """A stretch of the film, [start_s, end_s): where it lies and what was truly there.

    A clip of its own, outside any film, has a `name`, which is shown in the place of a time; its stretch is then
    nothing but its place in a row of equal cells.
    """

    name: str = ""
    start_s: float = Field(ge=0)
    end_s: float
    truths: tuple[str, ...]
    scan: str = ""
    block: str = ""

    @model_validator(mode="after")
    def _has_length(self) -> Window:
        if self.end_s <= self.start_s:
            raise ValueError(f"got a window from {self.start_s} s to {self.end_s} s, expected a later end")
        return self


class Decoded(Data):
    """One decoded description and its similarity to the prediction."""

    text: str
    similarity: Number = None


class Reading(Data):
    """What one reader decoded from one window, nearest first; its score; the true window's rank."""

    decoded: tuple[Decoded, ...] = ()
    score: Number = None
    rank: int | None = Field(default=None, ge=1)
    gallery: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _rank_lies_in_gallery(self) -> Reading:
        if self.rank is not None and self.gallery is not None and self.rank > self.gallery:
            raise ValueError(f"got rank {self.rank} in a gallery of {self.gallery}, expected at most its size")
        return self


class Reader(Data):
    """Whose brain, or which control, the windows were read from: one reading per window, in their order."""

    name: str
    readings: tuple[Reading, ...]
    note: str = ""
    role: Role = "model"


class FilmTimeline(Section):
    """A film read window by window by several readers.

    Windows ascend in time. Scores lie in `score_range`; the colour scale turns at `chance`; higher is better.
    Galleries show the `gallery_count` best, median and worst windows of `gallery_reader` (default: the first
    reader), chosen by `pick_by_score`, and beside each the reading of `gallery_control` (default: the first
    reader whose role is "control"). `shown` readers are open at first (default: three and the control).
    """

    kind: Literal["film_timeline"] = "film_timeline"
    metric: str = "two-way identification"
    definition: str = ""
    windows: tuple[Window, ...]
    readers: tuple[Reader, ...]
    chance: float = 0.5
    score_range: tuple[float, float] = (0.0, 1.0)
    gallery_reader: str | None = None
    gallery_control: str | None = None
    gallery_count: int = Field(default=3, ge=1)
    shown: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> FilmTimeline:
        starts = [window.start_s for window in self.windows]
        if starts != sorted(starts):
            raise ValueError("got windows out of order, expected ascending start_s")
        names = [reader.name for reader in self.readers]
        if len(set(names)) != len(names):
            raise ValueError(f"got readers {names}, expected every name once")
        low, high = self.score_range
        if not low < self.chance < high:
            raise ValueError(f"got chance {self.chance}, expected it inside score_range {self.score_range}")
        for reader in self.readers:
            if len(reader.readings) != len(self.windows):
                raise ValueError(
                    f"reader {reader.name!r} has {len(reader.readings)} readings, "
                    f"expected one for each of {len(self.windows)} windows"
                )
            for reading in reader.readings:
                if reading.score is not None and not low <= reading.score <= high:
                    raise ValueError(f"reader {reader.name!r}: score {reading.score} lies outside {low} to {high}")
        for name in (self.gallery_reader, self.gallery_control, *self.shown):
            if name is not None and name not in names:
                raise ValueError(f"no reader is called {alternatives(name, names)}")
        return self


class Series(Data):
    """One line: y over x, with an optional band from `low` to `high`. None leaves a gap."""

    name: str
    x: tuple[float, ...]
    y: tuple[Number, ...]
    low: tuple[Number, ...] | None = None
    high: tuple[Number, ...] | None = None
    role: Role = "model"

    @model_validator(mode="after")
    def _equal_lengths(self) -> Series:
        for label, values in (("y", self.y), ("low", self.low), ("high", self.high)):
            if values is not None and len(values) != len(self.x):
                raise ValueError(f"series {self.name!r} has {len(values)} values of {label} for {len(self.x)} of x")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"series {self.name!r} has half a band; give both low and high or neither")
        return self


class Curves(Section):
    """Lines over a common axis, e.g. losses over steps; `chance` draws a labelled horizontal line."""

    kind: Literal["curves"] = "curves"
    series: tuple[Series, ...]
    x_label: str
    y_label: str
    log_x: bool = False
    chance: Number = None
    caption: str = ""


class Point(Data):
    """A score at x subjects, minutes or trials, with its 95 % interval."""

    x: float
    value: Number
    ci95: Interval = None


class Method(Data):
    """The points of one method."""

    name: str
    points: tuple[Point, ...]
    role: Role = "model"


class Scaling(Section):
    """How scores grow with data: points with intervals per method, and the chance line."""

    kind: Literal["scaling"] = "scaling"
    methods: tuple[Method, ...]
    x_label: str
    y_label: str
    log_x: bool = False
    chance: Number = None
    caption: str = ""


class Stage(Data):
    """What one stage of an experiment ran with and what it cost; `config` is folded away as JSON."""

    name: str
    summary: str = ""
    seed: int | None = None
    device: str | None = None
    wall_s: Number = None
    memory_bytes: int | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    config: dict[str, JsonValue] = Field(default_factory=dict)


class WhatRan(Section):
    """The stages in the order in which they ran."""

    kind: Literal["what_ran"] = "what_ran"
    stages: tuple[Stage, ...]


SECTIONS: dict[str, type[Section]] = {
    "headline": Headline,
    "prose": Prose,
    "score_table": ScoreTable,
    "difference_table": DifferenceTable,
    "film_timeline": FilmTimeline,
    "video_gallery": VideoGallery,
    "curves": Curves,
    "scaling": Scaling,
    "what_ran": WhatRan,
}


class Report(Data):
    """A whole report. `made_with` and `date` are data like the rest: the same report gives the same bytes."""

    title: str
    sections: tuple[SerializeAsAny[Section], ...]
    made_with: str = ""
    date: str = ""

    @field_validator("sections", mode="before")
    @classmethod
    def _read_by_kind(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return tuple(_section(item) if isinstance(item, dict) else item for item in value)


def _section(item: dict[str, Any]) -> Section:
    kind = item.get("kind")
    if kind not in SECTIONS:
        raise ValueError(f"no section is of kind {alternatives(str(kind), SECTIONS)}")
    return SECTIONS[kind].model_validate(item)
