import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from brainreel import experiment as module
from brainreel.errors import ExperimentError
from brainreel.experiment import Experiment, code_hash

FACTS = {"settings": {"lr": 0.1, "steps": 5}, "inputs": {"store": "abc"}, "code": ("files.py",)}


class Count:
    """Work that writes how often it was done."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        (folder / "result").write_text(str(self.calls))


def test_a_stage_runs_once(tmp_path):
    work = Count()
    first = Experiment(tmp_path / "run").run("align/job/fold-0", work, **FACTS)
    again = Experiment(tmp_path / "run").run("align/job/fold-0", work, **FACTS)
    assert (first.ran, again.ran, work.calls) == (True, False, 1)
    assert first.key == again.key
    assert first.path == again.path == tmp_path / "run" / "align" / "job" / "fold-0"
    assert sorted(p.name for p in first.path.iterdir()) == ["config.json", "provenance.json", "result"]
    assert [p.name for p in first.path.parent.iterdir()] == ["fold-0"]


def test_order_of_settings_and_kind_of_sequence_do_not_matter(tmp_path):
    experiment, work = Experiment(tmp_path), Count()
    experiment.run("a", work, settings={"x": 1, "y": (1, 2)}, inputs={"p": "1", "q": "2"}, code=["files.py", "cortex"])
    experiment.run("a", work, settings={"y": [1, 2], "x": 1}, inputs={"q": "2", "p": "1"}, code=("files.py", "cortex"))
    assert work.calls == 1


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"lr": 0.1, "steps": 6}},
        {"settings": {"lr": 0.1}},
        {"inputs": {"store": "abd"}},
        {"inputs": {"stores": "abc"}},
        {"code": ("progress.py",)},
    ],
)
def test_a_change_of_anything_that_matters_runs_it_again(tmp_path, change):
    experiment, work = Experiment(tmp_path), Count()
    before = experiment.run("a", work, **FACTS)
    after = experiment.run("a", work, **{**FACTS, **change})
    assert after.ran
    assert before.key != after.key
    assert not experiment.is_done("a", before.key)
    assert experiment.is_done("a", after.key)
    assert (experiment.stage("a") / "result").read_text() == "2"


def test_seed_and_device_are_noted_but_change_nothing(tmp_path):
    experiment, work = Experiment(tmp_path), Count()
    experiment.run("a", work, **FACTS, seed=3, device="cuda")
    assert not experiment.run("a", work, **FACTS, seed=4, device="cpu").ran


def test_code_hash_changes_with_any_source_and_only_with_source(tmp_path, monkeypatch):
    package = tmp_path / "brainreel"
    (package / "part" / "deep").mkdir(parents=True)
    for name in ("one.py", "part/a.py", "part/deep/b.py"):
        (package / name).write_text("x = 1\n")
    monkeypatch.setattr(module, "__file__", str(package / "experiment.py"))

    def now() -> str:
        code_hash.cache_clear()
        return code_hash(("one.py", "part"))

    try:
        first = now()
        (package / "part" / "notes.txt").write_text("no code")
        (package / "other.py").write_text("not part of it")
        assert now() == first
        (package / "part" / "deep" / "b.py").write_text("x = 2\n")
        second = now()
        (package / "part" / "c.py").write_text("")
        third = now()
        (package / "one.py").write_text("x = 3\n")
        assert len({first, second, third, now()}) == 4
        assert code_hash(("part", "one.py")) == now()
        for wrong in ("prat", "none.py"):
            with pytest.raises(ValueError, match=f"no source '{wrong}'"):
                code_hash((wrong,))
    finally:
        code_hash.cache_clear()


def test_provenance_says_what_made_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/brainreel", "align", "--seed", "7"])
    module.environment.cache_clear()
    stage = Experiment(tmp_path).run("a", Count(), **FACTS, seed=7, device="cpu")
    module.environment.cache_clear()
    found = json.loads((stage.path / "provenance.json").read_text())
    assert found["command"] == ["brainreel", "align", "--seed", "7"]
    assert (found["seed"], found["device"], found["code"]) == (7, "cpu", ["files.py"])
    assert found["code_sha256"] == code_hash(("files.py",))
    assert found["versions"]["numpy"] == __import__("numpy").__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert 10 < found["peak_memory_mib"] < 1 << 20
    assert found["wall_s"] >= 0
    assert {"brainreel", "platform", "git", "finished"} <= found.keys()
    config = json.loads((stage.path / "config.json").read_text())
    assert config == {"key": stage.key, "settings": FACTS["settings"], "inputs": FACTS["inputs"]}


def test_settings_may_be_infinite(tmp_path):
    experiment, work = Experiment(tmp_path), Count()
    infinite = {**FACTS, "settings": {"minutes": (1.0, float("inf")), "deep": {"x": float("nan")}}}
    stage = experiment.run("a", work, **infinite)
    assert json.loads((stage.path / "config.json").read_text())["settings"] == {
        "minutes": [1.0, "inf"],
        "deep": {"x": "nan"},
    }
    assert not experiment.run("a", work, **infinite).ran


def _fails(folder: Path) -> None:
    (folder / "checkpoint").write_text("half")
    raise RuntimeError("power cut")


def _sees(found: list[str]) -> Callable[[Path], None]:
    return lambda folder: found.extend(sorted(p.name for p in folder.iterdir()))


def test_a_failed_try_is_handed_on_with_the_same_key_and_emptied_otherwise(tmp_path):
    experiment = Experiment(tmp_path)
    with pytest.raises(RuntimeError, match="power cut"):
        experiment.run("a/b", _fails, **FACTS)
    with pytest.raises(ExperimentError, match=r"no finished stage 'a/b'; run `brainreel a`"):
        experiment.stage("a/b")
    same: list[str] = []
    experiment.run("a/b", _sees(same), **FACTS)
    assert same == ["checkpoint", "config.json"]
    other: list[str] = []
    with pytest.raises(RuntimeError):
        experiment.run("a/b", _fails, **{**FACTS, "inputs": {}})
    experiment.run("a/b", _sees(other), **{**FACTS, "inputs": {"new": "1"}})
    assert other == ["config.json"]


def test_an_older_result_stays_until_the_new_one_is_there(tmp_path):
    experiment = Experiment(tmp_path)
    first = experiment.run("a", Count(), **FACTS)
    with pytest.raises(RuntimeError):
        experiment.run("a", _fails, **{**FACTS, "inputs": {}})
    assert (first.path / "result").read_text() == "1"
    assert not experiment.run("a", Count(), **FACTS).ran


def test_a_result_that_only_had_to_be_moved_is_not_computed_again(tmp_path, monkeypatch):
    experiment, work = Experiment(tmp_path), Count()

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "replace_folder", die)
    with pytest.raises(KeyboardInterrupt):
        experiment.run("a", work, **FACTS)
    monkeypatch.undo()
    assert not experiment.is_done("a", experiment.key(**FACTS))
    assert experiment.run("a", work, **FACTS).path == experiment.stage("a")
    assert work.calls == 1


@pytest.mark.parametrize("junk", ["", "[]", "null", "{}", '{"key": ', "\x00"])
@pytest.mark.parametrize("name", ["config.json", "provenance.json"])
def test_a_damaged_stage_is_made_again(tmp_path, junk, name):
    experiment, work = Experiment(tmp_path), Count()
    stage = experiment.run("a", work, **FACTS)
    if name == "provenance.json":
        (stage.path / name).unlink()
    else:
        (stage.path / name).write_text(junk)
    with pytest.raises(ExperimentError):
        experiment.stage("a")
    assert experiment.run("a", work, **FACTS).ran


def test_leftovers_of_killed_writes_are_not_published(tmp_path):
    def work(folder: Path) -> None:
        (folder / "deep").mkdir()
        (folder / "deep" / ".model.safetensors.123.partial").write_text("half")
        (folder / "deep" / "model.safetensors").write_text("whole")

    stage = Experiment(tmp_path).run("a", work, **FACTS)
    assert [p.name for p in (stage.path / "deep").iterdir()] == ["model.safetensors"]


def test_a_full_disk_is_a_sentence_and_nothing_is_lost(tmp_path):
    def full(folder: Path) -> None:
        (folder / "checkpoint").write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(ExperimentError, match=r"disk is full in stage 'a'.*goes on where it stopped"):
        Experiment(tmp_path).run("a", full, **FACTS)
    found: list[str] = []
    Experiment(tmp_path).run("a", _sees(found), **FACTS)
    assert "checkpoint" in found
    with pytest.raises(FileNotFoundError):
        Experiment(tmp_path).run("b", lambda folder: (folder / "none").read_text() and None, **FACTS)


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "", "a//b", ".hidden"])
def test_stages_stay_in_the_experiment(tmp_path, name):
    with pytest.raises(ExperimentError, match="cannot be the name of a stage"):
        Experiment(tmp_path / "run").run(name, Count(), **FACTS)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_experiments_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExperimentError, match=r"is a file; expected a folder"):
        Experiment(tmp_path / "file")
    with pytest.raises(ExperimentError, match=r"cannot be written .*choose another --out"):  # noqa: SIM117
        with Experiment(tmp_path / "file" / "run").lock():
            pass


CHILD = """
import os, signal, sys
from pathlib import Path
from brainreel.experiment import Experiment
experiment = Experiment(sys.argv[1])
def work(folder):
    for step in range(10):
        (folder / f"step-{step}").write_text("x")
        if step == 3:
            os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "lock":
    with experiment.lock():
        print("locked", flush=True)
        signal.pause()
