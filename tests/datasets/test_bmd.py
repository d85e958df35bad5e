"""BOLD Moments: what is in the release's files is what is in the store, whichever of its files are read."""

import json
import pickle
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from brainreel.datasets import DATASETS
from brainreel.datasets import bmd_files as files
from brainreel.datasets.bmd_glmsingle import NAME, SESSIONS
from brainreel.datasets.bmd_twin import FIRST_TEST, SCALES
from brainreel.datasets.parcels import GROUP41, read_space
from brainreel.datasets.pickles import read_pickle
from brainreel.datasets.twin_cortex import AREAS, TwinCortex
from brainreel.errors import UsageError
from brainreel.metrics import noise_ceiling
from brainreel.store import Store, check
from brainreel.video import look
from shared_files import shared

FACTS = DATASETS["bmd"].facts


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("bmd") / "release"
    DATASETS["bmd"].twin(out, size="tiny", seed=0)
    return out


@pytest.fixture(scope="module")
def store(twin, ingest, tmp_path_factory) -> Store:
    return ingest("bmd", twin, tmp_path_factory.mktemp("stores") / "bmd")


@pytest.fixture
def release(twin, tmp_path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(twin, tmp_path / "release"))


def _load(path: Path):
    return pickle.loads(path.read_bytes())


def _betas(source: Path, subject: str, role: str, space: str = "fsLR32k", hemisphere: str = ""):
    return _load(files.betas_path(source, space, subject, role, hemisphere))[0]


def _of(store: Store, subject: str, role: str) -> np.ndarray:
    return store.responses(subject, store.rows(subject, store.roles("official", 0) == role))


def _same(store: Store, other: Store) -> bool:
    return all(
        np.array_equal(store.responses(s, store.rows(s)), other.responses(s, other.rows(s))) for s in store.subjects
    )


def test_the_store_is_sound_and_says_what_it_holds(store):
    assert check([store.root]) == []
    assert (store.name, store.manifest.kind, store.manifest.simulated) == ("bmd", "event", True)
    assert store.subjects == ["sub-01", "sub-02"]
    assert store.manifest.repetitions == {"train": 3, "test": 10}
    assert store.manifest.spaces == {"responses": dict.fromkeys(store.subjects, "fsLR32k/group41")}
    assert {"CC0", "terms"} <= set(store.manifest.licence.replace(",", " ").split())
    space = store.space("responses", "sub-01")
    assert set(space["parcel"]) == set(GROUP41)
    assert len(store.manifest.sources) == 5


def test_values_are_the_pickles_own_to_half_precision(store, twin):
    columns = read_space(None, twin, len(TwinCortex.grow("tiny"))).vertex
    for subject in store.subjects:
        for role in ("train", "test"):
            betas = _betas(twin, subject, role)
            assert betas.dtype == np.float64
            np.testing.assert_array_equal(
                _of(store, subject, role), betas[..., columns].reshape(-1, len(columns)).astype(np.float16)
            )


def test_trials_name_the_clip_and_repetition_of_every_row(store):
    trials = store.trials[store.trials["subject"] == "sub-02"].reset_index()
    assert trials["clip_id"].iloc[:4].tolist() == ["vid0001"] * 3 + ["vid0002"]
    assert trials["repetition"].iloc[:4].tolist() == [1, 2, 3, 1]
    assert trials["clip_id"].iloc[-1] == "vid1006"
    assert trials["repetition"].iloc[-1] == 10
    assert len(trials) == 40 * 3 + 6 * 10
    roles = pd.Series(store.roles("official", 0))
    test = store.trials["clip_id"].str.removeprefix("vid").astype(int) >= FIRST_TEST
    assert ((roles == "test") == test).all()


def test_clips_have_five_captions_a_video_and_three_seconds(store):
    assert len(store.clips) == 46
    assert (store.clips["captions"].map(len) == 5).all()
    assert (store.clips["duration_s"] == 3).all()
    assert store.clips["sha256"].nunique() == 46
    what, _ = look(Path(store.clips["path"].iloc[-1]))
    assert what.duration_s == pytest.approx(3.0)
    assert Path(store.clips["path"].iloc[0]).name == "0001.mp4"


def test_glmsingle_output_becomes_the_same_betas(release, store, ingest, tmp_path):
    shutil.rmtree(release / "derivatives/versionB/fsLR32k/GLM/sub-01/prepared_betas")
    made = ingest("bmd", release, tmp_path / "store")
    assert check([made.root]) == []
    for subject in made.subjects:
        mine, prepared = (s.responses(subject, s.rows(subject)) for s in (made, store))
        # Float32 betas standardised again: half precision's last bit may differ.
        np.testing.assert_allclose(mine, prepared, rtol=2e-3, atol=2e-3)
    assert any("sub-01: from GLMsingle's output" in text for text in made.manifest.notes)
    assert not any("sub-02: from" in text for text in made.manifest.notes)


