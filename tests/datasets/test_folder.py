import contextlib
import io
import json
import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest

from brainreel.datasets import DATASETS
from brainreel.errors import SourceError, UsageError
from brainreel.files import read_tsv, sha256, write_tsv
from brainreel.store import Store, check

PAGE = Path(__file__).parents[2] / "docs" / "folder.md"


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("folder") / "twin"
    DATASETS["folder"].twin(out, seed=0)
    return out


@pytest.fixture
def own(twin, tmp_path) -> Path:
    return Path(shutil.copytree(twin, tmp_path / "own"))


def _change(path: Path, change) -> None:
    write_tsv(path, change(read_tsv(path, optional=("clip_id", "subject", "captions", "parcel"))))


def test_the_page_runs(ingest, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, use = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    assert "brainreel ingest folder my-study --store stores/my-study" in PAGE.read_text()
    scope: dict = {}
    exec(make, scope)
    ingest("folder", Path("my-study"), Path("stores/my-study"))
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(use, scope)
    promised = [line.split("#", 1)[1].strip() for line in use.splitlines() if "#" in line]
    assert out.getvalue().splitlines() == promised
    assert check(["stores/my-study"]) == []


def test_twin_becomes_a_sound_store(ingest, twin, tmp_path):
    store = ingest("folder", twin, tmp_path / "store")
    assert check([store.root]) == []
    assert store.manifest.simulated
    assert (store.manifest.name, store.manifest.kind) == ("brainreel-twin-tiny-0", "event")
    assert store.manifest.folds == ["official"]
    assert set(store.space("responses", "sub-01")["parcel"]) == {"scenes", "people"}
    rows = store.rows("sub-02")
    np.testing.assert_array_equal(store.responses("sub-02", rows), np.load(twin / "responses" / "sub-02.npy"))
    roles = store.roles("official", 0)[rows]
    shown = store.trials.iloc[rows].groupby("clip_id")["repetition"].max()
    assert sorted(shown.value_counts().to_dict().items()) == [(1, 60), (3, 10)]
    assert (roles == "test").sum() == 30
    assert all(len(c) == 1 and c[0].endswith((".", '"')) for c in store.clips["captions"])


def test_simulated_responses_repeat_and_differ_between_clips(twin):
    """Correlation between repetitions of a vertex: real betas' ceilings, far from none and from perfect."""
    values = np.load(twin / "responses" / "sub-01.npy")[60:].reshape(10, 3, -1)
    centred = values - values.mean((0, 1))
    between = centred.mean(1).var(0) - (centred - centred.mean(1, keepdims=True)).var(1, ddof=1).mean(0) / 3
    assert 0.05 < np.median(between / centred.var((0, 1))) < 0.6


def test_trials_may_come_in_any_order_and_some_subjects_only(ingest, own, tmp_path):
    trials = read_tsv(own / "trials.tsv", optional=("subject", "clip_id"))
    order = np.random.default_rng(0).permutation(len(trials))
    parts = {s: np.load(own / "responses" / f"{s}.npy") for s in trials["subject"].unique()}
    together = np.concatenate(list(parts.values()))[order]
    shutil.rmtree(own / "responses")
    np.save(own / "responses.npy", together.astype(np.float16))
    write_tsv(own / "trials.tsv", trials.iloc[order])
    _change(own / "folds" / "official.tsv", lambda t: t.iloc[order])
    store = ingest("folder", own, tmp_path / "store", subjects=["sub-03"])
    rows = store.rows("sub-03")
    assert len(rows) == len(store.trials) == 90
    mine = order[(trials["subject"].to_numpy() == "sub-03")[order]]
    expected = np.concatenate(list(parts.values()))[mine].astype(np.float16)
    np.testing.assert_array_equal(store.responses("sub-03", rows), expected)
    assert store.trials["clip_id"].tolist() == trials["clip_id"].iloc[mine].tolist()
    test_clips = set(store.trials["clip_id"][store.roles("official", 0) == "test"])
    assert test_clips == {f"clip-{k:04d}" for k in range(60, 70)}


def test_spaces_are_shared_only_where_something_says_so(ingest, own, tmp_path):
    shared = ingest("folder", own, tmp_path / "shared")
    assert set(shared.manifest.spaces["responses"].values()) == {"brainreel-twin-tiny-0/common"}
    (own / "vertices.tsv").unlink()
    apart = ingest("folder", own, tmp_path / "apart")
    assert len(set(apart.manifest.spaces["responses"].values())) == 3
    named = ingest("folder", own, tmp_path / "named", space="fsLR32k/mine")
    assert set(named.manifest.spaces["responses"].values()) == {"fsLR32k/mine"}
    path = own / "responses" / "sub-02.npy"
    np.save(path, np.load(path)[:, :50])
    assert ingest("folder", own, tmp_path / "mixed").responses("sub-02", np.arange(90, 95)).shape == (5, 50)
    with pytest.raises(SourceError, match=r"sub-02\.npy has other vertices .*'fsLR32k/mine'"):
        ingest("folder", own, tmp_path / "wrong", space="fsLR32k/mine")


def test_volumes_and_cifti_give_the_same_responses(ingest, own, tmp_path):
    (own / "vertices.tsv").unlink()
    folder = own / "responses"
    one, two = (np.load(folder / f"sub-0{k}.npy").astype(np.float32) for k in (1, 2))
    mask = np.zeros((5, 6, 4), np.uint8)
    mask.ravel()[3:67] = 1
    volume = np.zeros((5, 6, 4, 90), np.float32)
    volume[mask > 0] = one.T
    nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), own / "mask.nii.gz")
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), folder / "sub-01.nii.gz")
    axis = nibabel.cifti2.ScalarAxis([f"trial {k}" for k in range(90)])
    brain = nibabel.cifti2.BrainModelAxis.from_mask(np.ones(64), name="CortexLeft")
    nibabel.save(nibabel.Cifti2Image(two, (axis, brain)), folder / "sub-02.dscalar.nii")
    for k in (1, 2):
        (folder / f"sub-0{k}.npy").unlink()
    store = ingest("folder", own, tmp_path / "one", subjects=["sub-01"])
    np.testing.assert_array_equal(store.responses("sub-01", store.rows("sub-01")), one)
    assert store.space("responses", "sub-01")["vertex"].tolist() == list(range(3, 67))
    store = ingest("folder", own, tmp_path / "two", subjects=["sub-02"])
    np.testing.assert_array_equal(store.responses("sub-02", store.rows("sub-02")), two)
    (own / "mask.nii.gz").unlink()
    with pytest.raises(SourceError, match=r"sub-01\.nii\.gz comes without a mask"):
        ingest("folder", own, tmp_path / "no-mask", subjects=["sub-01"])


