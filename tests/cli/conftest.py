from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from brainreel.cli.main import main
from brainreel.datasets import DATASETS


class Said(NamedTuple):
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


def call(*arguments: object) -> Said:
    """One command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Said(code, out.getvalue(), err.getvalue())


def done(*arguments: object) -> Said:
    """One command that must succeed."""
    said = call(*arguments)
    assert said.code == 0, said.err
    return said


def refused(said: Said) -> str:
    """The one message of a command that must have ended with 2; estimates and progress may stand before it."""
    assert said.code == 2, said
    assert "Traceback" not in said.err
    messages = [line for line in said.err.splitlines() if line.startswith("brainreel: ")]
    assert len(messages) == 1, said.err
    return messages[0]


@pytest.fixture(scope="session", autouse=True)
def offline():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        yield


@pytest.fixture(scope="session")
def kit(tmp_path_factory) -> Path:
    """The tiny simulated Sherlock kit."""
    out = tmp_path_factory.mktemp("releases") / "kit"
    DATASETS["sherlock"].twin(out, size="tiny", seed=0)
    return out


@pytest.fixture(scope="session")
def own(tmp_path_factory) -> Path:
    """The tiny simulated folder of one's own."""
    out = tmp_path_factory.mktemp("releases") / "own"
    DATASETS["folder"].twin(out, size="tiny", seed=0)
    return out


@pytest.fixture(scope="session")
def words(own, kit, tmp_path_factory) -> Path:
    """A sentence encoder in the real files' format: the mean of random vectors of a caption's words.

    Captions that share words lie near each other, so decoding has something to find.
    """
    import torch
    import transformers

    texts = (own / "clips.tsv").read_text().lower()
    vocabulary = sorted(set(re.findall(r"[a-z]+", texts)))
    folder = tmp_path_factory.mktemp("weights") / "bert"
    folder.mkdir()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (folder / "vocab.txt").write_text("\n".join([*special, *vocabulary]) + "\n")
    transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(special) + len(vocabulary),
        hidden_size=32,
        num_hidden_layers=0,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=256,
        initializer_range=1.0,
    )
    torch.manual_seed(0)
    model = transformers.BertModel(config)
    with torch.no_grad():
        model.embeddings.position_embeddings.weight.zero_()
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def store(own, words, tmp_path_factory) -> Path:
    """The tiny folder as a store with targets."""
    path = tmp_path_factory.mktemp("stores") / "own"
    done("ingest", "folder", own, "--store", path)
    done("encode", path, "--encoder", "text-minilm", "--weights", words)
    return path


@pytest.fixture(scope="session")
def read() -> Callable[[Path], dict]:
    """JSON from a file."""
    return lambda path: json.loads(Path(path).read_text())


FEW = ("--contrastive.steps", "20", "--contrastive.latent", "64")


@pytest.fixture(scope="session")
def trained(store, tmp_path_factory) -> Path:
    """An experiment on two of the three people: contrastive, ridge and pooled ridge."""
    run = tmp_path_factory.mktemp("runs") / "two"
    for strategy in ("contrastive", "ridge", "pooled-ridge"):
        done(
            "align", store, "--out", run, "--strategy", strategy, "--subjects", "sub-01", "sub-02", *FEW
        )
    done("evaluate", run)
    return run
