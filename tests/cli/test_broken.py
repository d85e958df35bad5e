"""Every broken kit, through the command line: exit 2, one message, nothing left behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from scipy.io import loadmat, savemat

from brainreel.datasets import sherlock_kit as files

from .conftest import call, done, refused


def _bold(kit, change):
    path = files.bold_path(kit, "s2")
    savemat(path, {"rdata": change(loadmat(path)["rdata"])})


def _with_nan(values):
    values[3, 7] = np.nan
    return values


def _sheet(kit, change):
    book = openpyxl.load_workbook(files.sheet_path(kit))
    change(book["Segments"])
    book.save(files.sheet_path(kit))


BREAKS = {
    "a subject is missing": (lambda k: files.bold_path(k, "s2").unlink(), "_s2.mat is missing"),
    "a truncated .mat": (
        lambda k: files.bold_path(k, "s2").write_bytes(files.bold_path(k, "s2").read_bytes()[:3000]),
        "_s2.mat cannot be read",
    ),
    "NaN": (lambda k: _bold(k, _with_nan), "_s2.mat has 1 values that are NaN"),
    "two identical subjects": (
        lambda k: shutil.copy(files.bold_path(k, "s1"), files.bold_path(k, "s2")),
        "holds the same recording as",
    ),
    "no description column": (lambda k: _sheet(k, lambda s: s.delete_cols(7)), "expected a column 'Scene Details"),
    "times beyond the film": (
        lambda k: _sheet(k, lambda s: setattr(s.cell(152, 5), "value", 301)),
        "to 301; expected 1 ≤ start ≤ end ≤ 300",
    ),
    "wrong number of voxels": (lambda k: _bold(k, lambda a: a[:59]), "(59, 300); expected (60, 300)"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_broken_kits(kit, tmp_path, name):
    damage, expected = BREAKS[name]
    broken = Path(shutil.copytree(kit, tmp_path / "kit"))
    damage(broken)
    message = refused(call("ingest", "sherlock", broken, "--store", tmp_path / "store"))
    assert expected in message
    assert str(broken) in message
    assert {path.name for path in tmp_path.iterdir()} == {"kit"}
    out = tmp_path / "run"
    assert refused(call("run", "sherlock", "--source", broken, "--out", out)) == message
    assert not list(out.rglob("checksums.json"))
    assert not (out / "ingest").exists()


def test_a_subject_that_is_not_there(kit, tmp_path):
    for command in (["ingest", "sherlock", kit, "--store"], ["run", "sherlock", "--source", kit, "--out"]):
        message = refused(call(*command, tmp_path / "out", "--subjects", "s1", "s99"))
        assert "subject 's99' is not in" in message
        assert "s1, s2, s3, s4" in message


def test_the_wrong_dataset(own, tmp_path):
    assert "has no folders subjects/s1" in refused(call("ingest", "sherlock", own, "--store", tmp_path / "s"))
    assert not list(tmp_path.iterdir())


def test_a_damaged_store_is_noticed_before_training(store, tmp_path):
    damaged = Path(shutil.copytree(store, tmp_path / "store"))
    (damaged / "checksums.json").unlink()
    assert "is not a finished store" in refused(call("align", damaged, "--out", tmp_path / "run"))
    assert call("check", damaged).code == 2


def test_a_repaired_kit_goes_on(kit, words, tmp_path):
    """What a failed run leaves is no obstacle to the next one."""
    broken = Path(shutil.copytree(kit, tmp_path / "kit"))
    damaged = files.bold_path(broken, "s2")
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:3000])
    arguments = ("ingest", "sherlock", broken, "--store", tmp_path / "store")
    refused(call(*arguments))
    damaged.write_bytes(whole)
    assert "4 people" in done(*arguments).out
