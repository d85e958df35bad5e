"""Every broken kit is one sentence that names the file, what was found, what was expected and what to do."""

import shutil

import numpy as np
import openpyxl
import pytest
from scipy.io import loadmat, savemat

from brainreel.datasets import DATASETS
from brainreel.datasets import sherlock_kit as kit_files
from brainreel.datasets.reading import read_mat, read_npy
from brainreel.errors import BrainreelError, SourceError, UsageError


def _bold(kit, change, subject="s2"):
    path = kit_files.bold_path(kit, subject)
    data = loadmat(path)["rdata"]
    savemat(path, {"rdata": change(data.copy()), "keptvox": np.ones((len(data), 1), np.uint8)})


def _course(kit, change, region="early_visual"):
    path = kit_files.course_path(kit, region)
    savemat(path, {"roitc": change(loadmat(path)["roitc"])})


def _sheet(kit, change):
    path = kit_files.sheet_path(kit)
    book = openpyxl.load_workbook(path)
    change(book["Segments"])
    book.save(path)


def _set(index, value):
    def change(array):
        array[index] = value
        return array

    return change


def _cell(row, column, value):
    return lambda sheet: setattr(sheet.cell(row, column), "value", value)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:3000])


BREAKS = {
    "missing file": (lambda k: kit_files.bold_path(k, "s2").unlink(), r"_s2\.mat is missing"),
    "truncated mat": (lambda k: _truncate(kit_files.bold_path(k, "s2")), r"_s2\.mat cannot be read"),
    "no mat at all": (lambda k: kit_files.bold_path(k, "s2").write_text("<html>404</html>" * 40), "cannot be read"),
    "empty mat": (lambda k: kit_files.bold_path(k, "s2").write_bytes(b""), "cannot be read"),
    "folder for a file": (
        lambda k: (kit_files.bold_path(k, "s2").unlink(), kit_files.bold_path(k, "s2").mkdir()),
        "cannot be read",
    ),
    "wrong variable": (
        lambda k: savemat(kit_files.bold_path(k, "s2"), {"data": np.ones(3)}),
        r"holds data; expected the variable 'rdata'",
    ),
    "NaN": (lambda k: _bold(k, _set((3, 7), np.nan)), r"_s2\.mat has 1 values that are NaN"),
    "infinity": (lambda k: _bold(k, _set((3, slice(2)), np.inf)), "has 2 values"),
    "text": (lambda k: _bold(k, lambda a: np.array(["x"])), "expected numbers"),
    "too few voxels": (lambda k: _bold(k, lambda a: a[:59]), r"\(59, 300\); expected \(60, 300\)"),
    "too few volumes": (lambda k: _bold(k, lambda a: a[:, :299]), r"\(60, 299\); expected \(60, 300\)"),
    "transposed": (lambda k: _bold(k, lambda a: a.T), r"\(300, 60\)"),
    "second scan lost": (lambda k: _bold(k, _set((slice(None), slice(140, None)), 0.0)), "only 141 volumes"),
    "dead voxel": (lambda k: _bold(k, _set(5, 1.0)), "1 voxels that never change"),
    "copied person": (
        lambda k: shutil.copy(kit_files.bold_path(k, "s1"), kit_files.bold_path(k, "s2")),
        r"_s2\.mat holds the same recording as .*_s1\.mat",
    ),
    "column lost": (lambda k: _course(k, lambda a: a[:, :3]), r"\(300, 3\); expected \(300, 4\)"),
    "columns swapped": (lambda k: _course(k, lambda a: a[:, [1, 0, 2, 3]], "pmc_nn"), "column 1 of .* is not the mean"),
    "short course": (lambda k: _course(k, lambda a: a[:200]), r"\(200, 4\); expected \(300, 4\)"),
    "course NaN": (lambda k: _course(k, _set((5, 1), np.nan)), "early_visual.* has 1 values that are NaN"),
    "course missing": (lambda k: kit_files.course_path(k, "aud_early").unlink(), "aud_early.* is missing"),
    "mask missing": (lambda k: kit_files.mask_path(k, "pmc_nn").unlink(), r"pmc_nn\.nii is missing"),
    "mask of another region": (
        lambda k: shutil.copy(kit_files.mask_path(k, "early_visual"), kit_files.mask_path(k, "pmc_nn")),
        "307 voxels; expected a 3-D mask of 60",
    ),
    "mask truncated": (lambda k: _truncate(kit_files.mask_path(k, "pmc_nn")), r"pmc_nn\.nii cannot be read"),
    "sheet missing": (lambda k: kit_files.sheet_path(k).unlink(), r"\.xlsx is missing"),
    "sheet truncated": (lambda k: _truncate(kit_files.sheet_path(k)), r"\.xlsx cannot be read"),
    "sheet renamed": (lambda k: _sheet(k, lambda s: setattr(s, "title", "Tabelle1")), "expected a sheet 'Segments'"),
    "no descriptions": (lambda k: _sheet(k, lambda s: s.delete_cols(7)), "expected a column 'Scene Details - A Level'"),
    "no times": (lambda k: _sheet(k, lambda s: s.delete_cols(4)), r"expected a column 'Start Time \(TRs, 1.5s\)'"),
    "a row lost": (lambda k: _sheet(k, lambda s: s.delete_rows(5)), "describes 151 segments; expected 152"),
    "empty sheet": (lambda k: _sheet(k, lambda s: s.delete_rows(1, 400)), "has the columns none"),
    "beyond the film": (lambda k: _sheet(k, _cell(152, 5, 301)), "to 301; expected 1 ≤ start ≤ end ≤ 300"),
    "negative time": (lambda k: _sheet(k, _cell(4, 4, -2)), "segment 3 in .* from volume -2"),
    "end before start": (lambda k: _sheet(k, _cell(100, 5, 2)), "segment 99 in .* to 2"),
    "time in words": (lambda k: _sheet(k, _cell(4, 4, "soon")), "segment 3 in .* has 'soon'"),
    "half a volume": (lambda k: _sheet(k, _cell(4, 4, 2.5)), "has 2.5"),
    "one time only": (lambda k: _sheet(k, _cell(4, 5, None)), "segment 3 in .* has None as 'End Time"),
    "no words": (lambda k: _sheet(k, _cell(4, 7, "  ")), "segment 3 in .* has no description"),
    "no subjects": (lambda k: shutil.rmtree(k / "subjects"), "has no folders subjects/s1"),
    "card broken": (lambda k: (k / "twin.json").write_text("{"), r"twin\.json cannot be read"),
    "real facts demanded": (lambda k: (k / "twin.json").unlink(), r"expected 1000"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_broken_kit(ingest, kit, tmp_path, name):
    damage, message = BREAKS[name]
    damage(kit)
    with pytest.raises(SourceError, match=message) as caught:
        ingest("sherlock", kit, tmp_path / "store")
    assert str(kit) in str(caught.value)
    assert "expected" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "store").exists()


def test_a_kit_of_voxels_alone_is_refused_by_the_real_facts(kit, tmp_path):
    """Without its card the twin must fail on the recordings too, not only on the sheet."""
    with pytest.raises(SourceError, match=r"\(60, 300\); expected \(481, 1976\) \(voxels, volumes\)"):
        kit_files.read_bold(kit, "s1", DATASETS["sherlock"].facts)


@pytest.mark.parametrize("subjects", [["s1", "s9"], ["S1"], [], ["s1", "s1"]])
def test_unknown_subjects(ingest, sherlock_twin, tmp_path, subjects):
    with pytest.raises(UsageError, match=r"--subjects|s1, s2, s3, s4"):
        ingest("sherlock", sherlock_twin, tmp_path / "store", subjects=subjects)


def test_unknown_space(ingest, sherlock_twin, tmp_path):
    with pytest.raises(UsageError, match=r"fsLR32k.*expected sherlock/pmc"):
        ingest("sherlock", sherlock_twin, tmp_path / "store", space="fsLR32k")


def test_no_folder_an_empty_one_and_a_file(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name, message in (("absent", "there is no"), ("empty", "is empty"), ("file", "is a file")):
        with pytest.raises(SourceError, match=message):
            DATASETS["sherlock"].manifest(tmp_path / name)


def test_forbidden_file(ingest, kit, tmp_path, monkeypatch):
    """Root may read everything, so the refusal itself is simulated where the file is opened."""
    import scipy.io

    def refuse(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(scipy.io, "loadmat", refuse)
    with pytest.raises(BrainreelError, match=r"\.mat may not be read \(permission denied\).*change its permissions"):
        ingest("sherlock", kit, tmp_path / "store")


def test_a_twin_of_something_else_is_refused(kit):
    card = (kit / "twin.json").read_text().replace('"sherlock"', '"bmd"', 1)
    (kit / "twin.json").write_text(card)
    with pytest.raises(SourceError, match="is a twin of 'bmd'"):
        DATASETS["sherlock"].manifest(kit)


def test_pickles_are_not_opened(tmp_path):
    np.save(tmp_path / "bad.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(SourceError, match=r"bad\.npy cannot be read .*allow_pickle"):
        read_npy(tmp_path / "bad.npy")
    with pytest.raises(SourceError, match="is missing"):
        read_mat(tmp_path / "none.mat", ("x",))
