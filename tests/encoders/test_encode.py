"""Targets of stores: computed once, again when something changed, where they were asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from brainreel.encoders import ENCODERS, encode
from brainreel.encoders.captions import caption_weights
from brainreel.encoders.text_minilm import TextMiniLM
from brainreel.errors import StoreError, UsageError, WeightsError
from brainreel.sandbox import networks
from brainreel.store import Store
from brainreel.store.targets import read_targets

from .conftest import CAPTIONS, save_tiny_bert, write_store


@pytest.fixture
def store(tmp_path) -> Store:
    return write_store(tmp_path / "store")


@pytest.fixture
def loads(monkeypatch) -> list[str]:
    """How often a network was really loaded."""
    calls = []

    class Counted(TextMiniLM):
        def __init__(self, weights=None, device="cpu"):
            calls.append(weights)
            super().__init__(weights, device)

    monkeypatch.setitem(ENCODERS, "text-minilm", Counted)
    return calls


def test_a_clips_target_is_the_mean_of_its_captions_vectors(store, tiny_bert):
    (folder,) = encode([store], weights=str(tiny_bert))
    assert folder == store.root / "targets.zarr" / "text-minilm"
    found = read_targets(store, "text-minilm")
    encoder = TextMiniLM(str(tiny_bert))
    for value, captions in zip(found.values, CAPTIONS, strict=True):
        np.testing.assert_allclose(value, encoder.encode(captions).mean(0), atol=1e-5)
    assert found.captions == ["a man walks", "the man runs in the street", "a red car", "a dog sits", "the cat"]
    np.testing.assert_allclose(found.caption_values, encoder.encode(found.captions), atol=1e-5)


def test_weights_of_captions_count(tmp_path, tiny_bert):
    store = write_store(tmp_path / "w", [["a man", "a dog"], ["a cat", "a cat"]], [[0.75, 0.25], [0.5, 0.5]])
    captions, mixing = caption_weights(store)
    assert captions == ["a man", "a dog", "a cat"]
    assert mixing.tolist() == [[0.75, 0.25, 0], [0, 0, 1]]
    encode([store], weights=str(tiny_bert))
    man, dog, cat = TextMiniLM(str(tiny_bert)).encode(captions)
    np.testing.assert_allclose(read_targets(store, "text-minilm").values, [0.75 * man + 0.25 * dog, cat], atol=1e-5)


def test_what_is_there_is_not_computed_again(store, tiny_bert, loads):
    encode([store], weights=str(tiny_bert))
    first = read_targets(store, "text-minilm")
    moved = shutil.copytree(tiny_bert, store.root.parent / "moved")
    encode([store.root], weights=str(moved))
    assert loads == [str(tiny_bert)]
    assert read_targets(store, "text-minilm").key == first.key


def test_other_weights_are_computed_again(store, tiny_bert, loads, tmp_path):
    encode([store], weights=str(tiny_bert))
    first = read_targets(store, "text-minilm")
    encode([store], weights=str(save_tiny_bert(tmp_path / "other", seed=3)))
    second = read_targets(store, "text-minilm")
    assert len(loads) == 2
    assert second.key != first.key
    assert not np.allclose(first.values, second.values)


def test_a_changed_store_is_computed_again(store, tiny_bert, loads, tmp_path):
    targets = tmp_path / "targets"
    encode([store], weights=str(tiny_bert), targets=targets)
    shutil.rmtree(store.root)
    changed = write_store(store.root, [["a dog"], *CAPTIONS[1:]])
    with pytest.raises(StoreError, match="brainreel encode"):
        read_targets(changed, "text-minilm", targets)
    encode([changed], weights=str(tiny_bert), targets=targets)
    assert len(loads) == 2
    expected = TextMiniLM(str(tiny_bert)).encode(["a dog"])[0]
    np.testing.assert_allclose(read_targets(changed, "text-minilm", targets).values[0], expected, atol=1e-5)


def test_only_the_stores_that_need_it_are_computed(store, tiny_bert, tmp_path, loads):
    other = write_store(tmp_path / "longer-name", CAPTIONS[:2])
    encode([store], weights=str(tiny_bert))
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file()}
    folders = encode([store, other], weights=str(tiny_bert))
    assert folders == [s.root / "targets.zarr" / "text-minilm" for s in (store, other)]
    assert len(loads) == 2
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file()} == before


def test_targets_in_a_folder_leave_the_store_untouched(store, tiny_bert, tmp_path):
    before = {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()}
    (folder,) = encode([store], weights=str(tiny_bert), targets=tmp_path / "elsewhere")
    assert folder == tmp_path / "elsewhere" / "told" / "targets.zarr" / "text-minilm"
    assert {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()} == before
    assert read_targets(store, "text-minilm", tmp_path / "elsewhere").values.shape == (4, 16)


def test_clips_without_a_caption_are_counted_and_named(tmp_path, tiny_bert):
    store = write_store(tmp_path / "bare", [["a man"], [], ["a dog"], []])
    with pytest.raises(StoreError, match=r"2 clips of 'told' have no caption, 'c1' first.*ingest again"):
        encode([store], weights=str(tiny_bert))
    assert not (store.root / "targets.zarr").exists()


def test_an_unknown_encoder_lists_the_known(store):
    with pytest.raises(UsageError, match=r"no encoder 'clip-huge' \(known: text-minilm"):
        encode([store], encoder="clip-huge")


def test_wrong_weights_leave_no_targets(store, tmp_path):
    with pytest.raises(WeightsError, match="is not a folder"):
        encode([store], weights=str(tmp_path / "nowhere"))
    assert not Path(store.root / "targets.zarr").exists()


def test_every_encoder_has_its_command(shown_store, sandbox_weights, tmp_path, capsys):
    from brainreel.cli.main import main

    pipeline, targets = sandbox_weights / "pipeline", tmp_path / "targets"
    for encoder, weights, more in (
        ("clip", sandbox_weights / "clip", []),
        ("prompt", pipeline, []),
        ("latents", pipeline, ["--size", "16", "16", "--frames", "5"]),
    ):
        command = ["encode", shown_store.root, "--encoder", encoder, "--weights", weights, "--targets", targets, *more]
        assert main([str(word) for word in command]) == 0
        assert capsys.readouterr().out.strip() == str(targets / shown_store.name / "targets.zarr" / encoder)
        assert main([str(word) for word in [*command, "--dry-run"]]) == 0
        assert "up to date" in capsys.readouterr().out
    assert read_targets(shown_store, "latents", targets).values.shape == (46, networks.LATENT_CHANNELS, 2, 2, 2)
    assert main(["encode", str(shown_store.root), "--encoder", "latents", "--weights", str(tmp_path / "no")]) == 2
    assert "is not a folder" in capsys.readouterr().err
