"""Ceilings against the formula written out, planted signal-to-noise ratios, and missing repetitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from brainreel.errors import UsageError
from brainreel.metrics import ceilings
from brainreel.metrics.ceilings import (
    inter_subject_correlation,
    inter_subject_identification,
    noise_ceiling,
    split_half,
)
from brainreel.metrics.identification import two_way_identification


def planted(seed: int, signal: np.ndarray, clips: int = 400, repetitions: int = 5) -> np.ndarray:
    """Unit noise plus a clip's own response of the given standard deviation per vertex."""
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(clips, 1, signal.size)) * signal
    return own + rng.normal(size=(clips, repetitions, signal.size))


def test_noise_ceiling_is_the_formula():
    responses = 7 + 3 * planted(0, np.array([0.0, 0.3, 1.0, 2.0]), clips=30, repetitions=4)
    flat = responses.reshape(120, 4)
    z = ((flat - flat.mean(axis=0)) / flat.std(axis=0)).reshape(responses.shape)
    noise_sd = np.sqrt(z.var(axis=1, ddof=1).mean(axis=0))
    ncsnr = np.sqrt(np.maximum(0, 1 - noise_sd**2)) / noise_sd
    for n in (1, 4, 10):
        assert noise_ceiling(responses, n=n) == pytest.approx(100 * ncsnr**2 / (ncsnr**2 + 1 / n))
    assert noise_ceiling(responses) == pytest.approx(noise_ceiling(responses, n=4))


def test_a_planted_signal_is_recovered():
    signal = np.array([0.0, 0.3, 0.6, 1.0, 3.0])
    found = noise_ceiling(planted(1, signal, clips=2000, repetitions=3), n=10)
    assert found == pytest.approx(100 * signal**2 / (signal**2 + 1 / 10), abs=5)


def test_a_vertex_that_only_repeats_itself_is_at_the_ceiling():
    rng = np.random.default_rng(2)
    responses = np.repeat(rng.normal(size=(10, 1, 3)), 4, axis=1)
    assert noise_ceiling(responses).tolist() == [100.0] * 3
    assert split_half(responses, seed=0) == pytest.approx(np.ones(3))


def test_more_noise_within_than_between_clips_is_zero_not_negative():
    responses = np.array([[[1.0], [-1.0]], [[-1.0], [1.0]], [[1.0], [-1.0]]])
    assert noise_ceiling(responses).tolist() == [0.0]


def test_unequal_repetitions_take_the_mean_of_one_over_n():
    responses = planted(3, np.array([0.5, 1.0]), clips=12, repetitions=3)
    responses[4:8, 2] = np.nan
    responses[8:11, 1:] = np.nan
    responses[11] = np.nan
    expected = []
    for vertex in range(2):
        clips = [row[np.isfinite(row)] for row in responses[:, :, vertex] if np.isfinite(row).any()]
        total = np.concatenate(clips).var()
        noise = np.mean([clip.var(ddof=1) for clip in clips if clip.size > 1]) / total
        ratio = max(0, 1 - noise) / noise
        expected.append(100 * ratio / (ratio + np.mean([1 / clip.size for clip in clips])))
    assert noise_ceiling(responses) == pytest.approx(np.array(expected))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_what_is_unknown_is_nan(dtype):
    responses = planted(4, np.ones(5), clips=6, repetitions=3).astype(dtype)
    responses[:, :, 1] = 0.1
    responses[:, 1:, 2] = np.nan
    responses[1:, :, 3] = np.nan
    responses[:, :, 4] = np.nan
    assert np.isnan(noise_ceiling(responses)).tolist() == [False, True, True, True, True]
    assert np.isnan(split_half(responses, seed=0)).tolist() == [False, True, True, True, True]
    assert np.isnan(noise_ceiling(responses[:, :1])).all()
    assert np.isnan(split_half(responses[:, :1], seed=0)).all()
    assert np.isnan(noise_ceiling(responses[:1])).all()
    assert noise_ceiling(responses[:, :, :0]).shape == (0,)


def test_chunks_of_vertices_do_not_show(monkeypatch):
    responses = planted(5, np.linspace(0, 2, 11), clips=20)
    whole = noise_ceiling(responses), split_half(responses, seed=1)
    monkeypatch.setattr(ceilings, "VERTICES_AT_ONCE", 3)
    assert (noise_ceiling(responses) == whole[0]).all()
    assert split_half(responses, seed=1) == pytest.approx(whole[1], abs=1e-12)


