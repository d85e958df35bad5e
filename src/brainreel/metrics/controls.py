"""What a score would be without the brain: shuffled, mismatched and constant predictions, shifted texts.

A score is a function of rows: `score(rows)[i]` scores truth i against the reconstruction of trial `rows[i]`.
Nothing is generated anew; `score(arange(n))` is the real result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from brainreel.errors import UsageError
from brainreel.metrics.identification import first_rows

RowScore = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Shuffled:
    """Scores of predictions that belong to other clips.

    Attributes:
        value: Mean over the derangements; NaN where no derangement has a defined score.
        values: The mean score of each derangement; NaN where undefined.
    """

    value: float
    values: Float[np.ndarray, " derangements"]


def derangements(
    n: int,
    count: int,
    seed: int,
    *,
    clip_id: Sequence | Shaped[np.ndarray, " n"] | None = None,
    block: Sequence | Shaped[np.ndarray, " n"] | None = None,
) -> Int[np.ndarray, "count n"]:
    """Random rows such that nobody keeps their own clip: trial i is given trial `result[c, i]`.

    Each of the `count` draws is independent and uniform over the derangements of the unique clips (all
    permutations without a fixed point, drawn by rejection); of few clips there are few, so draws repeat.
    Trials of one clip move together: the j-th trial of a clip is given the j-th trial of the other clip
    (counted round where that has fewer), which is a permutation of the trials wherever all clips have equally
    many, and keeps subjects together in a table sorted by subject.

    Args:
        n: Number of trials.
        count: Number of draws; 100 or more for a control.
        seed: Seeds this call.
        clip_id: The clip of each trial; None: every trial is a clip of its own.
        block: Label of each trial; clips only swap inside their block.

    Raises:
        UsageError: A block (or the whole) has a single clip, or a clip lies in two blocks.
    """
    if count < 1:
        raise UsageError(f"count = {count}", expected="at least 1 derangement")
    ids = _per_trial(np.arange(n) if clip_id is None else clip_id, n, "clip_id")
    blocks = _per_trial(np.zeros(n) if block is None else block, n, "block")
    first, clip = first_rows(ids)
    if np.any(blocks != blocks[first][clip]):
        raise UsageError("a clip lies in two blocks", expected="one block per clip", do="derange without block")
    rng = np.random.default_rng(seed)
    given = np.empty((count, first.size), dtype=np.int64)
    for label in np.unique(blocks):
        clips = np.flatnonzero(blocks[first] == label)
        given[:, clips] = clips[_derange(rng, clips.size, count)]
    order = np.argsort(clip, kind="stable")
    trials_of = np.bincount(clip, minlength=first.size)
    start = np.cumsum(trials_of) - trials_of
    nth = np.empty(n, dtype=np.int64)
    nth[order] = np.arange(n) - start[clip[order]]
    other = given[:, clip]
    return order[start[other] + nth % trials_of[other]]


def shuffled(
    score: RowScore,
    n: int,
    *,
    seed: int,
    count: int = 100,
    clip_id: Sequence | Shaped[np.ndarray, " n"] | None = None,
    block: Sequence | Shaped[np.ndarray, " n"] | None = None,
) -> Shuffled:
    """Scores of predictions permuted across clips, `count` derangements (see `derangements`).

    Args:
        score: From rows (n,) to scores (n,): truth i against the reconstruction of trial `rows[i]`.
    """
    rows = derangements(n, count, seed, clip_id=clip_id, block=block)
    values = np.array([_mean(_scores(score, each)) for each in rows])
    return Shuffled(value=_mean(values), values=values)


def mismatched(
    score: RowScore,
    n: int,
    *,
    clip_id: Sequence | Shaped[np.ndarray, " n"] | None = None,
    shifts: int | None = None,
    seed: int | None = None,
) -> Float[np.ndarray, " n"]:
    """Per truth, the mean score over all reconstructions of other clips.

    All n − 1 cyclic shifts of the trials are scored, so each ordered wrong pair occurs exactly once; pairs of
    the same clip are left out. NaN where no wrong pair has a defined score (a single clip).

    Args:
        score: As in `shuffled`.
        shifts: Score this many random shifts instead of all, where a pair is expensive; needs `seed`.
    """
    ids = _per_trial(np.arange(n) if clip_id is None else clip_id, n, "clip_id")
    offsets = np.arange(1, n)
    if shifts is not None:
        if seed is None or shifts < 1:
            raise UsageError(f"shifts = {shifts}, seed = {seed}", expected="at least 1 shift, and a seed")
        chosen = np.random.default_rng(seed).permutation(offsets)
        offsets = np.sort(chosen[:shifts])
    total, pairs = np.zeros(n), np.zeros(n)
    for offset in offsets:
        rows = (np.arange(n) + offset) % n
        values = np.where(ids[rows] != ids, _scores(score, rows), np.nan)
        total += np.where(np.isnan(values), 0.0, values)
        pairs += ~np.isnan(values)
    return np.where(pairs > 0, total, np.nan) / np.where(pairs > 0, pairs, 1.0)


def constant_prediction(
    train_target: Float[np.ndarray, "clips dim"], n: int, *, centred: bool = True
) -> Float[np.ndarray, "n dim"]:
    """The best single answer from the training prior: the training mean (least squared error), n times.

    In the centred space the training mean is the origin, so it is exactly zero there: a vector without
    direction, equally similar to every target, that scores exactly chance in every trial (two-way 0.5, top-k
    k/N) because ties count half. Outside (`centred=False`, for `correlation` or R²) it is the mean itself;
    single trials differ then, but over a gallery in which each clip is asked for once any constant answer
    still averages exactly chance.
    """
    if centred:
        return np.zeros((n, train_target.shape[1]))
    return np.repeat(train_target.astype(np.float64).mean(axis=0, keepdims=True), n, axis=0)


def circular_shifts(n: int, count: int, seed: int, *, least: int = 60) -> Int[np.ndarray, " count"]:
    """Offsets for the shifted-text null: `count` different ones from `least` … n − `least`, in random order.

    A target course of n time points rolled by such an offset keeps its autocorrelation and loses the brain.
    """
    available = n - 2 * least + 1
    if least < 1 or not 1 <= count <= available:
        raise UsageError(
            f"{count} shifts of at least {least} in {n} time points",
            expected=f"at most {max(available, 0)} different shifts, and least ≥ 1",
        )
    return np.random.default_rng(seed).permutation(available)[:count] + least


def _derange(rng: np.random.Generator, n: int, count: int) -> np.ndarray:
    """Uniform permutations of n without a fixed point: about 1 in e random ones is kept."""
    if n < 2:
        raise UsageError("a single clip (in a block)", expected="two clips or more, to exchange predictions")
    kept: list[np.ndarray] = []
    found = 0
    while found < count:
        tries = rng.permuted(np.tile(np.arange(n), (3 * (count - found) + 8, 1)), axis=1)
        good = tries[np.all(tries != np.arange(n), axis=1)]
        kept.append(good)
        found += len(good)
    return np.concatenate(kept)[:count]


def _scores(score: RowScore, rows: np.ndarray) -> np.ndarray:
    values = np.asarray(score(rows), dtype=np.float64)
    if values.shape != rows.shape:
        raise UsageError(f"a score of shape {values.shape}", expected=f"one value for each of {rows.size} trials")
    return values


def _mean(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def _per_trial(labels: object, n: int, name: str) -> np.ndarray:
    array = np.asarray(labels)
    if array.shape != (n,):
        raise UsageError(f"{name} of shape {array.shape}", expected=f"one label for each of {n} trials")
    return array
