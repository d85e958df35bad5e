"""What a score may owe to something other than the brain: the training prior, the category, copies, leaks.

Everything works on vectors of one space: brain embeddings and the targets they were trained on, or an encoder's
features of reconstructions, of the true and of the training clips. Predictions are centred (the training mean is
their origin), targets are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from brainreel.errors import UsageError
from brainreel.metrics.identification import rank_own, similarity

NEARLY_IDENTICAL = 0.98
UNKNOWN = ""


@dataclass(frozen=True)
class Audit:
    """One value per trial; NaN where undefined. Those of two-way identification have chance 0.5.

    Attributes:
        two_way: The score itself, in the gallery of the test clips.
        within: Against clips of the same category only: what a classifier of categories cannot do.
        across: Against clips of other categories only: what a classifier of categories does perfectly.
        category_only: The trial answered by predictions for *other* clips of its category (mean over them; the
            clip such a prediction was made for is no candidate): what knowing the category alone scores.
        constant: The trial answered by the mean of all predictions, as from the mean response. Over a gallery
            in which every clip is asked for once its mean is exactly chance.
        copying: The trial answered by the training clip that is nearest to its prediction.
        against_training: The fraction of *training* clips that fit the prediction less well than the truth.
        beaten_by_training: 1 where some training clip fits the prediction better than the truth does. One of
            n training clips does so by chance with probability n/(n + 1): see `chance_beaten`.
        copied: 1 where the prediction is nearly identical to a training clip.
        unseen: 1 where the clip's category is known and never occurs in training.
        twin: The largest similarity of the clip's own target to a training clip's.
        leaked: 1 where ``twin`` reaches the threshold of near-identity.
        chance_beaten: Chance of ``beaten_by_training``.
    """

    two_way: Float[np.ndarray, " trials"]
    within: Float[np.ndarray, " trials"]
    across: Float[np.ndarray, " trials"]
    category_only: Float[np.ndarray, " trials"]
    constant: Float[np.ndarray, " trials"]
    copying: Float[np.ndarray, " trials"]
    against_training: Float[np.ndarray, " trials"]
    beaten_by_training: Float[np.ndarray, " trials"]
    copied: Float[np.ndarray, " trials"]
    unseen: Float[np.ndarray, " trials"]
    twin: Float[np.ndarray, " trials"]
    leaked: Float[np.ndarray, " trials"]
    chance_beaten: float


def audit_embeddings(
    prediction: Float[np.ndarray, "trials dim"],
    own: Int[np.ndarray, " trials"],
    gallery: Float[np.ndarray, "clips target_dim"],
    train: Float[np.ndarray, "train_clips target_dim"],
    *,
    centre: Float[np.ndarray, " target_dim"],
    category: Sequence[str] | Shaped[np.ndarray, " clips"] | None = None,
    train_category: Sequence[str] | Shaped[np.ndarray, " train_clips"] | None = None,
    nearly_identical: float = NEARLY_IDENTICAL,
) -> Audit:
    """Audit one subject's predictions in one fold.

    Args:
        prediction: One centred vector per trial.
        own: Row of ``gallery`` that is each trial's clip.
        gallery: Targets of the unique test clips.
        train: Targets of the unique training clips.
        centre: Mean of the training targets, as it was in training.
        category: What each test clip is; empty where unknown. None: nothing is known.
        train_category: The same of the training clips.
        nearly_identical: From which centred cosine on two clips count as one.

    Returns:
        The columns, see `Audit`. Without categories, those that need them are NaN (``unseen`` is 0).

    Raises:
        UsageError: shapes that do not fit, or a threshold that is no cosine.
    """
    if not 0 < nearly_identical <= 1:
        raise UsageError(f"nearly_identical = {nearly_identical}", expected="a cosine above 0, at most 1")
    if not len(train):
        raise UsageError("no training clips", expected="those that the model was trained on")
    kinds = _categories(category, len(gallery), "test")
    trained_kinds = _categories(train_category, len(train), "training")
    alike = similarity(prediction, gallery, centre=centre)
    copies = similarity(prediction, train, centre=centre)
    mine = np.take_along_axis(alike, own[:, None], axis=1)
    defined = np.isfinite(mine[:, 0])
    # A prediction that is not finite has no nearest clip; its row is blanked below.
    nearest = np.argmax(np.where(np.isfinite(copies), copies, -np.inf), axis=1)
    answers = similarity(train - centre, gallery, centre=centre)
    lower, tied = (copies < mine).mean(1), (copies == mine).mean(1)
    within, across = _by_category(alike, own, kinds)
    mean = prediction[np.isfinite(prediction).all(1)].mean(0, keepdims=True) if defined.any() else prediction[:1]
    constant = similarity(np.repeat(mean, len(own), axis=0), gallery, centre=centre)
    twin = nearest_training(gallery, train, centre=centre)[1][own]
    known = (kinds != UNKNOWN)[own]

    def blank(values: Any) -> np.ndarray:
        return np.where(defined, np.asarray(values, dtype=float), np.nan)

    return Audit(
        two_way=rank_own(alike, own).two_way,
        within=within,
        across=across,
        category_only=_category_only(alike, own, kinds),
        constant=blank(rank_own(constant, own).two_way),
        copying=blank(rank_own(answers[nearest], own).two_way),
        against_training=blank(lower + tied / 2),
        beaten_by_training=blank((copies > mine).any(1)),
        copied=blank((copies >= nearly_identical).any(1)),
        unseen=np.where(known, ~np.isin(kinds[own], trained_kinds), False).astype(float),
        twin=twin,
        leaked=(twin >= nearly_identical).astype(float),
        chance_beaten=len(train) / (len(train) + 1),
    )


def given_away(model: float, control: float, chance: float) -> float:
    """The share of the way from chance to the model that a control without the brain goes already.

    (control − chance)/(model − chance): 0 where the control is at chance, 1 where the brain adds nothing; below
    0 and above 1 are possible. NaN where the model itself is not above chance (for scores that are better when
    lower, not below it: pass all three negated).
    """
    return (control - chance) / (model - chance) if model > chance else float("nan")


def _by_category(
    alike: Float[np.ndarray, "trials clips"], own: Int[np.ndarray, " trials"], kinds: Shaped[np.ndarray, " clips"]
) -> tuple[Float[np.ndarray, " trials"], Float[np.ndarray, " trials"]]:
    known = kinds != UNKNOWN
    same = (kinds[own][:, None] == kinds) & known
    other = (kinds[own][:, None] != kinds) & known & known[own][:, None]
    itself = own[:, None] == np.arange(len(kinds))
    return tuple(rank_own(np.where(some | itself, alike, np.nan), own).two_way for some in (same, other))  # type: ignore[return-value]


def _category_only(
    alike: Float[np.ndarray, "trials clips"], own: Int[np.ndarray, " trials"], kinds: Shaped[np.ndarray, " clips"]
) -> Float[np.ndarray, " trials"]:
    """Mean over predictions j for other clips of the category: truth i against all clips but i's and j's own."""
    answered = np.isfinite(alike).all(1)
    out = np.full(len(own), np.nan)
    for trial, clip in enumerate(own):
        others = np.flatnonzero(answered & (kinds[own] == kinds[clip]) & (own != clip) & (kinds[clip] != UNKNOWN))
        if len(kinds) < 3 or not len(others):
            continue
        scores = alike[others]
        truth = scores[:, [clip]]
        beaten = (scores < truth) + (scores == truth) / 2
        rows = np.arange(len(others))
        beaten[rows, own[others]] = 0
        beaten[:, clip] = 0
        out[trial] = beaten.sum(1).mean() / (len(kinds) - 2)
    return out


def nearest_training(
    test: Float[np.ndarray, "clips dim"],
    train: Float[np.ndarray, "train_clips train_dim"],
    *,
    centre: Float[np.ndarray, " dim"],
) -> tuple[Int[np.ndarray, " clips"], Float[np.ndarray, " clips"]]:
    """The training clip whose target is nearest to each test clip's, and their centred cosine.

    A cosine near 1 is a leak that no fold by time or clip can see: the same thing shown twice.
    """
    alike = similarity(test - centre, train, centre=centre)
    row = np.argmax(np.where(np.isfinite(alike), alike, -np.inf), axis=1)
    return row, alike[np.arange(len(test)), row]


def _categories(labels: object, clips: int, whose: str) -> np.ndarray:
    if labels is None:
        return np.full(clips, UNKNOWN)
    array = np.asarray(labels, dtype=str)
    if array.shape != (clips,):
        raise UsageError(f"categories of shape {array.shape}", expected=f"one for each of {clips} {whose} clips")
    return array
