"""The README does what it says: its Python runs on a simulated study, its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from brainreel.cli.main import COMMANDS
from brainreel.datasets import DATASETS

README = Path(__file__).parents[1] / "README.md"


def test_python_of_the_readme_runs(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S)
    DATASETS["folder"].twin(tmp_path / "my-study", size="tiny", seed=0)
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    exec(code, found)
    trials, dim = found["embedding"].shape
    roles = found["store"].roles(found["store"].manifest.folds[0], 0)
    assert trials == (roles[found["store"].rows(found["store"].subjects[0])] == "test").sum()
    assert dim == 384


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/sherlock.md",
        "docs/datasets.md",
        "docs/folder.md",
        "docs/sandbox.md",
        "docs/scoring.md",
        "docs/cc2017.md",
        "docs/had.md",
        "docs/public-releases.md",
    ],
)
def test_commands_of_the_docs_exist(page):
    blocks = re.findall(r"```(?:sh|bash)?\n(.*?)```", (README.parent / page).read_text(), flags=re.S)
    named = {name for block in blocks for name in re.findall(r"^brainreel (\w+)", block, flags=re.M)}
    assert named <= set(COMMANDS)


def test_pictures_and_pages_of_the_readme_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        assert target.startswith("http") or (README.parent / target).exists(), target
