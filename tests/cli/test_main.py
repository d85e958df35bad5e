"""The entry: help, usage errors, exit codes, signals, and how little an import loads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from brainreel.cli import main as entry
from brainreel.cli.main import COMMANDS, main
from brainreel.cli.recipes import RECIPES
from brainreel.errors import UsageError

from .conftest import call, done, refused


@pytest.mark.parametrize("command", COMMANDS)
def test_help_opens_with_a_runnable_line(command):
    said = done(command, "--help")
    first, blank, told, *_ = said.out.splitlines()
    assert first.split()[:2] == ["brainreel", command]
    assert not blank
    assert told[0].isupper()
    assert f"usage: brainreel {command}" in said.out


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ("export", "import", "adapt", "ingest", "bench")])
def test_the_runnable_line_parses(command):
    """Every flag of the example exists and takes such a value."""
    from brainreel.cli.parse import parse

    _, module, _ = entry.resolve(command, [])
    name, chosen, arguments = entry.resolve(command, module.EXAMPLE.split()[2:])
    parse(name, chosen.run, arguments)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_explains_its_own_flags(recipe):
    from brainreel.cli.parse import parse

    said = done("run", recipe, "--help").out
    assert said.splitlines()[0].startswith(f"brainreel run {recipe}")
    assert f"usage: brainreel run {recipe} " in said
    assert {"--dry-run", "--json", "--out", "--device", "--workers"} <= set(said.replace(",", " ").split())
    name, module, arguments = entry.resolve("run", said.splitlines()[0].split()[2:])
    parse(name, module.run, arguments)
    assert recipe in done("recipes").out
    assert recipe in done("run", "--help").out


def test_a_recipe_may_be_named_behind_its_flags():
    name, module, arguments = entry.resolve("run", ["--out", "somewhere", "sherlock", "--full"])
    assert (name, module.__name__) == ("run sherlock", RECIPES["sherlock"].module)
    assert arguments == ["--out", "somewhere", "--full"]


def test_overview_lists_every_command():
    for arguments in ([], ["--help"], ["-h"]):
        said = done(*arguments)
        assert said.out.startswith("brainreel demo")
        assert all(f"\n  {command} " in said.out for command in COMMANDS)


def test_version():
    assert done("--version").out.startswith("brainreel 0.")


WRONG = {
    "unknown command": (["foo"], "no command 'foo' (known: demo, run,"),
    "nothing given": (["ingest"], "missing: DATASET, SOURCE, --store DIR;"),
    "a flag lacks its value": (["align", "x", "--out"], "Missing value for argument '--out'"),
    "unknown flag": (["align", "x", "--out", "y", "--stepz", "3"], "--stepz"),
    "unknown strategy": (["align", "x", "--out", "y", "--strategy", "magic"], "'contrastive', 'consensus', 'ridge'"),
    "out of range": (
        ["align", "x", "--out", "y", "--contrastive.clips-per-batch", "0"],
        "--contrastive.clips-per-batch is 0: input should be greater than or equal to 2",
    ),
    "no number": (["align", "x", "--out", "y", "--seed", "five"], "--seed"),
    "no store": (["align", "--out", "y"], "no store"),
    "no such store": (["align", "nowhere", "--out", "y"], "there is no store at nowhere"),
    "no such dataset": (["twin", "bmdd", "x"], "no dataset 'bmdd' (known: bmd, cc2017,"),
    "no such recipe": (["run", "sherlok"], "no recipe 'sherlok' (known: sandbox, sherlock)"),
    "no recipe": (["run"], "missing: RECIPE"),
    "a flag and no recipe": (["run", "--full"], "Missing value for argument 'recipe'"),
    "another recipe's flag": (["run", "sandbox", "--source", "x"], "--source"),
    "sandbox out of range": (["run", "sandbox", "--clips", "0"], "--clips is 0: input should be greater than or equal"),
    "sandbox of no size": (["run", "sandbox", "--size", "huge"], "'tiny', 'small', 'full'"),
    "no networks": (["run", "sandbox", "--weights", "nowhere"], "nowhere/clip/config.json is not there; expected"),
    "no networks for the demo": (["demo", "--weights", "nowhere"], "or try `brainreel demo --film`, which needs none"),
    "source and store": (["run", "sherlock", "--source", "a", "--store", "b"], "both --source and --store"),
    "neither": (["run", "sherlock"], "neither --source nor --store"),
    "no such source": (["run", "sherlock", "--source", "nowhere"], "nowhere is not a folder"),
    "no such device": (["encode", "STORE", "--device", "warp"], "device 'warp' is not there"),
    "no experiment": (["evaluate", "nowhere"], "nowhere is no experiment"),
    "no benchmark": (["bench", "speed"], "no benchmark 'speed'"),
    "minutes and trials": (["adapt", "a", "b", "--subject", "s", "--minutes", "1", "--trials", "2"], "both --minutes"),
    "negative minutes": (["adapt", "a", "b", "--subject", "s", "--minutes", "-1"], "--minutes -1"),
    "no such encoder": (
        ["encode", "STORE", "--encoder", "clop"],
        "no encoder 'clop' (known: text-minilm, clip, latents, prompt)",
    ),
    "no such weights": (["encode", "STORE", "--weights", "./nowhere"], "nowhere is not a folder"),
    "no such folds": (
        ["align", "STORE", "--out", "y", "--folds", "odd"],
        "no folds 'odd' (known: official, last-N-runs)",
    ),
    "no such person": (["align", "STORE", "--out", "y", "--subjects", "s9"], "no store has the subject 's9'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage_is_one_sentence(name, store, tmp_path, monkeypatch):
    arguments, expected = WRONG[name]
    monkeypatch.chdir(tmp_path)
    message = refused(call(*[store if argument == "STORE" else argument for argument in arguments]))
    assert expected in message
    assert message.endswith(".")
    assert not list(tmp_path.iterdir())


def test_a_bug_shows_its_traceback_and_says_so(monkeypatch):
    from brainreel.cli import recipes

    monkeypatch.setattr(recipes, "RECIPES", 3)
    said = call("recipes")
    assert said.code == 1
    assert "Traceback" in said.err
    assert "AttributeError" in said.err
    assert said.err.rstrip().splitlines()[-1].startswith("brainreel: this is a bug in brainreel")


def test_files_that_cannot_be_used_are_the_users_fault(kit, tmp_path):
    (tmp_path / "file").write_text("")
    message = refused(call("ingest", "sherlock", kit, "--store", tmp_path / "file" / "store"))
    assert "file" in message
    assert "directory" in message


def test_a_missing_file_of_the_package_is_a_bug(monkeypatch):
    from brainreel.cli import recipes

    def lost(*_):
        raise FileNotFoundError(2, "No such file", recipes.__file__)

    monkeypatch.setattr(recipes, "table", lost)
    assert call("recipes").code == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_with_130(number, monkeypatch):
    """Also when a library turns the interruption into an error of its own."""
    from brainreel.cli import recipes

    def interrupted(*_):
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        except KeyboardInterrupt as error:
            raise RuntimeError("import failed") from error

    before = signal.getsignal(number)
    monkeypatch.setattr(recipes, "table", interrupted)
    said = call("recipes")
    assert said.code == 130
    assert said.err.startswith("brainreel: interrupted: the same command")
    assert "Traceback" not in said.err
    assert signal.getsignal(number) is before


def test_an_interrupted_process_says_that_the_same_command_goes_on(monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "_call", stop)
    assert "goes on where this one stopped" in call("run", "sherlock").err
    assert "nothing half-written stays" in call("ingest").err


def test_whoever_stops_reading_hears_no_complaint():
    """`brainreel datasets folder | head -0`: the pipe is closed before anything is written."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "brainreel", "--help"], stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def _modules(code: str) -> set[str]:
    probe = f"import sys, json; {code}; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(json.loads(found.stderr.splitlines()[-1]))


