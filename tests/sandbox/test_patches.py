"""The latent of linear patches: exact where it keeps everything, ordered, of the sampler's loudness, causal."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from brainreel.sandbox.networks import LATENT_CHANNELS, LATENT_SHAPE
from brainreel.sandbox.patches import fit_patches, joined, split
from brainreel.sandbox.pool import pixels, pool
from brainreel.sandbox.train_autoencoder import floor_db
from brainreel.world.render import render
from brainreel.world.scenes import draw_scenes


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("patches")


@pytest.fixture(scope="module")
def patches(place):
    return fit_patches(pool(place, 96), place)


def test_patches_are_put_together_again():
    videos = torch.randn(2, 3, 17, 64, 64, generator=torch.Generator().manual_seed(0))
    found = split(videos)
    assert found.shape == (2, *LATENT_SHAPE[1:], 768)
    torch.testing.assert_close(joined(found), videos)
    # A place sees its own eight pixels and four frames, the first place in time the first frame alone.
    videos[0, 1, 5:9, 8:16, 16:24] += 1
    places = (split(videos) != found).any(-1).nonzero().tolist()
    assert places == [[0, 2, 1, 2]]


def test_components_are_orthonormal_and_go_from_coarse_to_fine(patches):
    torch.testing.assert_close(patches.basis.T @ patches.basis, torch.eye(LATENT_CHANNELS), atol=1e-4, rtol=0)
    spread = patches.encode(pixels(render(draw_scenes(64, 3)))).std((0, 2, 3, 4))
    assert spread[0] > 2 * spread[8] > 2 * spread[-1]


def test_latents_of_unseen_clips_are_as_loud_as_the_sampler_s_noise(patches):
    latents = patches.encode(pixels(render(draw_scenes(64, 3, combos="held-out"))))
    assert latents.shape == (64, *LATENT_SHAPE)
    assert 0.8 < latents.var() < 1.25
    assert latents.mean().abs() < 0.1


def test_more_numbers_show_more(patches):
    videos = render(draw_scenes(24, 3, combos="held-out"))
    whole = floor_db(patches, videos)
    few = patches._replace(basis=patches.basis[:, :8], mean=patches.mean[:8], std=patches.std[:8])
    assert whole > floor_db(few, videos) + 3
    assert whole > 23


def test_what_was_fitted_is_found_again(place, patches):
    again = fit_patches(pool(place, 96), place)
    assert all(torch.equal(a, b) for a, b in zip(patches, again, strict=True))
    assert not np.array_equal(patches.std, torch.ones(LATENT_CHANNELS))
