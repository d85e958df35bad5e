"""Prepared pickles of 41 areas: columns are sorted by vertex, both kinds of files are read."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from broken_group41 import FIRST, SECOND

from brainreel.datasets import DATASETS
from brainreel.datasets.named_clips import tests_by_name as which_test
from brainreel.datasets.parcels import GROUP41
from brainreel.store import Store, check


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("group41") / "release"
    DATASETS["group41"].twin(out, size="tiny", seed=0)
    return out


@pytest.fixture(scope="module")
def store(twin, ingest, tmp_path_factory) -> Store:
    return ingest("group41", twin, tmp_path_factory.mktemp("stores") / "group41")


def _load(path: Path) -> dict:
    return pickle.loads(path.read_bytes())


def test_the_store_is_sound_and_corresponds_to_other_releases(store, twin, ingest, tmp_path):
    assert check([store.root]) == []
    space = store.space("responses", "sub-01")
    assert set(space["parcel"]) == set(GROUP41)
    assert (np.diff(space["vertex"]) > 0).all()
    DATASETS["bmd"].twin(tmp_path / "bmd", subjects=1)
    other = ingest("bmd", tmp_path / "bmd", tmp_path / "store")
    assert other.space("responses", "sub-01").equals(space)


def test_values_follow_their_vertices(store, twin):
    found = _load(twin / SECOND)
    assert found["train_data_allvoxel"].dtype == np.float64
    vertices = store.space("responses", "sub-02")["vertex"].to_numpy()
    for role, count in (("train", 3), ("test", 10)):
        rows = store.rows("sub-02", store.roles("official", 0) == role)
        mine = dict(zip(vertices.tolist(), store.responses("sub-02", rows).T, strict=True))
        betas = found[f"{role}_data_allvoxel"]
        for column, vertex in enumerate(found["roi_indices_hcp"].tolist()):
            np.testing.assert_array_equal(mine[vertex], betas[..., column].astype(np.float16).ravel())
        trials = store.trials.iloc[rows]
        assert trials["repetition"].tolist() == list(range(1, count + 1)) * betas.shape[0]
        assert trials["clip_id"].tolist() == np.repeat(found[f"{role}_stim_order"], count).tolist()


def test_clips_come_with_captions_and_videos_if_they_are_there(store, twin, ingest, tmp_path):
    assert (store.clips["captions"].map(len) == 5).all()
    assert (store.clips["duration_s"] == 3).all()
    bare = Path(shutil.copytree(twin, tmp_path / "bare"))
    shutil.rmtree(bare / "stimuli")
    (bare / "derivatives/stimuli_metadata/annotations.json").rename(bare / "annotations.json")
    beside = ingest("group41", bare, tmp_path / "beside")
    assert beside.clips["captions"].equals(store.clips["captions"])
    assert (beside.clips["path"] == "").all()
    (bare / "annotations.json").unlink()
    assert (ingest("group41", bare, tmp_path / "none").clips["captions"].map(len) == 0).all()


def test_the_note_says_how_test_betas_were_scored(store):
    assert any("test set's mean" in text for text in store.manifest.notes)


def test_a_file_of_had_gets_the_split_that_names_decide(twin, ingest, tmp_path):
    release = Path(shutil.copytree(twin, tmp_path / "release"))
    shutil.rmtree(release / "stimuli")
    names = [
        f"Walking the dog/v_{action}_id_{k:03d}.mp4" for k in range(4) for action in ("Fishing", "Walking the dog")
    ]
    for path in (FIRST, SECOND):
        found = _load(release / path)
        betas = found["train_data_allvoxel"][: len(names), 0]
        had = {"data_allvoxel": betas, "stim_order": names, "roi_indices_hcp": found["roi_indices_hcp"]}
        (release / path).write_bytes(pickle.dumps(had))
    store = ingest("group41", release, tmp_path / "store")
    assert check([store.root]) == []
    roles = store.roles("one-of-four", 0)
    assert roles.tolist() == (["test", *["train"] * 2, "test", *["train"] * 4]) * 2
    assert store.clips["clip_id"].iloc[1] == "v_Walking_the_dog_id_000"
    assert store.clips["captions"].iloc[1] == ["walking the dog"]


def test_one_of_four_of_every_action_tests():
    names = [f"v_Action_{a}_id_{k}" for k in range(4) for a in range(10)]
    tests = which_test(names)
    assert tests is not None
    chosen = [name.partition("_id_")[0] for name, test in zip(names, tests, strict=True) if test]
    assert sorted(chosen) == sorted({name.partition("_id_")[0] for name in names})
    assert which_test(["vid1000", "vid1001"]) == [False, True]
    assert which_test(["nsd00001"]) is None
