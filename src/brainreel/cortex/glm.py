"""One response estimate per trial from a run's time series: least squares, separately for each trial."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from brainreel.cortex.cleaning import polynomials
from brainreel.errors import UsageError


def trial_regressors(
    volumes: int, tr_s: float, onset_s: Float[np.ndarray, " trials"], duration_s: Float[np.ndarray, " trials"]
) -> Float[np.ndarray, "volumes trials"]:
    """What each trial would evoke in the run: nilearn's regressors, with SPM's haemodynamic response.

    Raises:
        UsageError: if there are no trials, or one begins outside the run or lasts no time.
    """
    from nilearn.glm.first_level import compute_regressor

    outside = (onset_s < 0) | (onset_s >= volumes * tr_s) | ~(duration_s > 0)
    if not len(onset_s) or outside.any():
        which = f"trial {np.flatnonzero(outside)[0]} at {onset_s[outside][0]:g} s" if len(onset_s) else "no trial"
        raise UsageError(f"{which} in a run of {volumes * tr_s:g} s", expected="onsets within it, durations above 0")
    times = tr_s * np.arange(volumes)
    trials = [np.array([[begin], [length], [1.0]]) for begin, length in zip(onset_s, duration_s, strict=True)]
    return np.concatenate([compute_regressor(trial, "spm", times)[0] for trial in trials], axis=1)


def trial_betas(
    series: Float[np.ndarray, "vertices volumes"],
    tr_s: float,
    onset_s: Float[np.ndarray, " trials"],
    duration_s: Float[np.ndarray, " trials"],
    *,
    drift_order: int = 2,
) -> Float[np.ndarray, "trials vertices"]:
    """Least squares separate (Mumford et al. 2012, doi:10.1016/j.neuroimage.2011.08.076): one model per trial.

    Trial j's model has one regressor of its own, one of all other trials, and polynomial drifts; its estimate is the
    weight of the first. That is nilearn's ordinary least squares with those designs, solved for all trials at once:
    without the drifts two regressors are left, whose normal equations are two by two.

    Args:
        series: One preprocessed run, one row per vertex, any unit.
        tr_s: Seconds per volume.
        onset_s: When each trial began, in seconds after the first volume.
        duration_s: How long each lasted.
        drift_order: Of the polynomials.

    Returns:
        float32, in the unit of ``series`` per unit of the evoked response.

    Raises:
        UsageError: as `trial_regressors`, or if the run cannot tell a trial from the others.
    """
    own = trial_regressors(series.shape[1], tr_s, onset_s, duration_s)
    basis = polynomials(series.shape[1], drift_order)
    own = own - basis @ (basis.T @ own)
    rest = own.sum(axis=1, keepdims=True) - own
    # Regressors without drifts ignore the drifts of the data; the mean goes first for precision's sake.
    data = series - series.mean(axis=1, keepdims=True, dtype=np.float64)
    own_data, all_data = (part.T @ data.T for part in (own, own.sum(axis=1, keepdims=True)))
    rest_data = all_data - own_data
    a, b, c = (np.einsum("vt,vt->t", x, y)[:, None] for x, y in ((own, own), (own, rest), (rest, rest)))
    if len(onset_s) == 1:
        b, c = np.zeros_like(a), np.ones_like(a)
    determinant = a * c - b**2
    if (hidden := ~(determinant > 1e-9 * a.max() * c)).any():
        raise UsageError(
            f"trial {int(hidden.argmax())} cannot be told from the others",
            expected="trials at different times, within the recording",
        )
    return ((c * own_data - b * rest_data) / determinant).astype(np.float32)
