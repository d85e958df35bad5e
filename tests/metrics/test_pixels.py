"""Squared error, PSNR and correlation against scikit-image and numpy, and the integer traps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio
from synthetic_videos import moving_texture, noisy

from brainreel.errors import UsageError
from brainreel.metrics.pixels import DEFINITIONS, aggregate_psnr, mse, pixel_correlation, psnr


@pytest.fixture(scope="module")
def pair():
    truth = moving_texture(4, frames=3, size=32)
    return truth, np.stack([noisy(clip[None], sd)[0] for clip, sd in zip(truth, (3, 10, 30, 90), strict=True)])


def test_error_and_psnr_are_scikit_images(pair):
    truth, recon = pair
    np.testing.assert_allclose(mse(truth, recon), [mean_squared_error(t, r) for t, r in zip(truth, recon, strict=True)])
    np.testing.assert_allclose(
        psnr(truth, recon), [peak_signal_noise_ratio(t, r) for t, r in zip(truth, recon, strict=True)]
    )
    per_frame = [
        np.mean([peak_signal_noise_ratio(a, b) for a, b in zip(t, r, strict=True)])
        for t, r in zip(truth, recon, strict=True)
    ]
    np.testing.assert_allclose(psnr(truth, recon, definition="frame-mean"), per_frame)
    np.testing.assert_allclose(psnr(truth, recon, definition="published-capped"), per_frame)


def test_the_largest_error_neither_wraps_nor_overflows():
    black = np.zeros((1, 1, 256, 256, 3), dtype=np.uint8)
    white = np.full_like(black, 255)
    assert mse(black, white) == mse(white, black) == 65025
    assert psnr(white, black) == 0
    half = white.copy()
    half[..., :128, :] = 0
    assert pixel_correlation(half, 255 - half) == -1


def test_identical_frames_are_infinite_or_capped_and_aggregated_by_their_error(pair):
    truth, recon = pair[0], pair[1].copy()
    recon[0] = truth[0]
    recon[1, 0] = truth[1, 0]
    assert psnr(truth, recon)[0] == np.inf
    assert np.isfinite(psnr(truth, recon)[1])
    assert (psnr(truth, recon, definition="frame-mean")[:2] == np.inf).all()
    capped = psnr(truth, recon, definition="published-capped")
    assert capped[0] == 100
    others = [peak_signal_noise_ratio(truth[1, f], recon[1, f]) for f in (1, 2)]
    assert capped[1] == pytest.approx((100 + sum(others)) / 3)
    total = aggregate_psnr(psnr(truth, recon))
    assert total == pytest.approx(20 * np.log10(255 / np.sqrt(mse(truth, recon).mean())))
    assert aggregate_psnr(np.array([np.inf, np.inf])) == np.inf
    with pytest.raises(UsageError, match="at least one clip"):
        aggregate_psnr(np.empty(0))


def test_correlation_is_pearsons(pair):
    truth, recon = pair
    whole = [np.corrcoef(t.ravel(), r.ravel())[0, 1] for t, r in zip(truth, recon, strict=True)]
    np.testing.assert_allclose(pixel_correlation(truth, recon), whole)
    frames = [
        np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(t, r, strict=True)])
        for t, r in zip(truth, recon, strict=True)
    ]
    np.testing.assert_allclose(pixel_correlation(truth, recon, definition="frame-mean"), frames)


def test_a_flat_video_has_no_correlation(pair):
    truth, recon = pair[0], pair[1].copy()
    recon[0] = 128
    recon[1, 0] = 7
    assert np.isnan(pixel_correlation(truth, recon)).tolist() == [True, False, False, False]
    by_frame = pixel_correlation(truth, recon, definition="frame-mean")
    assert np.isnan(by_frame).tolist() == [True, False, False, False]
    rest = pixel_correlation(truth[1:2, 1:], recon[1:2, 1:], definition="frame-mean")
    assert by_frame[1] == pytest.approx(rest[0])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), sd=st.floats(1, 100))
def test_properties(seed, sd):
    truth = moving_texture(3, frames=2, size=16, seed=seed)
    recon = noisy(truth, sd, seed)
    order = np.random.default_rng(seed).permutation(3)
    for metric in (mse, psnr, pixel_correlation):
        for definition in DEFINITIONS[metric.__name__]:
            options = {} if metric is mse else {"definition": definition}
            values = metric(truth, recon, **options)
            np.testing.assert_allclose(metric(recon, truth, **options), values)
            np.testing.assert_array_equal(metric(truth[order], recon[order], **options), values[order])
            np.testing.assert_array_equal(metric(truth[:1], recon[:1], **options), values[:1])
    assert (pixel_correlation(truth, truth) == 1).all()
    assert (np.abs(pixel_correlation(truth, recon)) <= 1).all()
    assert (mse(truth, truth) == 0).all()


def test_unknown_definitions_are_refused(pair):
    with pytest.raises(UsageError, match="known: clip, frame-mean, published-capped"):
        psnr(*pair, definition="mean")
    with pytest.raises(UsageError, match="known: clip, frame-mean"):
        pixel_correlation(*pair, definition="mean")
