"""Intervals for the mean of a table of scores, subjects × units, whose cells are not independent.

A unit is what the world could have dealt differently: a clip, a block of a movie, a scan, a fold. Where the
subjects saw the same clips, a hard clip is hard for everybody; resampling cells one by one would ignore it.
All functions work on counts: a resample is a row of «how often was this unit drawn», so thousands of
resampled means are one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from brainreel.errors import UsageError

FEW_UNITS = 10
DRAWS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Interval:
    """A mean and its percentile bootstrap interval.

    Attributes:
        value: The observed value (see `table_mean`); NaN for an empty table.
        low, high: Ends of the interval; NaN with fewer than two units.
        n: Units that were resampled: those with at least one defined cell.
        subjects: Subjects with at least one defined cell.
        missing: Cells that are NaN: not recorded or undefined.
        bootstrap: `crossed`, `nested`, `crossed-blocks` or `nested-blocks`.
        note: What limits the interval, as a sentence; empty if nothing does.
    """

    value: float
    low: float
    high: float
    n: int
    subjects: int
    missing: int
    bootstrap: str
    note: str


def table_mean(
    table: Float[np.ndarray, "subjects units"], weight: Float[np.ndarray, "subjects units"] | None = None
) -> float:
    """Mean over subjects of each subject's (weighted) mean over its defined cells; NaN if there is none.

    Every subject counts the same, however many cells it has.
    """
    numerator, denominator = _sums(table, weight)
    return float(_mean_of_subjects(numerator.sum(axis=1)[None], denominator.sum(axis=1)[None])[0])


def crossed_bootstrap(
    table: Float[np.ndarray, "subjects units"],
    *,
    seed: int,
    block: Sequence | Shaped[np.ndarray, " units"] | None = None,
    weight: Float[np.ndarray, "subjects units"] | None = None,
    resamples: int = 10_000,
    level: float = 0.95,
) -> Interval:
    """Resample units and subjects, independently; one resample of the units holds for all subjects.

    For subjects who saw the same clips. With one subject, only units vary; with one unit there is no
    interval. It is slightly conservative (Owen 2007, «The pigeonhole bootstrap», Ann. Appl. Stat. 1:386:
    noise that belongs to single cells is counted about three times, subject and unit effects once).

    Args:
        table: One score per subject and unit; NaN where missing or undefined.
        seed: Seeds this call; equal seeds give equal resamples for tables of equal shape.
        block: Label of each unit (scan, fold, contiguous stretch of a movie): labels are resampled and all
            units of a label stay together.
        weight: What each cell counts in its subject's mean; a ratio Σa/Σb is the table a/b with weight b.
        resamples: Number of resamples.
        level: Coverage of the percentile interval.
    """
    numerator, denominator, n = _units(table, weight, block)
    value = table_mean(table, weight)
    rng = np.random.default_rng(seed)
    alive = denominator.any(axis=1)
    numerator, denominator = numerator[alive], denominator[alive]
    means = np.full(resamples, np.nan)
    if n >= 2:
        for rows in _chunks(resamples, max(denominator.shape)):
            units = resample_counts(rng, rows.stop - rows.start, n)
            people = resample_counts(rng, rows.stop - rows.start, len(denominator))
            means[rows] = _mean_of_subjects(units @ numerator.T, units @ denominator.T, people)
    return _interval(value, means, table, len(denominator), n, "crossed", block is not None, level)


def nested_bootstrap(
    table: Float[np.ndarray, "subjects units"],
    *,
    seed: int,
    block: Sequence | Shaped[np.ndarray, " units"] | None = None,
    weight: Float[np.ndarray, "subjects units"] | None = None,
    resamples: int = 10_000,
    level: float = 0.95,
) -> Interval:
    """Resample subjects, then each drawn subject's own units: for subjects who saw different clips (HAD).

    Column j of two rows need not be the same clip; rows shorter than the longest end in NaN. A subject drawn
    twice gets two independent resamples of its units. Conservative like the crossed one: noise of single
    cells is counted twice (once in the subjects' means, once by the units), subject effects once.
    Arguments as in `crossed_bootstrap`; `n` of the result is the number of all subjects' units together.
    """
    numerator, denominator, _ = _units(table, weight, block)
    value = table_mean(table, weight)
    rng = np.random.default_rng(seed)
    alive = denominator.any(axis=1)
    numerator, denominator = numerator[alive], denominator[alive]
    people, n = len(denominator), int(np.count_nonzero(denominator))
    drawn = rng.integers(0, max(people, 1), size=(resamples, people))
    means = np.full((resamples, people), np.nan)
    for subject in range(people):
        own = np.flatnonzero(denominator[subject])
        places = np.flatnonzero(drawn == subject)
        for rows in _chunks(places.size, own.size):
            counts = resample_counts(rng, rows.stop - rows.start, own.size)
            sums = counts @ np.stack([numerator[subject, own], denominator[subject, own]], axis=1)
            means.flat[places[rows]] = sums[:, 0] / sums[:, 1]
    # One unit per subject is no nesting problem: it is a plain bootstrap of subjects.
    averaged = means.mean(axis=1) if n >= 2 else np.full(resamples, np.nan)
    return _interval(value, averaged, table, people, n, "nested", block is not None, level)


def contiguous_blocks(
    onset_s: Float[np.ndarray, " units"],
    duration_s: Float[np.ndarray, " units"] | float,
    *,
    length_s: float = 30.0,
    scan: Sequence | Shaped[np.ndarray, " units"] | None = None,
) -> Int[np.ndarray, " units"]:
    """Labels 0, 1, … of contiguous stretches of a movie, each of at least `length_s`, for `block=`.

    A block never spans two scans; what is left at a scan's end joins its last block, and a scan shorter than
    `length_s` is one block. A unit belongs to the block in which it starts.
    """
    if not length_s > 0:
        raise UsageError(f"length_s = {length_s}", expected="a length above 0")
    ends_s = onset_s + duration_s
    scans = np.zeros(onset_s.shape) if scan is None else np.asarray(scan)
    if scans.shape != onset_s.shape:
        raise UsageError(f"{scans.size} scan labels", expected=f"one for each of {onset_s.size} units")
    _, first, place = np.unique(scans, return_index=True, return_inverse=True)
    labels = np.zeros(onset_s.shape, dtype=np.int64)
    offset = 0
    for which in np.argsort(first):
        rows = place.reshape(-1) == which
        start_s = onset_s[rows].min()
        # The tolerance keeps 20 × 1.5 s, summed in floats, a full 30 s.
        complete = max(1, int((ends_s[rows].max() - start_s) / length_s + 1e-9))
        grid = ((onset_s[rows] - start_s) / length_s + 1e-9).astype(np.int64)
        # Empty stretches (training time between test windows) get no label.
        _, dense = np.unique(np.minimum(grid, complete - 1), return_inverse=True)
        labels[rows] = offset + dense.reshape(-1)
        offset = int(labels[rows].max()) + 1
    return labels


def resample_counts(rng: np.random.Generator, resamples: int, n: int) -> Float[np.ndarray, "resamples n"]:
    """How often each of n things was drawn in n draws with replacement; every row sums to n."""
    draws = rng.integers(0, n, size=(resamples, n)) + n * np.arange(resamples)[:, None]
    return np.bincount(draws.reshape(-1), minlength=resamples * n).reshape(resamples, n).astype(np.float64)


def unit_sums(
    table: Float[np.ndarray, "subjects units"],
    block: Sequence | Shaped[np.ndarray, " units"] | None,
) -> Float[np.ndarray, "subjects labels"]:
    """Sum of the columns that share a label, labels in sorted order; without labels the table itself."""
    if block is None:
        return table
    labels = np.asarray(block)
    if labels.shape != table.shape[1:]:
        raise UsageError(f"{labels.size} block labels", expected=f"one for each of {table.shape[1]} units")
    names, place = np.unique(labels, return_inverse=True)
    return table @ (place.reshape(-1)[:, None] == np.arange(len(names))).astype(np.float64)


def _sums(table: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Weighted values and weights, 0 where a cell is missing."""
    cells = np.isfinite(table)
    if np.isinf(table).any():
        raise UsageError("an infinite score", expected="finite scores or NaN", do="average errors, not decibels")
    if weight is None:
        return np.where(cells, table, 0.0).astype(np.float64), cells.astype(np.float64)
    if weight.shape != table.shape or not np.all(weight[cells] >= 0):
        raise UsageError(f"weights {weight.shape}", expected=f"non-negative weights of shape {table.shape}")
    weights = np.where(cells, weight, 0.0).astype(np.float64)
    return np.where(cells, table, 0.0) * weights, weights


def _units(table: np.ndarray, weight: np.ndarray | None, block: object) -> tuple[np.ndarray, np.ndarray, int]:
    """Numerators and denominators per subject and unit, without the units in which nobody has a cell."""
    numerator, denominator = (unit_sums(part, block) for part in _sums(table, weight))  # type: ignore[arg-type]
    alive = denominator.any(axis=0)
    return numerator[:, alive], denominator[:, alive], int(np.count_nonzero(alive))


def _mean_of_subjects(numerator: np.ndarray, denominator: np.ndarray, people: np.ndarray | float = 1.0) -> np.ndarray:
    """Mean of the subjects' ratios, weighted by how often each was drawn; without a cell: left out."""
    defined = denominator > 0
    means = np.where(defined, numerator, 0.0) / np.where(defined, denominator, 1.0)
    drawn = people * defined
    total = drawn.sum(axis=1)
    return np.where(total > 0, (means * drawn).sum(axis=1), np.nan) / np.where(total > 0, total, 1.0)


def _chunks(resamples: int, n: int) -> Iterator[slice]:
    size = max(1, DRAWS_AT_ONCE // max(n, 1))
    for start in range(0, resamples, size):
        yield slice(start, min(start + size, resamples))


def _interval(
    value: float,
    means: np.ndarray,
    table: np.ndarray,
    subjects: int,
    n: int,
    kind: str,
    blocks: bool,
    level: float,
) -> Interval:
    if not 0 < level < 1:
        raise UsageError(f"level = {level}", expected="a coverage between 0 and 1, such as 0.95")
    defined = means[np.isfinite(means)]
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(defined, tails) if defined.size else (np.nan, np.nan)
    thing = "block" if blocks else "unit"
    notes = []
    if n < 2:
        notes.append(f"{n} {thing}{'s' * (n != 1)}: no interval can be given")
    elif n < FEW_UNITS:
        notes.append(f"only {n} {thing}s: the interval is rough and tends to be too narrow")
    if subjects == 1:
        notes.append("one subject: the interval speaks of this subject only")
    if 0 < defined.size < means.size:
        notes.append(f"{means.size - defined.size} of {means.size} resamples held no cell")
    return Interval(
        value=value,
        low=float(low),
        high=float(high),
        n=n,
        subjects=subjects,
        missing=int(np.count_nonzero(np.isnan(table))),
        bootstrap=kind + "-blocks" * blocks,
        note="; ".join(notes),
    )
