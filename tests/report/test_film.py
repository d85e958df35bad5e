"""The strip's geometry, its colours, its compact data."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainreel.report import Decoded, FilmTimeline, Reader, Reading, Window
from brainreel.report.film import BINS, galleries, payload, score_bin, strip

from . import example


def small(scores=(1.0, 0.5, None, 0.0), scans=("a", "a", "b", "b")) -> FilmTimeline:
    windows = tuple(
        Window(start_s=600 + 60 * i, end_s=660 + 60 * i, truths=(f"true {i}",), scan=scan)
        for i, scan in enumerate(scans)
    )
    readings = tuple(
        Reading(decoded=(Decoded(text="true 1", similarity=0.25),), score=s, rank=1, gallery=4) for s in scores
    )
    readers = (
        Reader(name="group", readings=readings),
        Reader(name="shuffled", role="control", readings=readings[::-1]),
    )
    return FilmTimeline(title="film", windows=windows, readers=readers)


def test_colours_turn_at_chance():
    assert [score_bin(s, 0.25, (0.0, 1.0)) for s in (0.0, 0.25, 1.0, None)] == ["0", "6", "c", "x"]
    # Each side has its own scale, so that half-way up is half-way whatever chance is.
    assert score_bin(0.125, 0.25, (0.0, 1.0)) == "3"
    assert score_bin(0.625, 0.25, (0.0, 1.0)) == "9"


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20), st.floats(0.05, 0.95))
def test_a_better_score_never_gets_a_lower_colour(scores, chance):
    colours = [BINS.index(score_bin(s, chance, (0.0, 1.0))) for s in sorted(scores)]
    assert colours == sorted(colours)


def test_windows_keep_their_length_and_scans_are_apart():
    layout = strip(small())
    assert [round(b - a, 6) for a, b in layout.spans] == [60] * 4
    assert layout.spans[0][1] == layout.spans[1][0]
    assert layout.spans[2][0] > layout.spans[1][1]
    assert layout.width == layout.spans[-1][1]
    assert [scan for _, _, scan in layout.scans] == ["a", "b"]


def test_ticks_stand_where_their_minute_is():
    layout = strip(small())
    at = {minute: place for place, minute in layout.ticks}
    assert at[10] == layout.spans[0][0]
    assert at[13] == layout.spans[3][0]
    assert min(at) == 10


def test_a_row_paints_every_window_once_and_means_leave_out_the_unknown():
    row = strip(small()).rows[0]
    assert sum(path.count("M") for _, path in row.paths) == 4
    assert dict(row.paths).keys() == {"c", "6", "x", "0"}
    assert (row.mean, row.scored) == (0.5, 3)


def test_an_empty_film_has_an_empty_strip():
    empty = FilmTimeline(title="film", windows=(), readers=(Reader(name="r", readings=()),))
    assert strip(empty).spans == ()
    assert galleries(empty) is None


def test_the_gallery_shows_the_readers_picks_and_the_first_control():
    shown = galleries(small())
    assert shown.reader.name == "group"
    assert shown.control.name == "shuffled"
    assert (shown.picks.best, shown.picks.median, shown.picks.worst) == ((0,), (1,), (3,))
    named = galleries(small().model_copy(update={"gallery_reader": "shuffled", "gallery_control": "group"}))
    assert (named.reader.name, named.control.name) == ("shuffled", "group")
    assert named.picks.best == (3,)


def test_data_say_what_the_section_said_and_each_text_once():
    section = example.film(windows=12)
    data = json.loads(json.dumps(payload(section)))
    assert len(set(data["texts"])) == len(data["texts"])
    assert [[data["texts"][i] for i in w[4]] for w in data["windows"]] == [list(w.truths) for w in section.windows]
    for reader, packed in zip(section.readers, data["readers"], strict=True):
        for reading, (score, rank, gallery, nearest) in zip(reader.readings, packed["readings"], strict=True):
            assert (rank, gallery) == (reading.rank, reading.gallery)
            assert score == (None if reading.score is None else pytest.approx(1000 * reading.score, abs=0.5))
            assert [data["texts"][i] for i in nearest[::2]] == [d.text for d in reading.decoded]
    assert [r["name"] for r in data["readers"] if r["shown"]] == [
        "mean over 13 viewers", "one viewer: s1", "ridge, mean over 13", "shuffled brain",
    ]  # fmt: skip
