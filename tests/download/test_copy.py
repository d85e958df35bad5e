"""A folder becomes a copy: what is there stays, what is missing comes, nothing leads out of it."""

from __future__ import annotations

import hashlib
import json
import random
from collections import namedtuple

import pytest

from brainreel.download import Copy, Server
from brainreel.download.record import NAME, Record
from brainreel.download.transfer import File
from brainreel.errors import SourceError, UsageError

OBJECTS = {f"ds/sub-{k:02d}/x.bin": random.Random(k).randbytes(1000 * k + 5) for k in range(9)}


def listed(objects=OBJECTS) -> list[File]:
    return [File(k.removeprefix("ds/"), k, len(v), hashlib.md5(v).hexdigest()) for k, v in objects.items()]


def download(bucket, folder, files=None, **told):
    copy = Copy(Server(bucket.url), folder)
    plan = copy.plan(listed() if files is None else files)
    copy.fetch(plan, **told)
    return plan


def content(folder) -> dict[str, bytes]:
    return {f"ds/{p.relative_to(folder)}": p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != NAME}


def test_everything_once(serve, tmp_path):
    bucket = serve(objects=OBJECTS)
    plan = download(bucket, tmp_path / "new")
    assert content(tmp_path / "new") == OBJECTS
    assert len(plan.missing) == len(OBJECTS)
    assert plan.missing_bytes == plan.bytes == sum(map(len, OBJECTS.values()))
    assert str(plan) == "9 files, 1 MB"
    assert max(bucket.count().values()) == 1
    again = download(bucket, tmp_path / "new")
    assert not again.missing
    assert str(again) == "9 files, 1 MB, all there"
    assert max(bucket.count().values()) == 1


def test_what_is_lost_or_cut_comes_again(serve, tmp_path):
    bucket = serve(objects=OBJECTS)
    download(bucket, tmp_path)
    (tmp_path / "sub-03/x.bin").unlink()
    (tmp_path / "sub-04/x.bin").write_bytes(b"cut")
    bucket.asked.clear()
    plan = download(bucket, tmp_path)
    assert {file.path for file in plan.missing} == {"sub-03/x.bin", "sub-04/x.bin"} == {k[3:] for k in bucket.count()}
    assert content(tmp_path) == OBJECTS
    assert "7 are there" in str(plan)


def test_a_new_version_replaces_the_download(serve, tmp_path):
    bucket = serve(objects=dict(OBJECTS))
    download(bucket, tmp_path)
    bucket.objects["ds/sub-01/x.bin"] = b"a new version"
    download(bucket, tmp_path, listed(bucket.objects))
    assert content(tmp_path) == bucket.objects


def test_files_that_came_otherwise_are_recognised_not_overwritten(serve, tmp_path):
    bucket = serve(objects=OBJECTS)
    mine = tmp_path / "sub-01" / "x.bin"
    mine.parent.mkdir()
    mine.write_bytes(OBJECTS["ds/sub-01/x.bin"])
    download(bucket, tmp_path)
    assert "ds/sub-01/x.bin" not in bucket.count()
    assert "sub-01/x.bin" in Record(tmp_path)
    for other in (b"my own", bytes(len(OBJECTS["ds/sub-01/x.bin"]))):
        mine.write_bytes(other)
        (tmp_path / NAME).unlink(missing_ok=True)
        with pytest.raises(SourceError, match=r"sub-01/x.bin is not the release's file, and no download put it there"):
            download(bucket, tmp_path)
        assert mine.read_bytes() == other


def test_half_a_line_of_the_record_does_no_harm(serve, tmp_path):
    bucket = serve(objects=OBJECTS)
    download(bucket, tmp_path)
    record = tmp_path / NAME
    record.write_bytes(record.read_bytes()[:-20])
    (tmp_path / "sub-02/x.bin").unlink()
    download(bucket, tmp_path)
    assert content(tmp_path) == OBJECTS
    assert {file.path for file in listed() if Record(tmp_path).has(file)} == {file.path for file in listed()}
    lines = [json.loads(line) for line in record.read_text().splitlines() if line.endswith("}")]
    assert {line["checked"] for line in lines} == {"md5"}


