import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from brainreel.datasets import DATASETS
from brainreel.store import Manifest, Store, StoreWriter

WORDS = [
    "a",
    "an",
    "the",
    "man",
    "woman",
    "dog",
    "cat",
    "walks",
    "runs",
    "sits",
    "in",
    "on",
    "street",
    "kitchen",
    "car",
    "red",
    "blue",
    "door",
    "opens",
    "closes",
    "and",
]


@pytest.fixture(scope="session", autouse=True)
def offline():
    """No test asks a hub for anything."""
    from huggingface_hub import constants

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        # The variable is read once, when the library is first imported, which another test may have done.
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        yield


@pytest.fixture
def no_network(monkeypatch):
    """Any attempt to reach another machine fails the test, even if something swallows the error."""
    import socket

    tried = []

    def refuse(self, address, *rest):
        tried.append(address)
        raise OSError("this test has no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: refuse(None, a))
    yield
    assert not tried


def save_tiny_bert(folder: Path, seed: int = 0) -> Path:
    """A real BERT with random weights and a word tokenizer, in the files that transformers writes."""
    import torch
    import transformers

    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]) + "\n")
    tokenizer = transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt"))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=5 + len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=24, max_position_embeddings=300,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory) -> Path:
    return save_tiny_bert(tmp_path_factory.mktemp("weights") / "tiny")


CAPTIONS = [["a man walks", "the man runs in the street"], ["a red car"], ["a red car", "a dog sits"], ["the cat"]]


def write_store(path: Path, captions: list[list[str]] = CAPTIONS, weights: list[list[float]] | None = None) -> Store:
    clips = pd.DataFrame({"clip_id": [f"c{index}" for index in range(len(captions))], "duration_s": 2.0})
    clips["captions"] = [json.dumps(row) for row in captions]
    if weights is not None:
        clips["caption_weights"] = [json.dumps(row) for row in weights]
    manifest = Manifest(name="told", title="t", licence="l", citation="c", kind="event", responses="r", simulated=True)
    with StoreWriter(path, manifest) as writer:
        writer.add_space("space", np.arange(3), ["p"] * 3)
        noise = np.random.default_rng(len(os.fspath(path)))
        writer.add_responses("s1", noise.normal(size=(len(captions), 3)).astype(np.float32), space="space")
        writer.write_clips(clips)
        writer.write_trials(
            pd.DataFrame({"subject": "s1", "session": "1", "run": "1", "clip_id": clips["clip_id"]}).assign(
                repetition=1, onset_s=0.0, duration_s=2.0
            )
        )
    return Store(path)


def save_sandbox_networks(folder: Path, seed: int = 0) -> Path:
    """The sandbox's networks with random weights, in half precision, laid out as they are shipped."""
    import torch

    from brainreel.sandbox import networks
    from brainreel.sandbox.train import _preparation
    from brainreel.sandbox.words import tokenizer

    torch.manual_seed(seed)
    clip = networks.clip()
    clip.half().save_pretrained(folder / "clip")
    tokenizer(start=True).save_pretrained(folder / "clip")
    (folder / "clip" / "preprocessor_config.json").write_text(json.dumps(_preparation("clip")))
    autoencoder = networks.autoencoder()
    rng = np.random.default_rng(seed)
    autoencoder.register_to_config(
        latents_mean=rng.normal(size=networks.LATENT_CHANNELS).tolist(),
        latents_std=rng.uniform(0.5, 2, networks.LATENT_CHANNELS).tolist(),
    )
    autoencoder.half().save_pretrained(folder / "pipeline" / "vae")
    networks.text_encoder().half().save_pretrained(folder / "pipeline" / "text_encoder")
    tokenizer(start=False).save_pretrained(folder / "pipeline" / "tokenizer")
    return folder


@pytest.fixture(scope="session")
def sandbox_weights(tmp_path_factory) -> Path:
    return save_sandbox_networks(tmp_path_factory.mktemp("sandbox"))


@pytest.fixture(scope="session")
def shown_store(tmp_path_factory) -> Store:
    """A simulated release: 46 clips of 17 frames, one file each."""
    folder, dataset = tmp_path_factory.mktemp("event"), DATASETS["sandbox-event"]
    dataset.twin(folder / "release", size="tiny", subjects=1)
    with StoreWriter(folder / "store", dataset.manifest(folder / "release")) as writer:
        dataset.ingest(folder / "release", writer)
    return Store(folder / "store")


@pytest.fixture(scope="session")
def shown_videos(shown_store) -> np.ndarray:
    """All clips' frames, read without brainreel."""
    import av

    videos = []
    for path in shown_store.clips["path"]:
        with av.open(path) as container:
            videos.append(np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]))
    return np.stack(videos)
