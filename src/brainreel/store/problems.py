"""What checks of stores report."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, what kind, and a sentence for people."""

    store: str
    code: str
    message: str

    def json(self) -> dict[str, str]:
        """The problem as a JSON object."""
        return asdict(self)
