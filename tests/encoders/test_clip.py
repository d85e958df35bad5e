"""CLIP embeddings of clips and captions against the network's own parts, frame by frame and word for word."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
import transformers

from brainreel.encoders import clip as module
from brainreel.encoders import encode
from brainreel.encoders.clip import Clip, evenly_spaced
from brainreel.errors import StoreError, WeightsError
from brainreel.store.targets import read_targets

SAID = ["a small red cat moving left on a beach by day", "a cat", "", "an unheard word"]


@pytest.fixture(scope="module")
def encoder(sandbox_weights) -> Clip:
    return Clip(str(sandbox_weights / "clip"))


@pytest.fixture(scope="module")
def model(sandbox_weights):
    return transformers.CLIPModel.from_pretrained(sandbox_weights / "clip", dtype=torch.float32).eval()


def test_a_clip_is_the_unit_length_mean_of_eight_evenly_spaced_frames(
    shown_store, shown_videos, sandbox_weights, model
):
    encode([shown_store], encoder="clip", weights=str(sandbox_weights / "clip"))
    found = read_targets(shown_store, "clip")
    assert found.values.shape == (len(shown_videos), 64)
    for value, video in zip(found.values[::7], shown_videos[::7], strict=True):
        frames = video[[1, 3, 5, 7, 9, 11, 13, 15]]
        pixels = torch.from_numpy(frames / 127.5 - 1).float().permute(0, 3, 1, 2)
        with torch.no_grad():
            each = [model.visual_projection(model.vision_model(p[None]).pooler_output)[0] for p in pixels]
        mean = torch.stack(each).double().mean(0)
        np.testing.assert_allclose(value, mean / mean.norm(), atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(found.values, axis=1), 1, atol=1e-6)
    assert np.ptp(found.values, axis=0).max() > 0.01, "clips differ"


def test_all_distinct_captions_are_there_in_the_clips_space(shown_store, sandbox_weights, model):
    encode([shown_store], encoder="clip", weights=str(sandbox_weights / "clip"))
    found = read_targets(shown_store, "clip")
    assert set(found.captions) == {text for row in shown_store.clips["captions"] for text in row}
    assert len(set(found.captions)) == len(found.captions)
    assert found.caption_values.shape == (len(found.captions), 64)
    words = transformers.AutoTokenizer.from_pretrained(sandbox_weights / "clip")
    for value, text in list(zip(found.caption_values, found.captions, strict=True))[::20]:
        ids = torch.tensor([words(text)["input_ids"]])
        with torch.no_grad():
            vector = model.text_projection(model.text_model(ids).pooler_output)[0].double()
        np.testing.assert_allclose(value, vector / vector.norm(), atol=2e-6)


def test_neither_order_nor_batches_matter_and_all_repeats(encoder, monkeypatch, shown_videos):
    together = encoder.texts(SAID)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    assert np.array_equal(encoder.texts(SAID), together)
    image = encoder.images(shown_videos[0])
    assert np.array_equal(encoder.images(shown_videos[0]), image)
    monkeypatch.setattr(module, "_TEXTS", 1)
    monkeypatch.setattr("brainreel.encoders.visual.BATCH", 3)
    np.testing.assert_allclose(encoder.texts(SAID[::-1])[::-1], together, atol=1e-6)
    np.testing.assert_allclose(encoder.images(shown_videos[0]), image, atol=1e-6)


def test_captions_beyond_what_the_text_side_takes_are_cut(encoder):
    long = " ".join(["cat"] * 60)
    np.testing.assert_allclose(*encoder.texts([long, f"{long} beach"]), atol=1e-6)


def test_frames_are_the_middles_of_equal_parts():
    assert evenly_spaced(16, 8).tolist() == [1, 3, 5, 7, 9, 11, 13, 15]
    assert evenly_spaced(3, 8).tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert evenly_spaced(1, 8).tolist() == [0] * 8


def test_the_identity_is_of_the_files_wherever_they_lie(sandbox_weights, tmp_path):
    before = Clip.identify(str(sandbox_weights / "clip"))
    moved = shutil.copytree(sandbox_weights / "clip", tmp_path / "moved")
    assert Clip.identify(str(moved)) == before
    for name in ("model.safetensors", "config.json", "preprocessor_config.json", "tokenizer.json"):
        changed = shutil.copytree(sandbox_weights / "clip", tmp_path / name)
        with (changed / name).open("ab") as stream:
            stream.write(b" ")
        assert Clip.identify(str(changed)) != before, name
    assert Clip.identify(None)["hub"] == "openai/clip-vit-large-patch14"


def test_a_missing_video_is_said_before_anything_is_computed(shown_store, encoder, monkeypatch):
    path = shown_store.clips["path"].iloc[5]
    shutil.move(path, f"{path}.away")
    try:
        monkeypatch.setattr(encoder, "images", None)
        with pytest.raises(StoreError) as caught:
            encoder.encode_store(shown_store)
        text = str(caught.value)
        assert repr(shown_store.clips["clip_id"].iloc[5]) in text
        assert f"expected it at {path}; put it there, or ingest again with --stimuli" in text
        assert "\n" not in text
    finally:
        shutil.move(f"{path}.away", path)


def test_what_is_no_clip_is_refused_in_one_sentence(sandbox_weights, tiny_bert, tmp_path):
    for folder, reason in (
        (sandbox_weights / "pipeline", "could be loaded"),
        (tiny_bert, "could be loaded"),
        (tmp_path / "no", "is not a folder"),
    ):
        with pytest.raises(WeightsError, match=reason) as caught:
            Clip(str(folder))
        assert "\n" not in str(caught.value)
    silent = shutil.copytree(sandbox_weights / "clip", tmp_path / "silent")
    (silent / "tokenizer.json").unlink()
    with pytest.raises(WeightsError, match="no tokenizer could be loaded"):
        Clip(str(silent))
