"""How well could anything do? Ceilings of responses: repeated trials, halves of them, other viewers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Shaped

from brainreel.errors import UsageError
from brainreel.metrics.identification import two_way_identification

DEFINITIONS: dict[str, dict[str, str]] = {
    "noise_ceiling": {
        "ncsnr": "Percent of the variance of responses averaged over n repetitions that is signal: "
        "100·ncsnr²/(ncsnr² + 1/n) with ncsnr² = signal variance / noise variance, noise variance = mean "
        "over clips of the variance across repetitions (ddof 1) of the z-scored responses, signal variance = "
        "1 minus it, at least 0."
    },
    "split_half": {
        "spearman-brown": "Reliability of responses averaged over all repetitions: Pearson correlation over "
        "clips of two halves' means, averaged over random halvings, stepped up by Spearman-Brown."
    },
    "inter_subject_correlation": {
        "leave-one-out": "Pearson correlation over time or clips of one subject's response with the mean of "
        "all other subjects', per vertex."
    },
    "inter_subject_identification": {
        "leave-one-out": "Two-way identification of a window's pattern in one subject among the patterns of "
        "the other subjects' mean, inside blocks; chance 0.5."
    },
}
VERTICES_AT_ONCE = 2048


def noise_ceiling(
    responses: Float[np.ndarray, "clips repetitions vertices"], *, n: int | None = None
) -> Float[np.ndarray, " vertices"]:
    """Explainable variance of each vertex, in percent (0 … 100, higher is better, no chance level).

    nc = 100·ncsnr²/(ncsnr² + 1/n), ncsnr² = σ²_signal/σ²_noise (Allen et al. 2022, Nat. Neurosci. 25:116,
    Methods; the same in GLMsingle, Prince et al. 2022). Each vertex is z-scored over all its trials
    (population variance, so that its total variance is 1); σ²_noise is the mean over clips with two
    repetitions or more of the variance across repetitions (ddof 1); σ²_signal = max(0, 1 − σ²_noise).

    Args:
        responses: One value per clip, repetition and vertex; NaN where a clip has fewer repetitions.
        n: Repetitions averaged where the ceiling is used; None: those of the data, where 1/n is the mean over
            clips of 1/(its repetitions).

    Returns:
        NaN where it is unknown: no clip with two repetitions, fewer than two clips, a constant vertex.
    """
    if n is not None and n < 1:
        raise UsageError(f"n = {n}", expected="at least 1 repetition")
    ceiling = np.full(responses.shape[2], np.nan)
    for start in range(0, ceiling.size, VERTICES_AT_ONCE):
        some = slice(start, start + VERTICES_AT_ONCE)
        values = responses[:, :, some].astype(np.float64)
        there = np.isfinite(values)
        counts = there.sum(axis=1)
        within = np.square(_centre(values, there, axis=1)).sum(axis=1)
        repeated = counts >= 2
        variances = np.where(repeated, within, 0.0) / np.where(repeated, counts - 1, 1)
        noise = variances.sum(axis=0) / np.maximum(repeated.sum(axis=0), 1)
        trials = np.maximum(counts.sum(axis=0), 1)
        total = np.square(_centre(values, there, axis=(0, 1))).sum(axis=(0, 1)) / trials
        known = repeated.any(axis=0) & ((counts > 0).sum(axis=0) >= 2) & _varies(values, there, axis=(0, 1))
        noise = noise / np.where(known, total, 1.0)
        signal = np.maximum(0.0, 1.0 - noise)
        per_clip = np.where(counts > 0, 1.0 / np.maximum(counts, 1), 0.0).sum(axis=0)
        share = per_clip / np.maximum((counts > 0).sum(axis=0), 1) if n is None else np.full(noise.shape, 1 / n)
        # The formula times σ²_noise above and below, so that a noiseless vertex is 100 and not inf/inf.
        ceiling[some] = np.where(known, 100 * signal, np.nan) / np.where(known, signal + noise * share, 1.0)
    return ceiling


def split_half(
    responses: Float[np.ndarray, "clips repetitions vertices"], *, seed: int, splits: int = 50
) -> Float[np.ndarray, " vertices"]:
    """Reliability of each vertex's responses averaged over all repetitions (up to 1; expected 0 for noise).

    The repetitions are halved at random `splits` times (one is left out of an odd number); r is the mean
    correlation over clips of the halves' means, and R repetitions in place of h have the reliability
    k·r/(1 + (k − 1)·r) with k = R/h (Spearman 1910, Brown 1910). A correlation of 0 or below is not stepped
    up. The correlation that a perfect prediction would reach is the square root of the reliability.

    A clip without a value in one of the halves is left out of that halving. NaN with fewer than two
    repetitions, fewer than two clips, or a constant vertex.
    """
    if splits < 1:
        raise UsageError(f"splits = {splits}", expected="at least 1")
    _, repetitions, vertices = responses.shape
    half = repetitions // 2
    if half == 0:
        return np.full(vertices, np.nan)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(repetitions) for _ in range(splits)]
    reliability = np.full(vertices, np.nan)
    for start in range(0, vertices, VERTICES_AT_ONCE):
        some = slice(start, start + VERTICES_AT_ONCE)
        values = responses[:, :, some].astype(np.float64)
        pairs = [(_mean(values[:, o[:half]], 1), _mean(values[:, o[half : 2 * half]], 1)) for o in orders]
        r = _mean(np.stack([_pearson(first, second) for first, second in pairs]), 0)
        k = repetitions / half
        reliability[some] = np.where(r > 0, k * r / (1 + (k - 1) * np.maximum(r, 0)), r)
    return reliability


def inter_subject_correlation(
    responses: Float[np.ndarray, "subjects samples vertices"],
) -> Float[np.ndarray, "subjects vertices"]:
    """Correlation of each subject's course with the mean of the others' (−1 … 1; expected 0 for noise).

    The ceiling of what viewers share (Nastase et al. 2019, SCAN 14:667, leave-one-out). Samples are time
    points of a movie or clips, the same for all subjects; NaN where a subject has none. The others' mean is
    taken over those who have the sample. NaN with one subject, fewer than two common samples or a constant
    course.
    """
    return np.stack([_pearson(own.astype(np.float64), _others(responses, s)) for s, own in enumerate(responses)])


def inter_subject_identification(
    responses: Float[np.ndarray, "subjects windows vertices"],
    *,
    block: Sequence | Shaped[np.ndarray, " windows"] | None = None,
    definition: str = "correlation",
) -> Float[np.ndarray, "subjects windows"]:
    """Brain-to-brain ceiling: which window did this viewer see, told from the mean of the other viewers?

    `two_way_identification` of each window's pattern over vertices, in one subject, among the others' mean
    patterns of the same block: 0 … 1, chance 0.5, higher is better. Standardise each vertex on training time
    beforehand; otherwise a vertex's mean, equal in all windows, outweighs what differs between them. NaN for
    a window of which the subject, or all others, lack any vertex, and with one subject.
    """
    return np.stack(
        [
            two_way_identification(own.astype(np.float64), _others(responses, s), block=block, definition=definition)
            for s, own in enumerate(responses)
        ]
    )


def _others(responses: np.ndarray, subject: int) -> np.ndarray:
    """Mean over the other subjects who have the value; NaN if none has."""
    return _mean(np.delete(responses, subject, axis=0).astype(np.float64), 0)


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean of the finite values; NaN if there is none."""
    there = np.isfinite(values)
    counts = there.sum(axis=axis)
    total = np.where(there, values, 0.0).sum(axis=axis)
    return np.where(counts > 0, total, np.nan) / np.maximum(counts, 1)


def _centre(values: np.ndarray, there: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """Values minus their mean along the axes, 0 where missing."""
    filled = np.where(there, values, 0.0)
    counts = np.maximum(there.sum(axis=axis, keepdims=True), 1)
    return np.where(there, values - filled.sum(axis=axis, keepdims=True) / counts, 0.0)


def _varies(values: np.ndarray, there: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """Whether the present values differ (a variance of equal values may be off 0 by rounding)."""
    largest = np.where(there, values, -np.inf).max(axis=axis, initial=-np.inf)
    smallest = np.where(there, values, np.inf).min(axis=axis, initial=np.inf)
    return largest > smallest


def _pearson(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation along the first axis over the samples that both have; NaN where one of them is constant."""
    there = np.isfinite(first) & np.isfinite(second)
    known = _varies(first, there, 0) & _varies(second, there, 0)
    a, b = _centre(first, there, 0), _centre(second, there, 0)
    scale = np.sqrt(np.square(a).sum(axis=0) * np.square(b).sum(axis=0))
    return np.where(known, np.clip((a * b).sum(axis=0) / np.where(known, scale, 1.0), -1, 1), np.nan)
