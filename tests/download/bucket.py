"""A public S3 bucket on this machine: lists and serves a folder, and misbehaves as it is told."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

Misbehaviour = Callable[["Handler", str], bool]


@dataclass
class Bucket:
    """What a server has and does.

    Attributes:
        objects: Key → bytes.
        misbehave: Called with the handler and the key of every object asked for; true if it answered itself.
        page: How many keys a page of the listing has.
        ranges: Whether it can go on in the middle.
        asked: Every object request: its key, and the first byte asked for.
        listed: The parameters of every listing request.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    misbehave: Misbehaviour = lambda handler, key: False
    sizes: dict[str, int] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    page: int = 1000
    ranges: bool = True
    listing: bytes | None = None
    asked: list[tuple[str, int]] = field(default_factory=list)
    listed: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def etag(self, key: str) -> str:
        return self.etags.get(key) or hashlib.md5(self.objects[key]).hexdigest()

    def count(self) -> Counter[str]:
        return Counter(key for key, _ in self.asked)


class Handler(BaseHTTPRequestHandler):
    bucket: Bucket
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        key = unquote(asked.path).removeprefix("/")
        if not key:
            self._list({name: values[0] for name, values in parse_qs(asked.query).items()})
            return
        told = self.headers.get("Range", "bytes=0-")
        first = int(told.removeprefix("bytes=").rstrip("-"))
        self.bucket.asked.append((key, first))
        if self.bucket.misbehave(self, key):
            return
        if key not in self.bucket.objects:
            self.answer(404)
            return
        wanted = self.headers.get("If-Match")
        if wanted and wanted != f'"{self.bucket.etag(key)}"':
            self.answer(412)
            return
        self.serve(self.bucket.objects[key], first)

    def serve(self, content: bytes, first: int = 0, *, cut: int | None = None, told: int | None = None) -> None:
        """Send an object from a byte on; ``cut``: break off after so many bytes; ``told``: lie about the length."""
        size = len(content)
        if first and first >= size:
            self.answer(416)
            return
        if first and self.bucket.ranges:
            body = content[first:]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
        else:
            body = content
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) if told is None else told))
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None or told is not None:
            self.close_connection = True

    def answer(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _list(self, params: dict[str, str]) -> None:
        bucket = self.bucket
        bucket.listed.append(params)
        prefix, token = params.get("prefix", ""), params.get("continuation-token", "")
        if params.get("list-type") != "2":
            self.answer(400)
            return
        keys = sorted(key for key in bucket.objects if key.startswith(prefix) and key > token)
        if params.get("delimiter") == "/":
            keys = [key for key in keys if "/" not in key[len(prefix) :]]
        shown, more = keys[: bucket.page], len(keys) > bucket.page
        parts = [f"<Name>bucket</Name><Prefix>{escape(prefix)}</Prefix><IsTruncated>{str(more).lower()}</IsTruncated>"]
        if more:
            parts.append(f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>")
        for key in shown:
            size = bucket.sizes.get(key, len(bucket.objects[key]))
            etag = escape(f'"{bucket.etag(key)}"', {'"': "&quot;"})
            parts.append(f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size><ETag>{etag}</ETag></Contents>")
        xml = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        )
        body = bucket.listing or f"{xml}{''.join(parts)}</ListBucketResult>".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""


@contextmanager
def serving(bucket: Bucket) -> Iterator[Bucket]:
    """Serve a bucket on a free port; its address is `Bucket.url`."""
    handler = type("BucketHandler", (Handler,), {"bucket": bucket})
    server = _Quiet(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    bucket.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield bucket
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def folder_as_objects(folder: Path, root: str) -> dict[str, bytes]:
    """Every file of a folder under a root key."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {root + path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
