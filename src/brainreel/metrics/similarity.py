"""Does the reconstruction show, frame by frame, what the truth shows? Cosines in the space of an image encoder."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped

from ..errors import UsageError

DEFINITIONS: dict[str, dict[str, str]] = {
    "clip_similarity": {
        "frame-mean": "Mean over frames of the cosine of the image encoder's features (CLIP's, in the field) of the "
        "true and the reconstructed frame; unrelated clips are far above 0, so only `mismatched` is its level."
    }
}

# Checked below, which answers in a sentence.
Features = Shaped[np.ndarray, "..."]


def clip_similarity(truth: Features, recon: Features) -> Float[np.ndarray, " clips"]:
    """Mean over frames of the cosine of both sides' features: −1 to 1, higher is better, symmetric.

    No chance level exists: an encoder's vectors share a direction, so that unrelated natural images score about
    0.5 under CLIP; read it beside `mismatched`. A frame without direction (a zero vector) makes its clip NaN.

    Args:
        truth: Features of the true frames, (clips, frames, dimension).
        recon: Features of the reconstructed frames, of the same shape.

    Raises:
        UsageError: Unequal shapes, or not (clips, frames, dimension).
    """
    if truth.shape != recon.shape or truth.ndim != 3:
        raise UsageError(
            f"features of the truth of shape {truth.shape}, of the reconstruction {recon.shape}",
            expected="both (clips, frames, dimension)",
        )
    x, y = (side.astype(np.float64) for side in (truth, recon))
    lengths = np.linalg.norm(x, axis=2) * np.linalg.norm(y, axis=2)
    cosines = np.divide((x * y).sum(axis=2), lengths, out=np.full(lengths.shape, np.nan), where=lengths > 0)
    return cosines.mean(axis=1)
