"""Every broken release: exit 2, one helpful sentence, nothing executed, no store that `check` calls complete."""

import contextlib
import importlib
import io
import re
import shutil
from pathlib import Path

import pytest
from broken import MARKER, Break, full_disk

from brainreel.cli.main import main
from brainreel.datasets import DATASETS
from brainreel.store import check

MODULES = [importlib.import_module(path.stem) for path in sorted(Path(__file__).parent.glob("broken_*.py"))]
CASES = [
    pytest.param(module.DATASET, case, id=f"{module.DATASET}-{name}")
    for module in MODULES
    for name, case in {**module.BREAKS, "disk full": Break(full_disk, "the disk is full")}.items()
]


@pytest.fixture(scope="session")
def twins(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("whole")
    for module in MODULES:
        DATASETS[module.DATASET].twin(root / module.DATASET, size="tiny", seed=0)
    return {module.DATASET: root / module.DATASET for module in MODULES}


def test_no_twin_is_left_out(twins):
    """The table must be read whole: a case that breaks nothing would pass as a twin that was never whole."""
    for module in MODULES:
        assert len(module.BREAKS) >= 10


@pytest.mark.parametrize(("dataset", "case"), CASES)
def test_a_broken_release_is_refused(dataset, case, twins, tmp_path, monkeypatch):
    source, store = tmp_path / "release", tmp_path / "stores" / "store"
    shutil.copytree(twins[dataset], source)
    case.damage(source, monkeypatch)
    options = [option.format(source=source) for option in case.options]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["ingest", dataset, str(source), "--store", str(store), *options])
    monkeypatch.undo()
    assert code == 2, err.getvalue()
    assert "Traceback" not in err.getvalue()
    said = [line for line in err.getvalue().splitlines() if line.startswith("brainreel: ")]
    assert len(said) == 1, err.getvalue()
    assert said[0].endswith(".")
    assert re.search(case.message, said[0]), said[0]
    assert not (tmp_path / MARKER).exists()
    assert [problem.code for problem in check([store])] == ["unfinished"]
    assert not list(store.parent.glob("*"))
    assert not list(store.parent.glob(".*"))
