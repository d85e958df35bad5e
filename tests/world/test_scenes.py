import dataclasses

import numpy as np
import pytest

from brainreel.errors import UsageError
from brainreel.world.captions import PHRASES, caption, captions, parse_caption
from brainreel.world.film import draw_film
from brainreel.world.render import paths
from brainreel.world.scenes import (
    FACTORS,
    KINDS,
    MOTIONS,
    PLACES,
    SIDE,
    Scenes,
    combinations,
    draw_scenes,
    held_out,
)


@pytest.fixture(scope="module")
def many() -> Scenes:
    return draw_scenes(4000, seed=0)


def _out(scenes: Scenes) -> np.ndarray:
    return held_out(scenes.kind, scenes.place, scenes.motion)


def test_the_world_is_as_large_as_promised():
    sizes = {factor: len(options) for factor, options in FACTORS.items()}
    assert sizes["kind"] >= 12
    assert sizes["place"] >= 6
    assert sizes["motion"] >= 5
    assert sizes["colour"] >= 6
    assert (sizes["size"], sizes["light"]) == (2, 2)


def test_the_seed_decides(many):
    again, other = draw_scenes(4000, seed=0), draw_scenes(4000, seed=1)
    for field in dataclasses.fields(Scenes):
        np.testing.assert_array_equal(getattr(many, field.name), getattr(again, field.name))
        assert not np.array_equal(getattr(many, field.name), getattr(other, field.name))


def test_training_never_draws_what_is_held_out_and_tests_draw_nothing_else(many):
    assert not _out(many).any()
    assert _out(draw_scenes(500, seed=1, combos="held-out")).all()
    share = _out(draw_scenes(4000, seed=1, combos="all")).mean()
    assert share == pytest.approx(1 / 7, abs=0.02)


def test_everything_is_drawn_and_about_equally_often(many):
    for factor, options in FACTORS.items():
        counts = np.bincount(getattr(many, factor), minlength=len(options))
        assert counts.min() > 0.7 * len(many) / len(options)
        assert counts.max() < 1.3 * len(many) / len(options)


def test_every_kind_place_and_motion_and_pair_of_them_trains_often_and_is_held_out_somewhere():
    grid = np.indices((len(KINDS), len(PLACES), len(MOTIONS)))
    out = held_out(*grid.reshape(3, -1)).reshape(grid.shape[1:])
    assert len(combinations("training")) + len(combinations("held-out")) == out.size
    for axes in ((1, 2), (0, 2), (0, 1)):
        share = out.mean(axis=axes)
        assert share.min() > 0.10
        assert share.max() < 0.20
    for axis in range(3):
        share = out.mean(axis=axis)
        assert share.min() > 0
        assert share.max() <= 0.25


def test_objects_stay_in_the_frame(many):
    path = paths(many)
    for middle in (path.x, path.y):
        assert (middle - path.side / 2).min() > -2
        assert (middle + path.side / 2).max() < SIDE + 2
    assert path.side[:, 8].min() > 23


def test_empty_batches_are_refused():
    with pytest.raises(UsageError, match="0 scenes"):
        draw_scenes(0, seed=0)


def test_captions_tell_the_factors_and_can_be_read_back(many):
    some = many[:300]
    told = captions(some, variants=4, seed=3)
    assert told == captions(some, variants=4, seed=3)
    for index, texts in enumerate(told):
        assert texts[0] == caption(some, index)
        for text in texts:
            assert parse_caption(text) == some.names(index)
    assert len({text for texts in told for text in texts[1:]}) > 850
    phrases = [p for options in PHRASES.values() for said in options.values() for p in said]
    assert len(set(phrases)) == len(phrases)
    assert {f: tuple(options) for f, options in PHRASES.items()} == {f: FACTORS[f] for f in PHRASES}


def test_the_plainest_caption_is_plain_english():
    scenes = draw_scenes(200, seed=5)
    index = int(np.flatnonzero(scenes.colour == 1)[0])
    scenes = dataclasses.replace(
        scenes, **{f: np.full(200, options.index(name)) for (f, options), name in zip(
            FACTORS.items(), ("cat", "beach", "left", "orange", "large", "night"), strict=True)},
    )  # fmt: skip
    assert caption(scenes, index) == "a large orange cat moving left on a beach at night"
    assert "a orange" not in " ".join(t for texts in captions(scenes, variants=4) for t in texts)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a large red cat on a beach at night", "names no motion"),
        ("a large red cat dog rising on a beach at night", "a kind twice"),
        ("a large red cat rising rising on a beach at night", "a motion twice"),
        ("", "names no kind"),
    ],
)
def test_other_texts_are_refused(text, what):
    with pytest.raises(UsageError, match=what):
        parse_caption(text)


def test_a_film_keeps_its_place_and_light_for_a_take_and_shows_what_it_may():
    out = np.zeros(400, bool)
    out[100:120] = out[300:320] = True
    film = draw_film(out, seed=2)
    np.testing.assert_array_equal(_out(film), out)
    changes = np.flatnonzero(np.diff(film.place)) + 1
    lengths = np.diff(np.concatenate([[0], changes, [400]]))
    assert lengths.max() <= 6
    assert np.median(lengths) >= 3
    assert {100, 120, 300, 320} <= set(changes.tolist())
    within = np.setdiff1d(np.arange(1, 400), changes)
    np.testing.assert_array_equal(film.light[within], film.light[within - 1])
    assert 0.35 < (film.kind[within] == film.kind[within - 1]).mean() < 0.7
    assert set(film.place.tolist()) == set(range(len(PLACES)))
    np.testing.assert_array_equal(draw_film(out, seed=2).x, film.x)
