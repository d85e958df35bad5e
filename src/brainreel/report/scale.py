"""Places of numbers on a small horizontal axis, in per cent of its width."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


def scale_of(values: Iterable[float | None]) -> tuple[float, float] | None:
    """A range that holds all finite values with a twentieth of room at both ends; None if there are none."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return None
    low, high = min(finite), max(finite)
    room = (high - low) / 20 or 0.5
    return low - room, high + room


@dataclass(frozen=True)
class Track:
    """Where a value, its interval and its reference lie; None where there is nothing to draw."""

    value: float | None
    start: float | None
    length: float | None
    reference: float | None


def track(
    scale: tuple[float, float] | None,
    value: float | None,
    ci95: tuple[float, float] | None,
    reference: float | None = None,
) -> Track:
    """Positions in per cent on `scale`; what lies beyond its ends is drawn at the end."""
    if scale is None:
        return Track(None, None, None, None)
    low, high = scale

    def place(number: float | None) -> float | None:
        if number is None or math.isnan(number):
            return None
        return round(100 * min(1.0, max(0.0, (number - low) / (high - low))), 2)

    ends = (None, None) if ci95 is None else (place(ci95[0]), place(ci95[1]))
    start, end = ends
    length = None if start is None or end is None else round(end - start, 2)
    return Track(place(value), start, length, place(reference))
