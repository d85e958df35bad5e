import errno
import json
import os
import shutil

import numpy as np
import pytest
import zarr

from brainreel.errors import StoreError, UsageError
from brainreel.store import Store
from brainreel.store import targets as module
from brainreel.store.targets import read_targets, shifted, targets_folder, targets_identity, write_targets

from . import small

CAPTIONS = [f"scene {k}" for k in range(9)]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Store:
    """A film whose clips' captions are those of its annotations."""
    table = small.windows()
    film_s = table["film_s"].to_numpy()
    # Scene k lasts 9 s, so a window of 6 s shows one scene or two.
    shares = np.array([[max(0.0, min(t + 6, 9 * k + 9) - max(t, 9 * k)) / 6 for k in range(9)] for t in film_s])
    texts = [json.dumps([CAPTIONS[k] for k in np.flatnonzero(row)]) for row in shares]
    weights = [json.dumps(row[row > 0].tolist()) for row in shares]
    more = {"captions": texts, "caption_weights": weights}
    return small.film(tmp_path_factory.mktemp("targets") / "film", more=more)


@pytest.fixture
def store(made, tmp_path) -> Store:
    return Store(shutil.copytree(made.root, tmp_path / "film"))


def _write(store: Store, folder=None, dim: int = 3, identity=None, name: str = "words") -> np.ndarray:
    vectors = small.values(4, len(CAPTIONS), dim)
    column = {caption: k for k, caption in enumerate(CAPTIONS)}
    values = np.zeros((len(store.clips), dim))
    for row, (texts, weights) in enumerate(zip(store.clips["captions"], store.clips["caption_weights"], strict=True)):
        for text, weight in zip(texts, weights, strict=True):
            values[row] += weight * vectors[column[text]]
    write_targets(store, name, {"embedding": values, "captions": vectors}, identity or {"v": 1}, CAPTIONS, folder)
    return values.astype(np.float32)


def test_targets_come_back_in_the_store_and_beside_it(store, tmp_path):
    for folder in (None, tmp_path / "elsewhere"):
        values = _write(store, folder)
        found = read_targets(store, "words", folder)
        np.testing.assert_array_equal(found.values, values)
        np.testing.assert_array_equal(found.caption_values, small.values(4, 9, 3))
        assert found.captions == CAPTIONS
        assert targets_identity(store, "words", folder) == {"v": 1}
    assert (tmp_path / "elsewhere" / "film" / "targets.zarr" / "words").is_dir()


def test_keys_change_with_encoder_and_store(store, tmp_path):
    _write(store)
    key = read_targets(store, "words").key
    _write(store)
    assert read_targets(store, "words").key == key
    _write(store, identity={"v": 2})
    assert read_targets(store, "words").key != key
    other = small.film(
        tmp_path / "other", seed=1, more={"captions": json.dumps(CAPTIONS[:1]), "caption_weights": "[1]"}
    )
    _write(other)
    assert read_targets(other, "words").key != key


def test_targets_of_an_older_store_are_stale(store):
    _write(store)
    (store.root / "checksums.json").write_text((store.root / "checksums.json").read_text() + " ")
    changed = Store(store.root)
    assert targets_identity(changed, "words") is None
    with pytest.raises(StoreError, match=r"no targets 'words' \(known: words\) that fit its present content; run"):
        read_targets(changed, "words")


def test_missing_targets_name_those_there_are(store):
    with pytest.raises(StoreError, match=r"'words' \(known: none\)"):
        read_targets(store, "words")
    _write(store, name="clip")
    with pytest.raises(StoreError, match=r"'words' \(known: clip\).*brainreel encode"):
        read_targets(store, "words")


@pytest.mark.parametrize("junk", [b"", b"[]", b"{}", b"\xff", b'{"attributes": 3}', b'{"attributes": {"identity": 1}}'])
def test_broken_targets_are_to_be_made_again(store, junk):
    _write(store)
    path = targets_folder(store, "words")
    metadata = (path / "zarr.json").read_bytes()
    (path / "zarr.json").write_bytes(junk)
    assert targets_identity(store, "words") is None
    with pytest.raises(StoreError, match="brainreel encode"):
        read_targets(store, "words")
    (path / "zarr.json").write_bytes(metadata)
    (path / "embedding" / "zarr.json").write_bytes(junk)
    with pytest.raises(StoreError, match=r"words cannot be read .*remove it and run `brainreel encode"):
        read_targets(store, "words")


