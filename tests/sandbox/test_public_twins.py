"""Simulated copies of public releases go the whole way: files as published, stores, three stages, videos."""

import numpy as np
import pytest

from brainreel.sandbox.config import SandboxConfig
from brainreel.sandbox.recipe import people, run_sandbox
from brainreel.store import Store, check
from brainreel.world.scenes import FRAMES, SIDE

RELEASES = ("bmd", "group41", "mosaic")
CONFIG = SandboxConfig.model_validate(
    {"size": "tiny", "clips": 1, "regress": {"crossfit": 0, "steps": 5}, "generate": {"steps": 2}}
)


@pytest.mark.slow
def test_from_the_files_to_videos_of_everybody(made, tmp_path, monkeypatch):
    pytest.importorskip("h5py", reason="needs the extra `mosaic`")
    monkeypatch.setattr("brainreel.sandbox.recipe.RELEASES", RELEASES)
    run_sandbox(CONFIG, tmp_path / "run", weights=made / "weights")
    stores = [Store(tmp_path / "run" / "ingest" / release / release) for release in RELEASES]
    assert check([store.root for store in stores]) == []
    everyone, newcomer = people(stores)
    assert newcomer == "bmd/sub-02"
    assert len(everyone) == 6
    for name in (*everyone, newcomer):
        assert len(list((tmp_path / "run" / "reconstructions" / name).glob("*.mp4"))) == 1
    arrays = list((tmp_path / "run" / "generate").rglob("*.npy"))
    assert arrays
    assert all(np.load(path).shape == (FRAMES, SIDE, SIDE, 3) for path in arrays)
