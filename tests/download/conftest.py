from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from brainreel.download.server import Patience

from .bucket import Bucket, serving


@pytest.fixture(autouse=True)
def _hurried(monkeypatch) -> None:
    """No pauses between tries, and no proxy before this machine."""
    monkeypatch.setattr("brainreel.download.server.PATIENCE", Patience(pause_s=0.01, timeout_s=10.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def serve() -> Iterator[Callable[..., Bucket]]:
    """Serve a bucket until the test is over: serve(objects=…, …)."""
    with ExitStack() as stack:
        yield lambda **told: stack.enter_context(serving(Bucket(**told)))
