"""Numbers, times and sizes as a reader wants them; an unknown one is an en dash."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable

UNKNOWN = "–"


def number(value: float | None, decimals: int = 3, *, signed: bool = False) -> str:
    """0.5 → "0.500", -1.25 → "−1.250", None → "–", infinity → "∞"."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:+.{decimals}f}" if signed else f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "−")


def interval(ends: tuple[float, float] | None, decimals: int = 3, *, signed: bool = False) -> str:
    """(0.1, 0.2) → "0.100 to 0.200"."""
    if ends is None:
        return UNKNOWN
    return " to ".join(number(end, decimals, signed=signed) for end in ends)


def integer(value: int | None) -> str:
    """12345 → "12,345"."""
    return UNKNOWN if value is None else f"{value:,}"


def film_time(seconds: float) -> str:
    """A place in the film: 754.5 → "12:34.5", 3600 → "1:00:00"."""
    tenths = round(seconds * 10)
    whole, tenth = divmod(tenths, 10)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    head = f"{hours}:{minute:02d}" if hours else f"{minute}"
    return f"{head}:{second:02d}" + (f".{tenth}" if tenth else "")


def duration(seconds: float | None) -> str:
    """A wall time: 0.42 → "0.4 s", 83 → "1 min 23 s", 7300 → "2 h 2 min"."""
    if seconds is None:
        return UNKNOWN
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, second = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {second} s"
    hours, minute = divmod(minutes, 60)
    return f"{hours} h {minute} min"


def memory(size_bytes: int | None) -> str:
    """A size in bytes: 1610612736 → "1.5 GiB"."""
    if size_bytes is None:
        return UNKNOWN
    if size_bytes < 2**30:
        return f"{size_bytes / 2**20:.0f} MiB"
    return f"{size_bytes / 2**30:.1f} GiB"


def anchors(titles: Iterable[str]) -> list[str]:
    """An id for each title: lower-case words and hyphens, numbered where two would be equal."""
    made: list[str] = []
    for title in titles:
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"
        candidate, again = slug, 2
        while candidate in made:
            candidate, again = f"{slug}-{again}", again + 1
        made.append(candidate)
    return made


def script_json(data: object) -> str:
    """Compact JSON that cannot leave the script element it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
