"""Which clips look alike: a perceptual hash of five frames finds candidates, their small frames decide.

The hash is the DCT hash of Zauner (2010, «Implementation and benchmarking of perceptual image hash functions»): the
signs of a small grey frame's low frequencies, here without those too weak to have a reliable one. It is the same
after re-encoding, at another size or rate, brighter or darker, and a mirrored frame's is known without computing it
again: odd horizontal frequencies change sign. Other crops, cuts, speeds, or a caption across the picture are not found.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from brainreel.store.thumbnails import SIDE

ALIKE_HASH = 0.6
"""Candidates: cosine of the hashes at least this (1 − 2 × the share of bits that differ)."""
ALIKE_PICTURES = 0.35
"""Alike: root mean square difference of the frames, in units of their own contrast, at most this."""
_FREQUENCIES = 8
# A frequency weaker than this, in grey levels, says nothing.
_WEAK = 4.0
# Clips without structure (a black screen) look like one another, which tells nothing.
_FLAT = 2.0
_CHUNK = 1024

Thumbs = UInt8[np.ndarray, "clips frames side side 3"]


class Pair(NamedTuple):
    """Two clips that look alike: their rows, how far apart they are (0 is identical), and if one is mirrored."""

    one: int
    other: int
    distance: float
    mirrored: bool


def hashes(thumbs: Thumbs) -> Float[np.ndarray, "clips bits"]:
    """The signs of the low frequencies, −1, 0 (too weak) or 1, scaled to length 1; zeros for a clip without structure."""
    grey = thumbs.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    wave = _dct()[:_FREQUENCIES]
    low = np.einsum("ai,nfij,bj->nfab", wave, grey, wave, optimize=True).reshape(*grey.shape[:2], -1)[..., 1:]
    signs = np.where(np.abs(low) > _WEAK, np.sign(low), 0).reshape(len(thumbs), -1).astype(np.float32)
    signs[~structured(thumbs)] = 0
    return signs / np.maximum(np.linalg.norm(signs, axis=1, keepdims=True), 1)


def mirrored(signs: Float[np.ndarray, "clips bits"]) -> Float[np.ndarray, "clips bits"]:
    """The hashes of the same clips, left and right exchanged."""
    flip = np.tile((-1.0) ** np.arange(_FREQUENCIES), (_FREQUENCIES, 1)).ravel()[1:]
    return signs * np.tile(flip, signs.shape[1] // len(flip)).astype(np.float32)


def structured(thumbs: Thumbs) -> Bool[np.ndarray, " clips"]:
    """Which clips show anything: some contrast inside their frames."""
    return thumbs.astype(np.float32).std(axis=(2, 3)).mean(axis=(1, 2)) > _FLAT


def lookalikes(thumbs: Thumbs, apart: Int[np.ndarray, " clips"] | None = None) -> list[Pair]:
    """All pairs of clips that look alike, nearest first.

    Args:
        thumbs: Of all clips.
        apart: Clips with the same number are parts of one film and are not compared.
    """
    signs = hashes(thumbs)
    sides = ((False, signs), (True, mirrored(signs)))
    found: dict[tuple[int, int], Pair] = {}
    for start in range(0, len(thumbs), _CHUNK):
        for is_mirrored, others in sides:
            alike = signs[start : start + _CHUNK] @ others[start:].T >= ALIKE_HASH
            one, other = (index + start for index in np.nonzero(alike))
            keep = one < other
            if apart is not None:
                keep &= apart[one] != apart[other]
            one, other = one[keep], other[keep]
            for first in range(0, len(one), _CHUNK):
                a, b = one[first : first + _CHUNK], other[first : first + _CHUNK]
                pictures = thumbs[b][:, :, :, ::-1] if is_mirrored else thumbs[b]
                for i, j, far in zip(a.tolist(), b.tolist(), difference(thumbs[a], pictures).tolist(), strict=True):
                    if far <= ALIKE_PICTURES and ((i, j) not in found or far < found[i, j].distance):
                        found[i, j] = Pair(i, j, far, is_mirrored)
    return sorted(found.values(), key=lambda pair: (pair.distance, pair.one, pair.other))


def difference(one: Thumbs, other: Thumbs) -> Float[np.ndarray, " clips"]:
    """Root mean square difference of clips in pairs, each minus its mean colour and over its own contrast."""
    return np.sqrt(np.square(_normal(one) - _normal(other)).mean(axis=(1, 2, 3, 4)))


def _normal(thumbs: Thumbs) -> Float[np.ndarray, "clips frames side side 3"]:
    values = thumbs.astype(np.float32)
    values -= values.mean(axis=(1, 2, 3), keepdims=True)
    return values / np.maximum(values.std(axis=(1, 2, 3, 4), keepdims=True), 1)


def _dct() -> Float[np.ndarray, "side side"]:
    """The orthonormal DCT-II: rows are waves."""
    wave = np.cos(np.pi * np.arange(SIDE)[:, None] * (np.arange(SIDE) + 0.5) / SIDE) * np.sqrt(2 / SIDE)
    wave[0] /= np.sqrt(2)
    return wave.astype(np.float32)
