"""What a bucket holds: S3's ListObjectsV2, page by page.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple
from xml.etree import ElementTree

from brainreel.download.server import Again, Server, chunks
from brainreel.errors import SourceError

# A thousand keys of a thousand bytes, and what is around them, are far below this.
PAGE_BYTES = 16 << 20
PAGES = 10_000


class Listed(NamedTuple):
    """An object of a bucket: its key, its size in bytes, and its ETag without quotation marks."""

    key: str
    size: int
    etag: str


def list_bucket(server: Server, prefix: str, *, folder_only: bool = False) -> list[Listed]:
    """Every object whose key begins with ``prefix``.

    Args:
        server: The bucket.
        prefix: What keys begin with.
        folder_only: Leave out keys with a further «/» after the prefix.

    Raises:
        SourceError: the server cannot be asked, or what it answers is no listing.
    """
    found: list[Listed] = []
    params = {"list-type": "2", "prefix": prefix, **({"delimiter": "/"} if folder_only else {})}
    seen: set[str] = set()
    while True:
        page, token = parse_page(server.insist(partial(_page, server, params)), server.url)
        for entry in page:
            if not entry.key.startswith(prefix):
                raise _no_listing(server.url, f"{entry.key[:80]!r} among keys that begin with {prefix!r}")
        found += page
        if not token:
            return found
        if token in seen or len(seen) >= PAGES:
            raise _no_listing(server.url, "pages without end")
        seen.add(token)
        params = {**params, "continuation-token": token}


def parse_page(body: bytes, url: str) -> tuple[list[Listed], str]:
    """The objects of one page, and the token of the next one (empty if there is none)."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _no_listing(url, "bytes that are no UTF-8") from error
    # Listings have no declarations. Without them there are no entities, so none can be expanded or fetched.
    if "<!" in text:
        raise _no_listing(url, "XML with declarations")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise _no_listing(url, "no XML") from error
    if _name(root) != "ListBucketResult":
        raise _no_listing(url, f"<{_name(root)[:40]}>")
    objects = [_listed(element, url) for element in root if _name(element) == "Contents"]
    told = {_name(element): (element.text or "").strip() for element in root}
    if told.get("IsTruncated") != "true":
        return objects, ""
    if not (token := told.get("NextContinuationToken")):
        raise _no_listing(url, "a page without a way to the next one")
    return objects, token


def _page(server: Server, params: dict[str, str]) -> bytes:
    with server.get(f"{server.url}/", params=params) as answer:
        if answer.status_code != 200:
            raise _no_listing(server.url, f"status {answer.status_code}")
        body = bytearray()
        for chunk in chunks(answer, "a listing"):
            body += chunk
            if len(body) > PAGE_BYTES:
                raise _no_listing(server.url, f"more than {PAGE_BYTES >> 20} MiB")
    if not body:
        raise Again(f"{server.url} sent an empty listing")
    return bytes(body)


def _listed(element: ElementTree.Element, url: str) -> Listed:
    told = {_name(part): part.text or "" for part in element}
    key, size, etag = told.get("Key", ""), told.get("Size", "").strip(), told.get("ETag", "").strip().strip('"')
    if not key or not (size.isascii() and size.isdecimal()) or len(size) > 15:
        raise _no_listing(url, f"an object {key[:80]!r} of {size[:20] or 'no'} bytes")
    # An ETag goes back to the server in a header: whatever could end the header there is no ETag.
    plain = etag.isascii() and etag.isprintable() and '"' not in etag and len(etag) <= 128
    return Listed(key, int(size), etag if plain else "")


def _name(element: ElementTree.Element) -> str:
    """A tag without its namespace."""
    return element.tag.rpartition("}")[2]


def _no_listing(url: str, found: str) -> SourceError:
    return SourceError(f"{url} answers with {found}", expected="an S3 bucket's listing", do="check --mirror")
