"""Small clips with known motion."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter


def moving(clips: int, frames: int = 4, size: int = 32, step: int = 1, seed: int = 0) -> np.ndarray:
    """Smooth coloured textures, each drifting into its own direction."""
    rng = np.random.default_rng(seed)
    out = np.empty((clips, frames, size, size, 3), np.uint8)
    for clip in out:
        texture = gaussian_filter(rng.normal(size=(size, size, 3)), (2, 2, 0), mode="wrap")
        texture = (255 * (texture - texture.min()) / np.ptp(texture)).astype(np.uint8)
        down, right = rng.choice([-step, step], 2)
        for index in range(frames):
            clip[index] = np.roll(texture, (index * down, index * right), (0, 1))
    return out


def noisy(videos: np.ndarray, sd: float, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sd, videos.shape)
    return np.clip(videos + noise, 0, 255).astype(np.uint8)


def rows_of(document: dict, strategy: str) -> dict[tuple[str, str], dict]:
    return {(r["metric"], r["definition"]): r for r in document["scores"] if r["strategy"] == strategy}
