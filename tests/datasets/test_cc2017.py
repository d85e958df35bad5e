import shutil
import sys
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest

from brainreel.datasets import DATASETS, parcels
from brainreel.datasets import cc2017_files as files
from brainreel.datasets.cc2017 import FACTS, FOLDS
from brainreel.datasets.cc2017_twin import SCALES
from brainreel.datasets.protocol import facts_of
from brainreel.errors import UsageError
from brainreel.files import sha256, write_tsv
from brainreel.store import Store, check
from brainreel.store.clips import clip_frames
from brainreel.video import look

CLIPS = SCALES["tiny"].clips


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("cc2017") / "twin"
    DATASETS["cc2017"].twin(out, size="tiny", seed=0)
    return out


@pytest.fixture(scope="module")
def store(twin, ingest, tmp_path_factory) -> Store:
    return ingest("cc2017", twin, tmp_path_factory.mktemp("stores") / "cc2017")


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> Path:
    """A twin of one person, which is quicker to read."""
    out = tmp_path_factory.mktemp("cc2017") / "one"
    DATASETS["cc2017"].twin(out, size="tiny", seed=1, subjects=1)
    return out


def _cleaned(values):
    """Volumes × vertices, the official way, in double precision."""
    t = np.linspace(-1, 1, len(values))
    rest = values - np.polynomial.polynomial.polyval(t, np.polynomial.polynomial.polyfit(t, values, 4)).T
    return (rest - rest.mean(0)) / rest.std(0)


def test_the_release_as_it_is_described():
    runs = [run for k in (1, 2, 3) for run in files.runs_of(f"subject{k}", FACTS)]
    assert len(runs) == 3 * 86
    clips = {run.movie: files.clip_count(run.movie, run.volumes) for run in runs}
    assert sum(count for movie, count in clips.items() if files.role_of(movie) == "train") == 4320
    assert sum(count for movie, count in clips.items() if files.role_of(movie) == "test") == 1200
    kept = {(run.subject, run.name): run.kept for run in runs}
    assert kept["subject1", "seg18_2"] == kept["subject3", "test1_10"] == slice(1, 241)
    assert kept["subject3", "test2_8"] == kept["subject2", "test5_1"] == slice(2, 242)
    assert kept["subject3", "test2_9"] == slice(7, 242)
    assert [run.name for run in runs if run.clips != 240] == ["test2_9"]


def test_the_twin_has_the_layout_and_the_oddities(twin):
    root = twin / "video_fmri_dataset"
    facts, simulated = facts_of(twin, FACTS)
    assert simulated
    names = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert "subject3/fmri/test2/cifti/test2_9_Atlas.dtseries.nii" in names
    assert "subject1/fmri/seg1/mni/seg1_2_mni.nii.gz" in names
    assert "subject1/fmri/test1/mni/test1_10.mni.nii.gz" in names
    assert {n for n in names if "stimuli" in n} == {f"stimuli/{m}.mp4" for m in ("seg1", "seg2", "test1", "test2")}
    assert len(names) == 3 * (2 * 2 + 2 * 10) * 2 + 4
    for movie, volumes in (("seg1", CLIPS + 5), ("test1", CLIPS + 5), ("test2", CLIPS + 6)):
        image = nibabel.load(root / f"subject2/fmri/{movie}/cifti/{movie}_1_Atlas.dtseries.nii")
        assert facts.run_volumes[movie] == volumes
        assert image.shape == (volumes, facts.spaces["fsLR32k"])
        assert image.get_data_dtype() == np.float32
        assert image.nifti_header.get_intent()[0] == "ConnDenseSeries"
        # The header's TR is wrong, so that nobody takes it from there.
        assert image.header.get_axis(0).step == 1.0
        assert 5000 < image.get_fdata().mean() < 15000
    shown, _ = look(root / "stimuli" / "test1.mp4")
    assert shown.duration_s == pytest.approx(2 * CLIPS, abs=0.1)


def test_the_full_twin_has_the_real_shapes():
    scale = SCALES["full"]
    assert (scale.train, scale.test, scale.clips) == (18, 5, 240)


def test_the_store_is_sound(store, twin):
    assert check([store.root]) == []
    assert store.manifest.simulated
    assert store.manifest.tr_s == 2.0
    assert store.subjects == ["subject1", "subject2", "subject3"]
    assert store.manifest.folds == [FOLDS]
    assert len(store.clips) == 4 * CLIPS
    assert len(store.trials) == 3 * (4 * CLIPS + 20 * CLIPS) - 5
    roles = store.roles(FOLDS, 0)
    movies = store.clips["stimulus"].to_numpy()[store.clip_of_trial]
    np.testing.assert_array_equal(roles == "test", [movie.startswith("test") for movie in movies])
    assert set(roles) == {"train", "test"}
    assert store.manifest.spaces["bold"] == dict.fromkeys(store.subjects, "fsLR32k/group41")
    areas = store.space("bold", "subject1")
    assert set(areas["parcel"]) <= set(parcels.GROUP41)
    some = "video_fmri_dataset/subject1/fmri/seg1/cifti/seg1_1_Atlas.dtseries.nii"
    assert store.manifest.sources[some] == sha256(twin / some)
    # Every run, and the captions.
    assert len(store.manifest.sources) == 72 + 1


