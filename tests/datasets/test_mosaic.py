"""MOSAIC: both of its files' layouts are read, vertices without signal are left out for everybody."""

import builtins
import shutil
from pathlib import Path

import numpy as np
import pytest

from brainreel.datasets import DATASETS
from brainreel.datasets.mosaic_files import TRIAL, read_file
from brainreel.datasets.twin_cortex import TwinCortex
from brainreel.errors import UsageError
from brainreel.store import Store, check

h5py = pytest.importorskip("h5py", reason="needs the extra `mosaic`")


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("mosaic") / "release"
    DATASETS["mosaic"].twin(out, size="tiny", seed=0)
    return out


@pytest.fixture(scope="module")
def store(twin, ingest, tmp_path_factory) -> Store:
    return ingest("mosaic", twin, tmp_path_factory.mktemp("stores") / "mosaic")


def test_the_store_is_sound(store):
    assert check([store.root]) == []
    assert store.subjects == ["sub-01_BMD", "sub-01_HAD", "sub-02_BMD"]
    counts = store.trials.groupby(["subject", "clip_id"]).size().groupby("subject").agg(["min", "max"])
    assert counts.loc["sub-01_HAD"].tolist() == [1, 1]
    assert counts.loc["sub-02_BMD"].tolist() == [3, 10]


def test_values_roles_and_repetitions_are_those_of_the_named_trial(store, twin):
    vertices = store.space("responses", "sub-01_BMD")["vertex"].to_numpy()
    patterns = {
        "sub-01_BMD": "sub-01_BMD_stimulus-{clip}_phase-{role}_rep-{rep}",
        "sub-02_BMD": "{clip}_rep-{rep}",
        "sub-01_HAD": "sub-01_HAD_stimulus-{clip}_phase-{role}_rep-{rep}",
    }
    roles = store.roles("official", 0)
    for subject, pattern in patterns.items():
        rows = store.rows(subject)
        values = store.responses(subject, rows)
        with h5py.File(twin / f"{subject}.hdf5") as file:
            assert len(file["betas"]) == len(rows)
            for row, mine in zip(rows.tolist(), values, strict=True):
                trial = store.trials.iloc[row]
                name = pattern.format(clip=trial["clip_id"], role=roles[row], rep=trial["repetition"] - 1)
                if subject == "sub-02_BMD":
                    assert (roles[row] == "test") == (trial["clip_id"] > "vid1000")
                np.testing.assert_array_equal(mine, file["betas"][name][()][vertices].astype(np.float16))


def test_vertices_without_signal_are_left_out_for_everybody_that_is_read(store, twin, ingest, tmp_path):
    with read_file(twin / "sub-02_BMD.hdf5", len(TwinCortex.grow("tiny"))) as file:
        lost = np.flatnonzero(file.lost())
    assert len(lost) == 3
    spaces = {store.manifest.spaces["responses"][subject] for subject in store.subjects}
    assert spaces == {"fsLR32k/group41/without-3"}
    assert not np.isin(lost, store.space("responses", "sub-01_BMD")["vertex"]).any()
    assert any("3 of 588 vertices have no signal" in text for text in store.manifest.notes)
    other = ingest("mosaic", twin, tmp_path / "store", subjects=["sub-01_BMD", "sub-01_HAD"])
    assert set(other.manifest.spaces["responses"].values()) == {"fsLR32k/group41"}


def test_lists_of_lost_vertices_that_are_not_in_the_space_do_not_matter(twin, ingest, tmp_path):
    store = ingest("mosaic", twin, tmp_path / "store", subjects=["sub-02_BMD"], space="fsLR32k/A1+4")
    assert set(store.space("responses", "sub-02_BMD")["parcel"]) == {"A1", "4"}
    assert check([store.root]) == []


def test_captions_and_videos_of_both_datasets(store):
    clips = store.clips.set_index("clip_id")
    assert len(clips.loc["vid0001", "captions"]) == 5
    had = clips[clips.index.str.startswith("v_")]
    assert len(had) == 60
    assert had["captions"].map(len).eq(1).all()
    assert (had["duration_s"] == 2).all()
    assert all(Path(path).is_file() for path in clips["path"])


def test_without_the_clips(twin, ingest, tmp_path):
    release = Path(shutil.copytree(twin, tmp_path / "release"))
    (release / "stimuli").rename(tmp_path / "clips")
    none = ingest("mosaic", release, tmp_path / "none")
    assert (none.clips["path"] == "").all()
    there = ingest("mosaic", release, tmp_path / "there", stimuli=tmp_path / "clips")
    assert there.clips["sha256"].nunique() == len(there.clips)


@pytest.mark.parametrize(
    ("name", "stimulus", "phase", "rep"),
    [
        ("vid0001_rep-0", "vid0001", None, "0"),
        ("sub-01_BMD_stimulus-vid0001_phase-train_rep-2", "vid0001", "train", "2"),
        ("v_Walking_the_dog_id_x_1_rep-0", "v_Walking_the_dog_id_x_1", None, "0"),
        ("sub-05_NOD_stimulus-n01440764_10042_phase-test_rep-11", "n01440764_10042", "test", "11"),
    ],
)
def test_names_of_trials(name, stimulus, phase, rep):
    found = TRIAL.fullmatch(name)
    assert found is not None
    assert (found["stimulus"], found["phase"], found["rep"]) == (stimulus, phase, rep)


def test_without_h5py_the_message_says_what_to_install(twin, ingest, tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *arguments, **options):
        if name == "h5py":
            raise ImportError("No module named 'h5py'")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UsageError, match=r"pip install 'brainreel\[mosaic\]'"):
        ingest("mosaic", twin, tmp_path / "store")
    with pytest.raises(UsageError, match=r"pip install 'brainreel\[mosaic\]'"):
        DATASETS["mosaic"].twin(tmp_path / "twin")
