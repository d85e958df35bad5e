"""What can be wrong with stores, alone and together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brainreel.errors import BrainreelError
from brainreel.files import sha256, walk
from brainreel.store.alike import Likeness, likeness_of
from brainreel.store.arrays import array_pieces
from brainreel.store.leaks import leaks, leaks_across
from brainreel.store.people import Signature, compact, copies, same_people, signature
from brainreel.store.problems import Problem
from brainreel.store.reader import CHECKSUMS, Store
from brainreel.store.structure import arrays, misfits


@dataclass(frozen=True)
class Findings:
    """What a check found.

    Attributes:
        problems: Everything that is wrong.
        stores: Those that are whole, in the order in which they were given.
        alike: Clips that look alike, which is wrong only where one trains and the other tests.
    """

    problems: list[Problem]
    stores: list[Store]
    alike: Likeness


def check(roots: Sequence[Path | str], *, videos: bool = True) -> list[Problem]:
    """Everything wrong with the stores at ``roots``: damaged files, bad values, copies, leaks between folds.

    An unfinished or unreadable store is a problem, not an exception.

    Args:
        roots: The stores' folders.
        videos: Look at the clips' videos too, to find the same clip under other names.
    """
    return inspect(roots, videos=videos).problems


def inspect(roots: Sequence[Path | str], *, videos: bool = True) -> Findings:
    """`check`, with the clips that look alike and the stores that could be read."""
    problems: list[Problem] = []
    stores: list[Store] = []
    signatures: list[Signature] = []
    for root in roots:
        try:
            store = Store(root)
        except (BrainreelError, OSError) as error:
            problems.append(Problem(str(root), "unfinished", str(error)))
            continue
        found = _found(store, _damaged)
        people: list[Signature] = []
        # Arrays and tables of a damaged store cannot be trusted to be readable.
        if not found:
            found = _found(store, _misfits, lambda here: _responses(here, len(stores), people))  # noqa: B023  called now
        if not found:
            found = _found(store, _repetitions)
            stores.append(store)
            signatures += people
        problems += found
    alike = likeness_of(stores) if videos else Likeness()
    for store, looks in zip(stores, alike.looks, strict=False):
        problems += [Problem(store.name, "damaged-clip", sentence) for sentence in looks.damaged]
    for store in stores:
        problems += _found(store, lambda here: leaks(here, alike))
    for index, store in enumerate(stores):
        problems += _found(store, lambda here, before=stores[:index]: copies(here, before))
        problems += _found(store, lambda here: leaks_across(here, stores, alike))
    return Findings([*problems, *same_people(stores, signatures)], stores, alike)


def _found(store: Store, *searches: Callable[[Store], Iterator[Problem]]) -> list[Problem]:
    """What the searches find; what makes one of them fail is a problem too."""
    problems: list[Problem] = []
    for search in searches:
        try:
            problems.extend(search(store))
        # A store can be broken in ways that no one thought of, and this is where people come to learn about them.
        except Exception as error:
            why = str(error) if isinstance(error, BrainreelError) else f"{store.root} cannot be read: {error!r}."
            problems.append(Problem(store.name, "unreadable", " ".join(why.split())))
    return problems


def _damaged(store: Store) -> Iterator[Problem]:
    sums = json.loads((store.root / CHECKSUMS).read_text())
    if not isinstance(sums, dict) or "dataset.json" not in sums:
        yield Problem(store.name, "altered-file", f"{store.root / CHECKSUMS} is not a list of files' checksums.")
        return
    for name, expected in sums.items():
        path = store.root / name
        if not path.is_file():
            yield Problem(store.name, "missing-file", f"{path} is missing; ingest the dataset again.")
        elif sha256(path) != expected:
            yield Problem(store.name, "altered-file", f"{path} is not what was written; ingest the dataset again.")
    for path in walk(store.root):
        name = path.relative_to(store.root)
        # Targets come and go; hidden files are the operating system's.
        free = name.parts[0] == "targets.zarr" or any(part.startswith(".") for part in name.parts)
        if not free and name.as_posix() not in sums and name.as_posix() != CHECKSUMS:
            yield Problem(store.name, "foreign-file", f"{path} was not written by ingest; remove it.")


def _misfits(store: Store) -> Iterator[Problem]:
    for code, message in misfits(store):
        yield Problem(store.name, code, message)


def _responses(store: Store, number: int, people: list[Signature]) -> Iterator[Problem]:
    """Bad values; what is read once for that also gives the signature of everybody, into ``people``."""
    main, parts = store.manifest.groups[0], {}
    for group, name, array in arrays(store):
        subject = name.split("/")[0]
        finite, constant = True, np.True_
        first: np.ndarray | None = None
        kept: list[np.ndarray] = []
        # A chunk at a time: a store may be larger than memory.
        for values in array_pieces(store.root / f"{group}.zarr" / name, array.chunks[0]):
            first = values[0] if first is None else first
            finite = finite and bool(np.isfinite(values).all())
            constant = constant & (values == first).all(axis=0)
            if group == main:
                kept.append(compact(store, group, subject, values))
        if not finite:
            yield Problem(
                store.name, "non-finite", f"{group}/{name} holds NaN or infinite values; mask them at ingest."
            )
        elif array.shape[0] > 1 and (still := int(constant.sum())):
            yield Problem(
                store.name, "constant-vertices", f"{group}/{name} has {still} vertices that never change; drop them."
            )
        elif kept:
            parts.setdefault(subject, []).extend(kept)
    people += [signature(store, number, main, subject, found) for subject, found in parts.items()]


def _repetitions(store: Store) -> Iterator[Problem]:
    for name in store.manifest.folds:
        for role, expected in store.manifest.repetitions.items():
            # A clip is presented as often in any fold: the first where it plays this role tells.
            cells = (store.folds(name) == role).to_numpy()
            fold = int(cells.any(axis=0).argmax()) if cells.size else 0
            rows = np.flatnonzero(cells[:, fold]) if cells.size else np.zeros(0, int)
            shown = store.trials.iloc[rows].groupby(["subject", "clip_id"]).size()
            fewer = store.manifest.fewer_repetitions
            wanted = [fewer.get(str(who), {}).get(str(clip), expected) for who, clip in shown.index]
            if len(shown) and (shown.to_numpy() != wanted).any():
                found = ", ".join(map(str, np.unique(shown.to_numpy()).tolist()))
                yield Problem(
                    store.name,
                    "repetitions",
                    f"{role} clips of {name!r} are shown {found} times to a subject; the release declares {expected}.",
                )