HEAVY = {"torch", "numpy", "pydantic", "pandas", "tyro", "transformers", "zarr", "scipy", "rich"}


def test_importing_brainreel_loads_nothing_heavy():
    assert not _modules("import brainreel") & HEAVY


def test_the_overview_imports_no_command():
    loaded = _modules("from brainreel.cli.main import main; main(['--help'])")
    assert not loaded & HEAVY
    assert not {f"brainreel.cli.{command}" for command in COMMANDS} & loaded


def test_numpy_computes_with_one_thread_wherever_it_is_first_imported():
    """Ridges were 40 times slower with two threads on two busy cores."""
    probe = (
        "from brainreel.cli.main import main; main(['datasets', 'folder']); import numpy; "
        "from threadpoolctl import threadpool_info; "
        "print([p['num_threads'] for p in threadpool_info() if p['internal_api'] == 'openblas'])"
    )
    free = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, env=free)
    assert set(json.loads(found.stdout.splitlines()[-1])) == {1}


def test_one_command_is_imported_and_its_help_needs_no_torch():
    loaded = _modules("from brainreel.cli.main import main; main(['run', '--help'])")
    assert "torch" not in loaded
    others = {f"brainreel.cli.{command}" for command in COMMANDS} & loaded
    assert others == {"brainreel.cli.run", "brainreel.cli.recipes"}


