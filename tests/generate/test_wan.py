"""Both passes against diffusers' own pipelines, and videos that depend on nothing but clip, seed and settings."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from diffusers.pipelines.wan.pipeline_wan import WanPipeline
from diffusers.pipelines.wan.pipeline_wan_video2video import WanVideoToVideoPipeline

from brainreel.errors import UsageError, WeightsError
from brainreel.generate.registry import GeneratorSource, load_generator
from brainreel.generate.wan import WanGenerator
from brainreel.generate.wan_weights import Size, count_parameters, identify
from brainreel.regress import Conditions
from brainreel.sandbox import networks
from brainreel.sandbox.words import TOKENS
from brainreel.training.randomness import generator

from .conftest import CAPTIONS, LATENT, SIZE, save_pipeline

FAST = {"steps": 4, "strength": 0.7, "guidance": 3.0, "seed": 0}
DRAWN = {"height": SIZE["height"], "width": SIZE["width"], "output_type": "np"}


def pipeline(folder, kind=WanPipeline):
    """diffusers' own, in single precision."""
    loaded = kind.from_pretrained(folder, dtype=torch.float32)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def noise(clips, seed=0):
    return torch.stack([torch.randn(LATENT, generator=generator("generate", seed, clip)) for clip in clips])


def uint8(frames):
    return np.rint(np.asarray(frames) * 255).astype(np.uint8)


def apart(a, b):
    """The largest difference in grey levels."""
    return int(np.abs(a.astype(int) - b.astype(int)).max())


@pytest.fixture(scope="module", params=["euler", "unipc"])
def folder(request, tmp_path_factory):
    return save_pipeline(tmp_path_factory.mktemp("pipelines") / request.param, request.param)


def test_text_to_video_is_the_pipelines_own(folder):
    found = WanGenerator(folder).generate(Conditions(["a", "b", "c"], {}, CAPTIONS), **FAST)
    wanted = pipeline(folder)(
        CAPTIONS,
        num_frames=SIZE["frames"],
        num_inference_steps=4,
        guidance_scale=3.0,
        latents=noise("abc"),
        max_sequence_length=TOKENS,
        **DRAWN,
    ).frames
    assert found.fps == 8
    assert found.frames.shape == (3, 5, 32, 32, 3)
    assert found.frames.std() > 1
    assert apart(found.frames, uint8(wanted)) == 0


def test_prompt_embeddings_stand_for_the_caption(wan, weights):
    with torch.no_grad():
        text, _ = pipeline(weights).encode_prompt(CAPTIONS, None, False, max_sequence_length=TOKENS)
    assert text[2, 3:].abs().sum() == 0
    said = wan.generate(Conditions(["a", "b", "c"], {}, CAPTIONS), **FAST)
    read = wan.generate(Conditions(["a", "b", "c"], {"text": text.numpy()}, ["other words"] * 3), **FAST)
    assert apart(said.frames, read.frames) == 0
    other = wan.generate(Conditions(["a", "b", "c"], {}, CAPTIONS[::-1]), **FAST)
    assert apart(said.frames, other.frames) > 0


def test_video_to_video_is_the_pipelines_own_on_noisy_latents(folder, given):
    some = given.take(slice(3))
    found = WanGenerator(folder).generate(some, **{**FAST, "steps": 8, "strength": 0.85})
    other = pipeline(folder, WanVideoToVideoPipeline)
    other.scheduler.set_timesteps(8)
    sigmas = other.scheduler.sigmas
    left = int((sigmas[:-1] <= 0.85).sum())
    assert 2 <= left < 8
    sigma = sigmas[8 - left]
    wanted = other(
        prompt_embeds=torch.from_numpy(some.vectors["text"]),
        negative_prompt_embeds=pipeline(folder)
        .encode_prompt("", None, False, max_sequence_length=TOKENS)[0]
        .repeat(3, 1, 1),
        latents=(1 - sigma) * torch.from_numpy(some.vectors["latent"]) + sigma * noise(some.clip_id),
        num_inference_steps=8,
        strength=(left + 0.5) / 8,
        guidance_scale=3.0,
        **DRAWN,
    ).frames
    assert apart(found.frames, uint8(wanted)) == 0


def test_without_strength_the_latents_are_decoded(wan, given, weights):
    some = given.take([4])
    vae = pipeline(weights).vae
    mean, std = (torch.tensor(vae.config[name]).view(1, -1, 1, 1, 1) for name in ("latents_mean", "latents_std"))
    with torch.no_grad():
        decoded = vae.decode(torch.from_numpy(some.vectors["latent"]) * std + mean).sample
    wanted = uint8((decoded.permute(0, 2, 3, 4, 1) / 2 + 0.5).clamp(0, 1))
    assert apart(wan.generate(some, **{**FAST, "strength": 0.0}).frames, wanted) == 0
    little = wan.generate(some, **{**FAST, "strength": 0.02, "steps": 100, "guidance": 1.0}).frames
    assert 0 < np.abs(little.astype(float) - wanted).mean() < 3


