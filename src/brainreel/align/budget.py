"""How much memory responses may take, and whether a training must stream them."""

from __future__ import annotations

import os
import re

from brainreel.errors import UsageError

# The responses as they were read, and standardised.
COPIES = 2
STREAMING = ("contrastive", "ridge")
"""Strategies that can do without all responses in memory."""
_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


def parse_bytes(text: str) -> int:
    """«2GB», «500 MiB» or «1e9» as bytes.

    Raises:
        ValueError: if it is none of these.
    """
    found = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([kmgt]?i?b)?\s*", text.lower())
    if found is None or found[2] == "ib" or found[1].count(".") > 1 or not (number := float(found[1])):
        raise ValueError(f"{text!r} is no amount of memory: expected one like 2GB or 500MiB")
    return int(number * _UNITS[found[2] or ""])


def must_stream(strategy: str, response_bytes: int, budget: int | None) -> bool:
    """Whether training responses (float32) of so many bytes must be read while training.

    Without a budget everything is held in memory. What does not fit is not streamed unasked: which trials meet in a
    batch depends on the budget, so it must be part of the settings.

    Raises:
        UsageError: if they fit neither the budget (without one: the machine) nor can be streamed.
    """
    needed, machine = COPIES * response_bytes, physical_memory()
    if budget is None:
        if machine is not None and needed > machine:
            raise UsageError(
                f"the training responses need {size(needed)} of memory, this machine has {size(machine)}",
                expected="a budget",
                do=f"give --memory-budget {size(machine // 4).replace(' ', '')}, and they are read while training",
            )
        return False
    if needed <= budget:
        return False
    if strategy not in STREAMING:
        raise UsageError(
            f"the strategy {strategy!r} needs all training responses in memory, {size(needed)}",
            expected=f"a larger --memory-budget than {size(budget)}, or a strategy that streams",
            do=f"use --strategy {' or '.join(STREAMING)}",
        )
    return True


def refuse_beyond(budget: int | None, needed: int, what: str, do: str) -> None:
    """Raise a UsageError if a computation needs more than the budget at once."""
    if budget is not None and needed > budget:
        raise UsageError(f"{what} needs {size(needed)} at once", expected=f"--memory-budget ({size(budget)})", do=do)


def physical_memory() -> int | None:
    """Bytes that the machine has; None if it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def size(count: int) -> str:
    """«40 MB», «1.2 GB», rounded up so that what is advised is enough."""
    unit, name = (10**9, "GB") if count >= 10**9 else (10**6, "MB") if count >= 10**6 else (10**3, "KB")
    tenths = -(-10 * count // unit)
    return f"{tenths // 10} {name}" if tenths % 10 == 0 else f"{tenths / 10:.1f} {name}"
