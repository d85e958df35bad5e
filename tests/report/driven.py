"""A real browser that is driven while it shows a page: time passes as for a reader, and the page's policy stays."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe"),
)
COMPLAINTS = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")


class Page:
    """A page that is open: scripts are run in it, and what it complained of is kept.

    Attributes:
        complaints: Console messages, exceptions, and refusals of its content security policy.
    """

    def __init__(self, to_browser: int, from_browser: int, patience_s: float = 30) -> None:
        self._to, self._from, self._patience_s = to_browser, from_browser, patience_s
        self._last, self._session, self._rest = 0, "", b""
        self._events: list[str] = []
        self.complaints: list[str] = []

    def open(self, page: Path, width: int, *, calm: bool, dark: bool = False) -> None:
        """Show a file, and wait until it is loaded."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )  # fmt: skip
        features = [
            {"name": "prefers-reduced-motion", "value": "reduce" if calm else "no-preference"},
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
        ]
        self._call("Emulation.setEmulatedMedia", features=features)
        self._call("Page.navigate", url=page.as_uri())
        while "Page.loadEventFired" not in self._events:
            self._read()

    def run(self, script: str) -> Any:
        """What an async function with this body returns."""
        done = self._call(
            "Runtime.evaluate",
            expression=f"(async () => {{ {script} }})()",
            awaitPromise=True,
            returnByValue=True,
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._last:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _read(self) -> dict[str, Any]:
        deadline = time.monotonic() + self._patience_s
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0.0, deadline - time.monotonic()))
            got = os.read(self._from, 1 << 16) if ready else b""
            if not got:
                raise TimeoutError("the browser says nothing")
            self._rest += got
        whole, self._rest = self._rest.split(b"\0", 1)
        message = json.loads(whole)
        if "method" in message:
            self._events.append(message["method"])
            if message["method"] in COMPLAINTS:
                self.complaints.append(json.dumps(message["params"]))
        return message


@contextmanager
def opened(html: Path, profile: Path, *, width: int = 1280, calm: bool = False, dark: bool = False) -> Iterator[Page]:
    """A browser that shows a file, until the block ends."""
    assert BROWSER is not None
    read_commands, write_commands = os.pipe()
    read_answers, write_answers = os.pipe()
    # The browser reads commands from descriptor 3 and answers on 4.
    command = f'exec "$@" 3<&{read_commands} 4>&{write_answers}'
    process = subprocess.Popen(
        ["bash", "-c", command, "bash", BROWSER, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        pass_fds=(read_commands, write_answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(read_commands)
    os.close(write_answers)
    try:
        page = Page(write_commands, read_answers)
        page.open(html, width, calm=calm, dark=dark)
        yield page
    finally:
        os.close(write_commands)
        os.close(read_answers)
        process.terminate()
        process.wait(timeout=20)
