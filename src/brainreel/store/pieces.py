"""Responses of one subject in pieces, for stores that are larger than memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int

from brainreel.cortex.windows import Context
from brainreel.store.arrays import array_pieces, open_array
from brainreel.store.reader import Store


def response_pieces(
    store: Store, subject: str, rows: Int[np.ndarray, " trials"], contexts: Sequence[Context] = ()
) -> Iterator[tuple[Int[np.ndarray, " some"], Float[np.ndarray, "some features"]]]:
    """What `Store.responses` returns, a piece at a time: positions in ``rows`` and the responses of these trials.

    A piece is a chunk of an event release's array, or a run of a continuous one. Pieces come in the order of the
    store's files and hold every trial once. Arrays are compared with their checksums at their ends: use what was
    made of the pieces only after the last one.

    Raises:
        UsageError, StoreError: as `Store.responses`.
    """
    order = store.order(subject, rows)
    if store.manifest.kind == "event":
        yield from _chunks(store, subject, order, contexts or (Context(group=store.manifest.groups[0]),))
        return
    run = store.trials["run"].to_numpy(dtype=str)[rows]
    for name in dict.fromkeys(run.tolist()):
        here = np.flatnonzero(run == name)
        yield here, store.responses(subject, rows[here], contexts)
        store.forget()


def _chunks(
    store: Store, subject: str, order: Int[np.ndarray, " trials"], contexts: Sequence[Context]
) -> Iterator[tuple[Int[np.ndarray, " some"], Float[np.ndarray, "some features"]]]:
    paths = store.event_arrays(subject, contexts)
    arrays = [open_array(store.root / path) for path in paths]
    for path, array in zip(paths, arrays, strict=True):
        store.refuse_short(path, array.shape[0], order)
    step = max(array.chunks[0] for array in arrays)
    pieces = [array_pieces(store.root / path, step) for path in paths]
    for index, parts in enumerate(zip(*pieces, strict=True)):
        here = np.flatnonzero((order >= index * step) & (order < (index + 1) * step))
        if len(here):
            chosen = order[here] - index * step
            yield here, np.concatenate([part[chosen].astype(np.float32) for part in parts], axis=1)
