"""Measuring in processes of their own, and the checksums of an ingest apart from the rest of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..memory import peak_memory_mib


def in_a_process(module: str, *arguments: str) -> dict[str, Any]:
    """Run ``python -m module arguments``, and return the JSON in its last line.

    A process's peak memory never falls again, and on some systems it inherits that of the one that started it.
    """
    done = subprocess.run([sys.executable, "-m", module, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def timed(work: Callable[[], object]) -> dict[str, float]:
    """How long it takes, and the process's peak memory afterwards."""
    start = time.perf_counter()
    work()
    return {"seconds": time.perf_counter() - start, "peak_memory_mib": peak_memory_mib()}


def timed_ingest(dataset: str, source: str, store: str, **options: Any) -> dict[str, float]:
    """Ingest a release; `seconds` without checksums (of the files that were read and of the store's), and these."""
    from ..pipeline.stages import ingest
    from ..store import writer

    hashed, checksums = writer.sha256, 0.0

    def sha256(path: Path) -> str:
        nonlocal checksums
        begun = time.perf_counter()
        digest = hashed(path)
        checksums += time.perf_counter() - begun
        return digest

    writer.sha256 = sha256
    try:
        found = timed(lambda: ingest(dataset, source, store=store, **options))
    finally:
        writer.sha256 = hashed
    return {**found, "seconds": found["seconds"] - checksums, "checksum_seconds": checksums}
