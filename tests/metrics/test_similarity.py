"""Cosine similarity of frames against scipy's, its symmetries and its refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cosine

from brainreel.errors import UsageError
from brainreel.metrics import FACTS, clip_similarity


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(2, 5, 3, 7)).astype(np.float32)


def test_it_is_the_mean_cosine_of_frames(features):
    truth, recon = features
    expected = [
        np.mean([1 - cosine(t.astype(float), r.astype(float)) for t, r in zip(*clip, strict=True)])
        for clip in zip(truth, recon, strict=True)
    ]
    assert clip_similarity(truth, recon) == pytest.approx(expected, abs=1e-12)
    assert clip_similarity(truth, recon) == pytest.approx(clip_similarity(recon, 3 * truth), abs=1e-6)


def test_same_is_one_and_opposite_is_minus_one(features):
    truth = features[0]
    assert clip_similarity(truth, truth) == pytest.approx(np.ones(5))
    low, high = FACTS["clip_similarity"]["frame-mean"].range
    assert clip_similarity(truth, -truth) == pytest.approx(np.full(5, low))
    assert high == 1


def test_vectors_that_share_a_direction_are_similar_by_chance(features):
    truth, recon = features + 3
    assert FACTS["clip_similarity"]["frame-mean"].chance is None
    assert clip_similarity(truth, recon).min() > 0.5


def test_a_frame_without_direction_makes_its_clip_undefined(features):
    truth, recon = features.copy()
    recon[2, 1] = 0
    assert np.isnan(clip_similarity(truth, recon)).tolist() == [False, False, True, False, False]


def test_unequal_shapes_are_refused(features):
    with pytest.raises(UsageError, match="frames, dimension"):
        clip_similarity(features[0], features[1][:, :2])
    with pytest.raises(UsageError, match="frames, dimension"):
        clip_similarity(features[0, 0], features[1, 0])
