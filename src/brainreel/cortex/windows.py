"""Windows of a continuous recording: where they start, what was said of them, what the cortex did in them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field

from brainreel.errors import UsageError


class Context(BaseModel):
    """Which stretch of which feature group answers for a trial.

    The stretch runs from ``onset + start_s`` to ``onset + stop_s`` and is cut into ``bins`` equal parts, each
    averaged over time. ``stop_s=None`` ends it with the trial. ``weight`` multiplies the standardised features, so
    that a small group (six regions) is not drowned by a large one (481 voxels) under one penalty. Volumes outside
    the run are replaced by the run's first or last volume. CC2017's «volume at onset + 4 s», for instance, is
    ``start_s=4, stop_s=6``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    group: str = "bold"
    start_s: float = 0.0
    stop_s: float | None = None
    bins: int = Field(default=1, ge=1)
    weight: float = Field(default=1.0, gt=0)


def window_starts(n_volumes: int, length: int, step: int) -> Int[np.ndarray, " windows"]:
    """First volumes of all windows of ``length`` volumes, ``step`` apart, that lie inside the run."""
    return np.arange(0, n_volumes - length + 1, step)


def windowed_means(
    bold: Float[np.ndarray, "volumes vertices"],
    onset_s: Float[np.ndarray, " trials"],
    duration_s: Float[np.ndarray, " trials"],
    tr_s: float,
    context: Context,
) -> Float[np.ndarray, "trials features"]:
    """Mean response of each trial in each bin of its context; features are bin-major (bin 0's vertices first).

    A context begins with the volume nearest to its onset (the later one of two as near) and lasts
    ``(stop_s - start_s) / tr_s`` volumes, rounded.

    Raises:
        UsageError: if trials differ in their number of volumes, or it cannot be cut into ``context.bins``.
    """
    if not len(onset_s):
        return np.empty((0, context.bins * bold.shape[1]), np.float32)
    stop_s = duration_s if context.stop_s is None else np.full_like(duration_s, context.stop_s)
    lengths = np.unique(_nearest((stop_s - context.start_s) / tr_s))
    if len(lengths) != 1 or lengths[0] < context.bins or lengths[0] % context.bins:
        raise UsageError(
            f"the context of {context.group!r} spans {_numbers(lengths)} volumes in {context.bins} bins",
            expected="the same number of volumes for every trial, in equal bins",
            do="choose start_s, stop_s and bins so that every bin is a whole number of TRs",
        )
    first = _nearest((onset_s + context.start_s) / tr_s)
    offsets = np.arange(lengths[0]).reshape(context.bins, -1)
    volumes = np.clip(first[:, None, None] + offsets, 0, len(bold) - 1)
    total = np.zeros((len(first), context.bins, bold.shape[1]))
    # Volume by volume: gathering all windows at once would cost a copy of the run for every volume of a bin.
    for volume in np.moveaxis(volumes, 2, 0):
        total += bold[volume]
    return (total / offsets.shape[1]).reshape(len(first), -1).astype(np.float32)


def _nearest(volumes: np.ndarray) -> np.ndarray:
    """The nearest whole number, halves up: `numpy.rint` would round 0.5 and 1.5 apart by two."""
    return np.floor(volumes + (0.5 + 1e-9)).astype(int)


def _numbers(values: Int[np.ndarray, " values"]) -> str:
    """«10» or «9, 10, …»."""
    return ", ".join(map(str, values[:3].tolist())) + (", …" if len(values) > 3 else "")


def timeline_weights(
    annotations_s: Float[np.ndarray, "annotations 2"],
    windows_s: Float[np.ndarray, "windows 2"],
    tr_s: float,
    n_volumes: int,
    shift: int = 0,
) -> Float[np.ndarray, "windows annotations"]:
    """How much each annotation counts in each window; rows sum to one (zero where nothing was annotated).

    Both arrays hold onset and end in stimulus time. A volume counts as the mean of the annotations that cover
    it, a window as the mean of its covered volumes. ``shift`` moves the annotations circularly, by volumes,
    through the ``n_volumes`` of the stimulus: the null that keeps the text's own autocorrelation.
    """
    volume = np.arange(n_volumes)[:, None]
    first, last = _nearest(annotations_s / tr_s).T
    covers = ((volume >= first) & (volume < last)).astype(np.float64)
    per_volume = np.roll(_normalised(covers), shift, axis=0)
    first, last = _nearest(windows_s / tr_s).T
    inside = (np.arange(n_volumes) >= first[:, None]) & (np.arange(n_volumes) < last[:, None])
    return _normalised(inside @ per_volume)


def _normalised(rows: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows columns"]:
    total = rows.sum(axis=1, keepdims=True)
    return np.divide(rows, total, out=np.zeros_like(rows), where=total > 0)
