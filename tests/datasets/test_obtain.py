"""Releases from a bucket on this machine that serves their twins: what comes is what ingest needs, and it ingests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.download.bucket import Bucket, folder_as_objects, serving

from brainreel.datasets import DATASETS, ByHand, Remote
from brainreel.datasets.obtain import obtain
from brainreel.datasets.remote import in_one_folder, literal, matching
from brainreel.download.record import NAME
from brainreel.download.server import Patience
from brainreel.errors import SourceError, UsageError


@pytest.fixture(autouse=True)
def _hurried(monkeypatch) -> None:
    monkeypatch.setattr("brainreel.download.server.PATIENCE", Patience(pause_s=0.01, timeout_s=10.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def twins(tmp_path_factory) -> dict[str, Path]:
    made = {}
    for name in ("bmd", "had"):
        made[name] = tmp_path_factory.mktemp(name) / "twin"
        DATASETS[name].twin(made[name], size="tiny", seed=0)
    return made


@pytest.fixture
def bucket(twins):
    """Both twins, under the keys of the real releases."""
    objects = {**folder_as_objects(twins["bmd"], "ds005165/"), **folder_as_objects(twins["had"], "ds004488/")}
    with serving(Bucket(objects=objects, page=100)) as bucket:
        yield bucket


def got(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {NAME}


def test_bmd_of_one_person_is_what_ingest_needs(bucket, ingest, tmp_path):
    obtain(DATASETS["bmd"], tmp_path / "bmd", subjects=["sub-02"], mirror=bucket.url)
    betas = "derivatives/versionB/fsLR32k/GLM/sub-02/prepared_betas/sub-02_organized_betas_task-{}_normalized.pkl"
    assert got(tmp_path / "bmd") == {
        "derivatives/stimuli_metadata/annotations.json",
        betas.format("train"),
        betas.format("test"),
        "twin.json",
        "HCP-MMP1.dlabel.nii",
    }
    store = ingest("bmd", tmp_path / "bmd", tmp_path / "store")
    assert store.subjects == ["sub-02"]
    assert store.manifest.simulated


@pytest.mark.parametrize("space", ["MNI152", "fsaverage", "versionA", "versionA/V1v+V1d", "fsLR32k/V1+V2"])
def test_bmd_in_another_space(space, bucket, ingest, tmp_path):
    obtain(DATASETS["bmd"], tmp_path / "bmd", subjects=["sub-01"], space=space, mirror=bucket.url)
    assert ingest("bmd", tmp_path / "bmd", tmp_path / "store", space=space).subjects == ["sub-01"]


def test_had_of_one_person_brings_that_persons_clips(bucket, ingest, twins, tmp_path):
    obtain(DATASETS["had"], tmp_path / "had", subjects=["sub-01"], mirror=bucket.url)
    store = ingest("had", tmp_path / "had", tmp_path / "store")
    clips = {name for name in got(tmp_path / "had") if name.startswith("stimuli/")}
    assert len(clips) == len(store.clips) == 72
    assert len(clips) < len(list((twins["had"] / "stimuli").rglob("*.mp4")))
    assert not {name for name in got(tmp_path / "had") if "sub-02" in name or "bold" in name or "dtseries" in name}


def test_had_of_everybody_and_raw_runs(bucket, ingest, tmp_path):
    plan = obtain(DATASETS["had"], tmp_path / "had", space="native", mirror=bucket.url)
    assert sum("bold" in file.path for file in plan.files) == 24
    again = obtain(DATASETS["had"], tmp_path / "had", space="native", mirror=bucket.url)
    assert not again.missing
    assert max(bucket.count().values()) == 1


def test_had_without_clips_on_the_server(bucket, ingest, tmp_path):
    for key in [key for key in bucket.objects if "/stimuli/" in key]:
        del bucket.objects[key]
    obtain(DATASETS["had"], tmp_path / "had", subjects=["sub-01"], mirror=bucket.url)
    assert ingest("had", tmp_path / "had", tmp_path / "store").subjects == ["sub-01"]


def test_had_with_one_clip_lost_on_the_server(bucket, tmp_path):
    shown = re.search(rb"\S+\.mp4", bucket.objects[_events("sub-01")])[0].decode()
    (key,) = [key for key in bucket.objects if key.endswith(shown)]
    del bucket.objects[key]
    with pytest.raises(SourceError, match=rf"{re.escape(Path(shown).stem)}.* expected every clip that was shown"):
        obtain(DATASETS["had"], tmp_path / "had", subjects=["sub-01"], mirror=bucket.url)


def test_had_with_hostile_events(bucket, tmp_path):
    bucket.objects[_events("sub-01")] = b"stim_file\n../../v_x_id_y.mp4\n"
    with pytest.raises(SourceError, match=r"names the clip '../../v_x_id_y.mp4'"):
        obtain(DATASETS["had"], tmp_path / "had", subjects=["sub-01"], mirror=bucket.url)


def _events(subject: str) -> str:
    return f"ds004488/{subject}/ses-action01/func/{subject}_ses-action01_task-action_run-01_events.tsv"


def test_mosaic_lies_flat(tmp_path):
    root = DATASETS["mosaic"].download.root
    objects = {f"{root}{folder}/sub-0{k}_{name}.hdf5": f"{name}{k}".encode() for folder, name in _PARTS for k in (1, 2)}
    with serving(Bucket(objects={**objects, f"{root}BOLDMomentsDataset/readme.txt": b"x"})) as bucket:
        obtain(DATASETS["mosaic"], tmp_path / "all", mirror=bucket.url)
        assert got(tmp_path / "all") == {f"sub-0{k}_{name}.hdf5" for _, name in _PARTS for k in (1, 2)}
        obtain(DATASETS["mosaic"], tmp_path / "one", subjects=["sub-02_HAD"], mirror=bucket.url)
    assert (tmp_path / "one" / "sub-02_HAD.hdf5").read_bytes() == b"HAD2"
    assert got(tmp_path / "one") == {"sub-02_HAD.hdf5"}


_PARTS = (("BOLDMomentsDataset", "BMD"), ("HumanActionsDataset", "HAD"))


def test_a_dry_run_leaves_nothing(bucket, tmp_path):
    said: list[str] = []
    plan = obtain(
        DATASETS["had"], tmp_path / "had", subjects=["sub-01"], mirror=bucket.url, dry_run=True, tell=said.append
    )
    assert len(plan.missing) == len(plan.files) == 12 + 8 + 72 + 2
    assert said[0].startswith("had: 94 files, 1 MB, from http://127.0.0.1:")
    assert "of its disk are free" in said[0]
    assert not (tmp_path / "had").exists()
    assert all("events" in key for key in bucket.count())


WRONG = {
    "nobody": ({"subjects": ["sub-99"]}, "has nobody 'sub-99' (known: sub-01, sub-02)"),
    "no name": ({"subjects": ["../x"]}, "'../x' is nobody's name there; expected names as sub-01"),
    "twice": ({"subjects": ["sub-01", "sub-01"]}, "expected at least one name, each once"),
    "no space": ({"space": "mars"}, "nothing to download for the space 'mars' (known: fsLR32k, "),
    "no connections": ({"connections": 0}, "--connections 0"),
    "no server": ({"mirror": "nowhere"}, "'nowhere' is no address of a server"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("dataset", ["bmd", "had"])
def test_wrong_questions(dataset, name, bucket, tmp_path):
    told, expected = WRONG[name]
    with pytest.raises(UsageError) as error:
        obtain(DATASETS[dataset], tmp_path / "new", **{"mirror": bucket.url, **told})
    assert expected in str(error.value)
    assert not (tmp_path / "new").exists()


def test_a_file_that_the_release_no_longer_has(bucket, tmp_path):
    del bucket.objects["ds005165/derivatives/stimuli_metadata/annotations.json"]
    with pytest.raises(SourceError, match=r"has no ds005165/derivatives/stimuli_metadata/annotations.json; expected"):
        obtain(DATASETS["bmd"], tmp_path / "new", mirror=bucket.url)
    assert not (tmp_path / "new").exists()


def test_hostile_keys_are_refused_before_anything_comes(tmp_path):
    root = DATASETS["mosaic"].download.root
    with serving(Bucket(objects={f"{root}../sub-01_BMD.hdf5": b"x", f"{root}a/sub-01_BMD.hdf5": b"y"})) as bucket:
        with pytest.raises(SourceError, match=r"'sub-01_BMD\.hdf5' twice"):
            obtain(DATASETS["mosaic"], tmp_path / "new", mirror=bucket.url)
        assert not bucket.asked
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_says_where_its_files_are(name, tmp_path):
    where = DATASETS[name].download
    if isinstance(where, ByHand):
        assert where.steps
        assert all(step in where.told() for step in where.steps)
        with pytest.raises(UsageError, match=f"follow the steps that `brainreel datasets {name}` prints"):
            obtain(DATASETS[name], tmp_path / "new")
        return
    assert isinstance(where, Remote)
    assert where.url.startswith("https://")
    assert where.root.endswith("/")
    responses = [pattern for patterns in where.spaces.values() for pattern in patterns]
    assert all("{subject}" in pattern for pattern in (*responses, *where.index))
    assert (where.clips is None) or where.index


@pytest.mark.parametrize("name", ["cc2017", "sherlock", "group41", "folder"])
def test_the_drawn_folder_is_the_twins(name, tmp_path):
    """Every name with a suffix in the drawing exists in the twin, whose layout is the release's."""
    DATASETS[name].twin(tmp_path / "twin", size="tiny", seed=0)
    there = {path.name for path in (tmp_path / "twin").rglob("*")}
    drawn = re.findall(r"(?<![….\w])([\w=-]+(?:\.\w+)*\.(?:mp4|mat|xlsx|nii\.gz|nii|pkl|json|tsv|npy))", _tree(name))
    # A tiny twin has fewer movies than the release, and one of the ways in which a folder may be laid out.
    few = {"seg18.mp4", "test5.mp4", "seg1_1_mni.nii.gz", "responses.npy"}
    assert set(drawn) - few <= there
    assert set(drawn) & there


def _tree(name: str) -> str:
    return DATASETS[name].download.tree


def test_patterns():
    paths = ["sub-01/a_sub-01.x", "sub-01/a_sub-02.x", "sub-02/b/a_sub-02.x", "sub-02/a.b_sub-02.x"]
    assert matching("{subject}/*_{subject}.x", paths, r"sub-\d+") == [(paths[0], "sub-01"), (paths[3], "sub-02")]
    assert matching("sub-0*", paths, "x") == []
    assert literal("a/{subject}/b") == "a/sub-"
    assert literal("a/{subject}/b*", "sub-07") == "a/sub-07/b"
    assert not in_one_folder("a/{subject}/b")
    assert in_one_folder("a/{subject}/b*", "sub-07")