def test_benchmarks_are_listed_and_measured(monkeypatch, tmp_path, read):
    from types import SimpleNamespace

    from brainreel.cli import bench

    assert "metrics" in done("bench").out.split()
    for module in bench.BENCHMARKS.values():
        assert callable(__import__(f"brainreel.bench.{module}", fromlist=["run"]).run)
    monkeypatch.setattr(bench.importlib, "import_module", lambda name: SimpleNamespace(run=lambda: {"name": name}))
    assert bench.run("metrics", json=tmp_path / "bench.json") is None
    assert read(tmp_path / "bench.json") == {"name": "brainreel.bench.metrics"}


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("ingest", {"memory_budget": "1GB"}),
        ("metrics", {"out": Path("x")}),
        ("stream", {"weights": Path("x")}),
        ("sandbox", {"batch": 4}),
        ("sandbox-networks", {"workers": 2}),
        ("stream", {"dry_run": True}),
    ],
)
def test_flags_that_a_benchmark_does_not_have_are_refused(name, flag):
    from brainreel.cli import bench

    (key,) = flag
    with pytest.raises(UsageError, match=f"the benchmark '{name}' has no --{key.replace('_', '-')}; leave it out"):
        bench.run(name, **flag)


def test_main_takes_the_processs_arguments(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["brainreel", "recipes"])
    assert main() == 0
    assert "sherlock" in capsys.readouterr().out


def test_public_names():
    import brainreel as br

    assert {"Aligner", "Store", "align", "check", "encode", "ingest", "metrics"} <= set(dir(br))
    assert br.align.__name__ == "brainreel.align"
    assert br.metrics.__name__ == "brainreel.metrics"
    with pytest.raises(AttributeError, match="no attribute 'aligner'"):
        br.aligner  # noqa: B018


def test_the_python_way(kit, words, tmp_path):
    import brainreel as br

    store = br.ingest("sherlock", str(kit), store=str(tmp_path / "store"), subjects=["s1", "s2"])
    br.encode([store], encoder="text-minilm", weights=str(words))
    assert br.check([store.root]) == []
    model = br.Aligner(target="text-minilm", seed=0, contrastive={"steps": 2, "latent": 8})
    model.fit([store], folds="blocks-of-8", fold=3)
    embedding = model.embed(store, subject="s1", role="test")
    tested = store.rows("s1", store.roles("blocks-of-8", 3) == "test")
    assert embedding.shape == (len(tested), 32)
    assert (embedding == model.embed(store, "s1", rows=tested)).all()
