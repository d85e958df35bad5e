"""Conditions survive the disk, and a broken file is one sentence."""

from __future__ import annotations

import numpy as np
import pytest

from brainreel.errors import ExperimentError
from brainreel.regress import Conditions

GIVEN = Conditions(
    ["a", "b", "c"],
    {"text": np.arange(24, dtype=np.float32).reshape(3, 4, 2), "latent": np.ones((3, 2, 1, 2, 2), np.float32)},
    ["a cat", "ein Hund über Bäumen", ""],
    {"subject": "d/s1", "fold": 0},
)


def test_written_and_read(tmp_path):
    GIVEN.write(tmp_path / "c.safetensors")
    found = Conditions.read(tmp_path / "c.safetensors")
    assert (found.clip_id, found.captions, found.facts) == (GIVEN.clip_id, GIVEN.captions, GIVEN.facts)
    for name, values in GIVEN.vectors.items():
        assert np.array_equal(found.vectors[name], values)


def test_one_of_the_vectors_can_be_left_out():
    whole = Conditions(["a"], {"text": np.ones((1, 2)), "latent": np.zeros((1, 3))}, ["said"], {"fps": 8})
    less = whole.without("text")
    assert list(less.vectors) == ["latent"]
    assert (less.clip_id, less.captions, less.facts) == (whole.clip_id, whole.captions, whole.facts)
    assert set(whole.vectors) == {"text", "latent"}


def test_some_clips_keep_their_rows_together():
    some = GIVEN.take([2, 0])
    assert (some.clip_id, some.captions) == (["c", "a"], ["", "a cat"])
    assert np.array_equal(some.vectors["text"], GIVEN.vectors["text"][[2, 0]])
    assert len(GIVEN.take(slice(1))) == 1


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((["a", "a"], {}), "twice"),
        ((["a"], {"text": np.zeros((2, 1), np.float32)}), "2 rows"),
        ((["a"], {}, ["x", "y"]), "2 captions"),
    ],
)
def test_rows_that_do_not_belong_together_are_refused(arguments, what):
    with pytest.raises(ValueError, match=what):
        Conditions(*arguments)


def test_a_file_cut_short_is_named(tmp_path):
    path = tmp_path / "c.safetensors"
    GIVEN.write(path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ExperimentError, match="no conditions"):
        Conditions.read(path)
