"""`run sandbox` and `demo`: what they say beforehand, killed and run again, and what they refuse."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time

import pytest

from brainreel.sandbox.config import RELEASES, SandboxConfig, demo_config
from brainreel.sandbox.outlook import cast, releases, sandbox_costs, sandbox_outlook
from brainreel.sandbox.recipe import people
from brainreel.store import Store
from cli.child import finish, start
from cli.conftest import call, done, refused

from .conftest import CONFIG, FLAGS

RESULTS = ("metrics.json", "per_clip.tsv", "captions.tsv")


def test_naming_one_setting_leaves_the_others_the_sandbox_s():
    ours = SandboxConfig()
    some = {"align": {"seed": 3, "contrastive": {"steps": 7}}, "regress": {"steps": 5}, "generate": {"steps": 2}}
    config = SandboxConfig.model_validate({**some, "clips": 2})
    assert (config.align.seed, config.align.contrastive.steps, config.regress.steps, config.generate.steps) == (
        3,
        7,
        5,
        2,
    )
    assert config.align.target == ours.align.target
    assert config.align.contrastive == ours.align.contrastive.model_copy(update={"steps": 7})
    assert config.regress == ours.regress.model_copy(update={"steps": 5})
    assert config.generate == ours.generate.model_copy(update={"steps": 2})
    assert SandboxConfig.model_validate(ours) == ours


@pytest.fixture(scope="module")
def command(made):
    return lambda out, *more: ["run", "sandbox", "--weights", str(made / "weights"), "--out", str(out), *FLAGS, *more]


def begun(out) -> int:
    """How many stages have begun; folders may vanish while one looks."""
    return sum("config.json" in names for _, _, names in os.walk(out))


def finished(out) -> dict[str, int]:
    """Every finished stage with when it was made."""
    places = [path for path in out.rglob("provenance.json") if not path.parent.name.endswith(".partial")]
    return {path.parent.relative_to(out).as_posix(): path.stat().st_mtime_ns for path in places}


def kill(arguments, out, log, stages: int, pause_s: float) -> bool:
    """Start a command and kill it a while after its n-th stage began; whether it was still running."""
    process = start(arguments, log)
    while process.is_alive() and begun(out) < stages:
        time.sleep(0.02)
    time.sleep(pause_s)
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    return process.exitcode == -signal.SIGKILL


def test_killed_in_its_last_stages_it_ends_the_same(command, ran, tmp_path):
    run = shutil.copytree(ran, tmp_path / "run")
    for stage in ("regress/newcomer", "generate/newcomer", "generate/contrastive/seed-0/fold-0/sandbox-single"):
        shutil.rmtree(run / stage)
    for stage in (*(run / "evaluate-videos" / "folds").glob("newcomer*"), run / "evaluate-videos" / "summary"):
        shutil.rmtree(stage)
    (run / "metrics.json").unlink()
    kept = finished(run)
    assert kill(command(run), run, tmp_path / "log", begun(run) + 3, 0.1)
    said = finish(command(run, "--json", str(tmp_path / "scores.json")), tmp_path / "log")
    assert f"report: {run / 'report.html'}" in said
    assert kept.items() <= finished(run).items(), "finished stages are not run again"
    for name in RESULTS:
        assert (run / name).read_bytes() == (ran / name).read_bytes()
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["scores"] == json.loads((ran / "metrics.json").read_text())["scores"]


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_the_same(command, ran, tmp_path):
    chance, run, killed = random.Random(0), tmp_path / "run", 0
    for stages in (1, 4, 7, 9, 12, 14, 17, 21, 24, 27, 31):
        killed += kill(command(run, "--workers", "1"), run, tmp_path / "log", stages, chance.uniform(0, 1.0))
    assert killed >= 9, "the run must have been under way when it was killed"
    finish(command(run), tmp_path / "log")
    for name in RESULTS:
        assert (run / name).read_bytes() == (ran / name).read_bytes()


def test_what_it_says_beforehand_are_the_stages_it_runs(made, ran, tmp_path):
    weights = made / "weights"
    outlook = sandbox_outlook(CONFIG, ran, weights=weights)
    assert outlook.idle
    assert {name for name, *_ in outlook.stages} == set(finished(ran))
    fresh = sandbox_outlook(CONFIG, tmp_path / "new", weights=weights)
    assert {state for _, state, _ in fresh.stages} == {"run"}
    assert not (tmp_path / "new").exists()
    assert cast(CONFIG) == people([Store(ran / "ingest" / name / name) for name in RELEASES])


@pytest.mark.parametrize("name", RELEASES)
def test_sizes_are_known_before_a_dataset_is_made(ran, name):
    (told,) = [one for one in releases(CONFIG) if one.name == name]
    store = Store(ran / "ingest" / name / name)
    assert told.clips == len(store.clips)
    assert [told.trials] * len(store.subjects) == [len(store.rows(subject)) for subject in store.subjects]
    assert told.vertices == len(store.space(store.manifest.groups[0], store.subjects[0]))
    test = store.clips["clip_id"].to_numpy()[store.clip_index((store.roles("official", 0) == "test").nonzero()[0])]
    assert told.tested == len(set(test))


def test_a_dry_run_is_a_table_of_stages_time_and_memory(command, ran, tmp_path):
    said = done(*command(tmp_path / "new", "--dry-run", "--json", str(tmp_path / "plan.json")))
    header, *rows = said.out.splitlines()
    assert header.split() == ["stage", "would", "be", "time", "memory"]
    assert {"twin/sandbox-event", "encode", "align/newcomer", "generate/newcomer"} <= {
        row.split()[0] for row in rows if row
    }
    assert "stages to run: about" in said.out
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["estimate"]["seconds"] > 5
    assert 3e8 < plan["estimate"]["memory_bytes"] < 4e9
    assert list(tmp_path.iterdir()) == [tmp_path / "plan.json"]
    changed = done(*command(ran, "--regress.steps", "6", "--dry-run")).out
    states = {
        line.split()[0]: " ".join(line.split()[1:4]) for line in changed.splitlines() if "/" in line.split(" ")[0]
    }
    assert states["align/contrastive"].startswith("up to date")
    assert states["regress/contrastive"].startswith("run")


def test_the_demo_is_small_enough_for_a_few_minutes(made):
    total = sandbox_outlook(demo_config(0, "small"), made / "demo", weights=made / "weights").cost
    assert total.seconds < 300
    assert total.memory_bytes < 4e9
    people_in_it, (newcomer,) = cast(demo_config(0, "small"))
    assert len(people_in_it) >= 8
    assert newcomer not in people_in_it


def test_more_seeds_and_clips_cost_more(made):
    from brainreel.generate.registry import GeneratorSource

    parameters = GeneratorSource("wan", made / "weights" / "pipeline", "cpu").parameters
    few, many = (
        dict(sandbox_costs(CONFIG.model_copy(update=more), parameters)) for more in ({}, {"seeds": 2, "clips": 4})
    )
    assert set(few) < set(many)
    assert sum(cost.seconds for cost in many.values()) > sum(cost.seconds for cost in few.values())


def test_the_demo_passes_its_seed_on(monkeypatch, made, tmp_path):
    from brainreel.sandbox import recipe

    passed = []

    def run(config, out, **_):
        passed.append(config)
        return recipe.Made(out / "report.html", out / "reconstructions", 0)

    monkeypatch.setattr(recipe, "run_sandbox", run)
    said = done("demo", "--weights", made / "weights", "--out", tmp_path / "demo", "--seed", "3", "--size", "tiny")
    assert f"report: {tmp_path / 'demo' / 'report.html'}" in said.out
    (config,) = passed
    assert (config.simulation_seed, config.align.seed, config.generate.seed, config.size) == (3, 3, 3, "tiny")


def test_a_folder_without_networks_is_refused_before_anything_is_made(tmp_path):
    for command in (["run", "sandbox"], ["demo"]):
        message = refused(call(*command, "--weights", tmp_path, "--out", tmp_path / "run"))
        assert "brainreel.sandbox.train" in message
    assert not (tmp_path / "run").exists()