def test_vectors_that_do_not_fit_are_refused(store):
    n = len(store.clips)
    for arrays, message in [
        ({"embedding": np.zeros((n - 1, 2))}, f"expected {n} rows"),
        ({"embedding": np.zeros((n, 2)), "captions": np.zeros((8, 2))}, "expected 9 rows"),
        ({"embedding": np.full((n, 2), np.nan)}, "NaN"),
    ]:
        with pytest.raises(StoreError, match=message):
            write_targets(store, "words", arrays, {}, CAPTIONS)
    assert not (store.root / "targets.zarr").exists()


@pytest.mark.parametrize("name", ["../x", "", ".x", "a/b"])
def test_names_stay_in_the_folder(store, name):
    with pytest.raises(UsageError, match="cannot be the name of targets"):
        targets_folder(store, name)


@pytest.mark.parametrize(("code", "do"), [(errno.ENOSPC, "free space"), (errno.EROFS, "--targets")])
def test_disks_that_take_nothing_are_sentences_and_old_targets_stay(store, monkeypatch, code, do):
    values = _write(store)

    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(zarr.Group, "create_array", refuse)
    with pytest.raises(StoreError, match=f"cannot be written .*{do}"):
        _write(store, dim=5)
    np.testing.assert_array_equal(read_targets(store, "words").values, values)
    assert [p.name for p in (store.root / "targets.zarr").iterdir()] == ["words"]


def test_a_shift_by_nothing_or_by_the_whole_film_changes_nothing(store):
    values = _write(store)
    targets = read_targets(store, "words")
    for shift in (0, sum(small.RUNS.values())):
        np.testing.assert_allclose(shifted(store, targets, shift).values, values, atol=1e-6)
    assert shifted(store, targets, 6).key != targets.key


def test_a_shift_moves_the_text_to_later_windows(store):
    _write(store)
    targets = read_targets(store, "words")
    # Scenes last 6 volumes: after a shift by 6, what was scene k is scene k - 1, and the last is the first.
    moved = shifted(store, targets, 6)
    turned = module.Targets("words", targets.values, CAPTIONS, np.roll(targets.caption_values, 1, axis=0))
    np.testing.assert_allclose(moved.values, shifted(store, turned, 0).values, atol=1e-6)
    assert np.abs(moved.values - targets.values).max() > 0.1


def test_only_described_films_can_be_shifted(store, tmp_path):
    events = small.events(tmp_path / "events")
    with pytest.raises(StoreError, match="no timed annotations of one film"):
        shifted(events, module.Targets("words", np.zeros((3, 2), np.float32)), 5)
    with pytest.raises(StoreError, match="lack vectors of its annotations"):
        shifted(store, module.Targets("pixels", np.zeros((len(store.clips), 2), np.float32)), 5)


def test_a_clips_target_may_have_any_shape(store):
    values = small.values(5, len(store.clips), 2 * 3 * 4).reshape(-1, 2, 3, 4).astype(np.float32)
    write_targets(store, "latents", {"embedding": values}, {"v": 1}, [])
    found = read_targets(store, "latents")
    np.testing.assert_array_equal(found.values, values)
    assert found.captions == []
    assert len(found.caption_values) == 0


def test_arrays_that_do_not_fit_each_other_are_refused(store):
    clips = len(store.clips)
    for arrays in (
        {"embedding": np.zeros(clips)},
        {"embedding": np.zeros((clips, 3)), "captions": np.zeros((9, 4))},
        {"embedding": np.zeros((clips, 3, 2)), "captions": np.zeros((9, 3))},
    ):
        with pytest.raises(StoreError, match="expected at least two axes, the clips first, and captions in the"):
            write_targets(store, "words", arrays, {"v": 1}, CAPTIONS)
