"""Small videos with known motion, and distortions of them."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter


def moving_texture(clips: int, frames: int = 6, size: int = 64, step: int = 2, seed: int = 0) -> np.ndarray:
    """Smooth coloured textures that drift right by `step` pixels a frame."""
    rng = np.random.default_rng(seed)
    wide = rng.normal(size=(clips, size, size + step * frames, 3))
    wide = gaussian_filter(wide, (0, 3, 3, 0), mode="wrap")
    wide = (255 * (wide - wide.min()) / np.ptp(wide)).astype(np.uint8)
    starts = [step * (frames - f) for f in range(frames)]
    return np.stack([wide[:, :, start : start + size] for start in starts], axis=1)


def noisy(videos: np.ndarray, sd: float, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sd, videos.shape)
    return np.clip(videos + noise, 0, 255).astype(np.uint8)