@pytest.mark.parametrize("repetitions", [2, 3, 4])
def test_split_half_is_the_reliability_of_the_whole_mean(repetitions):
    """Signal variance s² and unit noise: the mean of R repetitions has reliability s²/(s² + 1/R)."""
    signal = np.array([0.0, 0.5, 1.0, 2.0])
    found = split_half(planted(6, signal, 3000, repetitions), seed=0, splits=12)
    assert found == pytest.approx(signal**2 / (signal**2 + 1 / repetitions), abs=0.05)


def test_two_repetitions_halve_in_one_way():
    responses = planted(7, np.array([1.0]), clips=25, repetitions=2)
    r = stats.pearsonr(responses[:, 0, 0], responses[:, 1, 0])[0]
    assert split_half(responses, seed=3)[0] == pytest.approx(2 * r / (1 + r))
    against = responses * np.array([1.0, -1.0])[:, None]
    assert split_half(against, seed=3)[0] == pytest.approx(-r)


def test_split_half_skips_a_clip_that_lacks_a_half():
    responses = planted(8, np.array([1.0]), clips=25, repetitions=2)
    holed = responses.copy()
    holed[3, 1] = np.nan
    assert split_half(holed, seed=0) == pytest.approx(split_half(np.delete(responses, 3, axis=0), seed=0))


def test_inter_subject_correlation_leaves_the_subject_out():
    rng = np.random.default_rng(9)
    responses = rng.normal(size=(1, 60, 4)) + rng.normal(size=(5, 60, 4))
    found = inter_subject_correlation(responses)
    for subject in range(5):
        others = np.delete(responses, subject, axis=0).mean(axis=0)
        expected = [stats.pearsonr(responses[subject, :, v], others[:, v])[0] for v in range(4)]
        assert found[subject] == pytest.approx(np.array(expected))


def test_viewers_without_anything_in_common_correlate_at_zero():
    found = inter_subject_correlation(np.random.default_rng(10).normal(size=(6, 500, 40)))
    assert found.mean() == pytest.approx(0, abs=0.01)


def test_inter_subject_correlation_with_missing_time():
    rng = np.random.default_rng(11)
    responses = rng.normal(size=(1, 50, 2)) + rng.normal(size=(3, 50, 2))
    responses[1, 40:] = np.nan
    responses[2, :, 1] = 4.0
    found = inter_subject_correlation(responses)
    others = np.nanmean(responses[[0, 2]], axis=0)
    assert found[1, 0] == pytest.approx(stats.pearsonr(responses[1, :40, 0], others[:40, 0])[0])
    late = np.concatenate([responses[[1, 2], :40].mean(axis=0), responses[2, 40:]])
    assert found[0, 0] == pytest.approx(stats.pearsonr(responses[0, :, 0], late[:, 0])[0])
    assert np.isnan(found[2, 1])
    assert np.isnan(inter_subject_correlation(responses[:1])).all()


def test_brain_to_brain_identification_inside_blocks():
    rng = np.random.default_rng(12)
    responses = rng.normal(size=(1, 12, 30)) + rng.normal(0, 2.5, size=(4, 12, 30))
    block = np.repeat([0, 1], 6)
    found = inter_subject_identification(responses, block=block)
    for subject in range(4):
        others = np.delete(responses, subject, axis=0).mean(axis=0)
        for label in (0, 1):
            rows = block == label
            alone = two_way_identification(responses[subject][rows], others[rows], definition="correlation")
            assert (found[subject, rows] == alone).all()
    assert 0.6 < found.mean() < 1
    noise = inter_subject_identification(rng.normal(size=(6, 60, 20)))
    assert noise.mean() == pytest.approx(0.5, abs=0.05)


def test_windows_that_somebody_lacks():
    responses = np.random.default_rng(13).normal(size=(3, 8, 10))
    responses[1, 6:] = np.nan
    found = inter_subject_identification(responses)
    assert np.isnan(found).sum(axis=1).tolist() == [0, 2, 0]
    responses[2, 6:] = np.nan
    assert np.isnan(inter_subject_identification(responses))[0].tolist() == [False] * 6 + [True] * 2
    assert np.isnan(inter_subject_identification(responses[:1])).all()


def test_counts_below_one_are_refused():
    responses = planted(14, np.ones(2), clips=4)
    with pytest.raises(UsageError, match="n = 0"):
        noise_ceiling(responses, n=0)
    with pytest.raises(UsageError, match="splits = 0"):
        split_half(responses, seed=0, splits=0)
