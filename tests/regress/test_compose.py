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


def cosine(captions, embedding, centre):
    vectors = np.stack([vector(caption) for caption in captions]) - centre
    return (vectors * embedding).sum(1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(embedding, axis=1)


def test_it_fits_better_than_where_it_began_by_the_encoder_s_own_vectors(pool, centre):
    embedding = np.random.default_rng(0).normal(size=(20, DIM)).astype(np.float32)
    composed, nearest = (cosine(pool.read(embedding, how)[0], embedding, centre) for how in ("composed", "nearest"))
    assert (composed > nearest - 0.02).all(), "words' vectors are fitted with a penalty"
    assert composed.mean() > nearest.mean() + 0.01


def test_exchanges_go_on_until_none_helps(pool, centre):
    """Everything about the caption is wrong at first: four phrases have to be exchanged."""
    wanted, other = next(
        (said(*one), said(*two))
        for one, two in itertools.product(EVERYTHING, EVERYTHING)
        if said(*one) in UNSEEN and said(*two) in TRAINING and all(a != b for a, b in zip(one, two, strict=True))
    )
    composer = Composer(pool.captions, pool.values, pool.centre)
    assert composer.compose(vector(wanted) - centre, [TRAINING.index(other)])[0] == wanted


def pool_of(captions, embedding_of):
    values = np.stack([embedding_of(caption) for caption in captions]).astype(np.float32)
    return CaptionPool(captions, values, np.zeros(values.shape[1], np.float32))


def axes_of(*words):
    """A caption's vector counts words, one axis each, so that saying more of them always fits better."""
    return lambda caption: np.array([caption.split().count(word) for word in words], float)


def test_nothing_contradicts_itself():
    """By three words in a row, «red» could stand where «cat» leads to it; no caption has both colours."""
    told = ["one red cat and one dog", "one blue dog and one cat", "one red dog", "one dog and one red cat",
            "one cat and one blue dog", "one cat and one red cat", "one dog and one blue dog"]  # fmt: skip
    pool = pool_of(told, axes_of("red", "blue"))
    (caption,), _ = pool.read(np.array([[1.0, 1.0]], np.float32), "composed")
    assert not {"red", "blue"} <= set(caption.split())


def test_nothing_is_said_twice_that_nobody_says_twice():
    told = ["a dark sea and a ship", "a ship and a dark sea", "a ship and a sea", "a dark sea and a sea"]
    pool = pool_of(told, axes_of("dark", "ship"))
    (caption,), _ = pool.read(np.array([[1.0, -1.0]], np.float32), "composed")
    assert caption.split().count("dark") <= 1


def test_every_three_words_in_a_row_are_somebody_s():
    """«in» may stand for «on» between an animal and «a», but nobody is in a beach."""
    animals, places = ("cat", "dog", "hen", "cow"), ("in a house", "on a house", "on a beach", "on a beach in rain")
    told = [f"{animal} {place}" for animal in animals for place in places]
    pool = pool_of(told, axes_of("in", "beach", "rain"))
    (caption,), _ = pool.read(np.array([[1.0, 1.0, 0.0]], np.float32), "composed")
    known = {tuple(words[k : k + 3]) for words in map(str.split, told) for k in range(len(words) - 2)}
    words = caption.split()
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
