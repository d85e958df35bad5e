"""The sandbox's networks are ordinary ones: trained for a few steps, they load like the big ones and make videos."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from brainreel.encoders.visual import load_visual
from brainreel.generate.wan_weights import read_size
from brainreel.sandbox import networks
from brainreel.sandbox.pool import choose, pool
from brainreel.sandbox.train import main
from brainreel.sandbox.train_classifier import disturbed
from brainreel.sandbox.train_transformer import object_places, prompts
from brainreel.sandbox.words import TOKENS, tokenizer, vocabulary
from brainreel.training.randomness import generator
from brainreel.world.captions import captions
from brainreel.world.scenes import FRAMES, KINDS, MOTIONS, SIDE, draw_scenes, held_out


def test_all_words_of_all_captions_are_known_and_fit():
    words = tokenizer(start=False)
    said = [text for told in captions(draw_scenes(300, 3, combos="all"), variants=6) for text in told]
    ids = words(said, return_token_type_ids=False)["input_ids"]
    assert not any(vocabulary().index("<unk>") in row for row in ids)
    assert max(map(len, ids)) <= TOKENS
    assert words(["a zebra"], return_token_type_ids=False)["input_ids"][0][1] == vocabulary().index("<unk>")


def test_no_clip_that_is_trained_on_is_held_out(made):
    scenes = pool(made / "work", 40).scenes
    assert not held_out(scenes.kind, scenes.place, scenes.motion).any()


def test_a_step_has_its_clips_whatever_came_before():
    assert np.array_equal(choose("x", 5, 100, 10), choose("x", 5, 100, 10))
    assert not np.array_equal(choose("x", 5, 100, 10), choose("x", 6, 100, 10))
    assert len(set(choose("x", 5, 100, 100).tolist())) == 100


def test_places_of_the_object_in_latents():
    masks = np.zeros((1, FRAMES, SIDE, SIDE), bool)
    masks[0, 0, 0, 0] = masks[0, 7, 63, 8] = True
    places = object_places(masks)
    assert places.shape == (1, 1, *networks.LATENT_SHAPE[1:])
    assert places.nonzero()[:, 2:].tolist() == [[0, 0, 0], [2, 7, 1]]


def test_clips_are_disturbed_each_in_its_own_way_and_all_their_frames_alike():
    rng = np.random.default_rng(0)
    videos = torch.from_numpy(rng.uniform(-1, 1, (40, 2, 3, 16, 16)).astype(np.float32))
    videos[:, 1] = videos[:, 0]
    found = disturbed(videos, generator("x"))
    assert torch.equal(found, disturbed(videos, generator("x")))
    assert found.shape == videos.shape
    # Every clip is found again, whole, at some shift of its own; blurred ones resemble themselves less.
    shifts, likeness = [], []
    for clip, seen in zip(videos, found, strict=True):
        tried = {
            (up, left): float(
                torch.corrcoef(torch.stack([clip.roll((up, left), (-2, -1)).ravel(), seen.ravel()]))[0, 1]
            )
            for up in range(-4, 5)
            for left in range(-4, 5)
        }
        shifts.append(max(tried, key=tried.__getitem__))
        likeness.append(max(tried.values()))
    assert len(set(shifts)) > 20
    assert min(likeness) > 0.3
    assert 5 < sum(value < 0.8 for value in likeness) < 25, "about a third is blurred"


def test_prompts_are_zero_past_the_sentence():
    encoder, words = networks.text_encoder(), tokenizer(start=False)
    found = prompts(encoder, words, ["a small red cat moving left on a beach by day", ""])
    assert found.shape == (2, TOKENS, networks.TEXT_DIM)
    assert found[0, 12:].abs().sum() == 0, "eleven words and an end"
    assert found[0, 11].abs().sum() > 0
    assert found[1, 1:].abs().sum() == 0
    assert found[1, 0].abs().sum() > 0


def test_the_pipeline_loads_with_diffusers_and_makes_a_video(made):
    from diffusers import WanPipeline

    pipe = WanPipeline.from_pretrained(made / "weights" / "pipeline").to(torch.float32)
    pipe.set_progress_bar_config(disable=True)
    video = pipe(
        "a small red cat moving left on a beach by day",
        height=SIDE, width=SIDE, num_frames=FRAMES, num_inference_steps=2, guidance_scale=3.0,
        max_sequence_length=TOKENS, output_type="np", generator=torch.Generator().manual_seed(0),
    ).frames  # fmt: skip
    assert video.shape == (1, FRAMES, SIDE, SIDE, 3)
    assert read_size(made / "weights" / "pipeline") == (FRAMES, SIDE, SIDE, 8.0)
    assert len(pipe.vae.config.latents_mean) == networks.LATENT_CHANNELS
    assert min(pipe.vae.config.latents_std) > 0


@pytest.mark.parametrize(("kind", "folder"), [("clip", "clip"), ("videomae", "classifier")])
def test_what_looks_at_videos_loads_like_any_other(made, kind, folder):
    network = load_visual(kind, str(made / "weights" / folder))
    videos = np.random.default_rng(0).integers(0, 256, (2, FRAMES, SIDE, SIDE, 3), dtype=np.uint8)
    if kind == "clip":
        assert network.features(videos).shape == (2, FRAMES, networks.CLIP_DIM)
    else:
        assert network.labels == tuple(networks.classes())
        assert network.logits(videos).shape == (2, 1, len(KINDS) * len(MOTIONS))


def test_what_is_finished_is_not_trained_again(made, monkeypatch):
    monkeypatch.setattr("brainreel.sandbox.train._TRAIN", {})
    before = (made / "weights" / "clip" / "model.safetensors").read_bytes()
    main(made / "work", out=made / "weights", clips=40, steps=2)
    assert (made / "weights" / "clip" / "model.safetensors").read_bytes() == before


def test_sizes_stay_small(made):
    total = sum(path.stat().st_size for path in (made / "weights").rglob("*.safetensors"))
    assert total < 16e6
    assert sum(p.numel() for p in networks.classifier().parameters()) < 0.5e6
