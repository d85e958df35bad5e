"""Plots: deterministic, in the page's colours, told apart without colour, described in words."""

from __future__ import annotations

import re

import pytest

from brainreel.report import Curves, Method, Point, Scaling, Series
from brainreel.report.plots import described, plot, styles

from . import example


@pytest.fixture(scope="module")
def scaling() -> Scaling:
    return next(s for s in example.report().sections if isinstance(s, Scaling))


def test_same_data_same_bytes(scaling):
    assert plot(scaling, "a") == plot(scaling.model_copy(), "a")


def test_colours_come_from_the_page_and_axes_are_labelled(scaling):
    drawn = plot(scaling, "a")["wide"]
    assert "var(--series-0)" in drawn
    assert "var(--series-1)" in drawn
    assert "#0102" not in drawn
    for words in ("viewers", "two-way identification", "chance"):
        assert f">{words}<" in drawn
    assert "<metadata" not in drawn


def test_ids_of_different_drawings_differ(scaling):
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for a in ("a", "b") for svg in plot(scaling, a).values()]
    assert all(ids)
    assert len(set.union(*ids)) == sum(map(len, ids))


def test_lines_differ_by_more_than_colour():
    series = tuple(Series(name=str(i), x=(1.0,), y=(1.0,)) for i in range(6))
    control = Series(name="c", x=(1.0,), y=(1.0,), role="control")
    made = styles([*series, control])
    assert len({style.marker for style in made}) == 7
    assert len({style.css_colour for style in made}) == 7
    assert made[-1].css_colour == "var(--muted)"


def test_gaps_and_unknown_points_are_drawn_around():
    gap = Curves(title="c", x_label="x", y_label="y", series=(Series(name="s", x=(1.0, 2.0), y=(None, 2.0)),))
    method = Method(name="m", points=(Point(x=1, value=None), Point(x=10, value=0.5)))
    unknown = Scaling(title="s", x_label="x", y_label="y", log_x=True, methods=(method,))
    assert "nan" not in plot(gap, "a")["wide"].lower()
    assert plot(unknown, "a")["narrow"].startswith("<svg viewBox")
    assert described(gap) == "y over x: s goes from 2.000 at 2 to 2.000 at 2."
    assert described(Curves(title="c", x_label="x", y_label="y", series=())) == "y over x: nothing to draw."
