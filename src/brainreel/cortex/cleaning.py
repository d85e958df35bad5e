"""Cleaning one run's time series: slow drifts out, unit variance. Statistics come from the run itself, never from others."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from brainreel.errors import UsageError

_TOGETHER = 1024


def polynomials(volumes: int, order: int) -> Float[np.ndarray, "volumes terms"]:
    """An orthonormal basis of the polynomials up to ``order`` at the run's volumes (Legendre's, by QR).

    Raises:
        UsageError: if the run is too short to have anything left without them.
    """
    if not 0 <= order < volumes - 1:
        raise UsageError(
            f"polynomials of order {order} in a run of {volumes} volumes", expected=f"an order from 0 to {volumes - 2}"
        )
    t = np.linspace(-1, 1, volumes)
    return np.linalg.qr(np.polynomial.legendre.legvander(t, order))[0]


def cleaned(series: Float[np.ndarray, "vertices volumes"], order: int = 4) -> Float[np.ndarray, "vertices volumes"]:
    """Every series without its polynomial trend, with a mean of 0 and a (population) standard deviation of 1.

    This is how Wen et al. (2017) prepare their movie runs, with order 4. What is constant, or nothing but trend,
    becomes 0.

    Args:
        series: One run, one row per vertex; any unit.
        order: Of the trend that is taken out; 0 takes out the mean alone.

    Returns:
        float32, of the same shape.
    """
    basis = polynomials(series.shape[1], order).astype(np.float32)
    out = np.empty(series.shape, np.float32)
    # A few thousand series at a time stay in the processor's cache.
    for start in range(0, len(series), _TOGETHER):
        out[start : start + _TOGETHER] = _cleaned(series[start : start + _TOGETHER], basis)
    return out


def _cleaned(
    series: Float[np.ndarray, "vertices volumes"], basis: Float[np.ndarray, "volumes terms"]
) -> Float[np.ndarray, "vertices volumes"]:
    # BOLD is some 10,000 with changes of 100: without its mean single precision is plenty.
    mean = series.mean(axis=1, keepdims=True, dtype=np.float64)
    out = (series - mean).astype(np.float32)
    level = np.maximum(np.abs(mean[:, 0]), np.abs(out).max(axis=1))
    out -= (out @ basis) @ basis.T
    std = np.sqrt(np.einsum("vt,vt->v", out, out, dtype=np.float64) / series.shape[1])
    alive = std > 1e-6 * level
    out *= np.where(alive, 1 / np.where(alive, std, 1.0), 0.0).astype(np.float32)[:, None]
    return out
