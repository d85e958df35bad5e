"""The captions of a store's clips: which there are, which come first, how much each counts."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from brainreel.errors import StoreError
from brainreel.store.reader import Store


def distinct_captions(store: Store) -> list[str]:
    """Every caption of the clips and of the annotations once, in order of appearance."""
    said = [caption for row in store.clips["captions"] for caption in row]
    if store.annotations is not None:
        said += list(store.annotations["caption"])
    return list(dict.fromkeys(said))


def first_captions(store: Store) -> list[str]:
    """Each clip's first caption.

    Raises:
        StoreError: a clip has none.
    """
    need_captions(store)
    return [row[0] for row in store.clips["captions"]]


def caption_weights(store: Store) -> tuple[list[str], Float[np.ndarray, "clips captions"]]:
    """The distinct captions of a store, and how much each counts in each clip (equal shares if none are given).

    Raises:
        StoreError: a clip has none.
    """
    need_captions(store)
    clips, captions = store.clips, distinct_captions(store)
    column = {caption: index for index, caption in enumerate(captions)}
    mixing = np.zeros((len(clips), len(captions)))
    for row, (texts, weights) in enumerate(zip(clips["captions"], clips["caption_weights"], strict=True)):
        shares = weights or [1 / len(texts)] * len(texts)
        np.add.at(mixing[row], [column[text] for text in texts], shares)
    return captions, mixing


def need_captions(store: Store) -> None:
    """Refuse a store with clips that nobody described.

    Raises:
        StoreError: naming the first.
    """
    clips = store.clips
    bare = [clip for clip, row in zip(clips["clip_id"], clips["captions"], strict=True) if not row]
    if bare:
        raise StoreError(
            f"{len(bare)} clips of {store.name!r} have no caption, {bare[0]!r} first",
            expected="at least one caption per clip for a text encoder",
            do="add captions to the release's clip list and ingest again",
        )
