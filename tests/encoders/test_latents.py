"""Latents against the autoencoder itself, and back."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderKLWan

from brainreel.encoders import encode
from brainreel.encoders import latents as module
from brainreel.encoders.encode import identity_of
from brainreel.encoders.latents import Latents, Shape, resampled
from brainreel.errors import StoreError, UsageError, WeightsError
from brainreel.sandbox import networks
from brainreel.store.targets import read_targets

NOISE = np.random.default_rng(0).integers(0, 256, (5, 9, 32, 48, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def encoder(sandbox_weights) -> Latents:
    return Latents(str(sandbox_weights / "pipeline"))


@pytest.fixture(scope="module")
def model(sandbox_weights):
    return AutoencoderKLWan.from_pretrained(sandbox_weights / "pipeline" / "vae", torch_dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """An autoencoder of single images; its factor is 4."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("images")
    AutoencoderKL(
        block_out_channels=(8, 8, 8), norm_num_groups=4, latent_channels=4, scaling_factor=0.3, shift_factor=0.1,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def tensor(video: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(video / 127.5 - 1).float().permute(3, 0, 1, 2)[None]


def by_hand(model, video: np.ndarray) -> np.ndarray:
    """One clip: mean of the posterior's Gaussian, from the encoder's own halves, normalised channel by channel."""
    config = model.config
    with torch.no_grad():
        mode = model.encode(tensor(video)).latent_dist.parameters.chunk(2, dim=1)[0][0].double().numpy()
    return np.stack([(z - m) / s for z, m, s in zip(mode, config.latents_mean, config.latents_std, strict=True)])


def test_latents_are_the_normalised_mode_clip_by_clip(shown_store, shown_videos, sandbox_weights, model):
    encode([shown_store], encoder="latents", weights=str(sandbox_weights / "pipeline"))
    found = read_targets(shown_store, "latents")
    assert found.values.shape == (len(shown_videos), networks.LATENT_CHANNELS, 5, 8, 8)
    assert found.values.dtype == np.float32
    assert found.captions == []
    for value, video in zip(found.values[::9], shown_videos[::9], strict=True):
        np.testing.assert_allclose(value, by_hand(model, video), atol=2e-5)


def test_the_autoencoders_own_folder_is_the_same_as_its_pipelines(sandbox_weights):
    whole, own = (str(sandbox_weights / "pipeline"), str(sandbox_weights / "pipeline" / "vae"))
    assert Latents.identify(whole) == Latents.identify(own)
    assert np.array_equal(Latents(whole).encode(NOISE), Latents(own).encode(NOISE))


def test_batches_do_not_matter_and_all_repeats(encoder, monkeypatch):
    values = encoder.encode(NOISE)
    videos = encoder.decode(values)
    assert np.array_equal(encoder.encode(NOISE), values)
    assert np.array_equal(encoder.decode(values), videos)
    monkeypatch.setattr(module, "PIXELS", 1)
    np.testing.assert_allclose(encoder.encode(NOISE), values, atol=1e-5)
    assert np.abs(encoder.decode(values).astype(int) - videos).max() <= 1


def test_the_way_back_is_the_decoders(encoder, model):
    videos = encoder.decode(encoder.encode(NOISE))
    assert videos.shape == NOISE.shape
    assert videos.dtype == np.uint8
    with torch.no_grad():
        shown = model.decode(model.encode(tensor(NOISE[0])).latent_dist.mode()).sample[0].permute(1, 2, 3, 0)
    wanted = (shown.clamp(-1, 1).numpy() + 1) * 127.5
    assert np.abs(videos[0] - wanted).max() < 0.6


def test_an_autoencoder_of_images_takes_every_frame_as_one(images):
    encoder = Latents(str(images))
    values = encoder.encode(NOISE)
    assert values.shape == (5, 4, 9, 8, 12)
    model = AutoencoderKL.from_pretrained(images).eval()
    with torch.no_grad():
        mode = model.encode(tensor(NOISE[2])[:, :, 4]).latent_dist.mode()
        shown = model.decode(mode).sample[0].permute(1, 2, 0).clamp(-1, 1).numpy()
    np.testing.assert_allclose(values[2, :, 4], (mode[0].numpy() - 0.1) * 0.3, atol=1e-5)
    assert np.abs(encoder.decode(values)[2, 4] - (shown + 1) * 127.5).max() < 0.6


def test_videos_are_resampled_to_what_fits(encoder, images):
    assert encoder.fitting(17, 64, 64) == Shape(17, 64, 64)
    assert encoder.fitting(48, 270, 480) == Shape(45, 256, 480)
    assert encoder.fitting(4, 16, 17) == Shape(1, 16, 16)
    assert Latents(str(images)).fitting(48, 270, 480) == Shape(48, 264, 480)
    with pytest.raises(StoreError, match=r"15×64 pixels; expected at least 16×16; state a size"):
        encoder.fitting(17, 15, 64)


def test_resampled_clips_fill_the_same_time_with_the_nearest_frames():
    assert np.array_equal(resampled(NOISE[0], 8.5, Shape(9, 32, 48)), NOISE[0])
    assert np.array_equal(resampled(NOISE[0, :8], 8.0, Shape(4, 32, 48)), NOISE[0, [0, 2, 4, 6]])
    assert resampled(NOISE[0], 8.0, Shape(17, 16, 16)).shape == (17, 16, 16, 3)


def test_a_stated_size_is_what_clips_become_and_part_of_the_identity(shown_store, sandbox_weights, tmp_path):
    folder = str(sandbox_weights / "pipeline")
    encode([shown_store], encoder="latents", weights=folder, targets=tmp_path, size=(24, 40), frames=5)
    found = read_targets(shown_store, "latents", tmp_path)
    assert found.values.shape[1:] == (networks.LATENT_CHANNELS, 2, 3, 5)
    assert found.identity["size"] == [24, 40]
    assert found.identity["frames"] == 5
    assert identity_of("latents", folder) != identity_of("latents", folder, frames=5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": (20, 64)}, "size 20×64; expected sides that are multiples of 8"),
        ({"size": (0, 64)}, "multiples of 8"),
        ({"frames": 6}, "frames 6; expected 1, or 1 more than a multiple of 4"),
        ({"frames": 0}, "frames 0"),
    ],
)
def test_a_size_that_does_not_fit_is_refused(sandbox_weights, settings, said):
    with pytest.raises(UsageError, match=said):
        Latents(str(sandbox_weights / "pipeline"), **settings)


def test_a_setting_of_another_encoder_is_refused(shown_store):
    with pytest.raises(UsageError, match="encoder 'clip' takes no frames; expected it only with latents"):
        encode([shown_store], encoder="clip", frames=5)


def test_what_is_no_autoencoder_is_refused_in_one_sentence(sandbox_weights, tmp_path):
    other = shutil.copytree(sandbox_weights / "pipeline" / "vae", tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "_class_name": "AutoencoderTiny"}))
    broken = shutil.copytree(sandbox_weights / "pipeline" / "vae", tmp_path / "broken")
    (broken / "diffusion_pytorch_model.safetensors").write_bytes(b"nothing")
    (tmp_path / "empty").mkdir()
    for folder, reason in (
        (sandbox_weights / "clip", "holds no model of diffusers"),
        (other, "holds a model of class 'AutoencoderTiny'"),
        (broken, "no autoencoder could be loaded"),
        (tmp_path / "empty", "no autoencoder could be loaded"),
        (tmp_path / "nowhere", "is not a folder"),
    ):
        with pytest.raises(WeightsError, match=reason) as caught:
            Latents(str(folder))
        assert "\n" not in str(caught.value)
        assert "AutoencoderKLWan" in str(caught.value)


def test_weights_that_lack_some_are_refused(sandbox_weights, tmp_path):
    from safetensors.torch import load_file, save_file

    poor = shutil.copytree(sandbox_weights / "pipeline" / "vae", tmp_path / "poor")
    weights = load_file(poor / "diffusion_pytorch_model.safetensors")
    del weights["quant_conv.bias"]
    save_file(weights, poor / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"lacks 1 weights of .*AutoencoderKLWan, quant_conv.bias first"):
        Latents(str(poor))


def test_an_id_that_nobody_has_is_refused_in_one_sentence():
    with pytest.raises(WeightsError, match="no autoencoder could be loaded from 'nobody/nothing'"):
        Latents("nobody/nothing")
    assert Latents.identify(None)["hub"] == "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
