"""Motion energy against pymoten's own projection, filter by filter."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_videos import moving_texture, noisy

from brainreel.errors import UsageError
from brainreel.metrics import motion_energy as me
from brainreel.metrics.motion_energy import (
    Statistics,
    amplitudes,
    default_pyramid,
    motion_energy,
    motion_energy_correlation,
    motion_energy_statistics,
)

moten = pytest.importorskip("moten")


@pytest.fixture(scope="module")
def training():
    clips = moving_texture(20, frames=6, size=96, seed=7)
    clips[::2] = clips[::2, ::-1]
    return motion_energy_statistics(clips)


@pytest.mark.parametrize("frames", [2, 6, 9])
def test_the_responses_are_pymotens(frames):
    pyramid = moten.get_default_pyramid(vhsize=(96, 96), fps=8)
    some = slice(3, None, 31)
    luminance = np.random.default_rng(0).random((frames, 96, 96)).astype(np.float32) * 100
    theirs = pyramid.project_stimulus(luminance, filters=pyramid.filters[some])
    ours = np.log(amplitudes(luminance.reshape(1, frames, -1), default_pyramid()) + 1e-5)
    np.testing.assert_allclose(ours[0][:, some], theirs, atol=2e-5)


def test_a_frame_shown_several_times_counts_each_time():
    clips = moving_texture(2, frames=3, size=96, seed=1)
    shown = np.array([0, 0, 1, 1, 2])
    np.testing.assert_allclose(motion_energy(clips, shown=shown), motion_energy(clips[:, shown]), rtol=1e-9)


def test_a_clips_energy_is_the_mean_over_time_at_eight_frames_per_second():
    clip = moving_texture(1, frames=6, size=96)
    grey = (clip[0] @ np.array([0.299, 0.587, 0.114]) * 100 / 255).astype(np.float32)
    one = np.log(amplitudes(grey.reshape(1, 6, -1), default_pyramid()) + 1e-5).mean(axis=1)
    np.testing.assert_allclose(motion_energy(clip), one, atol=1e-4)
    np.testing.assert_array_equal(motion_energy(np.repeat(clip, 2, axis=1), fps=16), motion_energy(clip))


def test_the_correlation_is_pearsons_of_z_scores(training):
    truth, recon = moving_texture(3, size=96, seed=8), moving_texture(3, size=96, seed=9)
    z = [(motion_energy(v) - training.mean) / training.sd for v in (truth, recon)]
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(*z, strict=True)]
    np.testing.assert_allclose(motion_energy_correlation(truth, recon, training=training), expected)


def test_it_knows_the_same_clip_and_catches_one_that_stands_still_or_runs_backwards(training):
    truth = moving_texture(3, size=96, seed=10)
    still = np.repeat(truth[:, :1], 6, axis=1)

    def score(recon):
        return motion_energy_correlation(truth, recon, training=training).mean()

    assert score(truth) == pytest.approx(1)
    assert score(noisy(truth, 2)) > 0.8
    assert score(truth[:, ::-1]) < 0.5
    assert score(still) < 0.7 * score(noisy(truth, 2))


def test_order_batches_and_sides_do_not_matter(training, monkeypatch):
    truth, recon = moving_texture(5, size=96, seed=11), moving_texture(5, size=96, seed=12)
    values = motion_energy_correlation(truth, recon, training=training)
    np.testing.assert_allclose(motion_energy_correlation(recon, truth, training=training), values)
    order = np.array([3, 1, 4, 0, 2])
    np.testing.assert_allclose(motion_energy_correlation(truth[order], recon[order], training=training), values[order])
    monkeypatch.setattr(me, "CLIPS_AT_ONCE", 2)
    np.testing.assert_allclose(motion_energy_correlation(truth, recon, training=training), values)


def test_filters_that_never_vary_in_training_are_left_out(training):
    truth, recon = moving_texture(2, size=96, seed=13), moving_texture(2, size=96, seed=14)
    sd = training.sd.copy()
    sd[100:] = 0
    some = motion_energy_correlation(truth, recon, training=Statistics(training.mean, sd))
    z = [((motion_energy(v) - training.mean) / training.sd)[:, :100] for v in (truth, recon)]
    np.testing.assert_allclose(some, [np.corrcoef(a, b)[0, 1] for a, b in zip(*z, strict=True)])
    with pytest.raises(UsageError, match="no filter varies"):
        motion_energy_correlation(truth, recon, training=Statistics(training.mean, 0 * sd))


def test_what_does_not_fit_is_refused(training, monkeypatch):
    clip = moving_texture(1, frames=3, size=32)
    with pytest.raises(UsageError, match="at least two"):
        motion_energy_statistics(clip)
    with pytest.raises(UsageError, match="training statistics of 7 filters; expected 1380"):
        motion_energy_correlation(clip, clip, training=Statistics(np.zeros(7), np.ones(7)))
    monkeypatch.setitem(__import__("sys").modules, "moten", None)
    default_pyramid.cache_clear()
    with pytest.raises(UsageError, match=r"brainreel\[flow\]"):
        motion_energy(clip)
