"""The checks that every video metric makes, the videos that know nothing, the pairs that are wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from synthetic_videos import moving_texture, noisy

from brainreel.errors import UsageError
from brainreel.metrics import videos
from brainreel.metrics.colour import hue_correlation
from brainreel.metrics.pixels import mse, pixel_correlation, psnr
from brainreel.metrics.ssim import ssim
from brainreel.metrics.videos import (
    blurred,
    check_pair,
    flat_grey,
    map_clips,
    mean_clip,
    mismatched_pairs,
    nearest_training_clip,
)

GOOD = np.zeros((2, 3, 16, 16, 3), dtype=np.uint8)
BAD = {
    "float": (GOOD.astype(np.float32), "dtype float32; expected uint8"),
    "NaN": (np.full(GOOD.shape, np.nan), "with NaN in it"),
    "grey": (GOOD[..., :1], "repeat the grey channel"),
    "planar grey": (GOOD[..., 0], r"shape \(2, 3, 16, 16\)"),
    "alpha": (np.zeros((2, 3, 16, 16, 4), dtype=np.uint8), "drop the alpha channel"),
    "one clip": (GOOD[0], r"clip\[None\]"),
    "nothing": (GOOD[:0], r"shape \(0, 3, 16, 16, 3\)"),
    "fewer clips": (GOOD[:1], "2 clips, the reconstruction 1"),
    "shorter": (GOOD[:, :2], "3 frames per clip, the reconstruction 2"),
    "lower": (GOOD[:, :, :12], "16 pixels of height, the reconstruction 12"),
    "narrower": (GOOD[:, :, :, :12], "16 pixels of width, the reconstruction 12"),
}


@pytest.mark.parametrize("metric", [ssim, psnr, mse, pixel_correlation, hue_correlation, check_pair])
@pytest.mark.parametrize("case", BAD)
def test_every_metric_refuses_what_cannot_be_compared(metric, case):
    video, words = BAD[case]
    with pytest.raises(UsageError, match=words):
        metric(GOOD, video)


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_clips_come_back_in_order_whatever_the_number_of_threads(cores, monkeypatch):
    monkeypatch.setattr(videos, "_cores", lambda: cores)
    rows = np.arange(30.0).reshape(10, 3)
    got = map_clips(lambda a, b: float((a + b).sum()), rows, rows)
    np.testing.assert_array_equal(got, 2 * rows.sum(axis=1))


def test_an_error_in_a_thread_reaches_the_caller(monkeypatch):
    monkeypatch.setattr(videos, "_cores", lambda: 2)

    def fail(clip):
        raise UsageError(f"clip {clip[0]:.0f}")

    with pytest.raises(UsageError, match="clip 0"):
        map_clips(fail, np.arange(6.0).reshape(3, 2))


def test_flat_grey_costs_no_memory_and_the_mean_clip_is_the_mean():
    grey = flat_grey(GOOD)
    assert grey.shape == GOOD.shape
    assert not any(grey.strides)
    assert (grey == 128).all()
    train = moving_texture(5, frames=3, size=16)
    np.testing.assert_array_equal(mean_clip(train), np.rint(train.astype(float).mean(axis=0)).astype(np.uint8))


@pytest.mark.parametrize("size", [16, 17, 40])
def test_the_nearest_training_clip_is_found_despite_noise_and_blur(size):
    train = moving_texture(8, frames=3, size=size)
    order = np.random.default_rng(0).permutation(8)
    truth = blurred(noisy(train[order], 20), 1.0)
    np.testing.assert_array_equal(nearest_training_clip(truth, train), order)
    with pytest.raises(UsageError, match="true clips of 2 frames, training clips of 3"):
        nearest_training_clip(truth[:, :2], train)


def test_thumbnails_are_block_means():
    truth, train = moving_texture(6, frames=2, size=48, seed=1), moving_texture(9, frames=2, size=48, seed=2)
    blocks = [v.reshape(len(v), 2, 16, 3, 16, 3, 3).mean(axis=(3, 5)).reshape(len(v), -1) for v in (truth, train)]
    np.testing.assert_array_equal(nearest_training_clip(truth, train), cdist(*blocks).argmin(axis=1))


def test_blurring_smooths_within_frames_only():
    video = np.zeros((1, 3, 32, 32, 3), dtype=np.uint8)
    video[0, 1, 16, 16, 0] = 255
    soft = blurred(video, 1.0)
    assert soft[0, [0, 2]].max() == soft[..., 1:].max() == 0
    assert soft[0, 1, 16, 16, 0] == pytest.approx(255 / (2 * np.pi), abs=2)
    flat = np.full((1, 2, 16, 16, 3), 77, dtype=np.uint8)
    np.testing.assert_array_equal(blurred(flat), flat)


def test_mismatched_pairs_are_all_wrong_pairs_or_an_even_part_of_them():
    truth, recon = mismatched_pairs(range(7))
    assert sorted(zip(truth.tolist(), recon.tolist(), strict=True)) == [
        (i, j) for i in range(7) for j in range(7) if i != j
    ]
    truth, recon = mismatched_pairs(range(7), offsets=2)
    assert len(truth) == 14
    assert (truth != recon).all()
    assert (np.bincount(truth) == 2).all()
    assert (np.bincount(recon) == 2).all()
    assert len(mismatched_pairs(range(3), offsets=50)[0]) == 6


def test_rows_of_one_clip_are_never_mismatched():
    ids = ["a", "a", "b", "c", "c"]
    truth, recon = mismatched_pairs(ids)
    assert all(ids[i] != ids[j] for i, j in zip(truth, recon, strict=True))
    assert len(truth) == 5 * 4 - 2 * 2
    with pytest.raises(UsageError, match="two different clips"):
        mismatched_pairs(["a", "a"])
    with pytest.raises(UsageError, match="two different clips"):
        mismatched_pairs(["a"])
