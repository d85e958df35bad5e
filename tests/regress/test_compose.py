"""Composed captions say what no training caption says, in words and neighbourhoods that training captions have."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from brainreel.regress.captions import CaptionPool
from brainreel.regress.compose import Composer

SIZES, KINDS, MOTIONS, TIMES = ("small", "large"), ("cat", "dog", "boat"), ("rising", "moving left"), ("day", "night")
DIM = 40


def said(size: str, kind: str, motion: str, time: str) -> str:
    return f"A {size} {kind} {motion} by {time}."


def vector(caption: str) -> np.ndarray:
    """A sum of directions of the words that matter; «by» and «A» mean nothing."""
    words = caption.lower().replace(".", "").split()
    rows = [np.random.default_rng(list(word.encode())).normal(size=DIM) for word in words if word not in ("a", "by")]
    return np.sum(rows, axis=0).astype(np.float32)


def combination(factors) -> int:
    size, kind, motion, time = factors
    return SIZES.index(size) + KINDS.index(kind) + MOTIONS.index(motion) + TIMES.index(time)


EVERYTHING = list(itertools.product(SIZES, KINDS, MOTIONS, TIMES))
TRAINING = [said(*factors) for factors in EVERYTHING if combination(factors) % 3]
UNSEEN = [said(*factors) for factors in EVERYTHING if not combination(factors) % 3]


@pytest.fixture
def centre():
    return np.mean([vector(caption) for caption in TRAINING], axis=0)


@pytest.fixture
def pool(centre):
    return CaptionPool(TRAINING, np.stack([vector(caption) for caption in TRAINING]), centre)


def test_what_no_training_caption_says_is_composed(pool, centre):
    embedding = np.stack([vector(caption) for caption in UNSEEN]) - centre
    captions, cosine = pool.read(embedding, "composed")
    assert captions == UNSEEN
    assert (cosine > 0.9).all()
    nearest, _ = pool.read(embedding)
    assert not set(nearest) & set(UNSEEN)


def test_it_never_fits_worse_than_where_it_began(pool):
    embedding = np.random.default_rng(0).normal(size=(20, DIM)).astype(np.float32)
    composer = Composer(pool.captions, pool.values, pool.centre)
    for row in embedding:
        alone = [composer.compose(row, [start])[1] for start in range(3)]
        assert composer.compose(row, [0, 1, 2])[1] == max(alone)


def test_nothing_is_said_twice_and_nothing_contradicts_itself(centre):
    """Two ways to say the time: saying both would fit a brain that thinks of the night even better."""
    told = list(dict.fromkeys([*TRAINING, *(caption.replace("by night", "in the dark") for caption in TRAINING)]))
    values = np.stack([vector(caption) for caption in told])
    night = vector("night") + vector("in the dark") + 0.1 * vector("cat")
    pool = CaptionPool(told, values, values.mean(0))
    for scale in (1.0, 10.0):
        (caption,), _ = pool.read(scale * night[None], "composed")
        words = [word.strip(".,").lower() for word in caption.split()]
        assert len(set(words)) == len(words) or max(map(words.count, set(words))) == words.count("a")
        assert not {"day"} & set(words)
        assert not {"night", "dark"} <= set(words)


def test_every_three_words_in_a_row_are_somebody_s(pool):
    embedding = np.random.default_rng(1).normal(size=(50, DIM)).astype(np.float32)
    captions, _ = pool.read(embedding, "composed")
    assert len(set(captions)) > 10
    known = {tuple(words[k : k + 3]) for words in map(str.split, TRAINING) for k in range(len(words) - 2)}
    for words in map(str.split, captions):
        assert {tuple(words[k : k + 3]) for k in range(len(words) - 2)} <= known


def test_captions_that_share_no_words_stay_as_they_are():
    pool = CaptionPool(["One two.", "Three four five."], np.eye(2, DIM, dtype=np.float32), np.zeros(DIM, np.float32))
    captions, cosine = pool.read(np.eye(2, DIM, dtype=np.float32)[::-1], "composed")
    assert captions == ["Three four five.", "One two."]
    assert np.isfinite(cosine).all()


def test_an_empty_caption_and_an_embedding_without_direction_do_no_harm():
    pool = CaptionPool(["", "a cat"], np.ones((2, DIM), np.float32), np.zeros(DIM, np.float32))
    captions, cosine = pool.read(np.zeros((1, DIM), np.float32), "composed")
    assert captions[0] in pool.captions
    assert np.isfinite(cosine).all()


def test_without_captions_nothing_is_said():
    pool = CaptionPool([], np.zeros((0, DIM), np.float32), np.zeros(DIM, np.float32))
    captions, cosine = pool.read(np.ones((2, DIM), np.float32), "composed")
    assert captions == []
    assert np.isnan(cosine).all()
