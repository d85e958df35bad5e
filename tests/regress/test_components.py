import numpy as np
import pytest

from brainreel.errors import UsageError
from brainreel.regress.components import Components, fit_components


def latents(clips, shape=(2, 3, 5), seed=0):
    return np.random.default_rng(seed).normal(3.0, 2.0, size=(clips, *shape)).astype(np.float32)


@pytest.mark.parametrize("clips", [8, 200])
def test_exact_when_all_are_kept(clips):
    values = latents(clips)
    fitted = fit_components(values, 10_000)
    assert len(fitted) == min(clips - 1, 30)
    assert fitted.kept == pytest.approx(1.0)
    np.testing.assert_allclose(fitted.expand(fitted.compress(values)), values, atol=1e-5)


@pytest.mark.parametrize("clips", [8, 200])
def test_keeps_the_subspace_and_the_variance_that_svd_finds(clips):
    values = latents(clips)
    flat = values.reshape(clips, -1).astype(np.float64)
    centred = flat - flat.mean(0)
    left, power, right = np.linalg.svd(centred, full_matrices=False)
    fitted = fit_components(values, 4)
    expected = (left[:, :4] * power[:4]) @ right[:4] + flat.mean(0)
    np.testing.assert_allclose(fitted.expand(fitted.compress(values)).reshape(clips, -1), expected, atol=1e-4)
    assert fitted.kept == pytest.approx((power[:4] ** 2).sum() / (power**2).sum(), rel=1e-5)
    np.testing.assert_allclose(fitted.basis @ fitted.basis.T, np.eye(4), atol=1e-5)


def test_error_over_components_is_the_missed_share_of_variance():
    values = latents(50)
    fitted = fit_components(values, 1000)
    components = fitted.compress(values)
    assert np.square(components).mean() == pytest.approx(1.0, rel=1e-5)
    guess = components * 0.5 + 0.1
    spread = np.square(values - values.mean(0)).sum()
    missed = np.square(values - fitted.expand(guess)).sum() / spread
    assert np.square(components - guess).mean() == pytest.approx(missed, rel=1e-4)


def test_wide_targets_go_through_in_parts():
    values = np.random.default_rng(0).normal(size=(5, 20_000)).astype(np.float32)
    fitted = fit_components(values, 10)
    np.testing.assert_allclose(fitted.expand(fitted.compress(values)), values, atol=1e-4)


def test_padding_that_never_varies_is_kept_as_it_is():
    values = latents(20)
    values[:, 1] = 7.0
    fitted = fit_components(values, 5)
    np.testing.assert_allclose(fitted.expand(np.ones((1, 5), np.float32))[:, 1], 7.0, atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 1.0, 1e4])
def test_identical_targets_are_refused(level):
    with pytest.raises(UsageError, match="are the same"):
        fit_components(np.full((5, 3), level, np.float32), 2)
    with pytest.raises(UsageError, match="are the same"):
        fit_components(np.full((1, 3), level, np.float32), 2)


def test_another_shape_is_refused():
    fitted = fit_components(latents(9), 3)
    with pytest.raises(UsageError, match=r"\(30,\)"):
        fitted.compress(np.zeros((2, 30), np.float32))


def test_rebuilt_from_its_tensors():
    fitted = fit_components(latents(9), 3)
    again = Components.rebuild(fitted.tensors())
    np.testing.assert_array_equal(again.expand(np.ones((1, 3), np.float32)), fitted.expand(np.ones((1, 3), np.float32)))
    assert again.kept == fitted.kept
