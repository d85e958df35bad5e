"""`brainreel datasets NAME --download`: its output, its refusals, and processes that are killed while it works."""

from __future__ import annotations

import json
import os
import random
import signal
import time

import pytest
from tests.download.bucket import Bucket, folder_as_objects, serving

from brainreel.datasets import DATASETS
from brainreel.download.record import NAME

from . import child
from .conftest import call, done, refused


@pytest.fixture(scope="module")
def objects(tmp_path_factory) -> dict[str, bytes]:
    twin = tmp_path_factory.mktemp("bmd") / "twin"
    DATASETS["bmd"].twin(twin, size="tiny", seed=0)
    return folder_as_objects(twin, "ds005165/")


@pytest.fixture
def bucket(objects):
    with serving(Bucket(objects=dict(objects))) as bucket:
        yield bucket


def test_plan_download_ingest(bucket, tmp_path):
    arguments = ["datasets", "bmd", "--download", tmp_path / "bmd", "--mirror", bucket.url, "--subjects", "sub-01"]
    plan = done(*arguments, "--dry-run", "--json", tmp_path / "plan.json")
    assert plan.out.startswith("bmd: 5 files, ")
    assert not (tmp_path / "bmd").exists()
    assert json.loads((tmp_path / "plan.json").read_text())["missing_files"] == 5
    said = done(*arguments, "--json", tmp_path / "done.json")
    assert said.err.startswith("bmd: 5 files, ")
    assert "5 files, verified" in said.out
    assert "by password" in said.out
    told = json.loads((tmp_path / "done.json").read_text())
    assert told["missing_files"] == 0
    assert sum(file["bytes"] for file in told["files"]) == told["bytes"]
    done("ingest", "bmd", tmp_path / "bmd", "--store", tmp_path / "store")
    assert "all there" in done(*arguments).err


def test_a_release_behind_a_form_prints_what_to_do(tmp_path):
    said = call("datasets", "cc2017", "--download", tmp_path / "x")
    assert "cannot be downloaded without a person" in refused(said)
    assert "1. Open https://purr.purdue.edu/publications/2809" in said.out
    assert "cifti/seg1_1_Atlas.dtseries.nii" in said.out
    assert not (tmp_path / "x").exists()
    assert "cifti/seg1_1_Atlas.dtseries.nii" in done("datasets", "cc2017").out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--download", "x"], "--download without a dataset"),
        (["bmd", "--subjects", "sub-01"], "expected --download DEST"),
        (["bmd", "--dry-run"], "expected --download DEST"),
        (["bmdd", "--download", "x"], "no dataset 'bmdd'"),
        (["bmd", "--download", "x", "--mirror", "file:///etc"], "no address of a server"),
        (["bmd", "--download", "x", "--space", "mars"], "the space 'mars'"),
    ],
)
def test_wrong_usage(arguments, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert expected in refused(call("datasets", *arguments))
    assert not list(tmp_path.iterdir())


def test_a_server_that_refuses(bucket, tmp_path):
    bucket.misbehave = lambda handler, key: handler.answer(403) or True
    message = refused(call("datasets", "bmd", "--download", tmp_path / "bmd", "--mirror", bucket.url))
    assert "may not be read (the server answered 403)" in message


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_stopped_it_goes_on_where_it_was(number, bucket, tmp_path, monkeypatch):
    """The server hands out the first half of a big file and then waits, so that the process is stopped within it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    key = "ds005165/derivatives/versionB/fsLR32k/GLM/sub-01/prepared_betas/sub-01_organized_betas_task-train_normalized.pkl"
    big = random.Random(0).randbytes(3_000_000)
    bucket.objects[key] = big

    def halfway(handler, asked):
        if asked != key:
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(big)))
        handler.end_headers()
        handler.wfile.write(big[:2_000_000])
        handler.wfile.flush()
        time.sleep(20)
        return True

    bucket.misbehave = halfway
    dest, log = tmp_path / "bmd", tmp_path / "log"
    arguments = ["datasets", "bmd", "--download", str(dest), "--mirror", bucket.url, "--subjects", "sub-01"]
    process = child.start(arguments, log)
    deadline = time.monotonic() + 60
    while not (parts := [p for p in dest.rglob(".*.partial") if p.stat().st_size > 1_000_000]):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join(30)
    assert process.exitcode == (-number if number == signal.SIGKILL else 130)
    if number == signal.SIGINT:
        assert "interrupted: the same command goes on where this one stopped" in log.read_text()
    assert not (dest / key.removeprefix("ds005165/")).exists()
    have = parts[0].stat().st_size
    bucket.misbehave, bucket.asked = (lambda handler, asked: False), []
    child.finish(arguments, log)
    assert (dest / key.removeprefix("ds005165/")).read_bytes() == big
    assert (key, have) in bucket.asked
    assert not list(dest.rglob("*.partial"))
    assert len((dest / NAME).read_text().splitlines()) == 5
