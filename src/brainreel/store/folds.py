"""Folds: which trials train, which validate, which test, and which are left out between them."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from brainreel.errors import FoldError

ROLES = ("train", "validation", "test", "gap")
LAST_RUNS = "last-N-runs"
"""A name that every store understands: with a number for N, the last N runs of everybody test."""
# Times are multiples of the TR in floating point.
_SLACK_S = 1e-6


def contiguous_blocks(n: int, count: int) -> list[tuple[int, int]]:
    """Cut ``range(n)`` into ``count`` contiguous blocks, the longer ones first (94 in 4: 24, 24, 23, 23)."""
    sizes = np.full(count, n // count) + (np.arange(count) < n % count)
    return list(pairwise(np.concatenate([[0], np.cumsum(sizes)]).tolist()))


def block_roles(
    onset_s: Float[np.ndarray, " trials"],
    end_s: Float[np.ndarray, " trials"],
    testable: Bool[np.ndarray, " trials"],
    blocks_s: list[tuple[float, float]],
    gap_s: float,
) -> np.ndarray:
    """The role (trials, folds) of every trial when each block of stimulus time is the test of one fold.

    A trial inside the block tests if ``testable`` (non-overlapping windows), one at least ``gap_s`` away from
    the block trains, and everything else is gap, so that neither overlap nor autocorrelation leaks.
    """
    roles = np.full((len(onset_s), len(blocks_s)), "gap", dtype="<U10")
    for fold, (start, stop) in enumerate(blocks_s):
        inside = (onset_s >= start - _SLACK_S) & (end_s <= stop + _SLACK_S)
        away = (end_s <= start - gap_s + _SLACK_S) | (onset_s >= stop + gap_s - _SLACK_S)
        roles[away, fold] = "train"
        roles[inside & testable, fold] = "test"
    return roles


def inner_folds(
    onset_s: Float[np.ndarray, " trials"],
    end_s: Float[np.ndarray, " trials"],
    count: int,
    gap_s: float,
) -> list[tuple[Int[np.ndarray, " train"], Int[np.ndarray, " validation"]]]:
    """Contiguous folds of training time, for choosing hyper-parameters without looking at any test trial.

    Returns indices of training and validation trials; the same ``gap_s`` stays free between them.
    """
    times = np.unique(onset_s)
    if not len(times):
        return []
    folds = []
    for first, last in contiguous_blocks(len(times), min(count, len(times))):
        start, stop = times[first], times[last - 1]
        validation = (onset_s >= start) & (onset_s <= stop)
        block_end = end_s[validation].max()
        train = (end_s <= start - gap_s + _SLACK_S) | (onset_s >= block_end + gap_s - _SLACK_S)
        folds.append((np.flatnonzero(train), np.flatnonzero(validation)))
    return folds


def last_runs(name: str, trials: pd.DataFrame) -> pd.DataFrame | None:
    """The one fold of ``last-N-runs``: (trials, 1) roles; None if the name is another.

    Runs are counted per subject in the order of the trials table. A clip that is shown in a last run and in an earlier
    one is gap in the earlier one: it must not train.

    Raises:
        FoldError: if somebody has no more than N runs.
    """
    asked = re.fullmatch(r"last-([1-9]\d{0,3})-runs", name)
    if asked is None:
        return None
    count = int(asked[1])
    run = trials["subject"] + "/" + trials["session"] + "/" + trials["run"]
    order = pd.DataFrame({"subject": trials["subject"], "run": run}).drop_duplicates()
    runs = Counter(order["subject"])
    few = [subject for subject in runs if runs[subject] <= count]
    if few:
        raise FoldError(
            f"{few[0]} has {runs[few[0]]} runs, so {name!r} leaves none to train on",
            expected=f"more than {count} runs of everybody",
            do="choose fewer, or other folds",
        )
    last = list(order.groupby("subject", sort=False)["run"].tail(count))
    test = run.isin(last).to_numpy()
    shown = trials["clip_id"].isin(list(trials["clip_id"][test])).to_numpy()
    return pd.DataFrame({"fold-1": np.where(test, "test", np.where(shown, "gap", "train"))})
