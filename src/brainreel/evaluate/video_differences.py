"""Paired differences between groups of reconstructions of the same clips, by the same and by other subjects' eyes.

A group is a method's reconstructions, or what stands for them clip by clip: the oracle, the same reconstructions
shuffled, those of the mean response. Whether two intervals overlap says nothing about a difference; its own does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from brainreel.errors import UsageError
from brainreel.evaluate.score_rows import number
from brainreel.evaluate.video_fold import CELL
from brainreel.evaluate.video_scores import VideoScores, bootstrap_of, ratio
from brainreel.metrics import FACTS
from brainreel.metrics.paired import benjamini_hochberg, sign_flip_test

# Names of what stands for a method's reconstructions, as rows of differences call them.
STANDS_FOR = {
    "value": "",
    "ceiling": ", oracle",
    "shuffled": ", shuffled",
    "mean_response": ", mean response",
    "null_flat_grey": ", flat grey",
    "null_mean_clip": ", mean training clip",
    "null_blurred_nearest": ", blurred nearest clip",
    "chance": ", chance",
}


class Group(NamedTuple):
    """One side of a difference: a method's reconstructions (`value`) or a control of theirs, a key of `STANDS_FOR`.

    Chance can only be the second side: its cells are those of the first.
    """

    scores: VideoScores
    cell: str = "value"

    @property
    def name(self) -> str:
        return self.scores.method + STANDS_FOR[self.cell]


def standard_differences(scores: Sequence[VideoScores]) -> list[tuple[Group, Group]]:
    """Oracle − model, model − each control and shuffled − chance of each method; every method − every later one that
    `comparable` allows.
    """
    found: list[tuple[Group, Group]] = []
    for one in scores:
        found.append((Group(one, "ceiling"), Group(one)))
        found += [(Group(one), Group(one, cell)) for cell in STANDS_FOR if cell not in ("value", "ceiling", "chance")]
        found.append((Group(one, "shuffled"), Group(one, "chance")))
    for place, one in enumerate(scores):
        later = (other for other in scores[place + 1 :] if comparable(one, other))
        found += [_over_clips(Group(one), Group(other)) for other in later]
    return found


def comparable(one: VideoScores, other: VideoScores) -> bool:
    """Whether two methods differ in one thing: of one dataset, and either the same variant or the same model."""
    same = [one.facts.get(key) == other.facts.get(key) for key in ("method", "variant")]
    return one.dataset == other.dataset and (any(same) or not (one.facts and other.facts))


def _over_clips(first: Group, second: Group) -> tuple[Group, Group]:
    """The pair itself; averaged over people clip by clip where no person is in both."""
    if set(first.scores.subjects) & set(second.scores.subjects):
        return first, second
    return Group(first.scores.over_subjects(), first.cell), Group(second.scores.over_subjects(), second.cell)


def video_differences(pairs: Sequence[tuple[Group, Group]], *, seed: int = 0) -> list[dict[str, Any]]:
    """First minus second for every measure that both have, over the cells (subject × clip) that both have.

    Intervals resample subjects and clips together; the test flips signs per clip (block, for a film), adjusted for
    all tests of the call (Benjamini-Hochberg). PSNR of a set is a function of its mean squared error, so
    only the latter is compared. Pairs without a common cell are left out.

    Raises:
        UsageError: two groups of different datasets.
    """
    rows: list[dict[str, Any]] = []
    for first, second in pairs:
        if first.scores.dataset != second.scores.dataset:
            raise UsageError(
                f"a difference between {first.scores.dataset!r} and {second.scores.dataset!r}",
                expected="two groups of reconstructions of the same clips",
            )
        rows += _differences(first, second, seed)
    adjusted = benjamini_hochberg(np.array([np.nan if r["p_sign_flip"] is None else r["p_sign_flip"] for r in rows]))
    for row, p in zip(rows, adjusted, strict=True):
        row["p_adjusted"] = number(p)
        row["tests_in_family"] = int(np.isfinite(adjusted).sum())
    return rows


def _differences(first: Group, second: Group, seed: int) -> list[dict[str, Any]]:
    rows = []
    places = {one.key: place for place, one in enumerate(second.scores.asked)}
    for place, one in enumerate(first.scores.asked):
        if one.key not in places or one.measure.kind == "decibel":
            continue
        mine, theirs = _common(first, second, place, places[one.key])
        # The denominators of both are the truth's, so the numerators carry the whole difference.
        apart = np.stack([mine[..., 0] - theirs[..., 0], np.where(np.isnan(theirs[..., 1]), np.nan, mine[..., 1])], -1)
        cells, weight = ratio(apart)
        if np.isnan(cells).all():
            continue
        interval = bootstrap_of(first.scores, cells, weight, seed)
        test = sign_flip_test(np.where(np.isnan(cells), np.nan, apart[..., 0]), seed=seed, block=first.scores.block)
        fact = FACTS.get(one.measure.metric, {}).get(one.measure.definition)
        direction = "higher" if fact is None else fact.direction
        means = np.nansum(np.where(np.isnan(cells), 0.0, cells * weight), axis=1)[~np.isnan(cells).all(axis=1)]
        rows.append(
            {
                "metric": one.measure.metric,
                "definition": one.measure.definition,
                **{key: one.facts[key] for key in ("ways", "k", "encoder_kind") if key in one.facts},
                "stage": "generate",
                "dataset": first.scores.dataset,
                "first": first.name,
                "second": second.name,
                "value": number(interval.value),
                "ci95": [number(interval.low), number(interval.high)] if np.isfinite(interval.low) else None,
                "bootstrap": interval.bootstrap if len(cells) > 1 else "units",
                "paired": "clips" if first.scores.people else "subjects × clips",
                "subjects_above": int((means > 0).sum()),
                "subjects": len(means),
                "n": int((~np.isnan(cells)).sum()),
                "n_units": interval.n,
                "p_sign_flip": number(test.p),
                "p_adjusted": None,
                "direction": direction,
                "unit": "cosine" if fact is None else fact.unit,
                "circular": one.facts.get("circular"),
            }
        )
    return rows


def _common(
    first: Group, second: Group, place: int, other: int
) -> tuple[Float[np.ndarray, "subjects clips 2"], Float[np.ndarray, "subjects clips 2"]]:
    """Both groups' parts on the first one's subjects and clips; NaN where the second lacks one."""
    a, b = first.scores, second.scores
    mine = a.parts[:, :, CELL[first.cell], place]
    if second.cell == "chance":
        chance = a.asked[place].facts.get("chance", np.nan)
        return mine, np.stack([chance * mine[..., 1], mine[..., 1]], axis=-1)
    theirs = np.full_like(mine, np.nan)
    rows = [(i, b.subjects.index(subject)) for i, subject in enumerate(a.subjects) if subject in b.subjects]
    at = {clip: column for column, clip in enumerate(b.clips)}
    columns = [(j, at[clip]) for j, clip in enumerate(a.clips) if clip in at]
    if rows and columns:
        (i, k), (j, m) = zip(*rows, strict=True), zip(*columns, strict=True)
        theirs[np.ix_(i, j)] = b.parts[:, :, CELL[second.cell], other][np.ix_(k, m)]
    return mine, theirs
