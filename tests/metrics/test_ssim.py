"""SSIM against scikit-image, definition by definition."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2gray
from skimage.metrics import structural_similarity
from synthetic_videos import moving_texture, noisy

from brainreel.errors import UsageError
from brainreel.metrics.ssim import DEFINITIONS, ssim

GAUSSIAN = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
ORACLES = {
    "gaussian-rgb": lambda x, y: structural_similarity(x, y, channel_axis=-1, data_range=255, **GAUSSIAN),
    "gaussian-grey": lambda x, y: structural_similarity(rgb2gray(x), rgb2gray(y), data_range=1, **GAUSSIAN),
    "published-uniform-rgb": lambda x, y: structural_similarity(x, y, channel_axis=-1, data_range=255),
    "published-column": lambda x, y: structural_similarity(
        rgb2gray(x), rgb2gray(y), channel_axis=-1, data_range=1, **GAUSSIAN
    ),
}


def oracle(truth, recon, definition):
    frames = [
        [ORACLES[definition](t, r) for t, r in zip(ts, rs, strict=True)] for ts, rs in zip(truth, recon, strict=True)
    ]
    return np.mean(frames, axis=1)


def test_every_definition_has_an_oracle():
    assert list(DEFINITIONS["ssim"]) == list(ORACLES)


@pytest.mark.parametrize("definition", ORACLES)
@pytest.mark.parametrize("size", [(11, 11), (12, 43), (75, 60)])
def test_it_is_scikit_images(definition, size):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (2, 2, *size, 3), dtype=np.uint8)
    recon = noisy(truth, 40)
    recon[0, 0] = 255  # flat and bright, where float32 would fail
    np.testing.assert_allclose(
        ssim(truth, recon, definition=definition), oracle(truth, recon, definition), rtol=0, atol=1e-9
    )


@pytest.mark.shared
@pytest.mark.parametrize("definition", ORACLES)
def test_it_is_scikit_images_on_real_clips(definition, real_clips):
    truth, recon = real_clips[:2, :3], noisy(real_clips[:2, :3], 25)
    recon[1] = real_clips[2, :3]
    np.testing.assert_allclose(
        ssim(truth, recon, definition=definition), oracle(truth, recon, definition), rtol=0, atol=1e-9
    )


@pytest.mark.shared
def test_flat_grey_beats_unrelated_real_clips(real_clips):
    """Why no SSIM is shown without its null videos."""
    grey = np.full_like(real_clips, 128)
    definition = "published-uniform-rgb"
    assert (
        ssim(real_clips, grey, definition=definition).mean()
        > ssim(real_clips, np.roll(real_clips, 1, axis=0), definition=definition).mean()
    )


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), sd=st.floats(1, 80), definition=st.sampled_from(list(ORACLES)))
def test_properties(seed, sd, definition):
    truth = moving_texture(3, frames=2, size=24, seed=seed)
    recon = noisy(truth, sd, seed)
    values = ssim(truth, recon, definition=definition)
    assert ((values >= -1) & (values < 1)).all()
    np.testing.assert_allclose(ssim(truth, truth, definition=definition), 1, atol=1e-12)
    np.testing.assert_allclose(ssim(recon, truth, definition=definition), values, atol=1e-12)
    order = np.random.default_rng(seed).permutation(3)
    np.testing.assert_array_equal(ssim(truth[order], recon[order], definition=definition), values[order])
    np.testing.assert_array_equal(ssim(truth[1:2], recon[1:2], definition=definition), values[1:2])


@pytest.mark.parametrize("definition", ORACLES)
@pytest.mark.parametrize("strip", [1, 7, 1000])
def test_the_height_of_a_strip_does_not_matter(definition, strip, monkeypatch):
    truth = moving_texture(1, frames=2, size=48)
    recon = noisy(truth, 20)
    whole = ssim(truth, recon, definition=definition)
    monkeypatch.setattr(importlib.import_module("brainreel.metrics.ssim"), "STRIP", strip)
    np.testing.assert_allclose(ssim(truth, recon, definition=definition), whole, atol=1e-13)


def test_more_noise_scores_lower():
    truth = moving_texture(2)
    scores = [ssim(truth, noisy(truth, sd)).mean() for sd in (2, 10, 40, 100)]
    assert scores == sorted(scores, reverse=True)


def test_read_only_and_strided_videos_are_scored_alike():
    truth = moving_texture(2, size=40)
    recon = noisy(truth, 20)
    wide = np.repeat(recon, 2, axis=3)[:, :, :, ::2]
    wide.flags.writeable = False
    np.testing.assert_array_equal(ssim(truth, wide), ssim(truth, recon))


def test_frames_smaller_than_the_window_are_refused():
    small = np.zeros((1, 2, 10, 40, 3), dtype=np.uint8)
    with pytest.raises(UsageError, match="frames of 10×40 pixels; expected at least 11"):
        ssim(small, small)
    narrow = np.zeros((1, 2, 40, 3, 3), dtype=np.uint8)
    assert ssim(narrow, narrow, definition="published-column") == 1
    with pytest.raises(UsageError, match="known: gaussian-rgb, gaussian-grey"):
        ssim(small, small, definition="wang")


def test_extreme_grey_levels_do_not_overflow_the_integer_sums():
    white, black = (np.full((1, 1, 16, 16, 3), level, np.uint8) for level in (255, 0))
    c1 = (0.01 * 255) ** 2
    assert ssim(white, white, definition="published-uniform-rgb")[0] == 1
    assert ssim(white, black, definition="published-uniform-rgb")[0] == pytest.approx(c1 / (255**2 + c1))
