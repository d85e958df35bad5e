"""Running an encoder over the clips of stores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from brainreel.encoders.clip import Clip
from brainreel.encoders.latents import Latents
from brainreel.encoders.prompt import Prompt
from brainreel.encoders.protocol import Encoder, Progress
from brainreel.encoders.text_minilm import TextMiniLM
from brainreel.errors import UsageError, alternatives
from brainreel.progress import track
from brainreel.store.reader import Store
from brainreel.store.targets import targets_folder, targets_identity, write_targets

ENCODERS: dict[str, type[Encoder]] = {
    "text-minilm": TextMiniLM,
    "clip": Clip,
    "latents": Latents,
    "prompt": Prompt,
}
# Which of `encode`'s own settings an encoder understands.
SETTINGS: dict[str, tuple[str, ...]] = {"latents": ("size", "frames")}


def encode(
    stores: Sequence[Store | Path | str],
    *,
    encoder: str = "text-minilm",
    weights: str | None = None,
    targets: Path | None = None,
    device: str = "cpu",
    size: tuple[int, int] | None = None,
    frames: int | None = None,
) -> list[Path]:
    """Compute the targets of every clip of the stores, unless they are there already.

    Args:
        stores: Stores or their folders.
        encoder: A name in `ENCODERS`.
        weights: A hub id or a local folder; default: the encoder's own.
        targets: Write below this folder instead of into the stores (for stores that are read only).
        device: Where to compute.
        size: (height, width) that videos are resampled to (``latents`` only); default: what fits the clips.
        frames: How many frames per clip (``latents`` only); default: what fits the clips.

    Returns:
        The folder of each store's targets, ``(clips, …)`` in the array ``embedding``.

    Raises:
        UsageError: no such encoder, or a setting that it does not have.
        WeightsError: its network cannot be loaded.
        StoreError: clips without videos or captions, or a folder that cannot be written to.
    """
    identity = identity_of(encoder, weights, size=size, frames=frames)
    opened = [store if isinstance(store, Store) else Store(store) for store in stores]
    todo = [store for store in opened if targets_identity(store, encoder, targets) != identity]
    if todo:
        network = ENCODERS[encoder](weights, device, **_settings(encoder, size, frames))
        for store in todo:
            made = network.encode_store(store, _shown(f"encode {store.name}"))
            write_targets(store, encoder, made.arrays, identity, made.captions, targets)
    return [targets_folder(store, encoder, targets) for store in opened]


def identity_of(
    encoder: str,
    weights: str | None,
    *,
    size: tuple[int, int] | None = None,
    frames: int | None = None,
) -> dict[str, Any]:
    """What makes an encoder's vectors these vectors, found without loading it.

    Raises:
        UsageError: if there is no such encoder, or it does not have such a setting.
    """
    if encoder not in ENCODERS:
        raise UsageError(f"there is no encoder {alternatives(encoder, ENCODERS)}")
    return ENCODERS[encoder].identify(weights, **_settings(encoder, size, frames))


def _settings(encoder: str, size: tuple[int, int] | None, frames: int | None) -> dict[str, Any]:
    given = {name: value for name, value in (("size", size), ("frames", frames)) if value is not None}
    if odd := [name for name in given if name not in SETTINGS.get(encoder, ())]:
        takers = [name for name, known in SETTINGS.items() if odd[0] in known]
        raise UsageError(f"encoder {encoder!r} takes no {odd[0]}", expected=f"it only with {', '.join(takers)}")
    return given


def _shown(what: str) -> Progress:
    def progress(items: Iterable[Any], total: int) -> Iterable[Any]:
        return track(items, what, total)

    return progress
