"""What can be wrong with stores, alone and together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from brainreel.errors import BrainreelError
from brainreel.files import sha256, walk
from brainreel.store.arrays import array_pieces
from brainreel.store.reader import CHECKSUMS, Store
from brainreel.store.structure import arrays, misfits

_TRAINS, _TESTS = ("train", "validation"), ("test",)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, what kind, and a sentence for people."""

    store: str
    code: str
    message: str

    def json(self) -> dict[str, str]:
        """The problem as a JSON object."""
        return asdict(self)


def check(roots: Sequence[Path | str]) -> list[Problem]:
    """Everything wrong with the stores at ``roots``: damaged files, bad values, copies, leaks between folds.

    An unfinished or unreadable store is a problem, not an exception.
    """
    problems, stores = [], []
    for root in roots:
        try:
            store = Store(root)
        except (BrainreelError, OSError) as error:
            problems.append(Problem(str(root), "unfinished", str(error)))
            continue
        found = _found(store, _damaged)
        # Arrays and tables of a damaged store cannot be trusted to be readable.
        if not found:
            found = _found(store, _misfits, _responses)
        if not found:
            found = _found(store, _repetitions, _leaks)
            stores.append(store)
        problems += found
    for index, store in enumerate(stores):
        problems += _found(store, lambda here, before=stores[:index]: _copies(here, before))
        problems += _found(store, lambda here: _leaks_across(here, stores))
    return problems


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


def _responses(store: Store) -> Iterator[Problem]:
    for group, name, array in arrays(store):
        finite, constant = True, np.True_
        first: np.ndarray | None = None
        # A chunk at a time: a store may be larger than memory.
        for values in array_pieces(store.root / f"{group}.zarr" / name, array.chunks[0]):
            first = values[0] if first is None else first
            finite = finite and bool(np.isfinite(values).all())
            constant = constant & (values == first).all(axis=0)
        if not finite:
            yield Problem(
                store.name, "non-finite", f"{group}/{name} holds NaN or infinite values; mask them at ingest."
            )
        elif array.shape[0] > 1 and (still := int(constant.sum())):
            yield Problem(
                store.name, "constant-vertices", f"{group}/{name} has {still} vertices that never change; drop them."
            )


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


def _leaks(store: Store) -> Iterator[Problem]:
    for name in store.manifest.folds:
        for fold in range(store.folds(name).shape[1]):
            train, test = _clips(store, name, fold, _TRAINS), _clips(store, name, fold, _TESTS)
            where = f"fold {fold} of {name!r}"
            shared = np.intersect1d(train, test)
            if len(shared):
                clip = store.clips["clip_id"].iloc[shared[0]]
                more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
                yield Problem(store.name, "leak-clip", f"{where}: clip {clip!r}{more} both train and test.")
            if count := int(_overlapping(store, train, store, np.setdiff1d(test, shared)).sum()):
                yield Problem(
                    store.name,
                    "leak-overlap",
                    f"{where}: {count} test clips overlap training clips of the same stimulus.",
                )
            same = _same_content(store, train, store, np.setdiff1d(test, shared))
            if same.any():
                clip = store.clips["clip_id"].iloc[np.setdiff1d(test, shared)[same][0]]
                yield Problem(
                    store.name,
                    "leak-content",
                    f"{where}: {same.sum()} test clips look like training clips of another name, {clip!r} first.",
                )


def _copies(store: Store, before: Sequence[Store]) -> Iterator[Problem]:
    """Recordings with identical bytes, in this store or in those before it."""
    seen: dict[str, str] = {}
    for other in [*before, store]:
        for group, name, array in arrays(other):
            here = f"{other.name}: {group}/{name}"
            digest = str(array.attrs.asdict().get("sha256", here))
            if digest in seen and other is store:
                yield Problem(store.name, "identical-recordings", f"{here} is identical to {seen[digest]}.")
            seen.setdefault(digest, here)


def _leaks_across(store: Store, stores: Sequence[Store]) -> Iterator[Problem]:
    """Test clips of this store that train in another, when both are used with the same fold, or with any."""
    for other in stores:
        if other is store:
            continue
        leaking: set[int] = set()
        for name, fold, other_name, other_fold in _used_together(store, other):
            test = _clips(store, name, fold, _TESTS)
            train = _clips(other, other_name, other_fold, _TRAINS)
            hit = _same_content(other, train, store, test)
            # Names of clips and films mean the same thing only inside one dataset.
            if other.name == store.name:
                ids = set(other.clips["clip_id"].iloc[train])
                hit |= np.array([clip in ids for clip in store.clips["clip_id"].iloc[test]], dtype=bool)
                hit |= _overlapping(other, train, store, test)
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


def _spans(store: Store, clips: Int[np.ndarray, " clips"]) -> tuple[np.ndarray, Float[np.ndarray, "clips 2"]]:
    """Stimulus («» where the clip is no part of one), onset and end."""
    table = store.clips.iloc[clips]
    onset_s = table["onset_s"].to_numpy(dtype=float)
    span = np.stack([onset_s, onset_s + table["duration_s"].to_numpy(dtype=float)], axis=1)
    stimulus = np.where(np.isfinite(span).all(axis=1), table["stimulus"].to_numpy(dtype=str), "")
    return stimulus, span


def _overlapping(
    training: Store, train: Int[np.ndarray, " train"], testing: Store, test: Int[np.ndarray, " test"]
) -> Bool[np.ndarray, " test"]:
    """Which test clips share stimulus time with a training clip."""
    (film, span), (other_film, other) = _spans(testing, test), _spans(training, train)
    hit = np.zeros(len(test), dtype=bool)
    for name in np.unique(film[film != ""]):
        mine, theirs = film == name, other[other_film == name]
        shared = np.minimum(span[mine, 1:], theirs[:, 1]) - np.maximum(span[mine, :1], theirs[:, 0])
        hit[mine] = (shared > 1e-6).any(axis=1)
    return hit


def _same_content(
    training: Store, train: Int[np.ndarray, " train"], testing: Store, test: Int[np.ndarray, " test"]
) -> Bool[np.ndarray, " test"]:
    """Which test clips have the bytes or the perceptual hash of a training clip."""
    hit = np.zeros(len(test), dtype=bool)
    for column in ("sha256", "phash"):
        known = set(training.clips[column].iloc[train]) - {""}
        hit |= np.array([value in known for value in testing.clips[column].iloc[test]], dtype=bool)
    return hit
