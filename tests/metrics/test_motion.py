"""Optical flow: known shifts are found, and still or reversed reconstructions are caught."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_videos import moving_texture, noisy

from brainreel.errors import UsageError
from brainreel.metrics import motion
from brainreel.metrics.motion import (
    aggregate_endpoint_error,
    direction_agreement,
    endpoint_error,
    flow_scores,
    optical_flow,
    zero_motion_error,
)
from brainreel.metrics.videos import at_rate

cv2 = pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def moving():
    return moving_texture(2, frames=4, size=256, step=3, seed=1)


def still(videos):
    return np.repeat(videos[:, :1], videos.shape[1], axis=1)


def test_a_known_shift_is_found(moving):
    flow = optical_flow(moving, definition="relative")
    assert flow.shape == (2, 3, 256, 256, 2)
    middle = flow[:, :, 40:-40, 40:-40]
    assert np.median(middle[..., 0]) == pytest.approx(3, abs=0.2)
    assert np.median(middle[..., 1]) == pytest.approx(0, abs=0.2)


def test_published_is_opencvs_farneback_on_swapped_channels():
    truth, recon = moving_texture(2, frames=3, size=64, seed=2), moving_texture(2, frames=3, size=64, seed=3)

    def flow(clip):
        grey = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in clip]
        return [cv2.calcOpticalFlowFarneback(a, b, None, 0.5, 3, 15, 3, 5, 1.2, 0) for a, b in pairwise(grey)]

    expected = [
        np.mean([np.linalg.norm(a - b, axis=-1).mean() for a, b in zip(flow(t), flow(r), strict=True)])
        for t, r in zip(truth, recon, strict=True)
    ]
    published = {"definition": "published-farneback"}
    np.testing.assert_allclose(endpoint_error(truth, recon, **published), expected, rtol=1e-5)
    motions = [np.mean([np.linalg.norm(a, axis=-1).mean() for a in flow(t)]) for t in truth]
    np.testing.assert_allclose(zero_motion_error(truth, **published), motions, rtol=1e-5)


def test_the_channels_weights_differ_between_the_definitions():
    """Red and blue patterns that move apart: which one wins depends on the weights."""
    right, left = moving_texture(1, frames=2, size=256, step=4, seed=4), moving_texture(1, 2, 256, 4, seed=5)
    video = np.zeros_like(right)
    video[..., 0], video[..., 2] = right[..., 0], left[:, ::-1][..., 2]
    by_luma = optical_flow(video, definition="relative")[..., 0].mean()
    as_published = optical_flow(video, definition="published-farneback")[..., 0].mean()
    assert by_luma > 0.5
    assert as_published < -0.5


def test_still_and_reversed_reconstructions_are_caught(moving):
    assert (endpoint_error(moving, moving) == 0).all()
    assert (endpoint_error(moving, moving, definition="published-farneback") == 0).all()
    np.testing.assert_array_equal(endpoint_error(moving, still(moving), definition="relative"), 1)
    np.testing.assert_array_equal(zero_motion_error(moving, definition="relative"), 1)
    assert (endpoint_error(moving, moving[:, ::-1], definition="relative") > 1.5).all()
    np.testing.assert_array_equal(direction_agreement(moving, still(moving)), 0)
    assert (direction_agreement(moving, moving[:, ::-1]) < -0.95).all()
    np.testing.assert_allclose(direction_agreement(moving, noisy(moving, 8)), 1, atol=0.05)


def test_a_still_truth_is_undefined_but_its_error_counts_in_the_sum(moving):
    truth = moving.copy()
    truth[0] = still(truth[:1])[0]
    assert np.isnan(endpoint_error(truth, moving, definition="relative")).tolist() == [True, False]
    assert np.isnan(direction_agreement(truth, moving)).tolist() == [True, False]
    assert np.isnan(zero_motion_error(truth, definition="relative")).tolist() == [True, False]
    scores = flow_scores(truth, still(moving))
    assert aggregate_endpoint_error(scores) == 1
    wild = flow_scores(truth, moving)
    assert aggregate_endpoint_error(wild) == wild.error.sum() / wild.motion.sum() > 0.5
    assert np.isnan(aggregate_endpoint_error(flow_scores(still(moving), moving)))


def test_the_truths_flow_is_computed_once(moving, monkeypatch):
    small = moving[:, :, :64, :64]
    recon = noisy(small, 10)
    for definition in ("published-farneback", "relative"):
        expected = endpoint_error(small, recon, definition=definition)
        flow = optical_flow(small, definition=definition)
        seen = []
        real = motion._clip_flow

        def counted(*args, real=real, seen=seen, **options):
            seen.append(1)
            return real(*args, **options)

        monkeypatch.setattr(motion, "_clip_flow", counted)
        got = endpoint_error(small, recon, definition=definition, truth_flow=flow)
        monkeypatch.undo()
        np.testing.assert_array_equal(got, expected)
        assert len(seen) == len(recon)
    with pytest.raises(UsageError, match="flow of 1 clips for 2"):
        endpoint_error(small, recon, truth_flow=flow[:1])


def test_with_both_flows_given_nothing_is_computed(moving, monkeypatch):
    truth, recon = moving[:, :3, :48, :64], noisy(moving[:, :3, :48, :64], sd=20)
    expected = flow_scores(truth, recon)
    flows = {"truth_flow": optical_flow(truth), "recon_flow": optical_flow(recon)}
    monkeypatch.setattr(cv2, "calcOpticalFlowFarneback", None)
    for got, wanted in zip(flow_scores(truth, recon, **flows), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
    with pytest.raises(UsageError, match="1 clips"):
        flow_scores(truth, recon, recon_flow=flows["recon_flow"][:1])


def test_lengths_and_directions_are_those_of_the_plain_formula(moving):
    truth, recon = moving[:1, :3], noisy(moving[:1, :3], sd=20)[:, ::-1]
    x, y = (optical_flow(videos)[0].astype(np.float64) for videos in (truth, recon))
    scores = flow_scores(truth, recon)
    assert scores.error[0] == pytest.approx(np.linalg.norm(x - y, axis=-1).mean(), rel=1e-6)
    assert scores.motion[0] == pytest.approx(np.linalg.norm(x, axis=-1).mean(), rel=1e-6)
    means = x.mean(axis=(0, 1, 2)), y.mean(axis=(0, 1, 2))
    cosine = means[0] @ means[1] / np.linalg.norm(means[0]) / np.linalg.norm(means[1])
    assert scores.direction[0] == pytest.approx(cosine, rel=1e-9)


def test_relative_sees_the_rate_and_not_the_size(moving):
    wide = np.repeat(np.repeat(moving, 2, axis=2), 2, axis=3)
    recon = np.roll(wide, 1, axis=0)
    at_512 = endpoint_error(wide, recon, definition="relative")
    np.testing.assert_allclose(at_512, endpoint_error(moving, moving[::-1], definition="relative"), rtol=0.05)
    at_16 = optical_flow(moving, definition="relative", fps=16)
    assert at_16.shape[1] == 1
    assert np.median(at_16[..., 0]) == pytest.approx(6, abs=0.5)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_properties(seed):
    truth = moving_texture(3, frames=3, size=48, seed=seed)
    recon = moving_texture(3, frames=3, size=48, step=1, seed=seed + 1)
    published = {"definition": "published-farneback"}
    errors = endpoint_error(truth, recon, **published)
    assert (errors >= 0).all()
    np.testing.assert_allclose(endpoint_error(recon, truth, **published), errors, rtol=1e-6)
    order = np.random.default_rng(seed).permutation(3)
    np.testing.assert_array_equal(endpoint_error(truth[order], recon[order], **published), errors[order])
    np.testing.assert_array_equal(endpoint_error(truth[:1], recon[:1], **published), errors[:1])


@pytest.mark.shared
def test_on_real_clips_zero_motion_beats_unrelated_motion(real_clips):
    truth = real_clips[:, :4]
    scores = flow_scores(truth, np.roll(truth, 1, axis=0))
    assert aggregate_endpoint_error(scores) > 1
    assert aggregate_endpoint_error(flow_scores(truth, noisy(truth, 5))) < 0.9
    moving = scores.motion > np.median(scores.motion)
    assert (direction_agreement(truth, truth[:, ::-1])[moving] < 0).all()


def test_frames_at_another_rate_are_the_nearest_the_earlier_on_ties():
    assert at_rate(8, 8, 8).tolist() == list(range(8))
    assert at_rate(6, 3, 8).tolist() == [0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5]
    assert at_rate(8, 16, 8).tolist() == [0, 2, 4, 6]
    assert at_rate(90, 30, 8).tolist()[:5] == [0, 4, 7, 11, 15]  # 3.75, 7.5 (tie), 11.25, 15
    with pytest.raises(UsageError, match="positive number"):
        at_rate(8, 0, 8)


def test_what_does_not_fit_is_refused(moving, monkeypatch):
    with pytest.raises(UsageError, match="known: relative, published-farneback"):
        endpoint_error(moving, moving, definition="raft")
    with pytest.raises(UsageError, match="at least two frames"):
        endpoint_error(moving[:, :1], moving[:, :1])
    with pytest.raises(UsageError, match="at least two frames"):
        direction_agreement(moving, moving, fps=60)
    with pytest.raises(UsageError, match="frames per clip"):
        endpoint_error(moving, moving[:, :2])
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(UsageError, match=r"brainreel\[flow\]"):
        endpoint_error(moving, moving)
