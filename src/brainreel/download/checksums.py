"""S3's ETags as checksums: the MD5 of an object, or the MD5 of its parts' MD5s."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

MIB = 1 << 20
# What the usual tools upload in parts of: git-annex 1 GiB (OpenNeuro), the AWS tools 8 or 16 MiB, others in between.
PART_BYTES = (1024 * MIB, 10**9, *(k * MIB for k in (5, 8, 10, 15, 16, 32, 50, 64, 100, 128, 256, 500, 512)))
_MD5 = re.compile(r"[0-9a-f]{32}")
_PARTS = re.compile(r"([0-9a-f]{32})-([1-9][0-9]{0,4})")


def verify(path: Path, etag: str) -> str | None:
    """How a file's bytes were checked against an ETag of theirs: «md5», «size» where it tells nothing; None: they differ.

    The ETag of an object that was uploaded in parts depends on the parts' size, which it does not tell. Usual sizes
    are tried; if none fits, the parts may have been of another one, and only the size is known to be right.
    """
    if _MD5.fullmatch(etag):
        return "md5" if md5(path) == etag else None
    told = _PARTS.fullmatch(etag)
    if told is None:
        return "size"
    size, count = path.stat().st_size, int(told[2])
    fitting = [part for part in PART_BYTES if -(-size // part) == count]
    return "md5" if any(md5_of_parts(path, part) == told[1] for part in fitting) else "size"


def md5(path: Path) -> str:
    """The MD5 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, _new).hexdigest()


def md5_of_parts(path: Path, part_bytes: int) -> str:
    """The MD5 of the MD5s of a file's parts, in hexadecimal: the ETag's first half."""
    whole = _new()
    with path.open("rb") as stream:
        while True:
            part, left = _new(), part_bytes
            while left and (block := stream.read(min(left, MIB))):
                part.update(block)
                left -= len(block)
            if left == part_bytes:
                return whole.hexdigest()
            whole.update(part.digest())
            if left:
                return whole.hexdigest()


def _new():
    # Against damage, not against an attacker; systems that forbid MD5 for security allow it for that.
    return hashlib.md5(usedforsecurity=False)
