"""`run sherlock` and `demo`: whole runs, killed, interrupted, repeated, changed."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from brainreel.datasets import DATASETS

from .child import finish, start
from .conftest import call, done, refused

FEW = (
    "--align.contrastive.steps", "2", "--align.contrastive.latent", "8", "--subjects", "s1", "s2",
    "--null-ridge", "0", "--null-contrastive", "0", "--workers", "1",
)  # fmt: skip
RESULTS = ("metrics.json", "per_clip.tsv", "captions.tsv")


@pytest.fixture(scope="module")
def command(kit, words):
    """The words of a run into a folder, with other settings behind."""

    def make(out, *more: object) -> list[str]:
        arguments = ("run", "sherlock", "--source", kit, "--text-weights", words, "--out", out, *FEW, *more)
        return [str(argument) for argument in arguments]

    return make


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory) -> Path:
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("film")
    said = finish(command(folder / "run", "--json", folder / "scores.json"), folder / "log")
    assert "about" in said.splitlines()[0]
    assert f"report: {folder / 'run' / 'report.html'}" in said
    return folder / "run"


def finished(out: Path) -> dict[str, tuple[int, int]]:
    """Every finished stage with what tells whether it was made anew; one still to be moved to its place is not."""
    made = {}
    for path in out.rglob("provenance.json"):
        if path.parent.name.endswith(".partial"):
            continue
        facts = path.stat()
        made[path.parent.relative_to(out).as_posix()] = (facts.st_ino, facts.st_mtime_ns)
    return made


def begun(out: Path) -> int:
    """How many stages have begun; folders may vanish while one looks."""
    count = 0
    for folder, folders, names in os.walk(out):
        count += "config.json" in names
        folders[:] = [name for name in folders if "sherlock" not in name and folder.count("/fold-") == 0]
    return count


def jobs(stages) -> set[str]:
    return {"/".join(name.split("/")[:2]) for name in stages}


def test_a_whole_run_leaves_what_the_contract_says(whole, read):
    scores = read(whole / "metrics.json")
    assert {"schema", "brainreel", "seed", "scores"} <= set(scores)
    strategies = {row["strategy"] for row in scores["scores"]}
    assert {"contrastive", "consensus", "ridge", "contrastive-alone"} <= strategies
    assert read(whole.parent / "scores.json")["scores"] == scores["scores"]
    assert "The film, read from the brain" in (whole / "report.html").read_text()
    assert not list(whole.rglob("*.partial"))


def test_a_second_run_has_nothing_to_do(command, whole, tmp_path):
    before, results = finished(whole), [(whole / name).stat().st_mtime_ns for name in RESULTS]
    said = finish(command(whole), tmp_path / "log")
    assert "nothing to do" in said
    assert finished(whole) == before
    assert [(whole / name).stat().st_mtime_ns for name in RESULTS] == results
    said = finish(command(whole, "--dry-run"), tmp_path / "log")
    assert "everything is up to date" in said
    assert " run" not in said


def test_killed_at_any_moment_it_ends_the_same(command, whole, tmp_path):
    """The moments: just after the n-th stage began, and a random while later."""
    chance, killed = random.Random(0), 0
    for stages, workers in zip(sorted(chance.sample(range(1, 24), 3)), "121", strict=True):
        process = start([*command(tmp_path / "run")[:-1], workers], tmp_path / "log")
        while process.is_alive() and begun(tmp_path / "run") < stages:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.2))
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        killed += process.exitcode == -signal.SIGKILL
    assert killed >= 2, "the run must have been under way when it was killed"
    kept = finished(tmp_path / "run")
    finish(command(tmp_path / "run"), tmp_path / "log")
    assert kept.items() <= finished(tmp_path / "run").items(), "finished stages are not run again"
    for name in RESULTS:
        assert (tmp_path / "run" / name).read_bytes() == (whole / name).read_bytes()


def test_interrupted_it_says_that_it_goes_on(command, tmp_path):
    process = start(command(tmp_path / "run"), tmp_path / "log")
    while process.is_alive() and begun(tmp_path / "run") < 4:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    said = (tmp_path / "log").read_text()
    assert process.exitcode == 130
    assert said.splitlines()[-1] == "brainreel: interrupted: the same command goes on where this one stopped"
    assert "Traceback" not in said
    planned = done(*command(tmp_path / "run", "--dry-run")).out
    assert re.search(r"^ingest +up to date", planned, re.MULTILINE)


def test_a_changed_setting_runs_exactly_what_depends_on_it(command, whole, tmp_path, read):
    """And what is scored are the new trainings only, though another seed's lie beside them."""
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    shutil.copytree(run / "align/contrastive/seed-0", run / "align/contrastive/seed-7")
    before = finished(run)
    dry = done(*command(run, "--align.ridge.inner-folds", "3", "--dry-run")).out
    assert [line.split()[0] for line in dry.splitlines() if "run" in line.split()[1:]] == ["align/ridge", "evaluate"]
    finish(command(run, "--align.contrastive.steps", "3"), tmp_path / "log")
    changed = {name for name, made in finished(run).items() if before.get(name) != made}
    polished = {"align/polished", "align/polished-alone"}
    assert jobs(changed) == {"align/contrastive", "align/consensus", "evaluate"} | polished
    assert len([name for name in changed if name.startswith("align/")]) == 32
    scores = read(run / "metrics.json")["scores"]
    assert {tuple(row["seeds"]) for row in scores if "seeds" in row} == {(0,)}
    assert scores != read(whole / "metrics.json")["scores"]


def test_a_store_serves_as_well_as_its_release(command, whole, words, tmp_path):
    store = whole / "ingest" / "sherlock"
    arguments = ["run", "sherlock", "--store", str(store), "--text-weights", str(words), *FEW]
    dry = done(*arguments, "--out", tmp_path / "run", "--dry-run").out
    assert "ingest" not in dry.split()
    assert not (tmp_path / "run").exists()


def test_two_processes_do_not_share_an_experiment(command, whole):
    import fcntl

    with (whole / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert "another brainreel process" in refused(call(*command(whole)))


def test_a_store_that_is_no_film_is_refused(store, tmp_path):
    message = refused(call("run", "sherlock", "--store", store, "--out", tmp_path / "run"))
    assert "use `brainreel align` for other stores" in message


def test_the_films_demo_simulates_and_ends_with_its_report(monkeypatch, tmp_path):
    """The benchmark is tested above; here the demo must simulate, pass the seed on, and resume."""
    from brainreel.pipeline import film_demo

    passed = []

    def run_film(config, out, *, source, **_):
        passed.append((config.align.seed, out, source))
        (tmp_path / "demo" / "metrics.json").write_text('{"scores": []}')
        return film_demo.Ran(out / "report.html", 1, 1.0)

    monkeypatch.setattr(film_demo, "run_film", run_film)
    command = ("demo", "--film", "--out", tmp_path / "demo", "--size", "tiny")
    for _ in range(2):
        said = done(*command, "--seed", "3", "--json", tmp_path / "demo.json")
        assert f"report: {tmp_path / 'demo' / 'report.html'}" in said.out
    (seed, out, source), again = passed
    assert again == passed[0]
    assert (seed, out) == (3, tmp_path / "demo")
    made = source / "twin.json"
    before = made.stat().st_mtime_ns
    assert DATASETS["sherlock"].manifest(source).simulated
    done(*command, "--seed", "4")
    assert made.stat().st_mtime_ns != before
    assert film_demo.twin_step(4, "tiny").state(film_demo.Experiment(tmp_path / "demo")) == "up to date"