def test_glmsingle_output_in_hdf5(release, ingest, tmp_path):
    h5py = pytest.importorskip("h5py", reason="needs the extra `mosaic`")
    shutil.rmtree(release / "derivatives/versionB/fsLR32k/GLM/sub-01/prepared_betas")
    pickled = ingest("bmd", release, tmp_path / "pickled", subjects=["sub-01"])
    for session in SESSIONS:
        path = files.glm_folder(release, "fsLR32k") / "sub-01" / session / f"{NAME}.npy"
        found = np.load(path, allow_pickle=True).item()
        with h5py.File(path.with_suffix(".hdf5"), "w") as file:
            for key, value in found.items():
                file[key] = value
        path.unlink()
    assert _same(ingest("bmd", release, tmp_path / "hdf5", subjects=["sub-01"]), pickled)


@pytest.mark.parametrize(
    ("change", "protocol"),
    [
        (lambda betas: betas, 2),
        (lambda betas: betas, 4),
        (np.asfortranarray, 5),
        (lambda betas: betas.astype(">f8"), 4),
        (lambda betas: betas.astype(np.float32), 5),
    ],
    ids=["protocol 2", "protocol 4", "Fortran order", "big endian", "float32"],
)
def test_pickles_of_other_making(release, store, ingest, tmp_path, change, protocol):
    for subject in ("sub-01", "sub-02"):
        for role in ("train", "test"):
            path = files.betas_path(release, "fsLR32k", subject, role)
            betas, names = _load(path)
            path.write_bytes(pickle.dumps((change(betas), np.array(names)), protocol=protocol))
    made = ingest("bmd", release, tmp_path / "store")
    for subject in made.subjects:
        mine, other = (s.responses(subject, s.rows(subject)) for s in (made, store))
        # Rounded twice, single precision may end one unit of half precision away.
        np.testing.assert_allclose(mine, other, rtol=1e-3 if change(np.zeros(1)).dtype == np.float32 else 0)


def test_clips_in_another_order_are_sorted(release, store, ingest, tmp_path):
    path = files.betas_path(release, "fsLR32k", "sub-02", "train")
    betas, names = _load(path)
    order = np.random.default_rng(0).permutation(len(names))
    path.write_bytes(pickle.dumps((betas[order], [names[k] for k in order])))
    assert _same(ingest("bmd", release, tmp_path / "store"), store)


def test_clips_may_lie_elsewhere_or_in_h264_or_not_be_here(release, ingest, tmp_path):
    (release / "stimuli").rename(tmp_path / "elsewhere")
    none = ingest("bmd", release, tmp_path / "none")
    assert (none.clips["path"] == "").all()
    assert check([none.root]) == []
    there = ingest("bmd", release, tmp_path / "there", stimuli=tmp_path / "elsewhere")
    assert Path(there.clips["path"].iloc[40]) == tmp_path / "elsewhere" / "test" / "1001.mp4"
    flat = tmp_path / "clips" / "mp4_h264"
    flat.mkdir(parents=True)
    for path in (tmp_path / "elsewhere").rglob("*.mp4"):
        shutil.copy(path, flat)
    shutil.copytree(tmp_path / "elsewhere", tmp_path / "clips" / "original")
    both = ingest("bmd", release, tmp_path / "both", stimuli=tmp_path / "clips")
    assert {Path(path).parent for path in both.clips["path"]} == {flat}


def test_other_choices_of_grayordinates(twin, ingest, tmp_path):
    cortex = TwinCortex.grow("tiny")
    some = ingest("bmd", twin, tmp_path / "some", subjects=["sub-02"], space="fsLR32k/V1+MT")
    assert set(some.space("responses", "sub-02")["parcel"]) == {"V1", "MT"}
    whole = ingest("bmd", twin, tmp_path / "whole", subjects=["sub-02"], space="fsLR32k/cortex")
    assert len(whole.space("responses", "sub-02")) == cortex.cortex
    everything = ingest("bmd", twin, tmp_path / "all", subjects=["sub-02"], space="fsLR32k")
    np.testing.assert_array_equal(
        _of(everything, "sub-02", "test"), _betas(twin, "sub-02", "test").reshape(60, -1).astype(np.float16)
    )


def test_mni_voxels_are_those_of_the_mask_in_the_pickle(twin, ingest, tmp_path):
    store = ingest("bmd", twin, tmp_path / "store", space="MNI152")
    betas, _, image = _load(files.betas_path(twin, "MNI152", "sub-01", "test"))
    space = store.space("responses", "sub-01")
    np.testing.assert_array_equal(space["vertex"], np.flatnonzero(np.asarray(image.dataobj)))
    np.testing.assert_array_equal(_of(store, "sub-01", "test"), betas.reshape(60, -1).astype(np.float16))


