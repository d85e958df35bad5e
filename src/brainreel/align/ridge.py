"""Ridge regression from responses to targets, per subject and pooled: the rival of every other strategy."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from himalaya.kernel_ridge import KernelRidgeCV
from himalaya.ridge import RidgeCV
from himalaya.scoring import correlation_score
from jaxtyping import Float, Int
from threadpoolctl import threadpool_limits

from brainreel.align.budget import refuse_beyond
from brainreel.align.config import AlignConfig
from brainreel.align.decoders import LinearDecoder
from brainreel.align.examples import Trials, by_space, scalings_of, spaces_of
from brainreel.align.goals import Goals
from brainreel.align.spool import Spooled
from brainreel.errors import FoldError
from brainreel.progress import track

# So many times more trials than features, and normal equations are the cheaper way.
_TALL = 4
_RIDGE_COPIES = 6


def fit_ridge(recordings: Sequence[Trials], goals: Goals, config: AlignConfig) -> LinearDecoder:
    """One ridge per subject (himalaya, Dupré la Tour et al. 2022); penalties from inner contiguous folds."""
    maps = {}
    for recording in track(recordings, "ridge per subject"):
        # One subject at a time; the solver needs all their trials, and copies of them.
        refuse_beyond(
            config.budget if isinstance(recording, Spooled) else None,
            _RIDGE_COPIES * 4 * len(recording.clip) * recording.features,
            f"the ridge of {recording.subject}",
            "raise it, or use --strategy contrastive",
        )
        maps[recording.subject] = _ridge([recording], goals, config)
    return LinearDecoder(scalings_of(recordings), spaces_of(recordings), maps)


def fit_pooled_ridge(recordings: Sequence[Trials], goals: Goals, config: AlignConfig) -> LinearDecoder:
    """One ridge for all subjects of each space, trials concatenated: it needs no data of a newcomer."""
    maps, newcomers = {}, {}
    for space, members in by_space(recordings).items():
        newcomers[space] = _ridge(members, goals, config)
        maps |= {member.subject: newcomers[space] for member in members}
    return LinearDecoder(scalings_of(recordings), spaces_of(recordings), maps, newcomers)


def _ridge(members: Sequence[Trials], goals: Goals, config: AlignConfig) -> Float[np.ndarray, "features_1 dim"]:
    """Weights over a last row of zeros, the place of the intercept.

    Zero is the mean target of the training clips of everybody. Whom an intercept says more about is the trials: it is
    the mean of the clips that these people happened to see, and after a few minutes of a film it outweighs what the
    responses say. It is fitted, so that slopes are right, and left out.
    """
    responses = np.concatenate([member.standardised for member in members])
    clip = np.concatenate([member.clip for member in members])
    folds = usable_folds(goals, clip, config)
    if len(responses) > _TALL * responses.shape[1]:
        slopes = _tall_ridge(responses, goals.values[clip], folds, config.ridge.penalties)
        return _with_weights(slopes, members[0])
    # Whichever of features and trials are fewer decides which of the two equivalent solvers is cheap.
    primal = responses.shape[1] <= len(responses)
    # One penalty for all dimensions, by correlation: R² would choose the largest penalty, because it punishes a
    # prediction's size, which identification by cosine never looks at.
    chosen_by = {"local_alpha": False, "score_func": correlation_score}
    common: dict[str, Any] = {"alphas": np.array(config.ridge.penalties), "cv": folds, "fit_intercept": True}
    model = RidgeCV(**common, solver_params=chosen_by) if primal else KernelRidgeCV(**common, solver_params=chosen_by)
    # One thread: see brainreel.cli.main, which Python callers do not pass through.
    with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():
        # himalaya divides by the spread of targets, which a fold with few clips may not have; they score zero.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="himalaya")
        model.fit(responses, goals.values[clip])
    slopes = model.coef_ if isinstance(model, RidgeCV) else model.get_primal_coef(responses)
    return _with_weights(slopes, members[0])


def _tall_ridge(
    responses: Float[np.ndarray, "trials features"],
    targets: Float[np.ndarray, "trials dim"],
    folds: Sequence[tuple[Int[np.ndarray, " _train"], Int[np.ndarray, " _validation"]]],
    penalties: Sequence[float],
) -> Float[np.ndarray, "features dim"]:
    """Slopes of the same ridge where trials far outnumber features, through normal equations.

    himalaya multiplies every validation trial with every training trial for every penalty, which costs minutes for a
    dozen people together.
    """
    x, y = torch.from_numpy(responses), torch.from_numpy(targets)

    def solutions(rows: Any, penalties: Sequence[float]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        x_mean, y_mean = x[rows].mean(0), y[rows].mean(0)
        centred = x[rows] - x_mean
        gram, cross = centred.T @ centred, centred.T @ (y[rows] - y_mean)
        for penalty in penalties:
            factor = torch.linalg.cholesky(gram + penalty * torch.eye(len(gram)))
            weights = torch.cholesky_solve(cross, factor)
            yield weights, y_mean - x_mean @ weights

    scores = np.zeros(len(penalties))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="himalaya")
        for train, validation in folds:
            rows = torch.from_numpy(validation)
            for index, (weights, bias) in enumerate(solutions(torch.from_numpy(train), penalties)):
                scored = correlation_score(y[rows].numpy(), (x[rows] @ weights + bias).numpy())
                # A target that is constant in a fold scores zero, as in himalaya.
                scores[index] += np.nan_to_num(scored).mean()
    weights, _ = next(solutions(slice(None), [penalties[int(np.argmax(scores))]]))
    return weights.numpy()


def _with_weights(slopes: Float[np.ndarray, "features dim"], recording: Trials) -> Float[np.ndarray, "features_1 dim"]:
    """Slopes times the features' weights, since decoders see responses that are only standardised; no intercept."""
    return np.pad(slopes * recording.weight[:, None], ((0, 1), (0, 0))).astype(np.float32)


def usable_folds(
    goals: Goals, clip: Int[np.ndarray, " trials"], config: AlignConfig
) -> list[tuple[Int[np.ndarray, " train"], Int[np.ndarray, " validation"]]]:
    """Inner folds with enough trials on both sides; fewer folds, then no gap, if data are few.

    A newcomer's minute has no room for 45 s between its parts; its parts never overlap all the same.

    Raises:
        FoldError: if even two folds leave nothing to train on.
    """
    for gap_s, count in itertools.product((config.gap_s, 0.0), range(config.ridge.inner_folds, 1, -1)):
        folds = goals.inner_folds(clip, count, gap_s)
        usable = [(train, validation) for train, validation in folds if len(train) > 1 and len(validation) > 1]
        if usable:
            return usable
    raise FoldError(
        f"{len(clip)} training trials cannot be divided into parts that do not overlap",
        expected="enough training time for two inner folds",
        do="train on more data",
    )
