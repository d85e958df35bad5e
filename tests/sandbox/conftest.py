"""The sandbox's networks after two steps of training, real ones of no use but for tests, and the recipe run with them."""

from __future__ import annotations

import pytest

from brainreel.sandbox.config import SandboxConfig
from brainreel.sandbox.recipe import run_sandbox
from brainreel.sandbox.train import main

# As a configuration and as words of the command line.
CONFIG = SandboxConfig.model_validate(
    {"size": "tiny", "clips": 2, "regress": {"crossfit": 0, "steps": 5}, "generate": {"steps": 2}}
)
FLAGS = ("--size", "tiny", "--clips", "2", "--regress.crossfit", "0", "--regress.steps", "5", "--generate.steps", "2")


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sandbox")
    main(folder / "work", out=folder / "weights", clips=40, steps=2)
    return folder


def stop(*_):
    raise KeyboardInterrupt


@pytest.fixture(scope="session")
def ran(made, tmp_path_factory):
    """Stopped once before the first video, then run to its end."""
    out = tmp_path_factory.mktemp("recipe") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("brainreel.sandbox.recipe.generate_stages", stop)
        with pytest.raises(KeyboardInterrupt):
            run_sandbox(CONFIG, out, weights=made / "weights")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("provenance.json")}
    assert len(before) > 10
    run_sandbox(CONFIG, out, weights=made / "weights")
    assert {path: path.stat().st_mtime_ns for path in before} == before, "what was done is not done again"
    return out
