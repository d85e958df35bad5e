import numpy as np
import pytest

from brainreel.errors import UsageError
from brainreel.world.story import ATTRIBUTES, design, single_shots, tell
from brainreel.world.vocabulary import OBJECTS, PLACES


@pytest.fixture(scope="module")
def story():
    return tell(300, n_shots=150, n_scenes=12, breaks=[146], seed=3)


def test_shots_tile_the_film_and_no_shot_crosses_the_scan_break(story):
    assert len(story.shots) == 150
    assert story.shots[0].start == 0
    assert story.shots[-1].stop == 300
    for before, after in zip(story.shots, story.shots[1:], strict=False):
        assert before.stop == after.start
    assert 146 in {shot.start for shot in story.shots}


def test_scenes_keep_place_light_and_mood_and_the_break_starts_a_new_one(story):
    assert [s.scene for s in story.shots] == sorted(s.scene for s in story.shots)
    assert {s.scene for s in story.shots} == set(range(12))
    for scene in range(12):
        assert len({(s.place, s.night, s.mood) for s in story.shots if s.scene == scene}) == 1
    at_break = next(i for i, s in enumerate(story.shots) if s.start == 146)
    assert story.shots[at_break].scene == story.shots[at_break - 1].scene + 1


def test_descriptions_name_what_is_shown_and_are_nearly_all_different(story):
    texts = [s.text for s in story.shots]
    assert len(set(texts)) > 0.95 * len(texts)
    for shot in story.shots:
        assert shot.people[0] in shot.text
        assert OBJECTS[shot.thing] in shot.text
        if shot.speaker:
            assert shot.speaker in shot.people
            assert shot.text.count('"') == 2
        assert not any(mark in shot.text for mark in (",,", "{", "}", " ,", "  "))
    openings = [s for s, before in zip(story.shots[1:], story.shots, strict=False) if s.scene != before.scene]
    for shot in openings:
        assert shot.place in shot.text or PLACES[shot.place][0].lower() in shot.text.lower()


def test_design_holds_exactly_the_attributes_of_the_shot_on_screen(story):
    shown = design(story)
    assert shown.shape == (300, len(ATTRIBUTES))
    lasting = [j for j, name in enumerate(ATTRIBUTES) if not name.startswith("cut:")]
    for shot in story.shots[::7]:
        for t in range(shot.start, shot.stop):
            assert {ATTRIBUTES[j] for j in lasting if shown[t, j]} == shot.attributes()
    assert shown[:, ATTRIBUTES.index("cut:shot")].sum() == 150
    assert shown[:, ATTRIBUTES.index("cut:scene")].sum() == 12


def test_the_seed_decides(story):
    assert tell(300, n_shots=150, n_scenes=12, breaks=[146], seed=3) == story
    assert tell(300, n_shots=150, n_scenes=12, breaks=[146], seed=4) != story
    assert single_shots(5, seed=1) == single_shots(5, seed=1) != single_shots(5, seed=2)


def test_more_shots_than_volumes_are_refused():
    with pytest.raises(UsageError, match="11 shots"):
        tell(10, n_shots=11, n_scenes=1, seed=0)


def test_single_shots_use_the_whole_vocabulary():
    shots = single_shots(400, seed=0)
    assert {s.place for s in shots} == set(PLACES)
    assert np.mean([s.night for s in shots]) == pytest.approx(0.5, abs=0.1)
