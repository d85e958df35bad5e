"""Numbers and times as they are read, and places on a small axis."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainreel.report import text
from brainreel.report.scale import scale_of, track


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.5, "0.500"), (-1.25, "−1.250"), (None, "–"), (math.nan, "–"), (math.inf, "∞"), (-0.0001, "0.000")],
)
def test_numbers(value, shown):
    assert text.number(value) == shown


def test_signed_numbers_and_intervals():
    assert text.number(0.05, 2, signed=True) == "+0.05"
    assert text.interval((-0.1, 0.2), 1, signed=True) == "−0.1 to +0.2"
    assert text.interval(None) == "–"


def test_times_and_sizes():
    assert [text.film_time(s) for s in (0.0, 59.96, 754.5, 3600.0)] == ["0:00", "1:00", "12:34.5", "1:00:00"]
    assert [text.duration(s) for s in (0.42, 42.0, 83.0, 7320.0, None)] == [
        "0.4 s",
        "42 s",
        "1 min 23 s",
        "2 h 2 min",
        "–",
    ]
    assert [text.memory(b) for b in (2**20, 3 * 2**29, None)] == ["1 MiB", "1.5 GiB", "–"]
    assert [text.integer(n) for n in (12345, None)] == ["12,345", "–"]


def test_anchors_differ():
    assert text.anchors(["A & B", "a b", "日本", "a-b-2"]) == ["a-b", "a-b-2", "section", "a-b-2-2"]


@given(st.text())
def test_json_in_a_script_cannot_end_it_and_says_the_same(value):
    made = text.script_json({"text": value + "</script><!--"})
    assert "<" not in made
    assert "\u2028" not in made
    assert json.loads(made)["text"] == value + "</script><!--"


def test_places_on_an_axis():
    place = track((0.0, 2.0), 1.0, (0.5, 3.0), 0.5)
    assert (place.value, place.start, place.length, place.reference) == (50.0, 25.0, 75.0, 25.0)
    assert track(None, 1.0, None).value is None
    assert track((0.0, 1.0), None, None).value is None


def test_a_scale_holds_all_that_is_finite():
    low, high = scale_of([None, 1.0, 3.0, math.inf])
    assert low < 1.0
    assert 3.0 < high < 4.0
    assert scale_of([2.0])[0] < 2.0 < scale_of([2.0])[1]
    assert scale_of([None, math.nan]) is None
