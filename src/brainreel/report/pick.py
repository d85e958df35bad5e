"""Examples are picked by score, never by hand."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import NamedTuple

PICK_RULE = (
    "Chosen by score alone: windows are ranked by score, ties in film order with the earlier first; "
    "shown are the first, the middle and the last of that ranking."
)


class Picks(NamedTuple):
    """Indices of the best (best first), the median (better first) and the worst (worst first) scores."""

    best: tuple[int, ...]
    median: tuple[int, ...]
    worst: tuple[int, ...]


def pick_by_score(scores: Sequence[float | None], count: int) -> Picks:
    """The `count` best, median and worst of `scores` (higher is better, in time order), as indices.

    There is one ranking: descending score, the earlier first among equals. Best are its first, worst its
    last, median its middle. Unknown scores (None, NaN) are left out. No index is picked twice: with fewer
    than 3 × count known scores each group shrinks to a third of them, rounded down.
    """
    ranking = _ranking(scores)
    size = max(0, min(count, len(ranking) // 3))
    middle = (len(ranking) - size) // 2
    return Picks(
        best=tuple(ranking[:size]),
        median=tuple(ranking[middle : middle + size]),
        worst=tuple(ranking[::-1][:size]),
    )


def pick_with_drawn_ties(scores: Sequence[float | None], count: int, seed: int) -> Picks:
    """`pick_by_score` where no order is given: equals are ranked in an order that is drawn by the seed."""
    order = list(range(len(scores)))
    random.Random(seed).shuffle(order)
    picks = pick_by_score([scores[index] for index in order], count)
    return Picks(*(tuple(order[index] for index in group) for group in picks))


def median_by_score(scores: Sequence[float | None]) -> int | None:
    """The index in the middle of the same ranking (the better of two), None if no score is known."""
    ranking = _ranking(scores)
    return ranking[(len(ranking) - 1) // 2] if ranking else None


def _ranking(scores: Sequence[float | None]) -> list[int]:
    known = [(-score, i) for i, score in enumerate(scores) if score is not None and not math.isnan(score)]
    return [i for _, i in sorted(known)]