HOSTILE = [
    "../x",
    "/etc/x",
    "a/../../x",
    "a//x",
    ".ssh/x",
    "a/.hidden",
    "a\\..\\x",
    "a/b\nx",
    "a/./x",
    "..",
    NAME,
    "a/",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_names_that_lead_out_of_the_folder(path, serve, tmp_path):
    bucket = serve(objects={"ds/x": b"evil"})
    with pytest.raises(SourceError, match="expected a name that stays inside"):
        download(bucket, tmp_path / "dest", [File(path, "ds/x", 4, "")])
    assert not list(tmp_path.rglob("*"))


def test_links_that_lead_out_of_the_folder(serve, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "dest").mkdir()
    (tmp_path / "dest" / "sub-01").symlink_to(tmp_path / "outside")
    with pytest.raises(SourceError, match="look for symbolic links"):
        download(serve(objects=OBJECTS), tmp_path / "dest")
    assert not list((tmp_path / "outside").iterdir())


def test_a_partial_that_is_a_link_is_not_written_through(serve, tmp_path):
    from brainreel.download.transfer import partial_of

    (file, *_) = listed()
    (tmp_path / "mine").write_bytes(b"abc")
    target = tmp_path / "dest" / file.path
    target.parent.mkdir(parents=True)
    partial_of(target, file).symlink_to(tmp_path / "mine")
    download(serve(objects=OBJECTS), tmp_path / "dest")
    assert (tmp_path / "mine").read_bytes() == b"abc"
    assert target.read_bytes() == OBJECTS[file.key]


@pytest.mark.parametrize("paths", [("a", "a"), ("a", "a/b")])
def test_names_that_collide(paths, serve, tmp_path):
    files = [File(path, "ds/x", 4, "") for path in paths]
    with pytest.raises(SourceError, match="'a' twice, or as a file and a folder"):
        download(serve(objects={"ds/x": b"evil"}), tmp_path / "dest", files)


def test_one_bad_file_does_not_stop_the_others(serve, tmp_path):
    objects = {key: value for key, value in OBJECTS.items() if key != "ds/sub-00/x.bin"}
    bucket = serve(objects=objects)
    with pytest.raises(SourceError, match=r"ds/sub-00/x.bin is not there \(the server answered 404\)"):
        download(bucket, tmp_path, connections=1)
    assert content(tmp_path) == objects


def test_a_dead_server_is_not_asked_for_every_file(serve, tmp_path):
    bucket = serve(misbehave=lambda handler, key: handler.answer(404) or True)
    with pytest.raises(SourceError, match=r"\(2 more failed\)"):
        download(bucket, tmp_path, connections=1)
    assert len(bucket.asked) == 3


def test_a_full_disk_is_said_before(serve, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10, 5, 1_000))
    bucket = serve(objects=OBJECTS)
    with pytest.raises(UsageError, match="has 1 MB of free space; expected 1 MB and some to spare; make room"):
        download(bucket, tmp_path / "dest")
    assert not bucket.asked
    assert not (tmp_path / "dest").exists()


def test_a_disk_that_fills_up(serve, tmp_path, monkeypatch):
    import errno

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("brainreel.download.transfer.os.fsync", full)
    with pytest.raises(UsageError, match="has no space left; make room and run the same command again"):
        download(serve(objects=OBJECTS), tmp_path)


def test_two_at_once(serve, tmp_path):
    bucket = serve(objects=OBJECTS)
    with Record(tmp_path).alone(), pytest.raises(UsageError, match="another process is downloading into"):
        download(bucket, tmp_path)
    download(bucket, tmp_path)


def test_a_file_instead_of_a_folder(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(UsageError, match="is a file; expected a folder"):
        Copy(Server("http://x"), tmp_path / "x")
