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


def whole_way(releases, made, out, monkeypatch):
    monkeypatch.setattr("brainreel.sandbox.recipe.RELEASES", releases)
    run_sandbox(CONFIG, out, weights=made / "weights")
    stores = [Store(out / "ingest" / release / release) for release in releases]
    assert check([store.root for store in stores]) == []
    everyone, newcomers = people(stores)
    for name in (*everyone, *newcomers):
        assert len(list((out / "reconstructions" / name).glob("*.mp4"))) == 1
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
    whole_way(("bmd", "mosaic"), made, tmp_path / "run", monkeypatch)


@pytest.mark.slow
def test_from_films_as_published_to_videos_of_everybody(made, tmp_path, monkeypatch):
    everyone, newcomers = whole_way(("bmd", "cc2017"), made, tmp_path / "run", monkeypatch)
    assert newcomers == ("bmd/sub-02",)
    assert any(name.startswith("cc2017/") for name in everyone)


@pytest.mark.slow
def test_from_dscalars_of_clips_seen_once_to_videos_of_everybody(made, tmp_path, monkeypatch):
    everyone, _ = whole_way(("bmd", "had"), made, tmp_path / "run", monkeypatch)
    assert any(name.startswith("had/") for name in everyone)
