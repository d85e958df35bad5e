import numpy as np
import pandas as pd
import pytest

from brainreel.cortex.glm import trial_betas
from brainreel.errors import UsageError

TR_S, VOLUMES = 2.0, 100
ONSET_S = 12.122 + 5.0 * np.arange(34)
DURATION_S = np.full(34, 2.0)


def _nilearn(series, j):
    """The model of trial j, as nilearn makes and fits it."""
    from nilearn.glm.first_level import make_first_level_design_matrix, run_glm

    kinds = ["this" if k == j else "others" for k in range(len(ONSET_S))]
    events = pd.DataFrame({"onset": ONSET_S, "duration": DURATION_S, "trial_type": kinds})
    design = make_first_level_design_matrix(
        TR_S * np.arange(VOLUMES), events, hrf_model="spm", drift_model="polynomial", drift_order=2
    )
    labels, results = run_glm(series.T, design.to_numpy(), noise_model="ols")
    return results[labels[0]].theta[list(design.columns).index("this")]


def _series(seed=0):
    rng = np.random.default_rng(seed)
    drift = 300 * np.linspace(-1, 1, VOLUMES) ** 2
    return (10_000 + drift + rng.normal(scale=40, size=(7, VOLUMES))).astype(np.float32)


def test_every_trial_is_nilearns_model_of_its_own():
    series = _series()
    found = trial_betas(series, TR_S, ONSET_S, DURATION_S)
    assert found.shape == (34, 7)
    assert found.dtype == np.float32
    expected = np.stack([_nilearn(series.astype(np.float64), j) for j in range(34)])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3 * np.abs(expected).max())


def test_planted_responses_are_recovered():
    from brainreel.cortex.glm import trial_regressors

    onset = 12 + 20.0 * np.arange(8)
    regressors = trial_regressors(VOLUMES, TR_S, onset, np.full(8, 2.0))
    planted = np.random.default_rng(0).normal(size=(8, 5))
    noise = np.random.default_rng(1).normal(scale=0.01, size=(5, VOLUMES))
    found = trial_betas(1000 + (regressors @ planted).T + noise, TR_S, onset, np.full(8, 2.0))
    assert np.corrcoef(found.ravel(), planted.ravel())[0, 1] > 0.95


def test_one_trial_alone():
    series = _series()
    (found,) = trial_betas(series, TR_S, ONSET_S[5:6], DURATION_S[5:6])
    assert found.shape == (7,)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("onset", "duration", "message"),
    [
        ([], [], "no trial in a run of 200 s"),
        ([-1.0, 5.0], [2.0, 2.0], "trial 0 at -1 s in a run of 200 s"),
        ([5.0, 200.0], [2.0, 2.0], "trial 1 at 200 s"),
        ([5.0, 20.0], [2.0, 0.0], "trial 1 at 20 s"),
        ([5.0, 5.0], [2.0, 2.0], "trial 0 cannot be told from the others"),
        ([5.0, 50.0, 199.9], [2.0, 2.0, 2.0], "trial 2 cannot be told from the others"),
    ],
)
def test_trials_that_the_run_cannot_tell(onset, duration, message):
    with pytest.raises(UsageError, match=message):
        trial_betas(_series(), TR_S, np.array(onset), np.array(duration))