experiment.run("a", work, settings={"lr": 0.1, "steps": 5}, inputs={"store": "abc"}, code=("files.py",))
"""


def _child(folder: Path, what: str) -> subprocess.Popen:
    source = Path(module.__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), what],
        env={**os.environ, "PYTHONPATH": str(source)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_killed_stage_is_handed_on(tmp_path):
    with _child(tmp_path, "work") as process:
        assert process.wait() == -signal.SIGKILL
    assert [p.name for p in tmp_path.iterdir()] == [".a.partial"]
    found: list[str] = []
    assert Experiment(tmp_path).run("a", _sees(found), **FACTS).ran
    assert found == ["config.json", "step-0", "step-1", "step-2", "step-3"]
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_the_lock_keeps_a_second_process_out_and_goes_with_its_owner(tmp_path):
    with _child(tmp_path, "lock") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with (
            pytest.raises(ExperimentError, match=r"another brainreel process is working in .*wait for it"),
            Experiment(tmp_path).lock(),
        ):
            pass
        process.kill()
    for _ in range(2):
        with Experiment(tmp_path).lock():
            assert (tmp_path / ".lock").exists()


def test_without_locks_one_is_told(tmp_path, monkeypatch, capsys):
    def none(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(module.fcntl, "flock", none)
    with Experiment(tmp_path).lock():
        assert "without locks" in capsys.readouterr().err
