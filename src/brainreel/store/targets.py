"""Targets: vectors of frozen encoders, one per clip, beside the store or in a folder of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr
from jaxtyping import Float

from brainreel.cortex.windows import timeline_weights
from brainreel.errors import StoreError, UsageError, alternatives
from brainreel.files import is_disk_full, is_plain, sha256_json, write_folder
from brainreel.store.reader import Store


@dataclass(frozen=True)
class Targets:
    """The vectors of one encoder for one store.

    Attributes:
        name: The encoder.
        values: One vector (or array: tokens, latents) per row of the clips table.
        captions: Every distinct caption, for saying in words what a vector means; may be empty.
        caption_values: The captions' own vectors.
        identity: What produced them: weights, their checksum, preprocessing.
    """

    name: str
    values: Float[np.ndarray, "clips ..."]
    captions: list[str] = field(default_factory=list)
    caption_values: Float[np.ndarray, "captions dim"] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    identity: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Changes whenever the store or the encoder changes."""
        return sha256_json(self.identity)


def targets_folder(store: Store, name: str, folder: Path | None = None) -> Path:
    """Where an encoder's targets of a store lie: in the store, or below ``folder`` if that is given."""
    if not is_plain(name):
        raise UsageError(f"{name!r} cannot be the name of targets", expected="an encoder's name")
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
    """Write an encoder's arrays (``embedding``: one row per clip; ``captions``: one row per caption).

    Raises:
        StoreError: if the arrays do not fit the store, or cannot be written.
    """
    path = targets_folder(store, name, folder)
    for key, rows in (("embedding", len(store.clips)), ("captions", len(captions))):
        if key in arrays and arrays[key].shape[:1] != (rows,):
            raise StoreError(f"{name} gave {key} of the shape {arrays[key].shape}", expected=f"{rows} rows")
    for key, values in arrays.items():
        if not np.isfinite(values).all():
            raise StoreError(f"{name} gave NaN or infinite values in {key}", do="check the encoder's weights")

    def fill(beside: Path) -> None:
        group = zarr.create_group(beside)
        group.attrs.update({"identity": dict(identity), "store": store.fingerprint, "captions": captions})
        for key, values in arrays.items():
            group.create_array(key, data=np.ascontiguousarray(values, dtype=np.float32))

    try:
        write_folder(path, fill)
    except OSError as error:
        raise StoreError(
            f"targets cannot be written to {path} ({error.strerror})",
            expected="room" if is_disk_full(error) else "a folder that may be written to",
            do="free space and run the command again" if is_disk_full(error) else "give another one with --targets",
        ) from error
    return path


def targets_identity(store: Store, name: str, folder: Path | None = None) -> dict[str, Any] | None:
    """The identity of targets that exist and belong to the store as it is now, else None."""
    attributes = _attributes(targets_folder(store, name, folder))
    identity = attributes.get("identity")
    return dict(identity) if isinstance(identity, dict) and attributes.get("store") == store.fingerprint else None


def read_targets(store: Store, name: str, folder: Path | None = None) -> Targets:
    """Read what `write_targets` wrote.

    Raises:
        StoreError: if the encoder was not run on this store, or on an older version of it.
    """
    path = targets_folder(store, name, folder)
    identity = targets_identity(store, name, folder)
    elsewhere = "" if folder is None else f" --targets {folder}"
    again = f"run `brainreel encode {store.root} --encoder {name}{elsewhere}`"
    if identity is None:
        there = sorted(p.name for p in path.parent.glob("*") if p.is_dir() and is_plain(p.name))
        raise StoreError(
            f"store {store.name!r} has no targets {alternatives(name, there)} that fit its present content",
            do=again,
        )
    captions = list(_attributes(path).get("captions", []))
    try:
        arrays = {key: np.asarray(array[:]) for key, array in zarr.open_group(path, mode="r").arrays()}
        values = arrays["embedding"]
        spoken = arrays.get("captions", np.zeros((0, values.shape[1]), np.float32))
        if len(values) != len(store.clips) or (len(spoken) and len(spoken) != len(captions)):
            raise ValueError(f"{len(values)} vectors of {len(store.clips)} clips")
    except MemoryError:
        raise
    # Broken metadata and chunks surface as whatever the codec in question throws.
    except Exception as error:
        why = " ".join(str(error).split())
        raise StoreError(f"{path} cannot be read ({why})", do=f"remove it and {again}") from error
    return Targets(name, values, [str(c) for c in captions], spoken, {**identity, "store": store.fingerprint})


def _attributes(path: Path) -> dict[str, Any]:
    """What was noted beside targets; nothing if they are not there or their metadata is broken."""
    try:
        found: Any = json.loads((path / "zarr.json").read_text())["attributes"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def shifted(store: Store, targets: Targets, shift: int) -> Targets:
    """The targets that the clips would have if the descriptions were shifted circularly by ``shift`` TRs.

    The null of a continuous movie: everything about the text stays (its statistics, its autocorrelation) except
    that it no longer belongs to what was on the screen.
    """
    notes, tr_s, volumes = store.annotations, store.manifest.tr_s, store.manifest.stimulus_volumes
    clips = store.clips
    films = set() if notes is None else {*notes["stimulus"], *clips["stimulus"]}
    if notes is None or tr_s is None or volumes is None or len(films) != 1 or clips["onset_s"].isna().to_numpy().any():
        raise StoreError(
            f"store {store.name!r} has no timed annotations of one film",
            expected="a continuous stimulus, described over time",
            do="use permutations of clips for other datasets",
        )
    row = {caption: index for index, caption in enumerate(targets.captions)}
    unknown = [caption for caption in notes["caption"] if caption not in row]
    if unknown or len(targets.caption_values) != len(row):
        raise StoreError(
            f"the targets {targets.name!r} of {store.name!r} lack vectors of its annotations",
            expected="targets of a text encoder",
            do="run `brainreel encode` again with such an encoder",
        )
    weights = timeline_weights(_spans(notes), _spans(clips), tr_s, volumes, shift)
    vectors = targets.caption_values[[row[caption] for caption in notes["caption"]]]
    values = (weights @ vectors).astype(np.float32)
    identity = {**targets.identity, "shift": shift}
    return Targets(targets.name, values, targets.captions, targets.caption_values, identity)


def _spans(table: pd.DataFrame) -> Float[np.ndarray, "rows 2"]:
    onset_s = table["onset_s"].to_numpy(dtype=float)
    return np.stack([onset_s, onset_s + table["duration_s"].to_numpy(dtype=float)], axis=1)
