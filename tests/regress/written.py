"""Targets written by hand from captions: words as random vectors, so that clips that share words are alike."""

from __future__ import annotations

import numpy as np

from brainreel.store import Store
from brainreel.store.targets import write_targets

DIM, TOKENS = 16, 12


def word(text: str) -> np.ndarray:
    return np.random.default_rng(list(text.encode())).normal(size=DIM).astype(np.float32)


def sentence(text: str) -> np.ndarray:
    return np.mean([word(part) for part in text.split()], axis=0)


def tokens(text: str) -> np.ndarray:
    """(tokens, dim), padded with zeros."""
    out = np.zeros((TOKENS, DIM), np.float32)
    for place, part in enumerate(text.split()[:TOKENS]):
        out[place] = word(part)
    return out


def write_words(store: Store) -> None:
    """What stage 1 is trained towards, with the vectors of all captions."""
    said = sorted({caption for captions in store.clips["captions"] for caption in captions})
    values = np.stack([np.mean([sentence(caption) for caption in row], axis=0) for row in store.clips["captions"]])
    arrays = {"embedding": values, "captions": np.stack([sentence(caption) for caption in said])}
    write_targets(store, "words", arrays, {"by": "hand"}, said)


def write_conditions(store: Store, folder=None, conditions=("prompt", "latents"), side: int = 3) -> None:
    """What stage 2 is trained towards."""
    first = [captions[0] for captions in store.clips["captions"]]
    values = {
        "prompt": np.stack([tokens(caption) for caption in first]),
        "clip": np.stack([sentence(caption) for caption in first]),
        "latents": np.stack([sentence(caption) for caption in first])[:, :, None, None, None]
        * np.linspace(1, 2, 2 * side * side, dtype=np.float32).reshape(2, side, side),
    }
    for name in conditions:
        write_targets(store, name, {"embedding": values[name]}, {"by": "hand"}, [], folder)
