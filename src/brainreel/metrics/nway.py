"""n-way top-k accuracy of a classifier's opinion of the reconstructions, in closed form.

A trial hides the truth's class among n − 1 distractor classes drawn without replacement and asks whether it
is among the k that the classifier finds likeliest in the reconstruction. The draw is hypergeometric, so its
expectation needs no sampling. Ranks come from the scores alone: M classes can be drawn, K of them beat the
best class of the truth's set G, E tie with it, and m = n − 1 are drawn.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int, Num

from ..errors import UsageError, alternatives

DEFINITIONS: dict[str, dict[str, str]] = {
    "n_way_accuracy": {
        "exact": "The expected accuracy over all draws of n-1 distractors of the truth's top class (or a "
        "given label), ranked by the reconstruction's logits; ties count half. Chance k/n.",
        "published-top3": "As the field's released code samples it: any of the truth's top three classes may "
        "win against the same n-1 distractors, float32 softmax, ties lose. Chance 1-C(n-1,k)/C(n+2,k), "
        "0.75 for 2-way.",
    }
}

# What a caller may get wrong is answered by `_scores` in a sentence, so its type promises only numbers.
Logits = Num[np.ndarray, "..."]
Labels = Int[np.ndarray, "..."]

TRUTH_CLASSES = {"exact": 1, "published-top3": 3}
PUBLISHED_TRIALS = 100
CELLS_AT_ONCE = 1 << 20


class Ranks(NamedTuple):
    """All that the accuracy depends on: the drawable classes, and how many beat or tie with G's best one."""

    drawable: int
    beating: Int[np.ndarray, " clips"]
    tied: Int[np.ndarray, " clips"]


def n_way_accuracy(
    truth_logits: Logits,
    recon_logits: Logits,
    *,
    n: int,
    k: int,
    definition: str = "exact",
    label: Labels | None = None,
    seed: int | None = None,
    trials: int = PUBLISHED_TRIALS,
) -> Float[np.ndarray, " clips"]:
    """Probability that the truth's class is among the k likeliest of n in the reconstruction.

    Range [0, 1], higher is better; chance is `n_way_chance(n, k, definition)`. Each of the m = n − 1
    distractors is drawn from the M classes outside G:

        P[Hypergeom(M, K, m) ≤ k − 1] = Σ_{x<k} C(K, x) C(M − K, m − x) / C(M, m)

    Under `exact`, a tie with E classes is broken at random:
    Σ_{x,y} C(K,x) C(E,y) C(M−K−E, m−x−y) / C(M,m) · min(1, max(0, (k−x)/(y+1))).

    Args:
        truth_logits: The classifier's logits for the true clips, (clips, classes).
        recon_logits: Its logits for the reconstructions of the same clips.
        n: Classes in a trial, the truth's included.
        k: The truth's class must be among the k best.
        definition: `exact`, or `published-top3` (MinD-Video and its successors).
        label: A known class per clip, in place of the truth's top class; `exact` only.
        seed: Sample `trials` draws a clip as the published code does, from one `RandomState(seed)` per call:
            clip by clip, trial by trial, `permutation(C − 3)[:n − 1]` indexes the ascending list of classes
            outside G. `published-top3` only; None gives the expectation.
        trials: Draws per clip of the sampled variant.

    Raises:
        UsageError: Unequal shapes, undefined logits, or an n, k, label or seed that does not fit.
    """
    if seed is not None:
        _refuse_sampling(definition, trials)
        scores = _scores(truth_logits, recon_logits, definition)
        _check_n_k(n, k, scores[0].shape[1] - TRUTH_CLASSES[definition])
        return _sampled(*scores, n=n, k=k, seed=seed, trials=trials)
    ranks = rank_truth(truth_logits, recon_logits, definition=definition, label=label)
    return accuracy_from_ranks(ranks, n=n, k=k, definition=definition)


def n_way_accuracy_of_frames(
    truth_logits: Logits,
    recon_logits: Logits,
    *,
    n: int,
    k: int,
    definition: str = "exact",
    label: Labels | None = None,
) -> Float[np.ndarray, " clips"]:
    """`n_way_accuracy` of an image classifier: every frame scored by itself, mean over a clip's frames."""
    if truth_logits.shape != recon_logits.shape or truth_logits.ndim != 3:
        raise _unequal(truth_logits, recon_logits, "(clips, frames, classes)")
    clips, frames, classes = truth_logits.shape
    per_frame = n_way_accuracy(
        truth_logits.reshape(-1, classes),
        recon_logits.reshape(-1, classes),
        n=n,
        k=k,
        definition=definition,
        label=None if label is None else np.repeat(label, frames),
    )
    return per_frame.reshape(clips, frames).mean(axis=1)


def n_way_ties(
    truth_logits: Logits,
    recon_logits: Logits,
    *,
    definition: str = "exact",
    label: Labels | None = None,
) -> Int[np.ndarray, " clips"]:
    """Classes that tie with the truth's in each reconstruction; report `np.count_nonzero` of it."""
    return rank_truth(truth_logits, recon_logits, definition=definition, label=label).tied


