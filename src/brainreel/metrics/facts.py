"""What a reader of a score must know beside its value: the better direction, the unit, the chance level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from .nway import n_way_chance


@dataclass(frozen=True)
class Fact:
    """One definition of one metric.

    Args:
        direction: Which values are better.
        unit: What the value counts.
        range: Lowest and highest possible value.
        chance: The value of exchangeable scores; a function of n and k where it depends on them; None where
            no such value exists and only the null videos and `mismatched` tell.
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
    "frame_consistency": {
        "matched": Fact("higher", "fraction", (0.0, 1.0)),
        "published-all-pairs": PUBLISHED("higher", "cosine", (-1.0, 1.0)),
        "published-adjacent-gated": PUBLISHED("higher", "cosine", (-1.0, 1.0)),
    },
}
