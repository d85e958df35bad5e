from __future__ import annotations

import pytest

from brainreel.download import Listed, Server, list_bucket
from brainreel.download.listing import parse_page
from brainreel.errors import SourceError, UsageError


def test_pages_are_joined_and_folders_kept_apart(serve):
    objects = {f"ds/{k:02d} & <{k}>.txt": bytes(k) for k in range(23)} | {"ds/sub/x": b"1", "other/y": b"2"}
    bucket = serve(objects=objects, page=7)
    found = list_bucket(Server(bucket.url), "ds/")
    assert {entry.key: entry.size for entry in found} == {k: len(v) for k, v in objects.items() if k[:3] == "ds/"}
    assert len(bucket.listed) == 4
    assert all(entry.etag == bucket.etag(entry.key) for entry in found)
    flat = list_bucket(Server(bucket.url), "ds/", folder_only=True)
    assert {entry.key for entry in found} - {entry.key for entry in flat} == {"ds/sub/x"}


def test_nothing_is_an_empty_list(serve):
    assert list_bucket(Server(serve().url), "ds/") == []


BOMB = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<ListBucketResult><Contents><Key>&b;</Key><Size>1</Size></Contents></ListBucketResult>"""
FILE = b"""<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><ListBucketResult>&f;</ListBucketResult>"""
PAGES = {
    "an entity bomb": (BOMB, "XML with declarations"),
    "a file as an entity": (FILE, "XML with declarations"),
    "a hidden bomb": (BOMB.decode().encode("utf-16"), "no UTF-8"),
    "an undeclared entity": (b"<ListBucketResult>&x;</ListBucketResult>", "no XML"),
    "a web page": (b"<html><body>Welcome</body></html>", "<html>"),
    "half a page": (b"<ListBucketResult><Contents>", "no XML"),
    "an error": (b"<Error><Code>AccessDenied</Code></Error>", "<Error>"),
    "no size": (b"<ListBucketResult><Contents><Key>ds/a</Key></Contents></ListBucketResult>", "no bytes"),
    "a negative size": (
        b"<ListBucketResult><Contents><Key>ds/a</Key><Size>-1</Size></Contents></ListBucketResult>",
        "-1 bytes",
    ),
    "a huge size": (
        b"<ListBucketResult><Contents><Key>ds/a</Key><Size>" + b"9" * 5000 + b"</Size></Contents></ListBucketResult>",
        "99999999999999999999 bytes",
    ),
    "another's keys": (
        b"<ListBucketResult><Contents><Key>xx/a</Key><Size>1</Size></Contents></ListBucketResult>",
        "'xx/a' among keys that begin with 'ds/'",
    ),
    "no way on": (b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", "without a way to the next"),
    "the same page for ever": (
        b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>"
        b"</ListBucketResult>",
        "pages without end",
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_what_is_no_listing_is_refused(name, serve):
    body, expected = PAGES[name]
    with pytest.raises(SourceError, match="expected an S3 bucket's listing") as error:
        list_bucket(Server(serve(listing=body).url), "ds/")
    assert expected in str(error.value)
    assert len(str(error.value)) < 300


def test_an_etag_that_would_end_its_header_is_dropped():
    page = b"<ListBucketResult><Contents><Key>a</Key><Size>1</Size><ETag>x&#13;&#10;Host: y</ETag></Contents>"
    assert parse_page(page + b"</ListBucketResult>", "u")[0] == [Listed("a", 1, "")]


@pytest.mark.parametrize("url", ["ftp://x/y", "file:///etc", "somewhere", "https://"])
def test_only_addresses_of_servers(url):
    with pytest.raises(UsageError, match="no address of a server"):
        Server(url)


def test_nobody_there():
    with pytest.raises(SourceError, match="cannot be reached, and 5 tries did not help; check the network"):
        list_bucket(Server("http://127.0.0.1:9"), "ds/")
