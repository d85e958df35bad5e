"""What knows nothing scores the stated chance; pixels and motion have null videos instead."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from brainreel.bench.cheats import clips
from brainreel.metrics import FACTS
from brainreel.metrics.ceilings import inter_subject_correlation, inter_subject_identification
from brainreel.metrics.colour import hue_correlation
from brainreel.metrics.identification import chance_median_rank, chance_top_k, retrieval, two_way_identification
from brainreel.metrics.motion import direction_agreement, endpoint_error
from brainreel.metrics.motion_energy import motion_energy_correlation, motion_energy_statistics
from brainreel.metrics.nway import n_way_accuracy, n_way_chance
from brainreel.metrics.pixels import mse, pixel_correlation, psnr
from brainreel.metrics.ssim import ssim
from brainreel.metrics.vectors import correlation_per_dimension
from brainreel.metrics.videos import blurred, flat_grey, mean_clip, mismatched_pairs, nearest_training_clip

RNG = np.random.default_rng(11)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def moving_noise(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth and reconstruction whose textures drift in directions of their own."""
    made, _ = clips(-(-2 * count // 6), seed=5)
    made = made[: 2 * count, :3, :64, :64]
    return made[:count], made[count:]


def identified(definition: str) -> tuple[np.ndarray, float]:
    """Each draw is one gallery: trials of one gallery are not independent."""
    draws = [two_way_identification(normal(12, 8), normal(12, 8), definition=definition).mean() for _ in range(300)]
    return np.array(draws), 0.5


def ranked(definition: str) -> tuple[np.ndarray, float]:
    found = [retrieval(normal(12, 8), normal(12, 8), definition=definition) for _ in range(300)]
    top = np.array([one.top_k(5).mean() for one in found])
    assert abs(top.mean() - chance_top_k(5, 12)) < 3 * top.std(ddof=1) / np.sqrt(len(top))
    return np.array([one.rank.mean() for one in found]), chance_median_rank(12)


def n_way(definition: str) -> tuple[np.ndarray, float]:
    for n, k in ((2, 1), (50, 5)):
        scores = n_way_accuracy(normal(4000, 60), normal(4000, 60), n=n, k=k, definition=definition)
        assert abs(scores.mean() - n_way_chance(n, k, definition)) < 3 * scores.std(ddof=1) / np.sqrt(len(scores))
    return n_way_accuracy(normal(4000, 60), normal(4000, 60), n=10, k=1, definition=definition), n_way_chance(
        10, 1, definition
    )


EXCHANGEABLE: dict[tuple[str, str], Callable[[], tuple[np.ndarray, float]]] = {
    ("n_way_accuracy", "exact"): lambda: n_way("exact"),
    ("n_way_accuracy", "published-top3"): lambda: n_way("published-top3"),
    ("two_way_identification", "centred-cosine"): lambda: identified("centred-cosine"),
    ("two_way_identification", "correlation"): lambda: identified("correlation"),
    ("retrieval", "centred-cosine"): lambda: ranked("centred-cosine"),
    ("retrieval", "correlation"): lambda: ranked("correlation"),
    ("direction_agreement", "mean-flow"): lambda: (direction_agreement(*moving_noise(18)), 0.0),
    ("correlation", "per-dimension"): lambda: (correlation_per_dimension(normal(20, 500), normal(20, 500)), 0.0),
    # One subject's value is shared by nobody else's noise only where viewers are independent draws.
    ("inter_subject_correlation", "leave-one-out"): lambda: (
        np.array([inter_subject_correlation(normal(4, 20, 10)).mean() for _ in range(200)]),
        0.0,
    ),
    ("inter_subject_identification", "leave-one-out"): lambda: (
        np.array([inter_subject_identification(normal(4, 10, 10)).mean() for _ in range(200)]),
        0.5,
    ),
}


def test_every_metric_that_states_a_chance_is_tested():
    stated = {(m, d) for m, facts in FACTS.items() for d, fact in facts.items() if fact.chance is not None}
    assert stated == set(EXCHANGEABLE)


@pytest.mark.parametrize("which", EXCHANGEABLE, ids=" ".join)
def test_exchangeable_scores_are_at_chance(which):
    scores, chance = EXCHANGEABLE[which]()
    fact = FACTS[which[0]][which[1]].chance
    assert callable(fact) or fact == chance
    assert abs(scores.mean() - chance) < 3 * scores.std(ddof=1) / np.sqrt(len(scores))
    assert scores.std() > 0


@pytest.fixture(scope="module")
def small():
    truth, _ = clips(1, seed=1)
    train, _ = clips(2, seed=2)
    return truth[:3, :3, :64, :64], train[:, :3, :64, :64]


VIDEO_METRICS = {
    "ssim": lambda t, r, d, s: ssim(t, r, definition=d),
    "mse": lambda t, r, d, s: mse(t, r),
    "psnr": lambda t, r, d, s: psnr(t, r, definition=d),
    "pixel_correlation": lambda t, r, d, s: pixel_correlation(t, r, definition=d),
    "hue_correlation": lambda t, r, d, s: hue_correlation(t, r, definition=d),
    "endpoint_error": lambda t, r, d, s: endpoint_error(t, r, definition=d),
    "direction_agreement": lambda t, r, d, s: direction_agreement(t, r),
    "motion_energy_correlation": lambda t, r, d, s: motion_energy_correlation(t, r, training=s),
}
# Grey has neither pattern nor hue to correlate with.
UNDEFINED_ON_GREY = {("pixel_correlation", "clip"), ("pixel_correlation", "frame-mean"),
                     ("hue_correlation", "chroma-weighted"), ("hue_correlation", "published-cosine")}  # fmt: skip


def test_every_pixel_and_motion_metric_scores_its_null_videos_and_wrong_pairs(small):
    truth, train = small
    statistics = motion_energy_statistics(train)
    first, second = mismatched_pairs(range(len(truth)), offsets=1)
    nulls = {
        "grey": flat_grey(truth),
        "mean": np.broadcast_to(mean_clip(train), truth.shape),
        "nearest": blurred(train[nearest_training_clip(truth, train)]),
    }
    for metric, score in VIDEO_METRICS.items():
        for definition, fact in FACTS[metric].items():
            wrong = score(truth[first], truth[second], definition, statistics)
            same = score(truth, truth, definition, statistics)
            assert wrong.shape == first.shape
            assert np.isfinite(wrong).all()
            better = same.mean() < wrong.mean() if fact.direction == "lower" else same.mean() > wrong.mean()
            assert better, (metric, definition)
            for name, video in nulls.items():
                values = score(truth, np.ascontiguousarray(video), definition, statistics)
                undefined = name == "grey" and (metric, definition) in UNDEFINED_ON_GREY
                assert np.isnan(values).all() if undefined else np.isfinite(values).all(), (metric, definition, name)
                if not undefined:
                    low, high = fact.range
                    assert (values >= low - 1e-9).all()
                    assert (values <= high + 1e-9).all()
