"""One file over a server that breaks off, lies, is busy, or changes its mind."""

from __future__ import annotations

import hashlib
import random
import threading
from pathlib import Path

import pytest

from brainreel.download import Server, checksums
from brainreel.download.server import Stopped
from brainreel.download.transfer import File, fetch, partial_of
from brainreel.errors import SourceError

CONTENT = random.Random(0).randbytes(700_000)
ETAG = hashlib.md5(CONTENT).hexdigest()
FILE = File("a/b.bin", "ds/a/b.bin", len(CONTENT), ETAG)
KEY = FILE.key


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "a" / "b.bin"


def get(bucket, target, file=FILE, **told):
    came: list[int] = []
    checked = fetch(Server(bucket.url, **told), file, target, came.append)
    return checked, sum(came)


def leftovers(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.glob(".*"))


def in_turn(*steps):
    """A different misbehaviour at each request, then none."""
    left = list(steps)

    def misbehave(handler, key):
        step = left.pop(0) if left else None
        return bool(step and step(handler, key))

    return misbehave


def broken_off(cut: int):
    return lambda handler, key: handler.serve(CONTENT, handler.bucket.asked[-1][1], cut=cut) or True


def answered(status: int, **headers: str):
    return lambda handler, key: handler.answer(status, headers) or True


def test_a_whole_file(serve, target):
    bucket = serve(objects={KEY: CONTENT})
    assert get(bucket, target) == ("md5", len(CONTENT))
    assert target.read_bytes() == CONTENT
    assert not leftovers(target)


def test_an_empty_file(serve, target):
    empty = FILE._replace(size=0, etag=hashlib.md5(b"").hexdigest())
    assert get(serve(objects={KEY: b""}), target, empty) == ("md5", 0)
    assert target.read_bytes() == b""


def test_a_broken_connection_goes_on_where_it_broke(serve, target):
    bucket = serve(objects={KEY: CONTENT}, misbehave=in_turn(broken_off(300_000), broken_off(100_000)))
    assert get(bucket, target) == ("md5", len(CONTENT))
    assert target.read_bytes() == CONTENT
    assert [first for _, first in bucket.asked] == [0, 300_000, 400_000]


def test_what_an_earlier_process_left_is_kept(serve, target):
    bucket = serve(objects={KEY: CONTENT})
    target.parent.mkdir()
    partial_of(target, FILE).write_bytes(CONTENT[:123_456])
    assert get(bucket, target) == ("md5", len(CONTENT) - 123_456)
    assert target.read_bytes() == CONTENT
    assert bucket.asked == [(KEY, 123_456)]


def test_a_whole_part_is_only_checked(serve, target):
    bucket = serve(objects={KEY: CONTENT})
    target.parent.mkdir()
    partial_of(target, FILE).write_bytes(CONTENT)
    assert get(bucket, target) == ("md5", 0)
    assert not bucket.asked


@pytest.mark.parametrize("left", [b"other bytes" * 1000, CONTENT + b"more"], ids=["other bytes", "too long"])
def test_a_wrong_part_is_replaced(left, serve, target):
    bucket = serve(objects={KEY: CONTENT})
    target.parent.mkdir()
    partial_of(target, FILE).write_bytes(left)
    get(bucket, target)
    assert target.read_bytes() == CONTENT
    assert not leftovers(target)


def test_the_part_of_another_version_is_not_continued(serve, target):
    bucket = serve(objects={KEY: CONTENT})
    target.parent.mkdir()
    partial_of(target, FILE._replace(etag="0" * 32)).write_bytes(b"old" * 1000)
    get(bucket, target)
    assert bucket.asked == [(KEY, 0)]
    assert not leftovers(target)


def test_a_server_that_cannot_go_on_sends_everything(serve, target):
    bucket = serve(objects={KEY: CONTENT}, ranges=False, misbehave=in_turn(broken_off(300_000)))
    assert get(bucket, target) == ("md5", len(CONTENT))
    assert target.read_bytes() == CONTENT


def test_a_server_that_goes_on_elsewhere_is_not_believed(serve, target):
    def elsewhere(handler, key):
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}")
        handler.send_header("Content-Length", str(len(CONTENT) - 5))
        handler.end_headers()
        handler.wfile.write(CONTENT[5:])
        return True

    bucket = serve(objects={KEY: CONTENT}, misbehave=in_turn(broken_off(300_000), elsewhere))
    assert get(bucket, target) == ("md5", len(CONTENT))
    assert target.read_bytes() == CONTENT
    assert [first for _, first in bucket.asked] == [0, 300_000, 0]


def test_a_busy_server_is_asked_again(serve, target):
    steps = in_turn(answered(503), answered(500), answered(429, **{"Retry-After": "0"}))
    bucket = serve(objects={KEY: CONTENT}, misbehave=steps)
    get(bucket, target)
    assert len(bucket.asked) == 4
    assert target.read_bytes() == CONTENT


def test_but_not_for_ever(serve, target):
    bucket = serve(objects={KEY: CONTENT}, misbehave=answered(503))
    with pytest.raises(SourceError, match=r"answered 503 for http.*ds/a/b.bin, and 5 tries did not help"):
        get(bucket, target)
    assert len(bucket.asked) == 5
    assert not target.exists()


