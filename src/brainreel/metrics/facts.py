"""What a reader of a score must know beside its value: the better direction, the unit, the chance level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from .identification import chance_median_rank
from .nway import n_way_chance


@dataclass(frozen=True)
class Fact:
    """One definition of one metric.

    Args:
        direction: Which values are better.
        unit: What the value counts.
        range: Lowest and highest possible value.
        chance: The value of exchangeable scores; a function where it depends on something: of n and k (n-way) or
            of the gallery's size (retrieval); None where no such value exists and only the null videos and
            `mismatched` tell.
        published: Kept to read old tables, never a headline.
    """

    direction: Literal["higher", "lower"]
    unit: str
    range: tuple[float, float]
    chance: float | Callable[..., float] | None = None
    published: bool = False


INF = float("inf")
PUBLISHED = partial(Fact, published=True)

FACTS: dict[str, dict[str, Fact]] = {
    "n_way_accuracy": {
        "exact": Fact("higher", "fraction", (0.0, 1.0), chance=partial(n_way_chance, definition="exact")),
        "published-top3": PUBLISHED(
            "higher", "fraction", (0.0, 1.0), chance=partial(n_way_chance, definition="published-top3")
        ),
    },
    "two_way_identification": {
        "centred-cosine": Fact("higher", "fraction", (0.0, 1.0), chance=0.5),
        "correlation": Fact("higher", "fraction", (0.0, 1.0), chance=0.5),
    },
    "retrieval": {
        "centred-cosine": Fact("lower", "rank", (1.0, INF), chance=chance_median_rank),
        "correlation": Fact("lower", "rank", (1.0, INF), chance=chance_median_rank),
    },
    "ssim": {
        "gaussian-rgb": Fact("higher", "ssim", (-1.0, 1.0)),
        "gaussian-grey": Fact("higher", "ssim", (-1.0, 1.0)),
        "published-uniform-rgb": PUBLISHED("higher", "ssim", (-1.0, 1.0)),
        "published-column": PUBLISHED("higher", "ssim", (-1.0, 1.0)),
    },
    "mse": {"clip": Fact("lower", "squared grey levels", (0.0, 255.0**2))},
    "psnr": {
        "clip": Fact("higher", "dB", (0.0, INF)),
        "frame-mean": Fact("higher", "dB", (0.0, INF)),
        "published-capped": PUBLISHED("higher", "dB", (0.0, 100.0)),
    },
    "pixel_correlation": {
        "clip": Fact("higher", "correlation", (-1.0, 1.0)),
        "frame-mean": Fact("higher", "correlation", (-1.0, 1.0)),
    },
    "hue_correlation": {
        "chroma-weighted": Fact("higher", "cosine", (-1.0, 1.0)),
        "published-cosine": PUBLISHED("higher", "cosine", (0.0, 1.0)),
    },
    "endpoint_error": {
        "relative": Fact("lower", "fraction of the truth's motion", (0.0, INF)),
        "published-farneback": PUBLISHED("lower", "pixels per frame", (0.0, INF)),
    },
    "direction_agreement": {"mean-flow": Fact("higher", "cosine", (-1.0, 1.0), chance=0.0)},
    "motion_energy_correlation": {"pymoten-96": Fact("higher", "correlation", (-1.0, 1.0))},
    "clip_similarity": {"frame-mean": Fact("higher", "cosine", (-1.0, 1.0))},
    "frame_consistency": {
        "matched": Fact("higher", "fraction", (0.0, 1.0)),
        "published-all-pairs": PUBLISHED("higher", "cosine", (-1.0, 1.0)),
        "published-adjacent-gated": PUBLISHED("higher", "cosine", (-1.0, 1.0)),
    },
    "frechet": {"gaussian": Fact("lower", "squared feature units", (0.0, INF))},
    "kid": {"polynomial-3": Fact("lower", "squared kernel units", (-INF, INF))},
    "r2": {
        "per-dimension": Fact("higher", "fraction of variance", (-INF, 1.0)),
        "pooled": Fact("higher", "fraction of variance", (-INF, 1.0)),
    },
    "correlation": {
        "per-trial": Fact("higher", "correlation", (-1.0, 1.0)),
        "per-dimension": Fact("higher", "correlation", (-1.0, 1.0), chance=0.0),
    },
    "noise_ceiling": {"ncsnr": Fact("higher", "percent of variance", (0.0, 100.0))},
    "split_half": {"spearman-brown": Fact("higher", "reliability", (-1.0, 1.0))},
    "inter_subject_correlation": {"leave-one-out": Fact("higher", "correlation", (-1.0, 1.0), chance=0.0)},
    "inter_subject_identification": {"leave-one-out": Fact("higher", "fraction", (0.0, 1.0), chance=0.5)},
}
