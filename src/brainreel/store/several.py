"""Folds over several stores that are trained on together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from brainreel.errors import FoldError, UsageError, alternatives
from brainreel.store.fold_files import SUFFIXES, FoldList, read_fold_list, use_list
from brainreel.store.reader import Store

Folds = str | Mapping[str, str] | None
"""One name for all stores, or store → name; None: each store's own first folds."""


def folds_of(store: Store, folds: Folds) -> str | None:
    """The name of a store's folds; None if none is asked for and the store has none."""
    if isinstance(folds, Mapping):
        return folds.get(store.name)
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


def named_folds(stores: Sequence[Store], folds: Folds) -> tuple[dict[str, str | None], list[FoldList]]:
    """What somebody asks for, as a name of folds for every store.

    Args:
        stores: The stores; those that a file speaks of know its folds by name afterwards.
        folds: A name that all of them have; a TSV or JSON file (`fold_files`), which stores without its clips take no
            part in; store → name or file, also written ``bmd=official,had=last-three-runs``. Whatever store is not
            spoken of takes its own first folds, as all do for None.

    Returns:
        Store → name (None: it has no folds), and the lists that were read.

    Raises:
        FoldError: if a store has no such folds, or a file's folds cannot be.
    """
    asked = _asked(folds)
    known = [store.name for store in stores]
    for dataset in asked:
        if dataset and dataset not in known:
            raise UsageError(f"--folds speaks of the store {alternatives(dataset, known)}", do="correct its name")
    names, lists = {store.name: folds_of(store, None) for store in stores}, []
    for dataset, value in asked.items():
        chosen = [store for store in stores if dataset in ("", store.name)]
        if is_fold_file(value) and not any(store.has_folds(value) for store in chosen):
            found = read_fold_list(Path(value))
            names.update({store.name: found.name for store in use_list(found, chosen, Path(value))})
            lists.append(found)
            continue
        for store in chosen:
            if not (store.has_folds(value) or len(stores) == 1):
                told = "; ".join(f"{s.name}: {', '.join(s.fold_names) or 'none'}" for s in stores)
                raise FoldError(
                    f"store {store.name!r} has no folds {value!r}",
                    expected=f"folds that it has ({told})",
                    do="name each store's own with --folds STORE=NAME,STORE=NAME",
                )
            store.folds(value)
            names[store.name] = value
    return names, lists


def agreed_folds(stores: Sequence[Store], folds: Folds) -> tuple[str | dict[str, str], int, list[FoldList]]:
    """What a training on several stores goes by, how many folds that makes, and the lists that files gave.

    Args:
        stores: The stores.
        folds: As `named_folds` takes them.

    Returns:
        The name (a single store), or store → name; the number of folds; lists to keep in the experiment.

    Raises:
        FoldError: if a store has no such folds, or their numbers differ and none of the two is one.
    """
    found, lists = named_folds(stores, folds)
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for store in stores:
        name = found[store.name]
        if name is None:
            raise FoldError(
                f"store {store.name!r} has no folds", do="give a file with --folds, or ingest it with folds/<name>.tsv"
            )
        names[store.name], counts[store.name] = name, store.folds(name).shape[1]
    several = {count for count in counts.values() if count > 1}
    if len(several) > 1:
        told = ", ".join(f"{store} has {counts[store]} ({names[store]})" for store in counts)
        raise FoldError(f"the stores' folds differ in number: {told}", expected="one number, or 1", do="choose --folds")
    return (names if len(stores) > 1 else names[stores[0].name]), max(several, default=1), lists


def _asked(folds: Folds) -> dict[str, str]:
    """Store → name or file; «» is every store."""
    if folds is None:
        return {}
    if isinstance(folds, Mapping):
        return dict(folds)
    if "=" not in folds or Path(folds).is_file():
        return {"": folds}
    out = {}
    for part in folds.split(","):
        dataset, equals, value = part.strip().partition("=")
        if not (dataset and equals and value):
            raise UsageError(f"--folds {folds!r}", expected="NAME, FILE, or STORE=NAME,STORE=NAME")
        out[dataset] = value
    return out


def is_fold_file(value: str) -> bool:
    """Whether a value of ``--folds`` means a file."""
    return Path(value).suffix in SUFFIXES or Path(value).is_file()
