"""Ridge towards targets: two ways to the same weights."""

from __future__ import annotations

import numpy as np
import pytest
from himalaya.ridge import RidgeCV
from himalaya.scoring import correlation_score

from brainreel.align.ridge import _tall_ridge

PENALTIES = (1.0, 30.0, 1e3, 3e4)


def folds_of(count):
    parts = np.array_split(np.arange(count), 4)
    return [(np.setdiff1d(np.arange(count), part), part) for part in parts]


@pytest.mark.parametrize(("noise", "chosen"), [(0.3, 1.0), (40.0, 3e4)])
def test_normal_equations_give_what_himalaya_gives(noise, chosen):
    rng = np.random.default_rng(0)
    responses = rng.normal(0.3, 1, (1200, 60)).astype(np.float32)
    targets = (responses @ rng.normal(size=(60, 12)) * 0.3 + rng.normal(1, noise, (1200, 12))).astype(np.float32)
    model = RidgeCV(
        alphas=np.array(PENALTIES),
        cv=folds_of(1200),
        fit_intercept=True,
        solver_params={"local_alpha": False, "score_func": correlation_score},
    ).fit(responses, targets)
    assert np.allclose(model.best_alphas_, chosen, rtol=1e-4)
    expected = model.coef_
    found = _tall_ridge(responses, targets, folds_of(1200), PENALTIES)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_a_target_that_never_changes_does_not_choose_the_penalty():
    rng = np.random.default_rng(1)
    responses = rng.normal(size=(400, 20)).astype(np.float32)
    told = (responses @ rng.normal(size=(20, 3))).astype(np.float32)
    constant = np.concatenate([told, np.ones((400, 1), np.float32)], axis=1)
    both = [_tall_ridge(responses, y, folds_of(400), PENALTIES)[:, :3] for y in (told, constant)]
    assert np.allclose(*both, atol=1e-5)
