import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest

from brainreel.cortex.glm import trial_betas
from brainreel.datasets import DATASETS, parcels
from brainreel.datasets import had_files as files
from brainreel.datasets.had import FACTS, FOLDS, fold_roles
from brainreel.datasets.had_twin import SCALES, class_names
from brainreel.datasets.protocol import facts_of
from brainreel.errors import SourceError, UsageError
from brainreel.store import Store, check
from brainreel.store.clips import clip_frames
from brainreel.video import look

CLASSES = SCALES["tiny"].classes


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("had") / "twin"
    DATASETS["had"].twin(out, size="tiny", seed=0)
    return out


@pytest.fixture(scope="module")
def store(twin, ingest, tmp_path_factory) -> Store:
    return ingest("had", twin, tmp_path_factory.mktemp("stores") / "had")


@pytest.fixture
def copy(twin, tmp_path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(twin, tmp_path / "twin"))


def _without_betas(folder: Path) -> Path:
    for path in (folder / "derivatives").rglob("*_cycle-*"):
        path.unlink()
    return folder


def test_the_release_as_it_is_described():
    assert FACTS.clips == 30 * 720
    assert files.class_count(FACTS) == 180
    assert [files.cycle_of(run, FACTS) for run in files.run_numbers(FACTS)] == [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3
    assert set(FACTS.run_volumes.values()) == {156}
    assert FACTS.spaces == {"fsLR32k/group41": 13_156, "fsLR32k/cortex": 59_412}
    assert any("ceiling is unknown" in text for text in FACTS.notes)
    assert SCALES["full"][:2] == (30, 180)


def test_the_twin_has_the_layout_and_both_versions(twin):
    facts, _ = facts_of(twin, FACTS)
    results = twin / "derivatives" / "ciftify" / "sub-02" / "results"
    image = nibabel.load(results / "ses-action01_task-action_cycle-3_beta.dscalar.nii")
    assert image.shape == (CLASSES, facts.spaces["fsLR32k/cortex"])
    assert image.get_data_dtype() == np.float32
    assert image.nifti_header.get_intent()[0] == "ConnDenseScalar"
    labels = (results / "ses-action01_task-action_cycle-3_label.txt").read_text().splitlines()
    assert image.header.get_axis(0).name.tolist() == labels
    func = twin / "sub-01" / "ses-action01" / "func"
    raw = nibabel.load(func / "sub-01_ses-action01_task-action_run-12_bold.nii.gz")
    assert raw.shape[3] == facts.run_volumes["run-12"]
    assert raw.header.get_zooms()[3] == 2.0
    first, second = (
        pd.read_csv(files.func_path(twin, subject, 4, "events.tsv"), sep="\t") for subject in ("sub-01", "sub-02")
    )
    assert list(first.columns) == ["onset", "duration", "trial_type", "response", "response_time", "stim_file"]
    assert (first["onset"][0], second["onset"][0]) == (0.0, 12.122)
    # Class folders are written with spaces in some names and with underscores in others; on disk with the latter.
    folders = pd.concat([first, second])["stim_file"].str.partition("/")[0]
    assert folders.str.contains(" ").any()
    assert folders.str.contains("_").any()
    assert not any(" " in path.name for path in (twin / "stimuli").iterdir())
    assert look(next((twin / "stimuli").rglob("*.mp4")))[0].duration_s == pytest.approx(17 / 8, abs=0.01)
    assert class_names(CLASSES) == sorted(set(class_names(CLASSES)))


def test_labels_are_sorted_as_the_authors_did(twin):
    """Names that are joined by underscores are sorted by their first word alone, so some stand in the wrong order."""
    facts, _ = facts_of(twin, FACTS)
    wrong = 0
    for subject in ("sub-01", "sub-02"):
        events = files.read_events(twin, subject, facts)
        for cycle in range(1, 5):
            told = files.beta_path(twin, subject, cycle, "label.txt").read_text().splitlines()
            shown = events[events["cycle"] == cycle].sort_values("class")["clip_id"].tolist()
            wrong += [line.removesuffix(".mp4").replace(" ", "_") for line in told] != shown
    assert wrong


def test_the_store_is_sound(store):
    assert check([store.root]) == []
    assert store.manifest.simulated
    assert store.manifest.folds == list(FOLDS)
    assert len(store.clips) == len(store.trials) == 2 * 4 * CLASSES
    assert (store.trials.groupby("clip_id").size() == 1).all()
    assert store.manifest.spaces["responses"] == dict.fromkeys(["sub-01", "sub-02"], "fsLR32k/group41")
    assert set(store.space("responses", "sub-01")["parcel"]) <= set(parcels.GROUP41)
    assert set(store.trials["session"]) == {"ses-action01"}
    assert json.dumps(store.clips["captions"][0]).startswith('["')
    assert store.clips["captions"][0][0] in {name.lower() for name in class_names(CLASSES)}
    assert len(store.manifest.sources) == 2 * (4 * 2 + 12)


def test_onsets_of_both_versions_are_after_the_first_volume(store):
    first = store.trials.groupby(["subject", "run"])["onset_s"].min().unstack("subject")
    assert set(first["sub-01"]) == {12.0}
    assert set(first["sub-02"]) == {12.122}
    assert set(np.diff(store.trials["onset_s"].iloc[:6])) == {5.0}


def test_rows_of_betas_belong_to_the_clips_of_their_class(store, twin):
    facts, _ = facts_of(twin, FACTS)
    vertex = store.space("responses", "sub-02")["vertex"].to_numpy()
    events = files.read_events(twin, "sub-02", facts)
    rows = store.rows("sub-02")
    assert store.trials["clip_id"].iloc[rows].tolist() == events["clip_id"].tolist()
    found = store.responses("sub-02", rows)
    for trial in (0, 17, 40, 71):
        shown = events.iloc[trial]
        betas = nibabel.load(files.beta_path(twin, "sub-02", int(shown["cycle"]))).get_fdata()
        np.testing.assert_allclose(found[trial], betas[shown["class"] - 1, vertex], rtol=1e-6)


def test_both_splits_test_one_clip_of_every_class(store, twin):
    facts, _ = facts_of(twin, FACTS)
    events = {subject: files.read_events(twin, subject, facts) for subject in store.subjects}
    number = np.concatenate([table["class"] for table in events.values()])
    for name in FOLDS:
        test = store.roles(name, 0) == "test"
        for subject in store.subjects:
            mine = test & (store.trials["subject"] == subject).to_numpy()
            assert sorted(number[mine]) == list(range(1, CLASSES + 1))
    last = store.trials["run"][store.roles("last-three-runs", 0) == "test"]
    assert set(last) == {"run-10", "run-11", "run-12"}
    spread = store.trials["run"][store.roles("one-of-four", 0) == "test"]
    assert len(set(spread)) == 12


def test_the_full_release_tests_180_clips():
    table = pd.DataFrame({"cycle": np.repeat([1, 2, 3, 4], 180), "class": np.tile(np.arange(1, 181), 4)})
    for roles in fold_roles(table).values():
        assert (roles == "test").sum() == 180


def test_clips_are_found_however_they_are_spelt(store, copy, ingest, tmp_path):
    for folder in (copy / "stimuli").iterdir():
        for path in folder.iterdir():
            head, mark, tail = path.name.partition("_id_")
            spelt = "v_" + head.removeprefix("v_").replace("_", " ")
            path.rename(folder / f"{spelt}{mark}{tail}")
        folder.rename(folder.with_name(folder.name.replace("_", " ")))
    (copy / "stimuli").rename(tmp_path / "elsewhere")
    again = ingest("had", copy, tmp_path / "store", stimuli=tmp_path / "elsewhere")
    assert again.clips["clip_id"].tolist() == store.clips["clip_id"].tolist()
    assert again.clips["sha256"].tolist() == store.clips["sha256"].tolist()
    frames, fps = clip_frames(again, again.clips["clip_id"][5])
    assert (frames.shape, round(fps)) == ((17, 64, 64, 3), 8)


def test_without_clips_their_actions_are_known(copy, ingest, tmp_path):
    shutil.rmtree(copy / "stimuli")
    store = ingest("had", copy, tmp_path / "store")
    assert set(store.clips["path"]) == {""}
    assert "The clips were not there: only the names of their actions are known." in store.manifest.notes
    with pytest.raises(SourceError, match=r"there is no folder .*elsewhere"):
        ingest("had", copy, tmp_path / "other", stimuli=tmp_path / "elsewhere")


def test_where_no_betas_were_published_they_are_estimated(store, copy, ingest, tmp_path):
    estimated = ingest("had", _without_betas(copy), tmp_path / "store")
    assert check([estimated.root]) == []
    assert "least squares separate" in estimated.manifest.responses
    facts, _ = facts_of(copy, FACTS)
    vertex = store.space("responses", "sub-02")["vertex"].to_numpy()
    shown = files.read_events(copy, "sub-02", facts)
    fifth = (shown["run"] == 5).to_numpy()
    series = nibabel.load(files.surface_run_path(copy, "sub-02", 5)).get_fdata().T[vertex]
    onset_s, duration_s = shown.loc[fifth, ["onset_s", "duration_s"]].to_numpy().T
    rows = estimated.rows("sub-02")
    found = estimated.responses("sub-02", rows)
    np.testing.assert_allclose(found[fifth], trial_betas(series, 2.0, onset_s, duration_s), atol=2e-3)
    # Betas and runs of a person were simulated apart, and agree about what each clip evoked.
    driven = store.space("responses", "sub-02")["parcel"].isin(["V1", "V2", "V3", "LO1", "LO2", "MT"]).to_numpy()
    betas = store.responses("sub-02", rows)[:, driven]
    matched = np.corrcoef(betas.ravel(), found[:, driven].ravel())[0, 1]
    others = [np.corrcoef(np.roll(betas, k, axis=0).ravel(), found[:, driven].ravel())[0, 1] for k in range(1, 72)]
    assert matched > max(others)


def test_raw_runs_are_everybodys_own_space(copy, ingest, tmp_path):
    native = ingest("had", copy, tmp_path / "native", space="native")
    surface = ingest("had", _without_betas(copy), tmp_path / "surface", space="fsLR32k/cortex")
    assert check([native.root]) == []
    assert native.manifest.spaces["responses"] == {"sub-01": "native/had-sub-01", "sub-02": "native/had-sub-02"}
    assert any("neither motion" in text for text in native.manifest.notes)
    # In the twin, voxel i is grayordinate i, rounded to whole numbers.
    width = len(surface.space("responses", "sub-01"))
    one, other = (s.responses("sub-01", s.rows("sub-01"))[:, :width] for s in (native, surface))
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("kind", ["volumes", "surface"])
def test_runs_that_fmriprep_prepared(copy, ingest, tmp_path, kind):
    facts, _ = facts_of(copy, FACTS)
    for subject in ("sub-01", "sub-02"):
        folder = copy / "derivatives" / "fmriprep" / subject / "ses-action01" / "func"
        folder.mkdir(parents=True)
        for run in files.run_numbers(facts):
            series = nibabel.load(files.surface_run_path(copy, subject, run)).get_fdata().astype(np.float32).T[:480]
            stem = f"{subject}_ses-action01_task-action_run-{run}"
            if kind == "volumes":
                box = np.zeros((8, 8, 8, series.shape[1]), np.float32)
                box.reshape(512, -1)[:480] = series
                image = nibabel.Nifti1Image(box, np.eye(4))
                nibabel.save(image, folder / f"{stem}_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz")
                continue
            for side, half in zip("LR", np.split(series, 2), strict=True):
                arrays = [nibabel.gifti.GiftiDataArray(np.ascontiguousarray(v), datatype=16) for v in half.T]
                nibabel.save(
                    nibabel.GiftiImage(darrays=arrays), folder / f"{stem}_hemi-{side}_space-fsaverage5_bold.func.gii"
                )
    space = {"volumes": "MNI152NLin2009cAsym", "surface": "fsaverage5"}[kind]
    found = ingest("had", copy, tmp_path / "store", space=space)
    assert check([found.root]) == []
    assert found.manifest.spaces["responses"]["sub-02"] == f"{space}/had-sub-02"
    assert len(found.space("responses", "sub-02")) == 480
    surface = ingest("had", _without_betas(copy), tmp_path / "surface", space="fsLR32k/cortex")
    rows = surface.rows("sub-02")
    expected = surface.responses("sub-02", rows)[:, :480]
    np.testing.assert_allclose(found.responses("sub-02", rows), expected, atol=1e-2)


def test_fewer_people_and_wrong_spaces(twin, ingest, tmp_path):
    store = ingest("had", twin, tmp_path / "store", subjects=["sub-02"], space="fsLR32k/cortex")
    assert store.subjects == ["sub-02"]
    assert "1 of the release's 2 subjects." in store.manifest.notes
    assert len(store.clips) == 4 * CLASSES
    for space, message in (("fsaverage7", "no runs of sub-01 in space 'fsaverage7'"), ("fsLR32k", "the cortex alone")):
        with pytest.raises(UsageError, match=message):
            ingest("had", twin, tmp_path / "other", space=space)
    with pytest.raises(UsageError, match="a twin of 0 subjects"):
        DATASETS["had"].twin(tmp_path / "none", subjects=0)
