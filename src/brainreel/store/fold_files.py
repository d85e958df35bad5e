"""Folds of one's own: a TSV or JSON file that says which clips (or trials) train and which test.

TSV: a column ``clip_id`` (or ``row``, of trials.tsv), optionally ``dataset`` and ``subject``, and one column of roles
per fold. JSON: ``{"test": ["clip-1", …], "train": […]}``, or a list or an object of such folds.
What a fold does not mention trains, unless it names training clips itself: then it is gap.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainreel.errors import FoldError, StoreError, alternatives
from brainreel.files import is_plain, read_tsv, write_tsv
from brainreel.store.folds import ROLES
from brainreel.store.overlap import overlapping
from brainreel.store.reader import Store

SUFFIXES = (".tsv", ".json")
_KEYS = ("clip_id", "row")
_WHOSE = ("dataset", "subject")
_FORMAT = "see docs/store.md for the format"


@dataclass(frozen=True)
class FoldList:
    """Roles of clips or trials.

    Attributes:
        name: The file's stem and a hash of its content: the same name always means the same folds.
        key: ``clip_id`` or ``row``.
        table: That column, ``dataset`` and ``subject`` (empty: any), and a column of roles per fold, all text.
    """

    name: str
    key: str
    table: pd.DataFrame

    @property
    def folds(self) -> list[str]:
        """The columns of roles."""
        return [name for name in self.table.columns if name not in (*_KEYS, *_WHOSE)]

    def listed(self, store: Store) -> np.ndarray:
        """Which rows of the list name a clip (or trial) of the store."""
        known = store.clips["clip_id"] if self.key == "clip_id" else store.trials["row"].astype(str)
        mine = self.table["dataset"].isin(["", store.name]) & self.table["subject"].isin(["", *store.subjects])
        return (mine & self.table[self.key].isin(list(known))).to_numpy()

    def roles(self, store: Store) -> pd.DataFrame:
        """The role (trials, folds) of every trial of a store."""
        table, trials = self.table.iloc[np.flatnonzero(self.listed(store))], store.trials
        keys = trials[self.key].astype(str)
        out = {}
        for fold in self.folds:
            said = table[table[fold] != ""]
            rest = "gap" if "train" in set(self.table[fold]) else "train"
            exact = {(k, s): role for k, s, role in zip(said[self.key], said["subject"], said[fold], strict=True)}
            pairs = zip(keys, trials["subject"], strict=True)
            out[fold] = [exact.get((key, who), exact.get((key, ""), rest)) for key, who in pairs]
        return pd.DataFrame(out)

    def write(self, folder: Path) -> None:
        """Keep the list as ``folder/<name>.tsv``."""
        write_tsv(folder / f"{self.name}.tsv", self.table)


def read_fold_list(path: Path, name: str | None = None) -> FoldList:
    """A list of folds from a file; ``name`` only for one that `FoldList.write` wrote, whose stem is its name.

    Raises:
        FoldError: in one sentence, if it cannot be read, has other roles than `ROLES`, or contradicts itself.
    """
    if not path.is_file():
        raise FoldError(f"there is no file {path}", expected="a TSV or JSON file of folds", do=_FORMAT)
    table = _from_json(path) if path.suffix == ".json" else _from_tsv(path)
    key = next(column for column in _KEYS if column in table.columns)
    folds = [column for column in table.columns if column not in (*_KEYS, *_WHOSE)]
    if not folds or table.empty:
        raise FoldError(
            f"{path} has {len(table)} rows and {len(folds)} folds", expected="at least one of each", do=_FORMAT
        )
    for fold in folds:
        odd = sorted(set(table[fold]) - {"", *ROLES})
        if odd:
            raise FoldError(f"fold {fold!r} of {path} has the role {alternatives(odd[0], ROLES)}", do=_FORMAT)
    for fold in folds:
        given: dict[tuple[str, ...], str] = {}
        for *where, role in zip(*(table[column] for column in (key, *_WHOSE, fold)), strict=True):
            if role and given.setdefault(tuple(where), role) != role:
                raise FoldError(
                    f"fold {fold!r} of {path} makes {where[0]!r} both {given[tuple(where)]} and {role}",
                    expected="one role",
                    do="remove it from one of the lists",
                )
    # One row per clip: of several, the roles that are said.
    said = table[[key, *_WHOSE]].join(table[folds].mask(table[folds] == ""))
    merged = said.groupby([key, *_WHOSE], sort=False).first().fillna("").reset_index()
    digest = hashlib.sha256(merged.sort_values([key, *_WHOSE]).to_csv(index=False).encode()).hexdigest()[:8]
    if name is None and not is_plain(path.stem):
        raise FoldError(f"{path.stem!r} cannot name folds", expected="a file name that begins with no dot")
    return FoldList(name or f"{path.stem}-{digest}", key, merged)


def use_list(found: FoldList, stores: Sequence[Store], path: Path) -> list[Store]:
    """Give every store that the list speaks of its folds; returns those stores.

    Raises:
        FoldError: if no store has something that is listed, or a clip trains and tests, by itself or by its time.
    """
    hit = [found.listed(store) for store in stores]
    unknown = found.table[~np.any(hit, axis=0)]
    if len(unknown):
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        row, names = unknown.iloc[0], ", ".join(repr(store.name) for store in stores)
        whose = "".join(f" of {row[column]!r}" for column in _WHOSE if row[column])
        raise FoldError(
            f"{path} lists the {'clip' if found.key == 'clip_id' else 'trial'} {row[found.key]!r}{whose}{more}, which "
            f"{names} {'does' if len(stores) == 1 else 'do'} not have",
            expected=f"a {found.key} of {_examples(stores, found.key)}",
            do="correct or remove it",
        )
    if found.key == "row" and sum(map(any, hit)) > 1:
        raise FoldError(
            f"{path} lists rows of several stores", expected="a column 'dataset'", do="say whose rows they are"
        )
    used = [store for store, listed in zip(stores, hit, strict=True) if listed.any()]
    for store in used:
        roles = found.roles(store)
        for fold in roles.columns:
            _refuse_leak(store, roles[fold].to_numpy(dtype=str), f"fold {fold!r} of {path}")
        store.add_folds(found.name, roles)
    for fold in found.folds:
        said = set().union(*(set(store.folds(found.name)[fold]) for store in used))
        if missing := [role for role in ("train", "test") if role not in said]:
            raise FoldError(
                f"fold {fold!r} of {path} leaves nothing to {missing[0]} on", expected="some trials for both"
            )
    return used


def keep_lists(lists: Iterable[FoldList], folder: Path) -> None:
    """Keep lists in an experiment, so that every later command finds them by their names."""
    for found in lists:
        found.write(folder)


def attach_lists(stores: Sequence[Store], folder: Path) -> None:
    """Give stores the folds that `keep_lists` kept in a folder, where they have any of the clips."""
    for path in sorted(folder.glob("*.tsv")):
        found = read_fold_list(path, path.stem)
        for store in stores:
            if found.listed(store).any():
                store.add_folds(found.name, found.roles(store))


def _refuse_leak(store: Store, roles: np.ndarray, where: str) -> None:
    """No clip, and no time of a film, may both train (or validate) and test."""
    test = np.unique(store.clip_index(np.flatnonzero(roles == "test")))
    train = np.unique(store.clip_index(np.flatnonzero(np.isin(roles, ("train", "validation")))))
    names = store.clips["clip_id"].astype(str).tolist()
    shared = np.intersect1d(train, test)
    if len(shared):
        raise FoldError(
            f"in {where}, clip {names[shared[0]]!r} of {store.name!r} both trains and tests ({len(shared)} clips do)",
            expected="every clip on one side",
            do="give all its trials one role, or 'gap'",
        )
    close = test[overlapping(store, train, store, test)]
    if len(close):
        raise FoldError(
            f"in {where}, {len(close)} test clips of {store.name!r} share film time with training clips, "
            f"{names[close[0]]!r} first",
            expected="time between them",
            do="make the clips that overlap a test clip 'gap'",
        )


def _from_tsv(path: Path) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8") as stream:
            header = stream.readline().rstrip("\r\n").split("\t")
        table = read_tsv(path, text=tuple(header))
    except (StoreError, OSError, ValueError) as error:
        reason = getattr(error, "got", str(error))
        raise FoldError(" ".join(str(reason).split()), expected="a tab-separated table", do=_FORMAT) from error
    keys = [key for key in _KEYS if key in table.columns]
    if len(keys) != 1:
        raise FoldError(
            f"{path} has the columns {', '.join(header)}", expected="clip_id or row, and one per fold", do=_FORMAT
        )
    return table.assign(**{column: "" for column in _WHOSE if column not in table.columns})


def _from_json(path: Path) -> pd.DataFrame:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FoldError(f"{path} cannot be read ({error})", expected="JSON", do=_FORMAT) from error
    if isinstance(content, list):
        content = {f"fold-{k + 1}": fold for k, fold in enumerate(content)}
    elif isinstance(content, dict) and set(content) & set(ROLES):
        content = {"fold-1": content}
    if not isinstance(content, dict) or not all(_is_fold(fold) for fold in content.values()):
        raise FoldError(
            f"{path} does not hold folds", expected=f"lists of clip ids under {', '.join(ROLES)}", do=_FORMAT
        )
    rows = [
        {"clip_id": clip, fold: role}
        for fold, roles in content.items()
        for role, clips in roles.items()
        for clip in clips
    ]
    table = pd.DataFrame(rows, columns=pd.Index(["clip_id", *content])).fillna("").astype(str)
    return table.assign(**dict.fromkeys(_WHOSE, ""))


def _is_fold(fold: Any) -> bool:
    return isinstance(fold, dict) and all(
        isinstance(clips, list) and all(isinstance(clip, str) for clip in clips) for clips in fold.values()
    )


def _examples(stores: Sequence[Store], key: str) -> str:
    if key == "row":
        return "trials.tsv"
    some = [store.clips["clip_id"].iloc[0] for store in stores if len(store.clips)]
    return f"clips.tsv, such as {', '.join(map(repr, some))}"
