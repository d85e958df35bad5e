"""The sandbox's networks after two steps of training: real ones, of no use but for tests."""

from __future__ import annotations

import pytest

from brainreel.sandbox.train import main


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sandbox")
    main(folder / "work", out=folder / "weights", clips=40, steps=2)
    return folder
