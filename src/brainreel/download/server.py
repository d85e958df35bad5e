"""Asking a server: a bounded number of times, over few redirects, and every refusal is one sentence."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote, urlsplit

import requests
from urllib3.exceptions import HTTPError

from brainreel.errors import SourceError, UsageError

T = TypeVar("T")
REDIRECTS = 3
CHUNK_BYTES = 1 << 18
# Answers that are worth another question: too busy, broken for a moment, restarting.
_PASSING = (408, 429, 500, 502, 503, 504)
_LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True)
class Patience:
    """How often to ask in vain before giving up, and how long to wait: ``pause_s``, doubled every time."""

    tries: int = 5
    pause_s: float = 1.0
    timeout_s: float = 60.0


PATIENCE = Patience()


class Again(Exception):
    """It did not work, but may the next time; ``after_s`` is the pause that the server asked for."""

    def __init__(self, reason: str, after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.after_s = after_s


class Stopped(Exception):
    """Somebody interrupted the download; what has come stays."""


class Server:
    """Connections to one bucket; each thread needs its own.

    Args:
        url: The bucket, ``https://s3.amazonaws.com/openneuro.org``.
        patience: When to give up.
        stop: Ends pauses and transfers when set.

    Raises:
        UsageError: that is no address of a server.
    """

    def __init__(self, url: str, patience: Patience | None = None, stop: threading.Event | None = None) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise UsageError(f"{url!r} is no address of a server", expected="https://… of an S3 bucket or its mirror")
        self.url = url.rstrip("/")
        self.patience = patience or PATIENCE
        self.stop = stop or threading.Event()
        self._session = _Session(secure=urlsplit(url).scheme == "https")

    def twin(self) -> Server:
        """The same server for another thread."""
        return Server(self.url, self.patience, self.stop)

    def address(self, key: str) -> str:
        """Where an object lies."""
        return f"{self.url}/{quote(key, safe='/')}"

    def get(self, url: str, headers: dict[str, str] | None = None, *, params: dict[str, str] | None = None):
        """The answer (200, 206, 412 or 416), whose body is still to be read.

        Raises:
            Again: the server could not be reached, or is busy.
            SourceError: it refuses, and will the next time.
        """
        try:
            # Files must arrive as they are stored: their sizes and checksums are those of the stored bytes.
            answer = self._session.get(
                url,
                headers={"Accept-Encoding": "identity", **(headers or {})},
                params=params,
                stream=True,
                timeout=self.patience.timeout_s,
            )
        except requests.exceptions.SSLError as error:
            raise SourceError(
                f"the certificate of {self.url} cannot be verified",
                expected="a secure connection",
                do="check the clock and the network; REQUESTS_CA_BUNDLE names a proxy's own certificate",
            ) from error
        except requests.TooManyRedirects as error:
            raise SourceError(
                f"{url} is redirected more than {REDIRECTS} times", expected="the file", do=_ELSEWHERE
            ) from error
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            raise Again(f"{self.url} cannot be reached") from error
        except requests.RequestException as error:
            raise SourceError(f"{url} cannot be asked for ({_first_line(error)})", do=_ELSEWHERE) from error
        if answer.status_code in (200, 206, 412, 416):
            return answer
        answer.close()
        if answer.status_code in _PASSING:
            raise Again(f"the server answered {answer.status_code} for {url}", _asked_pause(answer))
        wrong = {403: "may not be read", 404: "is not there"}.get(answer.status_code, "is refused")
        raise SourceError(f"{url} {wrong} (the server answered {answer.status_code})", do=_ELSEWHERE)

    def insist(self, action: Callable[[], T], *, came: Callable[[], bool] = lambda: False) -> T:
        """Call ``action`` until it no longer raises `Again`, a bounded number of times without anything coming.

        Args:
            action: What to do.
            came: Whether the last call, although it failed, brought so much that it does not count.

        Raises:
            SourceError: the server's last reason.
            Stopped: `stop` was set.
        """
        failures = 0
        while True:
            try:
                return action()
            except Again as problem:
                failures = 1 if came() else failures + 1
                if failures >= self.patience.tries:
                    raise SourceError(
                        f"{problem}, and {failures} tries did not help",
                        do="check the network and run the same command again; it goes on where it stopped",
                    ) from problem
                pause_s = max(self.patience.pause_s * 2 ** (failures - 1), problem.after_s)
            if self.stop.wait(min(pause_s, _LONGEST_PAUSE_S)):
                raise Stopped


class _Session(requests.Session):
    """Follows few redirects, and none that leaves a secure connection."""

    def __init__(self, *, secure: bool) -> None:
        super().__init__()
        self.max_redirects = REDIRECTS
        self._secure = secure

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target and self._secure and urlsplit(target).scheme == "http":
            raise SourceError(
                f"{resp.url} is redirected to {target}", expected="a secure connection (https)", do=_ELSEWHERE
            )
        return target


def chunks(answer: requests.Response, what: str) -> Iterator[bytes]:
    """The body's bytes as they come; a connection that breaks is `Again`."""
    try:
        yield from answer.raw.stream(CHUNK_BYTES, decode_content=False)
    except HTTPError as error:
        raise Again(f"the connection broke off in {what}") from error


def _asked_pause(answer: requests.Response) -> float:
    """Seconds of Retry-After; its other form, a date, is not worth parsing."""
    told = answer.headers.get("Retry-After", "")
    return float(told) if told.isdecimal() and told.isascii() and len(told) < 6 else 0.0


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


_ELSEWHERE = "check --mirror, or ask the release's page whether it moved"
