import numpy as np
from himalaya.ridge import Ridge as HimalayaRidge

from brainreel.regress.ridge import Ridge, fit_ridge


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(1.0, 1.0, size=(90, 7)).astype(np.float32)
    y = (x @ rng.normal(size=(7, 5)) + 2 * rng.normal(size=(90, 5)) + 3).astype(np.float32)
    return x, y


def thirds():
    parts = np.array_split(np.arange(90), 3)
    return [(np.setdiff1d(np.arange(90), part), part) for part in parts]


def test_equals_the_closed_form_and_himalaya():
    x, y = arrays()
    found = fit_ridge(x, y, thirds(), [37.0])
    centred = x - x.mean(0)
    weights = np.linalg.solve(centred.T @ centred + 37.0 * np.eye(7), centred.T @ (y - y.mean(0)))
    np.testing.assert_allclose(found.weights, weights, rtol=1e-4, atol=1e-5)
    oracle = HimalayaRidge(alpha=37.0, fit_intercept=True).fit(x, y)
    np.testing.assert_allclose(found(x), oracle.predict(x), rtol=1e-4, atol=1e-4)


def test_penalty_is_the_best_on_held_out_trials():
    x, y = arrays()
    penalties = [0.1, 10.0, 1e3, 1e5]
    errors = []
    for penalty in penalties:
        error = 0.0
        for train, held in thirds():
            error += np.square(
                HimalayaRidge(alpha=penalty, fit_intercept=True).fit(x[train], y[train]).predict(x[held]) - y[held]
            ).sum()
        errors.append(error)
    assert fit_ridge(x, y, thirds(), penalties).penalty == penalties[int(np.argmin(errors))]


def test_noise_asks_for_a_large_penalty():
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(90, 7)).astype(np.float32) for _ in range(2))
    assert fit_ridge(x, y, thirds(), [0.1, 1e5]).penalty == 1e5


def test_rebuilt_from_its_tensors():
    x, y = arrays()
    found = fit_ridge(x, y, thirds(), [1.0])
    np.testing.assert_array_equal(Ridge.rebuild(found.tensors())(x), found(x))