def test_without_folds_no_clip_is_in_training_and_test(ingest, own, tmp_path):
    shutil.rmtree(own / "folds")
    store = ingest("folder", own, tmp_path / "store")
    assert store.manifest.folds == ["clips-in-5"]
    tested = []
    for fold in range(5):
        roles = store.roles("clips-in-5", fold)
        train, test = (set(store.trials["clip_id"][roles == r]) for r in ("train", "test"))
        assert not train & test
        assert train | test == set(store.clips["clip_id"])
        tested += sorted(test)
    assert sorted(tested) == sorted(store.clips["clip_id"])


def test_videos_with_captions_beside_them(ingest, own, tmp_path):
    names = read_tsv(own / "clips.tsv", optional=("clip_id",))["clip_id"]
    (own / "clips").mkdir()
    for name in names:
        (own / "clips" / f"{name}.mp4").write_bytes(name.encode())
    (own / "clips.tsv").unlink()
    (own / "clips" / f"{names[3]}.txt").write_text("A goose.\n\nA goose runs.\n")
    store = ingest("folder", own, tmp_path / "store")
    clip = store.clips.iloc[3]
    assert clip["captions"] == ["A goose.", "A goose runs."]
    assert clip["sha256"] == sha256(own / "clips" / f"{names[3]}.mp4")
    assert Path(clip["path"]).is_file()
    assert store.clips["captions"][4] == []
    moved = (own / "clips").rename(tmp_path / "elsewhere")
    with pytest.raises(SourceError, match=r"no clips\.tsv and no videos"):
        ingest("folder", own, tmp_path / "lost")
    again = ingest("folder", own, tmp_path / "again", stimuli=moved)
    assert again.clips["path"][3] == str(moved / f"{names[3]}.mp4")


def _numbers(change, subject="sub-02"):
    def damage(own):
        path = own / "responses" / f"{subject}.npy"
        np.save(path, change(np.load(path)), allow_pickle=True)

    return damage


def _nan(values):
    values[4, 2] = np.nan
    return values


def _caption(text):
    return lambda own: _change(own / "clips.tsv", lambda t: t.assign(captions=[text, *t["captions"][1:]]))