def test_at_full_strength_nothing_of_the_latents_is_left(folder, given):
    wan = WanGenerator(folder)
    some = given.take(slice(2))
    video = wan.generate(some, **{**FAST, "strength": 1.0})
    text = wan.generate(some, **FAST, mode="text-to-video")
    assert apart(video.frames, text.frames) <= 1
    assert apart(wan.generate(some, **FAST).frames, text.frames) > 1


def test_a_clip_is_the_same_in_any_order_and_company(wan, given):
    whole = wan.generate(given, **FAST).frames
    assert wan.together(given) == 8
    order = [8, 3, 0]
    some = wan.generate(given.take(order), **FAST).frames
    assert apart(whole[order], some) <= 1
    assert np.array_equal(whole, wan.generate(given, **FAST).frames)
    assert apart(whole, wan.generate(given, **{**FAST, "seed": 1}).frames) > 1


def test_the_same_conditions_of_another_clip_get_other_noise(wan, given):
    named = Conditions(["x", "y"], {k: v[[0, 0]] for k, v in given.vectors.items()})
    x, y = wan.generate(named, **FAST).frames
    assert apart(x, y) > 1


def test_guidance_up_to_one_is_none(wan, given):
    some = given.take([0])
    without = wan.generate(some, **{**FAST, "guidance": 1.0}).frames
    assert np.array_equal(without, wan.generate(some, **{**FAST, "guidance": 0.0}).frames)
    assert apart(without, wan.generate(some, **FAST).frames) > 0


def test_latents_have_the_rate_of_their_clips(wan, given):
    known = Conditions(["a"], {k: v[:1] for k, v in given.vectors.items()}, [], {"fps": 29.7})
    assert wan.generate(known, **FAST).fps == 29.7
    assert wan.generate(known, **FAST, mode="text-to-video").fps == 8


def test_no_clips_no_videos(wan, given):
    assert wan.generate(given.take([]), **FAST).frames.shape == (0, 5, 32, 32, 3)


def test_weights_saved_in_half_precision_are_computed_in_single(wan):
    parts = [part for part in wan._pipeline.components.values() if isinstance(part, torch.nn.Module)]
    assert len(parts) == 3
    assert {p.dtype for part in parts for p in part.parameters()} == {torch.float32}


def test_in_half_precision_videos_are_nearly_the_same(wan, weights, given):
    half = WanGenerator(weights, dtype="bfloat16")
    assert half._pipeline.transformer.dtype == torch.bfloat16
    assert half._pipeline.vae.dtype == torch.float32
    assert half.identity["dtype"] == "bfloat16"
    some = Conditions(["a", "b"], {"latent": given.vectors["latent"][:2]}, CAPTIONS[:2])
    one, other = (model.generate(some, **FAST).frames.astype(float) for model in (wan, half))
    assert 0 < np.abs(one - other).mean() < 3


def test_a_size_that_nobody_states_is_the_latents(weights, tmp_path, given):
    bare = shutil.copytree(weights, tmp_path / "bare")
    (bare / "video.json").unlink()
    wan = WanGenerator(bare)
    assert wan.size == Size(81, 480, 832, 16.0)
    assert wan.together(Conditions([], {})) == 1
    assert wan.generate(given.take([0]), **FAST).frames.shape == (1, 5, 32, 32, 3)
    wide = {**given.take([0]).vectors, "latent": np.zeros((1, LATENT[0], 1, 4, 6), np.float32)}
    assert wan.generate(Conditions(["a"], wide), **FAST).frames.shape == (1, 1, 32, 48, 3)
    odd = {**wide, "latent": np.zeros((1, LATENT[0], 1, 4, 5), np.float32)}
    with pytest.raises(UsageError, match="32×40 pixels; expected 4k"):
        wan.generate(Conditions(["a"], odd), **FAST)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"latent": np.zeros((1, 4, 2, 4, 4), np.float32)}, r"latents of shape \(4, 2, 4, 4\)"),
        ({"latent": np.zeros((1, *LATENT[:3]), np.float32)}, rf"latents of shape \({LATENT[0]}, 2, 4\)"),
        ({"latent": np.zeros((1, LATENT[0], 3, 4, 4), np.float32)}, rf"expected \({LATENT[0]}, 2, 4, 4\)"),
        ({"text": np.zeros((1, 24, 95), np.float32)}, r"expected \(tokens, 96\)"),
        ({"text": np.full((1, 24, 96), np.nan, np.float32)}, "'text' holds values that are not finite"),
        ({"image": np.zeros((1, 8), np.float32), "text": None}, "does not take the condition 'image'"),
        ({"text": None}, "neither a text condition nor captions"),
    ],
)
def test_conditions_that_do_not_fit_are_named(wan, given, change, what):
    vectors = {**given.take([0]).vectors, **change}
    with pytest.raises(UsageError, match=what):
        wan.generate(Conditions(["a"], {k: v for k, v in vectors.items() if v is not None}), **FAST)