def test_fsaverage_is_left_then_right(twin, ingest, tmp_path):
    store = ingest("bmd", twin, tmp_path / "store", space="fsaverage")
    right = _betas(twin, "sub-01", "train", "fsaverage", "right")
    space = store.space("responses", "sub-01")
    assert space["parcel"].value_counts().to_dict() == {"left": 60, "right": 60}
    np.testing.assert_array_equal(_of(store, "sub-01", "train")[:, 60:], right.reshape(120, -1).astype(np.float16))


def test_regions_that_a_person_lacks_are_left_out_and_noted(twin, ingest, tmp_path):
    store = ingest("bmd", twin, tmp_path / "store", space="versionA")
    first, second = (set(store.space("responses", s)["parcel"]) for s in store.subjects)
    assert first - second == {"RSC", "TOS"}
    assert "sub-02 has no RSC, TOS: missing or empty in the release." in store.manifest.notes
    assert check([store.root]) == []
    one = ingest("bmd", twin, tmp_path / "one", subjects=["sub-01"], space="versionA/TOS+V1d")
    assert list(dict.fromkeys(one.space("responses", "sub-01")["parcel"])) == ["TOS", "V1d"]
    found = _load(files.roi_path(twin, "sub-01", "V1d"))["test_data_allvoxel"]
    np.testing.assert_array_equal(_of(one, "sub-01", "test")[:, 12:], found.reshape(60, -1).astype(np.float16))


def test_raw_events_without_oddballs_are_the_condition_order(twin):
    folder = files.glm_folder(twin, "fsLR32k") / "sub-01" / "ses-04"
    runs, conditions = _load(folder / "sub-01_ses-04_conditionOrderDM.pkl")
    events = [
        pd.read_csv(twin / "sub-01/ses-04/func" / f"sub-01_ses-04_task-{task}_run-{run}_events.tsv", sep="\t")
        for task, count in (("test", 3), ("train", 10))
        for run in range(1, count + 1)
    ]
    kept = [table[table["trial_type"] != "oddball"] for table in events]
    assert [table["trial_type"].tolist() for table in kept] == [run["trial_type"] for run in runs]
    shown = pd.concat(kept)
    assert shown["stim_file"].str.fullmatch(r"(train|test)/\d{4}\.mp4").all()
    assert set(shown["trial_type"]) == set(conditions)


def test_the_signal_lies_in_the_areas_that_the_simulation_drives(twin):
    parcel = TwinCortex.grow("tiny").parcel
    ceilings = np.mean(
        [noise_ceiling(_betas(twin, s, "train").astype(np.float32)) for s in ("sub-01", "sub-02")], axis=0
    )
    driven = [area for name, areas in AREAS.items() if name != "other" for area in areas]
    assert 10 < np.median(ceilings[np.isin(parcel, driven)]) < 30
    assert np.median(ceilings[~np.isin(parcel, driven)]) < 6


def test_the_facts_are_those_of_the_full_size():
    full = SCALES["full"]
    assert (FACTS.subjects, FACTS.clips) == (full.subjects, full.train + full.test)
    assert FACTS.repetitions == {"train": 3, "test": 10}
    assert (FACTS.spaces["fsLR32k"], FACTS.spaces["fsLR32k/group41"], FACTS.tr_s) == (91_282, 13_156, 1.75)


def test_the_seed_decides(twin, tmp_path):
    DATASETS["bmd"].twin(tmp_path / "again", subjects=1, size="tiny", seed=0)
    DATASETS["bmd"].twin(tmp_path / "other", subjects=1, size="tiny", seed=1)
    path = files.betas_path(Path(), "fsLR32k", "sub-01", "test")
    assert (tmp_path / "again" / path).read_bytes() == (twin / path).read_bytes()
    assert (tmp_path / "other" / path).read_bytes() != (twin / path).read_bytes()
    with pytest.raises(UsageError, match="11 subjects; expected 1 to 10"):
        DATASETS["bmd"].twin(tmp_path / "many", subjects=11)


def test_reading_some_vertices_takes_little_memory(tmp_path):
    values = np.random.default_rng(0).normal(size=(100, 3, 20_000))
    (tmp_path / "big.pkl").write_bytes(pickle.dumps((values, ["x"]), protocol=5))
    columns = np.arange(0, 20_000, 40)
    tracemalloc.start()
    found = read_pickle(tmp_path / "big.pkl")[0].take(columns, -1, np.float16)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(found, values[..., columns].astype(np.float16))
    assert peak < values.nbytes / 4


@pytest.mark.shared
def test_the_real_annotations(tmp_path):
    real = shared("bmd_annotations.json")
    files.annotations_path(tmp_path).parent.mkdir(parents=True)
    shutil.copy(real, files.annotations_path(tmp_path))
    clips = files.read_clips(tmp_path, None, FACTS)
    assert clips["set"].value_counts().to_dict() == {"train": 1000, "test": 102}
    assert clips["clip_id"].iloc[[0, 999, 1000, 1101]].tolist() == ["vid0001", "vid1000", "vid1001", "vid1102"]
    assert clips["captions"].map(json.loads).map(len).eq(5).all()
