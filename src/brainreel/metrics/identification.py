"""Which clip of a gallery did the prediction mean? Two-way identification and retrieval, exact under ties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from brainreel.errors import UsageError, alternatives

SIMILARITIES = {
    "centred-cosine": "cosine of the prediction and the target minus the training mean (`centre`); the "
    "prediction is not centred, for a model trained on centred targets answers in the centred space",
    "correlation": "Pearson correlation of prediction and target over the dimensions",
}
DEFINITIONS: dict[str, dict[str, str]] = {
    "two_way_identification": {
        name: f"Fraction of the gallery's other clips whose target is less similar to the prediction than "
        f"the clip's own, ties half; similarity = {how}; chance 0.5."
        for name, how in SIMILARITIES.items()
    },
    "retrieval": {
        name: f"Rank of the clip's own target in the whole gallery, 1 = best, the mean rank under ties; "
        f"similarity = {how}; top-k chance k/N."
        for name, how in SIMILARITIES.items()
    },
}
TRIALS_AT_ONCE = 4096


@dataclass(frozen=True)
class Retrieval:
    """Where each trial's own target stands among its candidates.

    Attributes:
        above: Candidates more similar to the prediction than its own target; NaN where undefined.
        tied: Other candidates exactly as similar as the own target; NaN where undefined.
        gallery: Number of candidates, the own included (0 where undefined).
    """

    above: Float[np.ndarray, " trials"]
    tied: Float[np.ndarray, " trials"]
    gallery: Int[np.ndarray, " trials"]

    @property
    def rank(self) -> Float[np.ndarray, " trials"]:
        """Expected rank if ties are broken at random: 1 (best) … N; chance (N + 1)/2; lower is better."""
        return 1 + self.above + self.tied / 2

    @property
    def two_way(self) -> Float[np.ndarray, " trials"]:
        """Fraction of distractors beaten, ties half: 0 … 1, chance 0.5; NaN without a distractor."""
        distractors = np.where(self.gallery > 1, self.gallery - 1.0, np.nan)
        return 1 - (self.above + self.tied / 2) / distractors

    def top_k(self, k: int) -> Float[np.ndarray, " trials"]:
        """Probability that the own target is among the best k if ties are broken at random: 0 … 1."""
        if k < 1:
            raise UsageError(f"k = {k}", expected="a number of places of at least 1")
        return np.clip((k - self.above) / (self.tied + 1), 0.0, 1.0)

    def chance(self, k: int) -> float:
        """Chance of `top_k`, mean of k/N over the defined trials."""
        sizes = self.gallery[self.gallery > 0]
        return float(np.mean(np.minimum(1.0, k / sizes))) if sizes.size else float("nan")

    @property
    def median_rank(self) -> float:
        """Median of `rank` over the defined trials; NaN if none is."""
        return float(np.median(self.rank[self.gallery > 0])) if self.defined else float("nan")

    @property
    def defined(self) -> int:
        """Number of trials that have a value."""
        return int(np.count_nonzero(self.gallery))


def chance_two_way() -> float:
    """Two-way identification of an answer that knows nothing, ties half."""
    return 0.5


def chance_top_k(k: int, gallery: int) -> float:
    """Top-k accuracy of an answer that knows nothing: k/N, at most 1."""
    if k < 1 or gallery < 1:
        raise UsageError(f"k = {k} in a gallery of {gallery}", expected="both at least 1")
    return min(1.0, k / gallery)


def chance_median_rank(gallery: int) -> float:
    """Median rank of an answer that knows nothing: (N + 1)/2."""
    return (gallery + 1) / 2


def two_way_identification(
    prediction: Float[np.ndarray, "trials dim"],
    target: Float[np.ndarray, "rows target_dim"],
    *,
    clip_id: Sequence | Shaped[np.ndarray, " trials"] | None = None,
    own: Int[np.ndarray, " trials"] | None = None,
    block: Sequence | Shaped[np.ndarray, " rows"] | None = None,
    centre: Float[np.ndarray, " target_dim"] | None = None,
    definition: str = "centred-cosine",
) -> Float[np.ndarray, " trials"]:
    """Fraction of the other clips whose target is less similar to the prediction than the own, ties half.

    Arguments, errors and what is undefined: see `retrieval`. Range 0 … 1, higher is better, chance 0.5.
    NaN for a gallery of one clip.

    >>> prediction = np.array([[1.0, 0.2], [1.0, 0.0], [0.0, -1.0]])
    >>> target = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> two_way_identification(prediction, target)
    array([1.  , 0.25, 1.  ])
    """
    return retrieval(
        prediction, target, clip_id=clip_id, own=own, block=block, centre=centre, definition=definition
    ).two_way


def retrieval(
    prediction: Float[np.ndarray, "trials dim"],
    target: Float[np.ndarray, "rows target_dim"],
    *,
    clip_id: Sequence | Shaped[np.ndarray, " trials"] | None = None,
    own: Int[np.ndarray, " trials"] | None = None,
    block: Sequence | Shaped[np.ndarray, " rows"] | None = None,
    centre: Float[np.ndarray, " target_dim"] | None = None,
    definition: str = "centred-cosine",
) -> Retrieval:
    """Rank of each trial's own target in the gallery of unique clips.

    Two ways to say what the gallery is. Without `own`, row i of `target` belongs to trial i; rows with the
    same `clip_id` (repetitions, other subjects) are one candidate, never each other's distractors. With
    `own`, `target` is the gallery itself, one row per unique clip, and trial i is of clip `own[i]`.

    An identical target of another clip is a tie. A vector without direction (all zeros under
    `centred-cosine`, constant under `correlation`) is equally similar, 0, to everything: the constant control
    in the centred space therefore scores exactly chance. A target with a non-finite value is no candidate;
    its own trials, and trials whose prediction is not finite, are NaN.

    Args:
        prediction: One vector per trial, in the centred space for `centred-cosine` (never centred here).
        target: One vector per trial, or per unique clip when `own` is given; same width as `prediction`.
        clip_id: The clip of each trial; None: every trial is a clip of its own.
        own: Row of `target` that is each trial's own clip.
        block: Label of each row of `target`; only clips of the same block are candidates (a movie's folds).
        centre: Mean of the **training** targets, subtracted from `target` alone; None: already centred.
        definition: `centred-cosine` or `correlation` (see `DEFINITIONS`).

    Raises:
        UsageError: Shapes that do not fit, an unknown definition, one clip with two targets or two blocks.
    """
    if own is None:
        target, own, block = _gallery_of_trials(prediction, target, clip_id, block)
    elif clip_id is not None:
        raise UsageError("both clip_id and own", expected="one of them", do="with own, target is the gallery")
    return rank_own(similarity(prediction, target, centre=centre, definition=definition), own, block=block)


def similarity(
    prediction: Float[np.ndarray, "trials dim"],
    target: Float[np.ndarray, "clips target_dim"],
    *,
    centre: Float[np.ndarray, " target_dim"] | None = None,
    definition: str = "centred-cosine",
) -> Float[np.ndarray, "trials clips"]:
    """Similarity of every prediction to every target: −1 … 1, NaN where one of the two is not finite.

    Columns of identical targets are identical to the last bit, whatever the matrix product rounds.
    """
    if definition not in SIMILARITIES:
        raise UsageError(f"definition {alternatives(definition, SIMILARITIES)}")
    if prediction.shape[1] != target.shape[1]:
        raise UsageError(f"predictions {prediction.shape} and targets {target.shape}", expected="equal widths")
    unique, column = _unique_rows(target.astype(np.float64))
    centred = unique if centre is None else unique - centre.astype(np.float64)
    answers = prediction.astype(np.float64)
    if definition == "correlation":
        centred = _without_mean(centred)
        answers = _without_mean(answers)
    return (_directions(answers) @ _directions(centred).T)[:, column]


def rank_own(
    similarities: Float[np.ndarray, "trials clips"],
    own: Int[np.ndarray, " trials"],
    *,
    block: Sequence | Shaped[np.ndarray, " clips"] | None = None,
) -> Retrieval:
    """Where each trial's own clip stands in a matrix of similarities (NaN columns are no candidates)."""
    trials, clips = similarities.shape
    if own.shape != (trials,):
        raise UsageError(f"own of shape {own.shape}", expected=f"one row of the gallery for each of {trials} trials")
    if own.size and not (own.min() >= 0 and own.max() < clips):
        raise UsageError(f"own from {own.min()} to {own.max()}", expected=f"rows of a gallery of {clips} clips")
    labels = None if block is None else _labels(block, clips, "block", "target")
    above, tied = np.full(trials, np.nan), np.full(trials, np.nan)
    gallery = np.zeros(trials, dtype=np.int64)
    for start in range(0, trials, TRIALS_AT_ONCE):
        rows = slice(start, start + TRIALS_AT_ONCE)
        values, index = similarities[rows], own[rows]
        candidates = np.isfinite(values)
        if labels is not None:
            candidates &= labels[index][:, None] == labels[None, :]
        mine = np.take_along_axis(values, index[:, None], axis=1)
        defined = np.isfinite(mine[:, 0])
        above[rows] = np.where(defined, np.count_nonzero(candidates & (values > mine), axis=1), np.nan)
        tied[rows] = np.where(defined, np.count_nonzero(candidates & (values == mine), axis=1) - 1, np.nan)
        gallery[rows] = np.where(defined, np.count_nonzero(candidates, axis=1), 0)
    return Retrieval(above, tied, gallery)


def _gallery_of_trials(
    prediction: np.ndarray, target: np.ndarray, clip_id: object, block: object
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """One row per unique clip in order of first appearance, the row of each trial, and the clips' blocks."""
    trials = prediction.shape[0]
    if target.shape[0] != trials:
        raise UsageError(
            f"{trials} predictions and {target.shape[0]} targets",
            expected="a target per trial",
            do="give own= if target is a gallery of unique clips",
        )
    labels = None if block is None else _labels(block, trials, "block", "target")
    if clip_id is None:
        return target, np.arange(trials), labels
    ids = _labels(clip_id, trials, "clip_id", "prediction")
    first, own = first_rows(ids)
    gallery = target[first]
    differs = ~np.all((target == gallery[own]) | (np.isnan(target) & np.isnan(gallery[own])), axis=1)
    if differs.any():
        raise UsageError(
            f"clip {str(ids[differs][0])!r} has two different targets",
            expected="one target per clip",
            do="average the targets of a clip first",
        )
    if labels is not None and np.any(labels != labels[first][own]):
        raise UsageError(
            f"clip {str(ids[labels != labels[first][own]][0])!r} lies in two blocks",
            expected="one block per clip",
        )
    return gallery, own, None if labels is None else labels[first]


def first_rows(
    ids: Shaped[np.ndarray, " rows"],
) -> tuple[Int[np.ndarray, " clips"], Int[np.ndarray, " rows"]]:
    """First row of each unique label in order of appearance, and each row's place in that list."""
    _, first, place = np.unique(ids, return_index=True, return_inverse=True)
    order = np.argsort(first)
    position = np.empty_like(order)
    position[order] = np.arange(order.size)
    return first[order], position[place.reshape(-1)]


def _unique_rows(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different rows in order of appearance, and which of them each row is."""
    places: dict[bytes, int] = {}
    # Adding 0 turns −0 into 0: rows are compared by value.
    which = [places.setdefault(row.tobytes(), len(places)) for row in vectors + 0.0]
    column = np.array(which, dtype=np.int64)
    return vectors[np.unique(column, return_index=True)[1]], column


def _labels(labels: object, rows: int, name: str, of: str) -> np.ndarray:
    array = np.asarray(labels)
    if array.shape != (rows,):
        raise UsageError(f"{name} of shape {array.shape}", expected=f"one label for each of {rows} rows of {of}")
    return array


def _without_mean(vectors: np.ndarray) -> np.ndarray:
    """Vectors minus their own mean; a constant vector becomes exactly 0 (its mean may be off by rounding)."""
    constant = np.all(vectors == vectors[:, :1], axis=1)
    return np.where(constant[:, None], 0.0, vectors - vectors.mean(axis=1, keepdims=True))


def _directions(vectors: np.ndarray) -> np.ndarray:
    """Vectors of unit length; zero stays zero, a row with a non-finite value is NaN throughout."""
    finite = np.isfinite(vectors).all(axis=1, keepdims=True)
    safe = np.where(finite, vectors, 0.0)
    # Scaling by the largest value first keeps the square from under- or overflowing.
    largest = np.abs(safe).max(axis=1, keepdims=True, initial=0.0)
    safe = safe / np.where(largest > 0, largest, 1.0)
    length = np.linalg.norm(safe, axis=1, keepdims=True)
    return np.where(finite, safe / np.where(length > 0, length, 1.0), np.nan)
