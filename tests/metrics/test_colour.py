"""Hue agreement against scikit-image's HSV, and what it should and should not notice."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2hsv
from synthetic_videos import moving_texture, noisy

from brainreel.errors import UsageError
from brainreel.metrics.colour import hue_correlation


def oracle(truth, recon):
    values = []
    for t, r in zip(truth, recon, strict=True):
        (ht, st_, vt), (hr, sr, vr) = (np.moveaxis(rgb2hsv(f), -1, 0) for f in (t, r))
        weight = st_ * vt * sr * vr
        if weight.sum():
            values.append((weight * np.cos(2 * np.pi * (ht - hr))).sum() / weight.sum())
    return np.mean(values) if values else np.nan


def solid(*colours):
    return np.broadcast_to(np.array(colours, dtype=np.uint8)[:, None, None, None], (len(colours), 2, 4, 4, 3))


def test_it_is_the_weighted_cosine_of_scikit_images_hues():
    rng = np.random.default_rng(0)
    # Coarse levels, so that equal channels and greys occur.
    truth = (rng.integers(0, 6, (4, 3, 40, 30, 3)) * 51).astype(np.uint8)
    recon = (rng.integers(0, 6, truth.shape) * 51).astype(np.uint8)
    recon[1] = noisy(truth[1], 40)
    truth[2, 1] = 90
    expected = [oracle(t, r) for t, r in zip(truth, recon, strict=True)]
    np.testing.assert_allclose(hue_correlation(truth, recon), expected, atol=1e-6)


@pytest.mark.shared
def test_it_is_the_weighted_cosine_on_real_clips(real_clips):
    truth, recon = real_clips[:3, :2], real_clips[3:, :2]
    expected = [oracle(t, r) for t, r in zip(truth, recon, strict=True)]
    np.testing.assert_allclose(hue_correlation(truth, recon), expected, atol=1e-6)


def test_opposite_hues_score_minus_one_and_brightness_does_not_matter():
    red, cyan, dark_red, yellow = (255, 0, 0), (0, 255, 255), (60, 0, 0), (255, 255, 0)
    got = hue_correlation(solid(red, red, red), solid(cyan, dark_red, yellow))
    np.testing.assert_allclose(got, [-1, 1, 0.5], atol=1e-6)


def test_grey_has_no_hue():
    grey = solid((90, 90, 90))
    colour = solid((200, 10, 30))
    assert np.isnan(hue_correlation(grey, colour))
    half = np.concatenate([grey[:, :1], colour[:, :1]], axis=1)
    assert hue_correlation(half, colour) == 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), turn=st.floats(0, 1))
def test_turning_every_hue_gives_the_cosine_of_the_turn(seed, turn):
    hues = np.random.default_rng(seed).random(12)
    colours = np.array([colorsys.hsv_to_rgb(h, 1, 1) for h in hues])
    turned = np.array([colorsys.hsv_to_rgb((h + turn) % 1, 1, 1) for h in hues])
    frames = [(np.rint(255 * c)).astype(np.uint8).reshape(1, 1, 3, 4, 3) for c in (colours, turned)]
    assert hue_correlation(*frames)[0] == pytest.approx(np.cos(2 * np.pi * turn), abs=0.02)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), definition=st.sampled_from(["chroma-weighted", "published-cosine"]))
def test_properties(seed, definition):
    truth = moving_texture(3, frames=2, size=20, seed=seed)
    recon = moving_texture(3, frames=2, size=20, seed=seed + 1)
    values = hue_correlation(truth, recon, definition=definition)
    assert (np.abs(values) <= 1).all()
    np.testing.assert_allclose(hue_correlation(recon, truth, definition=definition), values, atol=1e-12)
    np.testing.assert_allclose(hue_correlation(truth, truth, definition=definition), 1, atol=1e-12)
    order = np.random.default_rng(seed).permutation(3)
    shuffled = hue_correlation(truth[order], recon[order], definition=definition)
    np.testing.assert_array_equal(shuffled, values[order])


def test_the_published_cosine_of_independent_noise_is_three_quarters():
    rng = np.random.default_rng(1)
    truth, recon = rng.integers(0, 256, (2, 1, 2, 256, 256, 3), dtype=np.uint8)
    assert hue_correlation(truth, recon, definition="published-cosine")[0] == pytest.approx(0.75, abs=0.01)
    assert hue_correlation(truth, recon)[0] == pytest.approx(0, abs=0.01)


def test_the_published_cosine_takes_opencvs_planes_of_swapped_channels():
    truth, recon = moving_texture(1, frames=1, size=8), moving_texture(1, frames=1, size=8, seed=3)

    def plane(frame):  # OpenCV halves the degrees; red and blue change places
        return np.array([round(180 * colorsys.rgb_to_hsv(*(p[::-1] / 255))[0]) % 180 for p in frame.reshape(-1, 3)])

    x, y = plane(truth[0, 0]), plane(recon[0, 0])
    expected = x @ y / np.sqrt((x @ x) * (y @ y))
    assert hue_correlation(truth, recon, definition="published-cosine")[0] == pytest.approx(expected, abs=2e-3)


def test_the_published_cosine_of_grey_is_undefined():
    grey = solid((90, 90, 90))
    assert np.isnan(hue_correlation(grey, grey, definition="published-cosine"))


def test_without_opencv_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    red = solid((255, 0, 0))
    assert hue_correlation(red, red) == 1
    with pytest.raises(UsageError, match=r"brainreel\[flow\]"):
        hue_correlation(red, red, definition="published-cosine")
    with pytest.raises(UsageError, match="known: chroma-weighted, published-cosine"):
        hue_correlation(red, red, definition="hsv")
