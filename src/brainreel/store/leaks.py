"""Leaks: clips that train in one place and test in another, within a store and across stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Int

from brainreel.store.alike import Likeness
from brainreel.store.overlap import overlapping
from brainreel.store.problems import Problem
from brainreel.store.reader import Store

_TRAINS, _TESTS = ("train", "validation"), ("test",)


def leaks(store: Store, alike: Likeness) -> Iterator[Problem]:
    """What trains and tests in the same fold of a store."""
    for name in store.manifest.folds:
        for fold in range(store.folds(name).shape[1]):
            train, test = _clips(store, name, fold, _TRAINS), _clips(store, name, fold, _TESTS)
            where = f"fold {fold} of {name!r}"
            shared = np.intersect1d(train, test)
            if len(shared):
                clip = store.clips["clip_id"].iloc[shared[0]]
                more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
                yield Problem(store.name, "leak-clip", f"{where}: clip {clip!r}{more} both train and test.")
            if count := int(overlapping(store, train, store, np.setdiff1d(test, shared)).sum()):
                yield Problem(
                    store.name,
                    "leak-overlap",
                    f"{where}: {count} test clips overlap training clips of the same stimulus.",
                )
            same = _same_content(store, train, store, np.setdiff1d(test, shared), alike)
            if same.any():
                clip = store.clips["clip_id"].iloc[np.setdiff1d(test, shared)[same][0]]
                yield Problem(
                    store.name,
                    "leak-content",
                    f"{where}: {same.sum()} test clips show what training clips of another name show, {clip!r} first.",
                )


def leaks_across(store: Store, stores: Sequence[Store], alike: Likeness) -> Iterator[Problem]:
    """Test clips of this store that train in another, when both are used with the same fold, or with any."""
    for other in stores:
        if other is store:
            continue
        leaking: set[int] = set()
        for name, fold, other_name, other_fold in _used_together(store, other):
            test = _clips(store, name, fold, _TESTS)
            train = _clips(other, other_name, other_fold, _TRAINS)
            hit = _same_content(other, train, store, test, alike)
            # Names of clips and films mean the same thing only inside one dataset.
            if other.name == store.name:
                ids = set(other.clips["clip_id"].iloc[train])
                hit |= np.array([clip in ids for clip in store.clips["clip_id"].iloc[test]], dtype=bool)
                hit |= overlapping(other, train, store, test)
            leaking |= set(test[hit].tolist())
        if leaking:
            clip = store.clips["clip_id"].iloc[min(leaking)]
            yield Problem(
                store.name,
                "leak-across",
                f"{len(leaking)} test clips of {store.root} train in {other.root}, {clip!r} first.",
            )


def _used_together(one: Store, other: Store) -> Iterator[tuple[str, int, str, int]]:
    """The folds of two stores that a training takes at once: the same of the same list, else any with any."""
    for name in one.manifest.folds:
        for fold in range(one.folds(name).shape[1]):
            if name in other.manifest.folds:
                if fold < other.folds(name).shape[1]:
                    yield name, fold, name, fold
                continue
            for other_name in other.manifest.folds:
                for other_fold in range(other.folds(other_name).shape[1]):
                    yield name, fold, other_name, other_fold


def _clips(store: Store, name: str, fold: int, roles: tuple[str, ...]) -> Int[np.ndarray, " clips"]:
    """The clips (rows of the clips table) that have one of the roles in a fold."""
    return np.unique(store.clip_index(np.flatnonzero(np.isin(store.roles(name, fold), roles))))


def _same_content(
    training: Store,
    train: Int[np.ndarray, " train"],
    testing: Store,
    test: Int[np.ndarray, " test"],
    alike: Likeness,
) -> Bool[np.ndarray, " test"]:
    """Which test clips have the bytes, the noted perceptual hash, or the look of a training clip."""
    hit = alike.hit(training, train, testing, test)
    for column in ("sha256", "phash"):
        known = set(training.clips[column].iloc[train]) - {""}
        hit |= np.array([value in known for value in testing.clips[column].iloc[test]], dtype=bool)
    return hit
