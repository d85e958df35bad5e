"""Does the reconstruction change over time as much as the truth does?"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped

from ..errors import UsageError, alternatives

DEFINITIONS: dict[str, dict[str, str]] = {
    "frame_consistency": {
        "matched": "max(0, 1-|c_recon-c_truth|/(1-c_truth)), c the mean cosine of adjacent frames' features; "
        "a still image scores 0, a still truth is NaN.",
        "published-all-pairs": "Mean cosine over all ordered pairs of different frames of the reconstruction "
        "(NEURONS); a still image scores 1.",
        "published-adjacent-gated": "Mean cosine of the reconstruction's adjacent frames, 0 where the clip's "
        "similarity with the truth is at most 0.6 (Mind-Animator); zeros count in the mean.",
    }
}

# Checked in `_directions`, which answers in a sentence.
Features = Shaped[np.ndarray, "..."]

GATE = 0.6
# 1 − c of frames that are the same but for float32 rounding.
STILL = 1e-6


def frame_consistency(
    truth: Features,
    recon: Features,
    *,
    definition: str = "matched",
    similarity: Float[np.ndarray, " clips"] | None = None,
) -> Float[np.ndarray, " clips"]:
    """Whether the reconstruction changes as much from frame to frame as the truth. Higher is better.

    `matched` ranges over [0, 1]: too still and too restless both lose. The published ones range over [−1, 1],
    look at the reconstruction only, and a still image wins them.

    Args:
        truth: Features of the true frames, (clips, frames, dimension), e.g. of CLIP.
        recon: Features of the reconstructed frames, of the same shape.
        definition: A key of `DEFINITIONS["frame_consistency"]`.
        similarity: Clip-level similarity of reconstruction and truth (the field uses ViFi-CLIP's cosine);
            `published-adjacent-gated` needs it and only that.

    Raises:
        UsageError: Unequal shapes, under two frames, non-finite features, or a similarity missing or amiss.
    """
    known = DEFINITIONS["frame_consistency"]
    if definition not in known:
        raise UsageError(f"unknown definition of frame_consistency: {alternatives(definition, known)}")
    if truth.shape != recon.shape or truth.ndim != 3 or truth.shape[1] < 2:
        raise UsageError(
            f"features of the truth of shape {truth.shape}, of the reconstruction {recon.shape}",
            expected="both (clips, frames, dimension) with at least two frames",
        )
    _check_similarity(similarity, definition, len(recon))
    changes = _directions(recon, "reconstruction")
    if definition == "published-all-pairs":
        frames = recon.shape[1]
        total = (changes.sum(axis=1) ** 2).sum(axis=1) - (changes**2).sum(axis=(1, 2))
        return total / (frames * (frames - 1))
    c_recon = _adjacent(changes)
    if definition == "published-adjacent-gated":
        assert similarity is not None
        return np.where(similarity > GATE, c_recon, 0.0)
    c_truth = _adjacent(_directions(truth, "truth"))
    span = np.where(1 - c_truth > STILL, 1 - c_truth, np.nan)
    return np.maximum(0.0, 1 - np.abs(c_recon - c_truth) / span)


def _adjacent(directions: Float[np.ndarray, "clips frames dimension"]) -> Float[np.ndarray, " clips"]:
    return (directions[:, 1:] * directions[:, :-1]).sum(axis=2).mean(axis=1)


def _directions(features: Features, whose: str) -> Float[np.ndarray, "clips frames dimension"]:
    """Unit vectors in float64; a zero vector has no direction and becomes NaN."""
    x = features.astype(np.float64)
    if not np.isfinite(x).all():
        raise UsageError(f"features of the {whose} contain NaN or infinity", expected="finite features")
    length = np.linalg.norm(x, axis=2, keepdims=True)
    return x / np.where(length > 0, length, np.nan)


def _check_similarity(similarity: Float[np.ndarray, " clips"] | None, definition: str, clips: int) -> None:
    gated = definition == "published-adjacent-gated"
    if gated != (similarity is not None) or (similarity is not None and similarity.shape != (clips,)):
        got = "no similarity" if similarity is None else f"a similarity of shape {similarity.shape}"
        raise UsageError(
            f"{got} with definition {definition!r}",
            expected=f"one value for each of {clips} clips" if gated else "none",
        )