def n_way_chance(n: int, k: int, definition: str = "exact") -> float:
    """Expected accuracy of exchangeable scores without ties: k/n, or 1 − C(n−1, k)/C(n+2, k)."""
    _check_definition(definition)
    if definition == "exact":
        return min(1.0, k / n)
    return 1.0 - comb(n - 1, k) / comb(n + 2, k)


def sampling_sd(accuracy: Float[np.ndarray, " clips"], trials: int = PUBLISHED_TRIALS) -> float:
    """SD, over unseeded runs, of the mean that `trials` draws a clip give: √(Σ aᵢ(1 − aᵢ)/T)/N."""
    return float(np.sqrt((accuracy * (1 - accuracy)).sum() / trials) / len(accuracy))


def class_distribution(labels: Int[np.ndarray, " clips"], classes: int) -> Float[np.ndarray, " classes"]:
    """How often each class occurs among training clips: the best single answer without a brain."""
    if labels.size == 0 or labels.min() < 0 or labels.max() >= classes:
        raise UsageError(
            f"{labels.size} training labels"
            + (f" from {labels.min()} to {labels.max()}" if labels.size else "")
            + f" for {classes} classes",
            expected=f"at least one, each from 0 to {classes - 1}",
        )
    return np.bincount(labels, minlength=classes) / labels.size


def n_way_constant(
    truth_logits: Logits,
    distribution: Float[np.ndarray, " classes"],
    *,
    n: int,
    k: int,
    definition: str = "exact",
    label: Labels | None = None,
) -> Float[np.ndarray, " clips"]:
    """The `constant` control: the accuracy of answering the training class distribution for every clip."""
    with np.errstate(divide="ignore"):
        answer = np.log(distribution)
    constant = np.broadcast_to(answer, (len(truth_logits), len(answer)))
    return n_way_accuracy(truth_logits, constant, n=n, k=k, definition=definition, label=label)


def rank_truth(
    truth_logits: Logits,
    recon_logits: Logits,
    *,
    definition: str = "exact",
    label: Labels | None = None,
) -> Ranks:
    """Where the best class of the truth's set stands in each reconstruction, whatever n and k."""
    truth, recon = _scores(truth_logits, recon_logits, definition)
    if label is None:
        truth_set = _top_classes(truth, TRUTH_CLASSES[definition])
    else:
        truth_set = _given_class(label, definition, truth.shape)
    held = np.take_along_axis(recon, truth_set, axis=1)
    best = held.max(axis=1, keepdims=True)
    return Ranks(
        drawable=recon.shape[1] - truth_set.shape[1],
        beating=np.count_nonzero(recon > best, axis=1),
        tied=np.count_nonzero(recon == best, axis=1) - np.count_nonzero(held == best, axis=1),
    )


