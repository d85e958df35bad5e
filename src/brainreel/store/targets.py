"""Targets: vectors of frozen encoders, one per clip, beside the store or in a folder of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from jaxtyping import Float

from brainreel.cortex.windows import timeline_weights
from brainreel.errors import StoreError, alternatives
from brainreel.files import sha256_json, write_folder
from brainreel.store.reader import Store


@dataclass(frozen=True)
class Targets:
    """The vectors of one encoder for one store.

    Attributes:
        name: The encoder.
        values: One vector per row of the clips table.
        captions: Every distinct caption, for saying in words what a vector means; may be empty.
        caption_values: The captions' own vectors.
        identity: What produced them: weights, their checksum, preprocessing.
    """

    name: str
    values: Float[np.ndarray, "clips dim"]
    captions: list[str] = field(default_factory=list)
    caption_values: Float[np.ndarray, "captions dim"] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    identity: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Changes whenever the store or the encoder changes."""
        return sha256_json(self.identity)


def targets_folder(store: Store, name: str, folder: Path | None = None) -> Path:
    """Where an encoder's targets of a store lie: in the store, or below ``folder`` if that is given."""
    root = store.root if folder is None else folder / store.name
    return root / "targets.zarr" / name


def write_targets(
    store: Store,
    name: str,
    arrays: Mapping[str, np.ndarray],
    identity: Mapping[str, Any],
    captions: list[str],
    folder: Path | None = None,
) -> Path:
    """Write an encoder's arrays (``embedding``: one row per clip; ``captions``: one row per caption)."""
    path = targets_folder(store, name, folder)

    def fill(beside: Path) -> None:
        group = zarr.create_group(beside)
        group.attrs.update({"identity": dict(identity), "store": store.fingerprint, "captions": captions})
        for key, values in arrays.items():
            group.create_array(key, data=np.ascontiguousarray(values, dtype=np.float32))

    write_folder(path, fill)
    return path


def targets_identity(store: Store, name: str, folder: Path | None = None) -> dict[str, Any] | None:
    """The identity of targets that exist and belong to the store as it is now, else None."""
    path = targets_folder(store, name, folder)
    if not (path / "zarr.json").is_file():
        return None
    attributes = zarr.open_group(path, mode="r").attrs.asdict()
    return dict(attributes["identity"]) if attributes.get("store") == store.fingerprint else None


def read_targets(store: Store, name: str, folder: Path | None = None) -> Targets:
    """Read what `write_targets` wrote.

    Raises:
        StoreError: if the encoder was not run on this store, or on an older version of it.
    """
    path = targets_folder(store, name, folder)
    identity = targets_identity(store, name, folder)
    if identity is None:
        there = sorted(p.name for p in path.parent.glob("*") if p.is_dir()) if path.parent.is_dir() else []
        raise StoreError(
            f"store {store.name!r} has no targets {alternatives(name, there)} that fit its present content",
            do=f"run `brainreel encode {store.root} --encoder {name}{'' if folder is None else f' --targets {folder}'}`",
        )
    group = zarr.open_group(path, mode="r")
    arrays = {key: np.asarray(array[:]) for key, array in group.arrays()}
    return Targets(
        name,
        arrays["embedding"],
        [str(caption) for caption in json.loads(json.dumps(group.attrs["captions"]))],
        arrays.get("captions", np.zeros((0, arrays["embedding"].shape[1]), np.float32)),
        {**identity, "store": store.fingerprint},
    )


def shifted(store: Store, targets: Targets, shift: int) -> Targets:
    """The targets that the clips would have if the descriptions were shifted circularly by ``shift`` TRs.

    The null of a continuous movie: everything about the text stays (its statistics, its autocorrelation) except
    that it no longer belongs to what was on the screen.
    """
    notes, tr_s, volumes = store.annotations, store.manifest.tr_s, store.manifest.stimulus_volumes
    if notes is None or tr_s is None or volumes is None:
        raise StoreError(f"store {store.name!r} has no timed annotations", expected="a continuous stimulus")
    spans = np.stack([notes["onset_s"], notes["onset_s"] + notes["duration_s"]], axis=1).astype(float)
    clips = store.clips
    windows = np.stack([clips["onset_s"], clips["onset_s"] + clips["duration_s"]], axis=1).astype(float)
    weights = timeline_weights(spans, windows, tr_s, volumes, shift)
    row = {caption: index for index, caption in enumerate(targets.captions)}
    vectors = targets.caption_values[[row[caption] for caption in notes["caption"]]]
    values = (weights @ vectors).astype(np.float32)
    identity = {**targets.identity, "shift": shift}
    return Targets(targets.name, values, targets.captions, targets.caption_values, identity)