BREAKS = {
    "no trials": (lambda o: (o / "trials.tsv").unlink(), r"trials\.tsv is missing"),
    "commas": (lambda o: (o / "trials.tsv").write_text("subject,clip_id\na,b\n"), "expected a column 'subject'"),
    "no rows": (lambda o: (o / "trials.tsv").write_text("subject\tclip_id\n"), "has no rows"),
    "binary": (lambda o: (o / "trials.tsv").write_bytes(b"\xff\xfe\x00subject"), r"trials\.tsv cannot be read"),
    "empty table": (lambda o: (o / "trials.tsv").write_text(""), r"trials\.tsv cannot be read"),
    "nobody": (
        lambda o: _change(o / "trials.tsv", lambda t: t.assign(subject=["", *t["subject"][1:]])),
        "no 'subject' in row 1",
    ),
    "climbing name": (
        lambda o: _change(o / "trials.tsv", lambda t: t.assign(subject="../../up")),
        "names a subject '../../up'",
    ),
    "words for numbers": (
        lambda o: _change(o / "trials.tsv", lambda t: t.assign(onset_s="early")),
        "has text in 'onset_s'",
    ),
    "one trial less": (lambda o: _change(o / "trials.tsv", lambda t: t[:-1]), "has 270 rows and 1 folds; expected 269"),
    "no responses": (lambda o: (o / "responses/sub-02.npy").unlink(), "has 0 files of responses of 'sub-02'"),
    "two responses": (lambda o: (o / "responses/sub-02.nii.gz").write_text(""), "has 2 files of responses"),
    "pickle": (_numbers(lambda v: np.array([{"a": 1}], object)), r"sub-02\.npy cannot be read .*allow_pickle"),
    "text": (_numbers(lambda v: v.astype(str)), "expected numbers"),
    "one number": (_numbers(lambda v: np.float32(1)), r"sub-02\.npy has the shape \(\)"),
    "three axes": (_numbers(lambda v: v[:, None]), r"\(90, 1, 64\)"),
    "NaN": (_numbers(_nan), r"sub-02\.npy has 1 values that are NaN"),
    "copied person": (
        lambda o: shutil.copy(o / "responses/sub-01.npy", o / "responses/sub-02.npy"),
        "sub-02 is identical to .*sub-01",
    ),
    "clip twice": (lambda o: _change(o / "clips.tsv", lambda t: pd.concat([t, t[:1]])), "'clip-0000' is listed 2"),
    "clip missing": (lambda o: _change(o / "clips.tsv", lambda t: t[1:]), "shows the clip 'clip-0000'"),
    "no caption, no video": (_caption(""), "clip 'clip-0000' in .* has neither a caption nor a video"),
    "broken captions": (_caption('["a", '), "as captions in row 1"),
    "captions of numbers": (_caption("[1, 2]"), "as captions in row 1"),
    "lost video": (
        lambda o: _change(o / "clips.tsv", lambda t: t.assign(path="a.mp4")),
        r"a\.mp4, the video of clip .* is neither in",
    ),
    "vertices lost": (lambda o: _change(o / "vertices.tsv", lambda t: t[:-1]), "has 63 rows, .* has 64 columns"),
    "fold rows": (lambda o: _change(o / "folds/official.tsv", lambda t: t[:-1]), "has 269 rows and 1 folds"),
    "unknown role": (lambda o: _change(o / "folds/official.tsv", lambda t: t.replace("test", "exam")), "'exam'"),
    "description": (lambda o: (o / "dataset_description.json").write_text("[]x"), "cannot be read"),
    "description of numbers": (lambda o: (o / "dataset_description.json").write_text('{"Name": 3}'), "no text"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_broken_folder(ingest, own, tmp_path, name):
    damage, message = BREAKS[name]
    damage(own)
    with pytest.raises(SourceError, match=message) as caught:
        ingest("folder", own, tmp_path / "store")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "store").exists()


def test_few_clips_need_folds_of_their_own(ingest, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    write_tsv(own / "trials.tsv", pd.DataFrame({"subject": "a", "clip_id": list("wxyz")}))
    write_tsv(own / "clips.tsv", pd.DataFrame({"clip_id": list("wxyz"), "captions": "A dog."}))
    np.save(own / "responses.npy", np.random.default_rng(0).normal(size=(4, 3)))
    with pytest.raises(SourceError, match=r"4 clips were shown; expected at least 5"):
        ingest("folder", own, tmp_path / "store")
    write_tsv(own / "folds" / "mine.tsv", pd.DataFrame({"row": range(4), "one": ["train", "train", "test", "gap"]}))
    store = ingest("folder", own, tmp_path / "store")
    assert store.roles("mine", 0).tolist() == ["train", "train", "test", "gap"]
    assert store.folds("mine").columns.tolist() == ["one"]


def test_unknown_subject_and_bad_twin(ingest, twin, tmp_path):
    with pytest.raises(UsageError, match="'sub-9'"):
        ingest("folder", twin, tmp_path / "store", subjects=["sub-9"])
    with pytest.raises(UsageError, match="-1 subjects"):
        DATASETS["folder"].twin(tmp_path / "none", subjects=-1)
    description = json.loads((twin / "dataset_description.json").read_text())
    assert description["Name"] == "brainreel twin tiny 0"
    assert isinstance(ingest("folder", twin, tmp_path / "s"), Store)
