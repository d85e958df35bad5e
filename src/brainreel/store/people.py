"""The same person under two names: recordings with identical bytes, and responses that are nearly the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from brainreel.store.problems import Problem
from brainreel.store.reader import Store
from brainreel.store.structure import arrays

ALIKE_R = 0.95
"""Two responses are the same at this correlation over vertices: rounding, scaling and units keep it."""
ALIKE_SHARE = 0.25
"""Two people are suspected to be one if so many of the responses that are tried occur in the other."""
_TRIED, _VERTICES, _FEWEST = 32, 384, 32


class Signature(NamedTuple):
    """A person's responses at a few vertices, each vertex standardised over the recording.

    Vertices are those with the lowest hash of their index, so that a part of the cortex and all of it share some.
    """

    store: int
    subject: str
    system: str
    width: int
    vertex: Int[np.ndarray, " some"]
    column: Int[np.ndarray, " some"]
    values: Float[np.ndarray, "trials some"]


def compact(store: Store, group: str, subject: str, values: np.ndarray) -> Float[np.ndarray, "trials some"]:
    """The columns of a recording that its person's signature is made of."""
    return values[:, _columns(store.space(group, subject)["vertex"].to_numpy())]


def signature(
    store: Store, number: int, group: str, subject: str, parts: Sequence[Float[np.ndarray, "_trials some"]]
) -> Signature:
    """The signature of a subject's recordings, compacted, run after run; ``number`` is the store's among others."""
    vertex = store.space(group, subject)["vertex"].to_numpy()
    column, values = _columns(vertex), np.concatenate(parts).astype(np.float32)
    values -= values.mean(axis=0)
    values /= np.maximum(values.std(axis=0), np.finfo(np.float32).tiny)
    system = store.manifest.spaces[group][subject].split("/")[0]
    return Signature(number, subject, system, len(vertex), vertex[column], column, values)


def share_alike(one: Signature, other: Signature) -> float:
    """The share of one's responses, of those tried, that the other has too; 0 where they cannot be compared."""
    if one.system == other.system:
        _, mine, theirs = np.intersect1d(one.vertex, other.vertex, return_indices=True)
    elif one.width == other.width:
        _, mine, theirs = np.intersect1d(one.column, other.column, return_indices=True)
    else:
        return 0.0
    # A handful of places is alike by chance.
    if len(mine) < _FEWEST:
        return 0.0
    tried = np.unique(np.linspace(0, len(one.values) - 1, _TRIED).round().astype(int))
    r = _unit(one.values[np.ix_(tried, mine)]) @ _unit(other.values[:, theirs]).T
    return float((r.max(axis=1) >= ALIKE_R).mean())


def copies(store: Store, before: Sequence[Store]) -> Iterator[Problem]:
    """Recordings with identical bytes, in this store or in those before it."""
    seen: dict[str, str] = {}
    for other in [*before, store]:
        for group, name, array in arrays(other):
            here = f"{other.name}: {group}/{name}"
            digest = str(array.attrs.asdict().get("sha256", here))
            if digest in seen and other is store:
                yield Problem(store.name, "identical-recordings", f"{here} is identical to {seen[digest]}.")
            seen.setdefault(digest, here)


def same_people(stores: Sequence[Store], signatures: Sequence[Signature]) -> Iterator[Problem]:
    """People whose responses are nearly another's, where no recording is identical byte by byte."""
    sums = {(s, who): set() for s, store in enumerate(stores) for who in store.subjects}
    for s, store in enumerate(stores):
        for _, name, array in arrays(store):
            sums.setdefault((s, name.split("/")[0]), set()).add(array.attrs.asdict().get("sha256"))
    for index, one in enumerate(signatures):
        for other in signatures[:index]:
            if sums[one.store, one.subject] & sums[other.store, other.subject]:
                continue
            share = share_alike(*sorted((one, other), key=lambda s: len(s.values)))
            if share >= ALIKE_SHARE:
                mine, theirs = stores[one.store], stores[other.store]
                yield Problem(
                    mine.name,
                    "identical-subjects",
                    f"{mine.name}: {one.subject} has the responses of {theirs.name}: {other.subject} ({share:.0%} of those "
                    "compared, at other precision or scale or in another order); leave one of them out.",
                )


def _unit(values: Float[np.ndarray, "trials some"]) -> Float[np.ndarray, "trials some"]:
    values = values - values.mean(axis=1, keepdims=True)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _columns(vertex: Int[np.ndarray, " vertices"]) -> Int[np.ndarray, " some"]:
    # Knuth's multiplicative hash: an order that knows nothing of the cortex.
    mixed = vertex.astype(np.uint64) * np.uint64(2654435761) % np.uint64(1 << 32)
    return np.sort(np.argsort(mixed, kind="stable")[:_VERTICES])