def test_a_caption_stands_for_what_is_not_taken(wan):
    image = {"image": np.zeros((1, 8), np.float32)}
    found = wan.generate(Conditions(["a"], image, CAPTIONS[:1]), **FAST)
    assert np.array_equal(found.frames, wan.generate(Conditions(["a"], {}, CAPTIONS[:1]), **FAST).frames)
    with pytest.raises(UsageError, match="without latents"):
        wan.generate(Conditions(["a"], image, CAPTIONS[:1]), **FAST, mode="video-to-video")


def test_a_text_condition_stands_for_what_is_not_taken(wan, given):
    one = given.take([0])
    more = Conditions(one.clip_id, {**one.vectors, "image": np.zeros((1, 8), np.float32)})
    assert np.array_equal(wan.generate(more, **FAST).frames, wan.generate(one, **FAST).frames)


def lose(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def lack(path):
    from safetensors.numpy import load_file, save_file

    tensors = load_file(path)
    tensors.pop(sorted(tensors)[-1])
    save_file(tensors, path, {"format": "pt"})


@pytest.mark.parametrize("harm", [lose, cut, lack])
@pytest.mark.parametrize(
    "file",
    [
        "text_encoder/model.safetensors",
        "transformer/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    ],
)
def test_damaged_weights_are_one_sentence(weights, tmp_path, file, harm):
    bad = shutil.copytree(weights, tmp_path / "bad")
    harm(bad / file)
    with pytest.raises(WeightsError, match="no Wan pipeline could be loaded") as caught:
        WanGenerator(bad)
    assert len(str(caught.value).splitlines()) == 1


def test_weights_that_are_not_there_are_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match="is not a folder"):
        WanGenerator(tmp_path / "none")
    with pytest.raises(WeightsError, match="no Wan pipeline could be loaded"):
        WanGenerator(tmp_path)
    with pytest.raises(WeightsError, match="no flow matching one"):
        WanGenerator(save_pipeline(tmp_path / "noise", "noise"))
    (tmp_path / "noise" / "video.json").write_text('{"frames": 5, "sides": 3}')
    with pytest.raises(WeightsError, match=r"video\.json cannot be read"):
        WanGenerator(tmp_path / "noise")


def test_of_two_transformers_the_second_takes_the_low_noise(tmp_path, given):
    """Wan 2.2: below the boundary only the second is asked."""
    from diffusers.pipelines.wan.pipeline_wan import WanPipeline as Pipeline

    one = pipeline(save_pipeline(tmp_path / "one"))
    torch.manual_seed(7)
    second = networks.transformer()
    both = {**one.components, "transformer_2": second, "boundary_ratio": 0.8}
    Pipeline(**both).save_pretrained(tmp_path / "two")
    Pipeline(**{**one.components, "transformer": second}).save_pretrained(tmp_path / "second")
    for name in ("two", "second"):
        shutil.copy(tmp_path / "one" / "video.json", tmp_path / name)
    some, models = given.take([0]), [WanGenerator(tmp_path / name) for name in ("one", "two", "second")]
    low = [model.generate(some, **FAST).frames for model in models]
    assert np.array_equal(low[1], low[2])
    assert apart(low[0], low[1]) > 1
    text = [model.generate(some, **FAST, mode="text-to-video").frames for model in models]
    assert apart(text[0], text[1]) > 1
    assert apart(text[2], text[1]) > 1


def test_generators_by_name(weights, wan):
    assert load_generator("wan", weights=weights, device="cpu").identity == wan.identity
    assert GeneratorSource("wan", str(weights), "cpu").identity == wan.identity
    assert wan.identity["size"] == SIZE
    with pytest.raises(UsageError, match=r"no generator 'sora' \(known: wan\)"):
        load_generator("sora", weights=weights)


def test_parameters_are_counted_without_loading(weights):
    assert count_parameters(weights)["transformer"] == sum(p.numel() for p in networks.transformer().parameters())
    assert count_parameters("nobody/nothing") == {}


def test_a_hub_id_is_known_by_its_revision(weights, tmp_path, monkeypatch):
    there = tmp_path / "models--me--tiny"
    shutil.copytree(weights, there / "snapshots" / "0a1b2c")
    (there / "refs").mkdir()
    (there / "refs" / "main").write_text("0a1b2c")
    assert identify("me/tiny", "float32")["revision"] is None
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert identify("me/tiny", "float32") == {
        "generator": "wan", "dtype": "float32", "hub": "me/tiny", "revision": "0a1b2c",
    }  # fmt: skip
    assert count_parameters("me/tiny") == count_parameters(weights)
