"""Responses without any truth: rows of a NumPy file, or trials of a store, and who of a model's people reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from brainreel.align.aligner import Aligner
from brainreel.align.newcomers import adapt
from brainreel.datasets.folder_files import read_table
from brainreel.errors import SourceError, UsageError, alternatives
from brainreel.files import is_plain
from brainreel.pipeline.newcomers import model_spaces
from brainreel.store.reader import Store

EXPECTED = "a store, or a .npy file of numbers (trials, features), features as the model was trained on"


class Read(NamedTuple):
    """What stage 1 makes of new responses.

    Attributes:
        embedding: One row per trial.
        name: What each trial is of; trials of the same name are averaged later.
        subject: ``dataset/subject`` of the trained person whose adapter read them, or the name of a newcomer.
        zero_shot: Whether nobody of that name was trained on, so that what all adapters have in common read them.
        left_out: Trials of a store that were not read, since the model was trained on what they show.
    """

    embedding: Float[np.ndarray, "trials dim"]
    name: Shaped[np.ndarray, " trials"]
    subject: str
    zero_shot: bool
    left_out: int = 0


def read_responses(model: Aligner, path: Path, subject: str, clips: Sequence[str] | None = None) -> Read:
    """Embed new responses of somebody the model was trained on, or zero-shot of anybody else.

    Args:
        model: Stage 1.
        path: A store; or ``.npy`` (trials, features), with the names of its trials in the column ``clip_id`` of a
            table of the same name that ends in ``.tsv``, if there is one.
        subject: Whose, as ``subject`` or ``dataset/subject``.
        clips: Only these; default: of a store, all that the model was not trained on; of a file, all.

    Raises:
        UsageError: nobody's responses look like this, or such a person cannot be read.
        SourceError: the file is not what it should be.
        StoreError: the store is damaged.
    """
    return (_from_store if path.is_dir() else _from_file)(model, path, subject, clips)


def _from_store(model: Aligner, path: Path, subject: str, clips: Sequence[str] | None) -> Read:
    store = Store(path)
    dataset, _, who = subject.rpartition("/")
    if dataset not in ("", store.name):
        raise UsageError(
            f"--subject {subject}", expected=f"somebody of store {store.name!r}", do="leave out the dataset"
        )
    rows = store.rows(who)
    trained = model.origin_.trained(store)[store.clip_index(rows)]
    names = store.trials["clip_id"].to_numpy(dtype=str)[rows]
    keep = ~trained if clips is None else _wanted(names, clips, f"{who} of store {store.name!r}")
    if not keep.any():
        raise UsageError(
            f"the model was trained on every clip that {who} of store {store.name!r} saw",
            expected="new responses",
            do="name clips with --clips to see them all the same",
        )
    rows, key = rows[keep], f"{store.name}/{who}"
    zero_shot = key not in model.subjects_
    if zero_shot:
        recording = model.recording(store, who, rows)
        _known_space(model, recording.space, who)
        embedding = adapt(model, None)(recording)
    else:
        embedding = model.embed(store, who, rows=rows)
    return Read(embedding, names[keep], key, zero_shot, int((~keep).sum()) if clips is None else 0)


def _from_file(model: Aligner, path: Path, subject: str, clips: Sequence[str] | None) -> Read:
    values = _numbers(path)
    names = _names(path, len(values))
    if clips is not None:
        keep = _wanted(names, clips, str(path))
        values, names = values[keep], names[keep]
    known = [name for name in model.subjects_ if subject in (name, name.split("/", 1)[1])]
    if len(known) > 1:
        raise UsageError(f"--subject {subject} is ambiguous", expected=f"one of {', '.join(known)}")
    if known:
        features = len(model.decoder_.scalings[known[0]].mean)
        _same_width(values, {known[0]: features}, path)
        return Read(model.decoder_.embed(known[0], values), names, known[0], False)
    widths = {space: len(model.decoder_.population(space).mean) for space in model_spaces(model)}
    fitting = _same_width(values, widths, path)
    if len(fitting) > 1:
        raise UsageError(
            f"{path} has {values.shape[1]} features, which fits {' and '.join(fitting)}",
            expected="one space that somebody nobody trained on can lie in",
            do="ingest the recordings into a store, which knows their space",
        )
    return Read(model.decoder_.embed_newcomer(fitting[0], values), names, subject, True)


def _numbers(path: Path) -> Float[np.ndarray, "trials features"]:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = "there is no such file" if not path.exists() else "it is no array of numbers"
        raise SourceError(f"{path} cannot be read ({reason})", expected=EXPECTED, do="check the path") from error
    if not isinstance(values, np.ndarray) or values.ndim != 2 or not len(values) or values.dtype.kind not in "iuf":
        got = f"shape {values.shape} of {values.dtype}" if isinstance(values, np.ndarray) else "several arrays"
        raise SourceError(f"{path} holds {got}", expected=EXPECTED)
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(1))[0])
        raise SourceError(f"{path} holds values that are not finite, first in row {row}", expected="finite numbers")
    return values


def _names(path: Path, count: int) -> Shaped[np.ndarray, " trials"]:
    """What each row is called; rows that nobody named are numbered from 1."""
    table = path.with_suffix(".tsv")
    if not table.is_file():
        return np.array([f"trial-{row + 1:04d}" for row in range(count)])
    names = read_table(table, ("clip_id",), ("clip_id",))["clip_id"].to_numpy(dtype=str)
    if len(names) != count:
        raise SourceError(f"{table} has {len(names)} rows", expected=f"{count}, as {path.name} has")
    if bad := [name for name in names.tolist() if not is_plain(name)]:
        raise SourceError(f"{table} names a trial {bad[0]!r}", expected="names that a file can have")
    return names


def _wanted(names: np.ndarray, clips: Sequence[str], where: str) -> np.ndarray:
    there = list(dict.fromkeys(names.tolist()))
    for clip in clips:
        if clip not in there:
            few = [*there[:8], "…"] if len(there) > 8 else there
            raise UsageError(f"{where} has no trial of the clip {alternatives(clip, few)}")
    return np.isin(names, list(clips))


def _same_width(values: np.ndarray, widths: dict[str, int], path: Path) -> list[str]:
    found = [name for name, width in widths.items() if width == values.shape[1]]
    if not found:
        told = ", ".join(f"{width} ({name})" for name, width in widths.items())
        raise UsageError(
            f"{path} has {values.shape[1]} features a trial", expected=told or "a model that knows newcomers"
        )
    return found


def _known_space(model: Aligner, space: str, who: str) -> None:
    known = model_spaces(model)
    if known and space not in known:
        raise UsageError(
            f"{who} lies in the space {alternatives(space, known)}",
            expected="a space the model was trained in",
            do="ingest the recordings in that space",
        )