@pytest.mark.parametrize(
    ("subject", "movie", "repetition", "first"),
    [
        ("subject1", "seg1", 2, 1),
        ("subject2", "test1", 10, 1),
        ("subject3", "test2", 8, 2),
        ("subject3", "test2", 9, 7),
    ],
)
def test_clip_r_is_paired_with_its_volume(store, twin, subject, movie, repetition, first):
    path = twin / f"video_fmri_dataset/{subject}/fmri/{movie}/cifti/{movie}_{repetition}_Atlas.dtseries.nii"
    values = nibabel.load(path).get_fdata()
    vertex = store.space("bold", subject)["vertex"].to_numpy()
    expected = _cleaned(values[first : len(values) - 4, vertex])
    trials = store.trials
    rows = store.rows(subject, (trials["run"] == f"{movie}_{repetition}").to_numpy())
    np.testing.assert_allclose(store.responses(subject, rows), expected, atol=3e-3)
    assert trials["clip_id"].iloc[rows].tolist() == [f"{movie}-{r:03d}" for r in range(len(expected))]
    assert set(trials["repetition"].iloc[rows]) == {repetition}
    assert len(expected) == CLIPS - (5 if first == 7 else 0)


def test_the_lost_clips_were_shown_nine_times_and_check_knows(store, monkeypatch):
    shown = store.trials.groupby(["subject", "clip_id"]).size()
    lost = [f"test2-{r:03d}" for r in range(CLIPS - 5, CLIPS)]
    assert shown.loc["subject3"][lost].tolist() == [9] * 5
    assert shown.loc["subject3"].drop(lost).isin([2, 10]).all()
    assert shown.loc["subject1"].isin([2, 10]).all()
    assert store.manifest.fewer_repetitions == {"subject3": dict.fromkeys(lost, 9)}
    naive = Store(store.root)
    naive.manifest = store.manifest.model_copy(update={"fewer_repetitions": {}})
    monkeypatch.setattr(sys.modules["brainreel.store.check"], "Store", lambda _: naive)
    (problem,) = check([store.root])
    assert problem.code == "repetitions"
    assert "9, 10" in problem.message


def test_the_run_that_began_early_agrees_with_the_others(store):
    """Only the right volume makes the ninth presentation of test2 like the other nine."""
    trials, responses = store.trials, {}
    for k in range(1, 11):
        rows = store.rows("subject3", (trials["run"] == f"test2_{k}").to_numpy())
        responses[k] = store.responses("subject3", rows)
    others = np.mean([responses[k] for k in responses if k != 9], axis=0)
    agreement = {
        shift: np.mean(others[5 + shift : CLIPS - 10 + shift] * responses[9][5 : CLIPS - 10]) for shift in range(-5, 6)
    }
    assert max(agreement, key=lambda shift: agreement[shift]) == 0
    assert agreement[0] > 0.05


def test_a_clip_is_paired_with_the_volume_four_seconds_after_its_onset(ingest, tmp_path, monkeypatch):
    """Every moment of a movie gets a pattern of its own, which the twin lays out and the reader must find again."""
    patterns = np.random.default_rng(0).normal(size=(100, 2000)).astype(np.float32)

    def marked(person, shown, *, tr_s, seed):
        noise = np.random.default_rng(seed).normal(scale=0.1, size=(len(shown["layout"]), len(person.cortex)))
        return (patterns[: len(noise), : noise.shape[1]] + noise).astype(np.float32)

    monkeypatch.setattr("brainreel.datasets.twin_cortex.TwinPerson.bold", marked)
    DATASETS["cc2017"].twin(tmp_path / "twin", size="tiny")
    store = ingest("cc2017", tmp_path / "twin", tmp_path / "store")
    vertex = store.space("bold", "subject3")["vertex"].to_numpy()
    for run in ("seg1_1", "test1_1", "test2_8", "test2_9"):
        found = store.bold("subject3", run)
        # The simulation begins five volumes before the movie.
        likeness = np.corrcoef(found, patterns[5 : 5 + CLIPS + 6, vertex])[: len(found), len(found) :]
        assert likeness.argmax(axis=1).tolist() == [r + 2 for r in range(len(found))]


def test_clips_show_their_stretch_of_the_movie(store):
    frames, fps = clip_frames(store, "test1-003")
    assert frames.shape == (17, 64, 64, 3)
    assert fps == pytest.approx(8.5, rel=0.01)
    clip = store.clips.set_index("clip_id").loc["test1-003"]
    assert (clip["onset_s"], clip["duration_s"], clip["stimulus"]) == (6.0, 2.0, "test1")


