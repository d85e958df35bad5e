"""Prompt embeddings against those that WanPipeline itself makes."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from diffusers import WanPipeline
from transformers import AutoTokenizer, UMT5EncoderModel

from brainreel.encoders import encode
from brainreel.encoders import prompt as module
from brainreel.encoders.prompt import Prompt
from brainreel.errors import StoreError, WeightsError
from brainreel.sandbox.words import TOKENS
from brainreel.store.targets import read_targets

from .conftest import write_store

SAID = ["a small red cat moving left on a beach by day", "a   red &amp; cat ", "", " ".join(["cat"] * 50)]


@pytest.fixture(scope="module")
def encoder(sandbox_weights) -> Prompt:
    return Prompt(str(sandbox_weights / "pipeline"))


@pytest.fixture(scope="module")
def pipeline(sandbox_weights) -> WanPipeline:
    text_encoder = UMT5EncoderModel.from_pretrained(
        sandbox_weights / "pipeline", subfolder="text_encoder", dtype=torch.float32
    )
    words = AutoTokenizer.from_pretrained(sandbox_weights / "pipeline", subfolder="tokenizer")
    return WanPipeline(tokenizer=words, text_encoder=text_encoder.eval(), vae=None, scheduler=None)


def wanted(pipeline: WanPipeline, said: list[str]) -> np.ndarray:
    with torch.no_grad():
        found, _ = pipeline.encode_prompt(
            said, do_classifier_free_guidance=False, max_sequence_length=TOKENS, device=torch.device("cpu")
        )
    return found.numpy()


def test_prompts_are_what_the_pipeline_makes_of_them(encoder, pipeline):
    found = encoder.encode(SAID)
    assert found.shape == (4, TOKENS, 96)
    np.testing.assert_allclose(found, wanted(pipeline, SAID), atol=1e-5)
    assert not found[0, 12:].any(), "eleven words and an end"
    assert found[0, 11].any()
    assert not found[2, 1:].any()


def test_a_clips_target_is_its_first_caption(shown_store, sandbox_weights, pipeline):
    encode([shown_store], encoder="prompt", weights=str(sandbox_weights / "pipeline"))
    found = read_targets(shown_store, "prompt")
    said = [row[0] for row in shown_store.clips["captions"]]
    assert found.values.shape == (len(said), TOKENS, 96)
    np.testing.assert_allclose(found.values, wanted(pipeline, said), atol=1e-5)
    assert found.captions == []


def test_clips_that_say_the_same_have_the_same_target(tmp_path, encoder):
    store = write_store(tmp_path / "store", [["a cat", "a dog"], ["a beach"], ["a cat"]])
    made = encoder.encode_store(store)
    assert np.array_equal(made.embedding[0], made.embedding[2])
    np.testing.assert_allclose(made.embedding, encoder.encode(["a cat", "a beach", "a cat"]), atol=1e-6)


def test_batches_do_not_matter_and_all_repeats(encoder, monkeypatch):
    together = encoder.encode(SAID * 5)
    assert np.array_equal(encoder.encode(SAID * 5), together)
    monkeypatch.setattr(module, "_BATCH", 1)
    np.testing.assert_allclose(encoder.encode(SAID * 5), together, atol=1e-5)


def test_a_clip_without_caption_is_named(tmp_path, encoder):
    store = write_store(tmp_path / "store", [["a cat"], []])
    with pytest.raises(StoreError, match="1 clips of 'told' have no caption, 'c1' first"):
        encoder.encode_store(store)


def test_full_size_prompts_have_226_tokens(sandbox_weights, tmp_path):
    longer = shutil.copytree(sandbox_weights / "pipeline", tmp_path / "longer")
    words = AutoTokenizer.from_pretrained(longer / "tokenizer")
    words.model_max_length = 512
    words.save_pretrained(longer / "tokenizer")
    encoder = Prompt(str(longer))
    assert encoder.tokens == 226
    assert encoder.encode(["a cat"]).shape == (1, 226, 96)
    assert encoder.identity != Prompt.identify(str(sandbox_weights / "pipeline"))


def test_weights_saved_in_half_precision_compute_in_single(encoder):
    assert {value.dtype for value in encoder._model.parameters()} == {torch.float32}


def test_what_is_no_pipeline_is_refused_in_one_sentence(sandbox_weights, tiny_bert, tmp_path):
    other = shutil.copytree(sandbox_weights / "pipeline", tmp_path / "other")
    shutil.rmtree(other / "text_encoder")
    shutil.copytree(tiny_bert, other / "text_encoder")
    mute = shutil.copytree(sandbox_weights / "pipeline", tmp_path / "mute")
    (mute / "tokenizer" / "tokenizer.json").unlink()
    poor = shutil.copytree(sandbox_weights / "pipeline", tmp_path / "poor")
    (poor / "text_encoder" / "model.safetensors").unlink()
    for folder, reason in (
        (sandbox_weights / "clip", "has no folder 'text_encoder'"),
        (sandbox_weights / "pipeline" / "vae", "has no folder 'text_encoder'"),
        (other, "is of type 'bert'; expected 'umt5'"),
        (mute, "no text encoder could be loaded"),
        (poor, "no text encoder could be loaded"),
        (tmp_path / "nowhere", "is not a folder"),
    ):
        with pytest.raises(WeightsError, match=reason) as caught:
            Prompt(str(folder))
        assert "\n" not in str(caught.value)
    with pytest.raises(WeightsError, match="no text encoder could be loaded from 'nobody/nothing'"):
        Prompt("nobody/nothing")
    assert Prompt.identify(None)["hub"] == "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
