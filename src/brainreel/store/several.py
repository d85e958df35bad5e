"""Folds over several stores that are trained on together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from brainreel.errors import FoldError
from brainreel.store.reader import Store

Folds = str | Mapping[str, str] | None
"""One name for all stores, or store → name; None: each store's own first folds."""


def folds_of(store: Store, folds: Folds) -> str | None:
    """The name of a store's folds; None if none is asked for and the store has none."""
    if isinstance(folds, Mapping):
        return folds[store.name]
    return folds or (store.manifest.folds[0] if store.manifest.folds else None)


def roles_in(store: Store, folds: Folds, fold: int) -> np.ndarray:
    """Each trial's role; everything trains in a store without folds.

    Where stores have names of their own, one that has a single fold takes part with it in all folds of the others.
    """
    name = folds_of(store, folds)
    if name is None:
        return np.full(len(store.trials), "train")
    only = isinstance(folds, Mapping) and store.folds(name).shape[1] == 1
    return store.roles(name, 0 if only else fold)


def agreed_folds(stores: Sequence[Store], folds: str | None) -> tuple[str | dict[str, str], int]:
    """What a training on several stores goes by, and how many folds that makes.

    Args:
        stores: The stores.
        folds: A name that all of them have; None: each store's own first folds.

    Returns:
        The name (a single store), or store → name; the number of folds.

    Raises:
        FoldError: if a store has no such folds, or their numbers differ and none of the two is one.
    """
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for store in stores:
        name = folds_of(store, folds)
        if name is None:
            raise FoldError(f"store {store.name!r} has no folds", do="ingest it with folds/<name>.tsv, so it can test")
        names[store.name], counts[store.name] = name, store.folds(name).shape[1]
    several = {count for count in counts.values() if count > 1}
    if len(several) > 1:
        told = ", ".join(f"{store} has {counts[store]} ({names[store]})" for store in counts)
        raise FoldError(f"the stores' folds differ in number: {told}", expected="one number, or 1", do="choose --folds")
    return (names if len(stores) > 1 else names[stores[0].name]), max(several, default=1)