def test_a_server_that_breaks_off_at_once_is_given_up(serve, target):
    bucket = serve(objects={KEY: CONTENT}, misbehave=broken_off(10))
    with pytest.raises(SourceError, match=r"broke off .*a/b.bin, and 5 tries did not help"):
        get(bucket, target)
    assert partial_of(target, FILE).read_bytes() == CONTENT[:50]
    bucket.misbehave = lambda *_: False
    get(bucket, target)
    assert bucket.asked[-1] == (KEY, 50)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(("status", "told"), [(404, "is not there"), (403, "may not be read"), (401, "is refused")])
def test_a_refusal_is_final(status, told, serve, target):
    bucket = serve(objects={KEY: CONTENT}, misbehave=answered(status))
    with pytest.raises(SourceError, match=rf"ds/a/b.bin {told} \(the server answered {status}\)"):
        get(bucket, target)
    assert len(bucket.asked) == 1


def test_wrong_bytes_are_fetched_once_more(serve, target):
    def wrong(handler, key):
        handler.serve(bytes(len(CONTENT)))
        return True

    bucket = serve(objects={KEY: CONTENT}, misbehave=in_turn(wrong))
    assert get(bucket, target) == ("md5", len(CONTENT))
    bucket.misbehave, bucket.asked = wrong, []
    with pytest.raises(SourceError, match=f"arrived twice with bytes that its checksum {ETAG} does not fit"):
        get(bucket, target)
    assert len(bucket.asked) == 2
    assert target.read_bytes() == CONTENT, "the earlier, whole file must stay"
    assert not leftovers(target)


@pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1, 10])
def test_a_file_of_another_size_than_listed(size, serve, target):
    bucket = serve(objects={KEY: CONTENT})
    with pytest.raises(SourceError, match=rf"has {len(CONTENT)} bytes; expected {size}, as the server lists it"):
        get(bucket, target, FILE._replace(size=size))
    assert not target.exists()


def test_a_body_that_does_not_end(serve, target):
    def endless(handler, key):
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        handler.wfile.write(CONTENT + CONTENT)
        return True

    with pytest.raises(SourceError, match=f"has more than {len(CONTENT)} bytes"):
        get(serve(misbehave=endless), target)
    assert partial_of(target, FILE).stat().st_size <= len(CONTENT)


def test_a_file_that_changes_meanwhile(serve, target):
    bucket = serve(objects={KEY: CONTENT}, etags={KEY: "0" * 32})
    with pytest.raises(SourceError, match="changed while it was downloaded; run the same command again"):
        get(bucket, target)


def test_redirects_are_followed_but_few(serve, target):
    def on(handler, key):
        handler.answer(302, {"Location": f"/{key}"})
        return True

    bucket = serve(objects={KEY: CONTENT}, misbehave=in_turn(on, on, on))
    get(bucket, target)
    assert target.read_bytes() == CONTENT
    bucket.misbehave, bucket.asked = on, []
    with pytest.raises(SourceError, match="redirected more than 3 times"):
        get(bucket, target)
    assert len(bucket.asked) == 4


def test_redirects_do_not_leave_a_secure_connection():
    from requests import Request, Response

    answer = Response()
    answer.status_code, answer.url, answer.headers["Location"] = 302, "https://x/a", "http://y/a"
    answer.request = Request("GET", "https://x/a").prepare()
    session = Server("https://x")._session
    with pytest.raises(SourceError, match="redirected to http://y/a; expected a secure connection"):
        session.get_redirect_target(answer)


def test_a_redirect_to_a_file_of_this_machine_is_refused(serve, target):
    bucket = serve(misbehave=answered(302, Location="file:///etc/passwd"))
    with pytest.raises(SourceError, match="cannot be asked for"):
        get(bucket, target)


def test_interrupted_it_keeps_what_came(serve, target):
    stop = threading.Event()

    def cut_and_stop(handler, key):
        handler.serve(CONTENT, cut=500_000)
        stop.set()
        return True

    bucket = serve(objects={KEY: CONTENT}, misbehave=in_turn(cut_and_stop))
    with pytest.raises(Stopped):
        get(bucket, target, stop=stop)
    assert not target.exists()
    have = partial_of(target, FILE).stat().st_size
    assert 0 < have <= 500_000
    assert get(bucket, target)[1] == len(CONTENT) - have
    assert target.read_bytes() == CONTENT


def test_stored_compression_is_not_undone(serve, target):
    def labelled(handler, key):
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(CONTENT)
        return True

    get(serve(misbehave=labelled), target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("part", [5 << 20, 8 << 20])
def test_checksums_of_parts(part, tmp_path):
    """Against S3's rule, computed here from slices."""
    content = random.Random(1).randbytes((11 << 20) + 7)
    digests = [hashlib.md5(content[k : k + part]).digest() for k in range(0, len(content), part)]
    etag = f"{hashlib.md5(b''.join(digests)).hexdigest()}-{len(digests)}"
    path = tmp_path / "x"
    path.write_bytes(content)
    assert checksums.verify(path, etag) == "md5"
    path.write_bytes(content[:-1] + b"?")
    assert checksums.verify(path, etag) == "size", "the parts might have been of another size"
    assert checksums.verify(path, "W/whatever") == "size"
    assert checksums.verify(path, hashlib.md5(content).hexdigest()) is None
