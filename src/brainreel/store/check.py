"""What can be wrong with stores, alone and together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import zarr

from brainreel.errors import StoreError
from brainreel.files import sha256
from brainreel.store.reader import CHECKSUMS, Store


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
            damage = list(_damaged(store))
            problems += damage
            # Arrays and tables of a damaged store cannot be trusted to be readable.
            if not damage:
                problems += [*_responses(store), *_tables(store), *_leaks(store)]
                stores.append(store)
        except StoreError as error:
            problems.append(Problem(str(root), "unfinished", str(error)))
    return problems + list(_copies(stores)) + list(_leaks_across(stores))


def _damaged(store: Store) -> Iterator[Problem]:
    sums: dict[str, str] = json.loads((store.root / CHECKSUMS).read_text())
    for name, expected in sums.items():
        path = store.root / name
        if not path.is_file():
            yield Problem(store.name, "missing-file", f"{path} is missing; ingest the dataset again.")
        elif sha256(path) != expected:
            yield Problem(store.name, "altered-file", f"{path} is not what was written; ingest the dataset again.")


def _arrays(store: Store) -> Iterator[tuple[str, str, zarr.Array]]:
    for group in store.manifest.groups:
        for name, member in zarr.open_group(store.root / f"{group}.zarr", mode="r").members(max_depth=None):
            if isinstance(member, zarr.Array):
                yield group, name, member


def _responses(store: Store) -> Iterator[Problem]:
    for group, name, array in _arrays(store):
        values = np.asarray(array[:])
        if not np.isfinite(values).all():
            yield Problem(
                store.name, "non-finite", f"{group}/{name} holds NaN or infinite values; mask them at ingest."
            )
        elif len(values) > 1 and (constant := int((np.ptp(values, axis=0) == 0).sum())):
            yield Problem(
                store.name, "constant-vertices", f"{group}/{name} has {constant} vertices that never change; drop them."
            )


def _tables(store: Store) -> Iterator[Problem]:
    unknown = int((store.clip_index(np.arange(len(store.trials))) < 0).sum())
    if unknown:
        yield Problem(store.name, "unknown-clips", f"{unknown} trials show clips that clips.tsv does not list.")
    if store.manifest.kind == "event":
        for group, name, array in _arrays(store):
            expected = len(store.rows(name))
            if array.shape[0] != expected:
                yield Problem(
                    store.name, "trial-count", f"{group}/{name} has {array.shape[0]} rows; trials.tsv lists {expected}."
                )
    for role, expected in store.manifest.repetitions.items():
        for name in store.manifest.folds:
            roles = store.roles(name, 0)
            shown = store.trials[roles == role].groupby(["subject", "clip_id"]).size()
            if len(shown) and (shown != expected).any():
                found = sorted(set(shown.tolist()))
                yield Problem(
                    store.name,
                    "repetitions",
                    f"{role} clips have {found} repetitions; the release declares {expected}.",
                )
    for name in store.manifest.folds:
        if len(store.folds(name)) != len(store.trials):
            yield Problem(store.name, "fold-rows", f"folds/{name}.tsv does not have one row per trial.")


def _leaks(store: Store) -> Iterator[Problem]:
    clips = store.clips.iloc[store.clip_index(np.arange(len(store.trials)))].reset_index(drop=True)
    for name in store.manifest.folds:
        for fold in range(store.folds(name).shape[1]):
            roles = store.roles(name, fold)
            train, test = clips[roles == "train"].drop_duplicates("clip_id"), clips[roles == "test"]
            test = test.drop_duplicates("clip_id")
            shared = set(train["clip_id"]) & set(test["clip_id"])
            if shared:
                yield Problem(
                    store.name,
                    "leak-clip",
                    f"fold {fold} of {name!r}: clip {min(shared)!r} and {len(shared) - 1} more train and test.",
                )
            elif overlap := _overlapping(train, test):
                yield Problem(
                    store.name,
                    "leak-overlap",
                    f"fold {fold} of {name!r}: {overlap} test clips overlap training clips of the same stimulus.",
                )
            elif same := _same_content(train, test):
                yield Problem(
                    store.name, "leak-content", f"fold {fold} of {name!r}: test clip {same!r} is also a training clip."
                )


def _overlapping(train: pd.DataFrame, test: pd.DataFrame) -> int:
    """Number of test clips that share stimulus time with a training clip."""
    count = 0
    timed = test["onset_s"].notna()
    for stimulus, rows in test[timed].groupby("stimulus"):
        other = train[(train["stimulus"] == stimulus) & train["onset_s"].notna()]
        start, stop = rows["onset_s"].to_numpy(float), (rows["onset_s"] + rows["duration_s"]).to_numpy(float)
        other_start = other["onset_s"].to_numpy(float)
        other_stop = other_start + other["duration_s"].to_numpy(float)
        shared = np.minimum(stop[:, None], other_stop) - np.maximum(start[:, None], other_start)
        count += int((shared > 1e-6).any(axis=1).sum())
    return count


def _same_content(train: pd.DataFrame, test: pd.DataFrame) -> str | None:
    """A test clip whose bytes or perceptual hash are those of a training clip."""
    for column in ("sha256", "phash"):
        known = set(train[column]) - {""}
        hit = test[test[column].isin(known)]
        if len(hit):
            return str(hit["clip_id"].iloc[0])
    return None


def _copies(stores: Sequence[Store]) -> Iterator[Problem]:
    """Two recordings with identical bytes, in one store or in two."""
    seen: dict[str, str] = {}
    for store in stores:
        for group, name, array in _arrays(store):
            here = f"{store.name}: {group}/{name}"
            digest = str(array.attrs.get("sha256", ""))
            if digest and digest in seen:
                yield Problem(store.name, "identical-recordings", f"{here} is identical to {seen[digest]}.")
            seen.setdefault(digest, here)


def _leaks_across(stores: Sequence[Store]) -> Iterator[Problem]:
    """A clip that trains in one store's folds and tests in another's."""
    for one in stores:
        for other in stores:
            if one is other:
                continue
            for column in ("sha256", "phash"):
                train, test = _with_role(one, "train", column), _with_role(other, "test", column)
                if shared := (train & test):
                    message = f"{len(shared)} test clips of {other.name} are training clips of {one.name} ({column})."
                    yield Problem(other.name, "leak-across", message)


def _with_role(store: Store, role: str, column: str) -> set[str]:
    found: set[str] = set()
    for name in store.manifest.folds:
        anywhere = (store.folds(name) == role).any(axis=1).to_numpy()
        rows = store.clip_index(np.flatnonzero(anywhere))
        found |= set(store.clips[column].iloc[rows]) - {""}
    return found