def test_volumes_are_the_same_recording_in_both_namings(one, ingest, tmp_path):
    surface = ingest("cc2017", one, tmp_path / "surface", space="fsLR32k")
    volume = ingest("cc2017", one, tmp_path / "volume", space="MNI152")
    assert check([volume.root]) == []
    assert volume.manifest.spaces["bold"] == {"subject1": "MNI152/cc2017"}
    # In the twin, grayordinate i is voxel i.
    np.testing.assert_array_equal(
        volume.space("bold", "subject1")["vertex"], surface.space("bold", "subject1")["vertex"]
    )
    for run in ("seg1_1", "test1_4", "test2_3"):
        np.testing.assert_allclose(volume.bold("subject1", run), surface.bold("subject1", run), atol=2e-3)


def test_other_spaces_and_fewer_people(twin, ingest, tmp_path):
    store = ingest("cc2017", twin, tmp_path / "store", space="fsLR32k/V1+MT", subjects=["subject3", "subject2"])
    assert store.subjects == ["subject2", "subject3"]
    assert set(store.space("bold", "subject2")["parcel"]) == {"V1", "MT"}
    assert "2 of the release's 3 subjects." in store.manifest.notes
    assert check([store.root]) == []
    with pytest.raises(UsageError, match="no space 'fsaverage'"):
        ingest("cc2017", twin, tmp_path / "other", space="fsaverage")


def test_movies_elsewhere_and_the_inner_folder(one, ingest, tmp_path):
    inner = Path(shutil.copytree(one / "video_fmri_dataset", tmp_path / "inner"))
    for path in one.glob("*.*"):
        shutil.copy(path, inner)
    (inner / "stimuli").rename(tmp_path / "movies")
    store = ingest("cc2017", inner, tmp_path / "store", stimuli=tmp_path / "movies")
    assert set(store.clips["path"].map(lambda p: Path(p).parent)) == {tmp_path / "movies"}
    whole = ingest("cc2017", one, tmp_path / "whole")
    np.testing.assert_array_equal(store.bold("subject1", "seg1_1"), whole.bold("subject1", "seg1_1"))


def test_what_never_changes_is_left_out_and_told(one, ingest, tmp_path):
    broken = Path(shutil.copytree(one, tmp_path / "twin"))
    path = broken / "video_fmri_dataset/subject1/fmri/test2/cifti/test2_7_Atlas.dtseries.nii"
    image = nibabel.load(path)
    values = np.asarray(image.dataobj).copy()
    space = parcels.read_space(None, broken, values.shape[1])
    # Only inside the official 240 volumes; what lies around them is not used.
    values[2:-4, space.vertex[3]] = 9000
    nibabel.save(nibabel.Cifti2Image(values, header=image.header, nifti_header=image.nifti_header), path)
    store = ingest("cc2017", broken, tmp_path / "store")
    assert check([store.root]) == []
    assert store.manifest.spaces["bold"] == {"subject1": "fsLR32k/group41-without-1"}
    left = np.setdiff1d(space.vertex, store.space("bold", "subject1")["vertex"])
    assert left.tolist() == [space.vertex[3]]
    assert any("1 vertices never change" in text for text in store.manifest.notes)


def test_captions_are_a_file_beside_the_release(store, one, ingest, tmp_path):
    assert all(len(captions) > 0 for captions in store.clips["captions"])
    assert any("not the release's" in text for text in store.manifest.notes)
    silent = Path(shutil.copytree(one, tmp_path / "twin"))
    (silent / "captions.tsv").unlink()
    assert set(map(len, ingest("cc2017", silent, tmp_path / "without").clips["captions"])) == {0}
    table = pd.DataFrame({"clip_id": ["seg1-001", "test1-000"], "captions": ["a dog barks", '["a", "b"]']})
    write_tsv(silent / "captions.tsv", table)
    clips = ingest("cc2017", silent, tmp_path / "some").clips.set_index("clip_id")["captions"]
    assert (clips["seg1-001"], clips["test1-000"], clips["seg1-000"]) == (["a dog barks"], ["a", "b"], [])


def test_a_twin_needs_somebody(tmp_path):
    with pytest.raises(UsageError, match="a twin of 0 subjects"):
        DATASETS["cc2017"].twin(tmp_path / "none", subjects=0)


def test_seeds_make_the_same_and_other_twins(one, tmp_path):
    DATASETS["cc2017"].twin(tmp_path / "again", size="tiny", seed=1, subjects=1)
    some = "video_fmri_dataset/subject1/fmri/seg2/cifti/seg2_1_Atlas.dtseries.nii"
    assert sha256(tmp_path / "again" / some) == sha256(one / some)
