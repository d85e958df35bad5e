"""Sections are data: frozen, checked, JSON both ways."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from pydantic import ValidationError

from brainreel.report import (
    SECTIONS,
    Bar,
    FilmTimeline,
    Prose,
    Reader,
    Reading,
    Report,
    ScoreRow,
    ScoreTable,
    Series,
    Window,
)

from . import example


def test_the_example_holds_every_kind_and_survives_json():
    report = example.report(example.film(windows=30))
    assert {section.kind for section in report.sections} == set(SECTIONS)
    again = Report.model_validate_json(report.model_dump_json())
    assert again == report
    assert [type(s) for s in again.sections] == [type(s) for s in report.sections]


def test_unknown_numbers_become_none_and_null():
    for unknown in (None, math.nan, np.float32("nan")):
        row = ScoreRow(metric="m", label="l", value=unknown, ci95=(0.1, unknown))
        assert row.value is None
        assert row.ci95 is None
        assert json.loads(row.model_dump_json())["value"] is None


def test_numpy_numbers_and_infinity_are_read():
    bar = Bar(label="psnr", value=np.inf, ci95=(np.float32(0.25), np.float64(1)))
    assert bar.ci95 == (0.25, 1.0)
    assert Bar.model_validate_json(bar.model_dump_json()).value == math.inf


def test_sections_cannot_be_changed_or_misspelt():
    section = Prose(title="a")
    with pytest.raises(ValidationError, match="frozen"):
        section.title = "b"
    with pytest.raises(ValidationError, match="paragraph"):
        Prose(title="a", paragraph=("x",))


def window(start_s, end_s=None):
    return Window(start_s=start_s, end_s=start_s + 1 if end_s is None else end_s, truths=("t",))


def film_of(**changes):
    given = {
        "title": "f",
        "windows": (window(0),),
        "readers": (Reader(name="r", readings=(Reading(score=0.5),)),),
    }
    return FilmTimeline(**{**given, **changes})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: window(3, 3), "later end"),
        (lambda: Reading(rank=5, gallery=4), "gallery of 4"),
        (lambda: Bar(label="b", value=1.0, ci95=(2.0, 1.0)), "lower end first"),
        (lambda: film_of(windows=(window(1), window(0))), "ascending"),
        (lambda: film_of(readers=(Reader(name="r", readings=()),)), "0 readings"),
        (lambda: film_of(readers=(Reader(name="r", readings=(Reading(score=1.5),)),)), "score 1.5"),
        (lambda: film_of(readers=(Reader(name="r", readings=(Reading(),)),) * 2), "every name once"),
        (lambda: film_of(gallery_control="nobody"), "'nobody' .known: r."),
        (lambda: film_of(shown=("nobody",)), "'nobody' .known: r."),
        (lambda: film_of(chance=1.0), "inside score_range"),
        (
            lambda: ScoreTable(title="t", metrics=(), rows=(ScoreRow(metric="m", label="l", value=1.0),)),
            "'m'",
        ),
        (lambda: Series(name="s", x=(1.0,), y=()), "0 values of y"),
        (lambda: Series(name="s", x=(1.0,), y=(1.0,), low=(0.0,)), "half a band"),
        (
            lambda: Report(title="t", sections=({"kind": "video_pairs", "title": "v"},)),
            "'video_pairs' .known",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_in_a_sentence(make, message):
    with pytest.raises(ValidationError, match=message):
        make()
