"""Running an encoder over the clips of stores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from brainreel.encoders.text_minilm import TextMiniLM, identify
from brainreel.errors import StoreError, UsageError, alternatives
from brainreel.progress import track
from brainreel.store.reader import Store
from brainreel.store.targets import targets_folder, targets_identity, write_targets

ENCODERS = {"text-minilm": TextMiniLM}
_IDENTITIES = {"text-minilm": identify}


def encode(
    stores: Sequence[Store | Path | str],
    *,
    encoder: str = "text-minilm",
    weights: str | None = None,
    targets: Path | None = None,
    device: str = "cpu",
) -> list[Path]:
    """Compute the targets of every clip of the stores, unless they are there already.

    Args:
        stores: Stores or their folders.
        encoder: A name in `ENCODERS`.
        weights: A hub id or a local folder; default: the encoder's own.
        targets: Write below this folder instead of into the stores (for stores that are read only).
        device: Where to compute.

    Returns:
        The folder of each store's targets, ``(clips, dim)`` in the array ``embedding``.
    """
    identity = identity_of(encoder, weights)
    opened = [store if isinstance(store, Store) else Store(store) for store in stores]
    todo = [store for store in opened if targets_identity(store, encoder, targets) != identity]
    if todo:
        network = ENCODERS[encoder](weights, device)
        for store in todo:
            captions, mixing = caption_weights(store)
            vectors = network.encode(captions, partial(track, what=f"encode {store.name}"))
            arrays = {"embedding": mixing @ vectors, "captions": vectors}
            write_targets(store, encoder, arrays, identity, captions, targets)
    return [targets_folder(store, encoder, targets) for store in opened]


def identity_of(encoder: str, weights: str | None) -> dict[str, Any]:
    """What makes an encoder's vectors these vectors, found without loading it.

    Raises:
        UsageError: if there is no such encoder.
    """
    if encoder not in ENCODERS:
        raise UsageError(f"there is no encoder {alternatives(encoder, ENCODERS)}")
    return _IDENTITIES[encoder](weights)


def caption_weights(store: Store) -> tuple[list[str], Float[np.ndarray, "clips captions"]]:
    """The distinct captions of a store, and how much each counts in each clip (equal shares if none are given)."""
    clips = store.clips
    captions = list(dict.fromkeys(caption for row in clips["captions"] for caption in row))
    if store.annotations is not None:
        captions = list(dict.fromkeys([*captions, *store.annotations["caption"]]))
    bare = [clip for clip, row in zip(clips["clip_id"], clips["captions"], strict=True) if not row]
    if bare:
        raise StoreError(
            f"{len(bare)} clips of {store.name!r} have no caption, {bare[0]!r} first",
            expected="at least one caption per clip for a text encoder",
            do="add captions to the release's clip list and ingest again",
        )
    column = {caption: index for index, caption in enumerate(captions)}
    mixing = np.zeros((len(clips), len(captions)))
    for row, (texts, weights) in enumerate(zip(clips["captions"], clips["caption_weights"], strict=True)):
        shares = weights or [1 / len(texts)] * len(texts)
        np.add.at(mixing[row], [column[text] for text in texts], shares)
    return captions, mixing
