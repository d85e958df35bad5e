"""Every error a user can meet. Each says what was got, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Iterable


class BrainreelError(Exception):
    """Base of the errors that are the input's or the usage's fault: exit status 2, one message, no traceback.

    Args:
        got: What was found, naming the file or the option.
        expected: What should have been there.
        do: What the user can do about it.
    """

    def __init__(self, got: str, *, expected: str = "", do: str = "") -> None:
        parts = [got.rstrip(".")]
        if expected:
            parts.append(f"expected {expected.rstrip('.')}")
        if do:
            parts.append(do.rstrip("."))
        super().__init__("; ".join(parts) + ".")
        self.got, self.expected, self.do = got, expected, do


class UsageError(BrainreelError):
    """A command or function was called with values that do not fit together."""


class SourceError(BrainreelError):
    """A file of a release is missing, broken or not what the release declares."""


class StoreError(BrainreelError):
    """A store is unfinished, altered, or lacks what was asked of it."""


class FoldError(BrainreelError):
    """A fold does not exist or cannot be trained on."""


class WeightsError(BrainreelError):
    """The weights of a pre-trained network cannot be had or are not those that were published."""


class ExperimentError(BrainreelError):
    """An experiment's folder lacks a stage, or belongs to something else."""


def alternatives(got: str, known: Iterable[object]) -> str:
    """«'x' (known: a, b, c)», for messages about a name that does not exist."""
    return f"{got!r} (known: {', '.join(map(str, known)) or 'none'})"
