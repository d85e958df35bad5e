"""Frame consistency against plain loops, and the still image that wins the published ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainreel.errors import UsageError
from brainreel.metrics.consistency import frame_consistency


def features(clips=4, frames=6, dimension=16, change=0.5, seed=0):
    """Random walks on the sphere, so that adjacent frames resemble each other more the less they change."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(clips, frames, dimension)) * change
    steps[:, 0] = rng.normal(size=(clips, dimension)) * 2
    return steps.cumsum(axis=1).astype(np.float32)


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def adjacent(x):
    return np.array([np.mean([cosine(c[i], c[i + 1]) for i in range(len(c) - 1)]) for c in x.astype(float)])


def test_each_definition_is_its_formula():
    truth, recon = features(seed=1), features(seed=2, change=0.8)
    c_truth, c_recon = adjacent(truth), adjacent(recon)
    np.testing.assert_allclose(
        frame_consistency(truth, recon), np.maximum(0, 1 - np.abs(c_recon - c_truth) / (1 - c_truth))
    )
    pairs = [
        np.mean([cosine(a, b) for i, a in enumerate(c) for j, b in enumerate(c) if i != j]) for c in recon.astype(float)
    ]
    np.testing.assert_allclose(frame_consistency(truth, recon, definition="published-all-pairs"), pairs)
    gated = frame_consistency(
        truth, recon, definition="published-adjacent-gated", similarity=np.array([0.9, 0.6, 0.61, -1])
    )
    np.testing.assert_allclose(gated, c_recon * [1, 0, 1, 0])


def test_a_still_image_loses_matched_and_wins_the_published_ones():
    truth = features()
    still = np.repeat(truth[:, :1], 6, axis=1)
    np.testing.assert_allclose(frame_consistency(truth, still), 0, atol=1e-6)
    np.testing.assert_allclose(frame_consistency(truth, still, definition="published-all-pairs"), 1)
    similar = np.ones(4)
    gated = frame_consistency(truth, still, definition="published-adjacent-gated", similarity=similar)
    np.testing.assert_allclose(gated, 1)


def test_a_still_truth_is_undefined_and_a_restless_reconstruction_scores_nothing():
    truth = features()
    truth[1] = truth[1, :1]
    got = frame_consistency(truth, features(seed=3, change=30))
    assert np.isnan(got).tolist() == [False, True, False, False]
    assert (got[[0, 2, 3]] == 0).all()


def test_a_frame_without_direction_is_undefined():
    recon = features()
    recon[2, 3] = 0
    assert np.isnan(frame_consistency(features(), recon)).tolist() == [False, False, True, False]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), change=st.floats(0.01, 3))
def test_properties(seed, change):
    truth, recon = features(seed=seed), features(seed=seed + 1, change=change)
    np.testing.assert_allclose(frame_consistency(truth, truth), 1)
    values = frame_consistency(truth, recon)
    assert ((values >= 0) & (values <= 1)).all()
    order = np.random.default_rng(seed).permutation(4)
    np.testing.assert_array_equal(frame_consistency(truth[order], recon[order]), values[order])
    np.testing.assert_allclose(frame_consistency(truth, 7 * recon[:, ::-1]), values, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"definition": "clip"}, "known: matched, published-all-pairs, published-adjacent-gated"),
        ({"recon": features(frames=5)}, "both \\(clips, frames, dimension\\)"),
        ({"truth": features(frames=1), "recon": features(frames=1)}, "at least two frames"),
        ({"recon": features() * np.nan}, "NaN or infinity"),
        ({"definition": "published-adjacent-gated"}, "no similarity"),
        ({"definition": "published-adjacent-gated", "similarity": np.ones(3)}, "each of 4 clips"),
        ({"similarity": np.ones(4)}, "expected none"),
    ],
)
def test_what_does_not_fit_is_refused(change, words):
    arguments = {"truth": features(), "recon": features(), "definition": "matched"} | change
    with pytest.raises(UsageError, match=words):
        frame_consistency(arguments.pop("truth"), arguments.pop("recon"), **arguments)
