"""Simulated copies of public releases go the whole way: files as published, stores, three stages, videos, scores."""

import json

import numpy as np
import pytest

from brainreel.sandbox.config import SandboxConfig
from brainreel.sandbox.recipe import people, run_sandbox
from brainreel.store import Store, check
from brainreel.world.scenes import FRAMES, SIDE

CONFIG = SandboxConfig.model_validate(
    {"size": "tiny", "clips": 1, "regress": {"crossfit": 0, "steps": 5}, "generate": {"steps": 2}}
)


def whole_way(releases, made, out, monkeypatch, *, folds="official", alike=True):
    """``alike``: all people of a dataset saw the same test clips, so that one is chosen for everybody."""
    monkeypatch.setattr("brainreel.sandbox.recipe.RELEASES", releases)
    monkeypatch.setattr("brainreel.sandbox.recipe.FOLDS", folds)
    run_sandbox(CONFIG, out, weights=made / "weights")
    stores = [Store(out / "ingest" / release / release) for release in releases]
    assert check([store.root for store in stores]) == []
    everyone, newcomers = people(stores)
    of = {}
    for name in (*everyone, *newcomers):
        of[name] = len(list((out / "reconstructions" / name).glob("*.mp4")))
    if alike:
        assert set(of.values()) == {1}
    else:
        assert all(any(count for name, count in of.items() if name.startswith(f"{r}/")) for r in releases)
    arrays = list((out / "generate").rglob("*.npy"))
    assert arrays
    assert all(np.load(path).shape == (FRAMES, SIDE, SIDE, 3) for path in arrays)
    rows = json.loads((out / "metrics.json").read_text())["scores"]
    assert {row["dataset"] for row in rows if row["stage"] == "generate"} == set(releases)
    return everyone, newcomers


@pytest.mark.slow
def test_from_pickles_to_videos_of_everybody(made, tmp_path, monkeypatch):
    everyone, newcomers = whole_way(("bmd", "group41"), made, tmp_path / "run", monkeypatch)
    assert newcomers == ("bmd/sub-02",)
    assert len(everyone) == 3


@pytest.mark.slow
def test_mosaic_s_clips_of_several_lengths(made, tmp_path, monkeypatch):
    pytest.importorskip("h5py", reason="needs the extra `mosaic`")
    whole_way(("bmd", "mosaic"), made, tmp_path / "run", monkeypatch, alike=False)


@pytest.mark.slow
def test_from_films_as_published_to_videos_of_everybody(made, tmp_path, monkeypatch):
    everyone, newcomers = whole_way(("bmd", "cc2017"), made, tmp_path / "run", monkeypatch)
    assert newcomers == ("bmd/sub-02",)
    assert any(name.startswith("cc2017/") for name in everyone)


@pytest.mark.slow
def test_from_dscalars_of_clips_seen_once_to_videos_of_everybody(made, tmp_path, monkeypatch):
    folds = {"bmd": "official", "had": "one-of-four"}
    everyone, _ = whole_way(("bmd", "had"), made, tmp_path / "run", monkeypatch, folds=folds, alike=False)
    assert any(name.startswith("had/") for name in everyone)
