"""Results for people and programs: text on stdout, JSON in a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def show(text: str) -> None:
    """Print a result; whoever stops reading (``| head``) has what they wanted, so that is no error."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        silence(sys.stdout)


def silence(stream: Any) -> None:
    """Point a broken stream to nowhere, so that the interpreter does not complain when it flushes it at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as their widest cell, two spaces apart; None is an en dash."""
    cells = [list(header), *[["–" if cell is None else str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def write_result(path: Path | None, content: Any) -> None:
    """The machine-readable result, if a file was asked for."""
    if path is not None:
        from brainreel.files import write_json

        write_json(path, content)