def accuracy_from_ranks(ranks: Ranks, *, n: int, k: int, definition: str = "exact") -> Float[np.ndarray, " clips"]:
    """The closed form of `n_way_accuracy`, for those who want several n and k from one ranking."""
    _check_definition(definition)
    _check_n_k(n, k, ranks.drawable)
    if k >= n:
        return np.ones(len(ranks.beating))
    ties_lose = definition == "published-top3"
    beating = ranks.beating + ranks.tied if ties_lose else ranks.beating
    tied = np.zeros_like(ranks.tied) if ties_lose else ranks.tied
    # Clips share few distinct ranks, and a constant answer shares nearly all of them.
    distinct, clip_of = np.unique(beating * (ranks.drawable + 1) + tied, return_inverse=True)
    cells = k * (min(n - 1, int(tied.max(initial=0))) + 1)
    step = max(1, CELLS_AT_ONCE // cells)
    parts = [
        _closed_form(*np.divmod(distinct[i : i + step], ranks.drawable + 1), ranks.drawable, n - 1, k)
        for i in range(0, len(distinct), step)
    ]
    return np.concatenate(parts)[clip_of] if parts else np.zeros(0)


def _closed_form(
    beating: Int[np.ndarray, " ranks"], tied: Int[np.ndarray, " ranks"], drawable: int, drawn: int, k: int
) -> Float[np.ndarray, " ranks"]:
    K, E, M, m = beating[:, None, None], tied[:, None, None], drawable, drawn
    x = np.arange(k)[:, None]
    y = np.arange(min(m, int(tied.max())) + 1)
    log_p = (
        _log_choose(K, x, M)
        + _log_choose(E, y, M)
        + _log_choose(M - K - E, m - x - y, M)
        - _log_choose(np.asarray(M), np.asarray(m), M)
    )
    credit = np.minimum(1.0, (k - x) / (y + 1))
    return np.minimum(1.0, (np.exp(log_p) * credit).sum(axis=(1, 2)))


def _log_choose(a: np.ndarray, b: np.ndarray, largest: int) -> np.ndarray:
    """log C(a, b), −inf where b is not in 0 … a."""
    table = _log_factorials(largest)
    possible = (b >= 0) & (b <= a)
    chosen = np.where(possible, b, 0)
    return np.where(possible, table[a] - table[chosen] - table[a - chosen], -np.inf)


@lru_cache(maxsize=8)
def _log_factorials(largest: int) -> Float[np.ndarray, " integers"]:
    from scipy.special import gammaln

    return gammaln(np.arange(largest + 1) + 1.0)


def _sampled(
    truth: Num[np.ndarray, "clips classes"],
    recon: Num[np.ndarray, "clips classes"],
    *,
    n: int,
    k: int,
    seed: int,
    trials: int,
) -> Float[np.ndarray, " clips"]:
    # The legacy generator is what published runs draw from; a new one could not repeat them.
    draws = np.random.RandomState(seed)
    accuracy = np.empty(len(truth))
    for clip, truth_set in enumerate(_top_classes(truth, TRUTH_CLASSES["published-top3"])):
        outside = np.delete(recon[clip], truth_set)
        beats = outside >= recon[clip, truth_set].max()
        lost = [np.count_nonzero(beats[draws.permutation(beats.size)[: n - 1]]) for _ in range(trials)]
        accuracy[clip] = np.mean(np.array(lost) < k)
    return accuracy


def _scores(
    truth_logits: Logits, recon_logits: Logits, definition: str
) -> tuple[Num[np.ndarray, "clips classes"], Num[np.ndarray, "clips classes"]]:
    _check_definition(definition)
    if truth_logits.shape != recon_logits.shape or truth_logits.ndim != 2:
        raise _unequal(truth_logits, recon_logits, "(clips, classes)")
    needed = TRUTH_CLASSES[definition] + 1
    if truth_logits.shape[1] < needed:
        raise UsageError(f"logits of {truth_logits.shape[1]} classes", expected=f"at least {needed} for {definition!r}")
    for name, logits in (("truth", truth_logits), ("reconstruction", recon_logits)):
        # The maximum carries a NaN along, and −inf is a fair logit unless every class has it.
        bad = np.flatnonzero(~np.isfinite(logits.max(axis=1)))
        if bad.size:
            raise UsageError(
                f"the {name}'s logits of {bad.size} clips, the first in row {bad[0]}, are not finite",
                expected="finite logits",
                do="look for the clips on which the classifier failed",
            )
    if definition == "exact":
        return truth_logits, recon_logits
    return _softmax(truth_logits), _softmax(recon_logits)


def _softmax(logits: Num[np.ndarray, "clips classes"]) -> Float32[np.ndarray, "clips classes"]:
    """float32 because the published code ranks that; in float16 some classes would tie."""
    x = logits.astype(np.float32)
    x -= x.max(axis=1, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=1, keepdims=True)
    return x


def _top_classes(scores: Num[np.ndarray, "clips classes"], count: int) -> Int[np.ndarray, "clips count"]:
    """The `count` best classes of each clip, of equal ones the lowest index."""
    top = np.empty((len(scores), count), dtype=np.intp)
    if count == 1:
        top[:, 0] = scores.argmax(axis=1)
        return top
    left = scores.astype(np.float32)
    for rank in range(count):
        top[:, rank] = left.argmax(axis=1)
        np.put_along_axis(left, top[:, rank, None], -np.inf, axis=1)
    return top


def _given_class(label: Labels, definition: str, shape: tuple[int, ...]) -> Int[np.ndarray, "clips 1"]:
    if definition != "exact":
        raise UsageError(f"a label with definition {definition!r}", expected="definition='exact' with labels")
    clips, classes = shape
    if label.shape != (clips,):
        raise UsageError(f"labels of shape {label.shape} for {clips} clips", expected="one label per clip")
    if label.size and (label.min() < 0 or label.max() >= classes):
        raise UsageError(
            f"labels from {label.min()} to {label.max()} for {classes} classes",
            expected=f"0 to {classes - 1}",
        )
    return label[:, None]


def _check_definition(definition: str) -> None:
    if definition not in TRUTH_CLASSES:
        raise UsageError(f"unknown definition of n_way_accuracy: {alternatives(definition, TRUTH_CLASSES)}")


def _check_n_k(n: int, k: int, drawable: int) -> None:
    if k < 1 or not 1 <= n <= drawable + 1:
        raise UsageError(
            f"n={n}, k={k} with {drawable} classes to draw from",
            expected=f"k ≥ 1, n from 1 to {drawable + 1}",
        )


def _refuse_sampling(definition: str, trials: int) -> None:
    _check_definition(definition)
    if definition != "published-top3" or trials < 1:
        raise UsageError(
            f"seed given with definition {definition!r} and {trials} trials",
            expected="definition='published-top3' and at least one trial",
            do="leave the seed out for the exact expectation",
        )


def _unequal(truth: Logits, recon: Logits, shape: str) -> UsageError:
    return UsageError(
        f"truth logits of shape {truth.shape} and reconstruction logits of shape {recon.shape}",
        expected=f"both {shape}",
    )
