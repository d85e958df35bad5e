"""Compression of targets to the principal components of the training clips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from brainreel.errors import UsageError

# Directions this much quieter than the liveliest one are rounding of float32 vectors, not spread of clips.
_NOISE = 1e-6
# Columns that are held in float64 at a time: video latents have tens of thousands.
_COLUMNS = 8192


@dataclass(frozen=True)
class Components:
    """A rotation of centred targets onto orthonormal directions, and one scale for all of them.

    With a single scale, distances and cosines between components are those between centred targets. It makes the
    mean square of the training clips' components 1, so the mean squared error over components is the share of the
    (kept) variance that is missed: 1 − R². Whitening each direction instead would make the quietest count as much
    as the liveliest.

    Attributes:
        mean: The mean target of the training clips, (\\*shape).
        basis: Orthonormal rows, the liveliest direction first.
        scale: Root mean square of the training clips' projections.
        kept: Share of the training clips' variance that lies in the basis, 0 … 1.
    """

    mean: Float[np.ndarray, ...]
    basis: Float[np.ndarray, "components dim"]
    scale: float
    kept: float

    def __len__(self) -> int:
        return len(self.basis)

    def compress(self, values: Float[np.ndarray, "clips ..."]) -> Float[np.ndarray, "clips components"]:
        """Targets (clips, \\*shape) → components.

        Raises:
            UsageError: if they have another shape than those that were fitted.
        """
        if values.shape[1:] != self.mean.shape:
            raise UsageError(f"targets of the shape {values.shape[1:]}", expected=f"{self.mean.shape}")
        flat = values.reshape(len(values), -1) - self.mean.reshape(-1)
        return (flat @ self.basis.T / self.scale).astype(np.float32)

    def expand(self, components: Float[np.ndarray, "clips components"]) -> Float[np.ndarray, "clips ..."]:
        """Components → targets (clips, \\*shape): the inverse of `compress`, up to what was not kept."""
        flat = (components * self.scale) @ self.basis + self.mean.reshape(-1)
        return flat.reshape(len(components), *self.mean.shape).astype(np.float32)

    def tensors(self) -> dict[str, np.ndarray]:
        """What `rebuild` needs, for a safetensors file."""
        return {
            "mean": self.mean,
            "basis": self.basis,
            "scale": np.array(self.scale, np.float64),
            "kept": np.array(self.kept, np.float64),
        }

    @classmethod
    def rebuild(cls, tensors: Mapping[str, np.ndarray]) -> Components:
        """Components from what `tensors` gave."""
        return cls(tensors["mean"], tensors["basis"], float(tensors["scale"]), float(tensors["kept"]))


def fit_components(values: Float[np.ndarray, "clips ..."], count: int) -> Components:
    """The first ``count`` principal components of training targets, or all there are.

    n clips spread in at most n − 1 directions around their mean; with all of these kept, compressing the training
    targets loses nothing. The Gram matrix of the clips gives them however wide the targets are (Turk & Pentland
    1991, §2): latents of 65,000 numbers cost no more than their products.

    Args:
        values: Targets of the training clips, each clip once.
        count: Components to keep, at most.

    Raises:
        UsageError: if all clips have the same target, so that there is nothing to tell apart.
    """
    flat = values.reshape(len(values), -1)
    mean = flat.mean(0, dtype=np.float64)
    tall = len(flat) > flat.shape[1]
    if tall:
        centred = flat - mean
        products = centred.T @ centred
    else:
        products = np.zeros((len(flat), len(flat)))
        for _, part in _centred(flat, mean):
            products += part @ part.T
    power, vectors = np.linalg.eigh(products)
    power, vectors = power[::-1], vectors[:, ::-1]
    there = power > _NOISE**2 * max(float(power[0]), 0.0)
    # Rounding of a large common mean is no spread either.
    there &= power > (_NOISE * np.abs(mean).max(initial=0.0)) ** 2
    kept = min(count, int(there.sum()))
    if not kept:
        raise UsageError(
            f"the targets of all {len(flat)} training clips are the same",
            expected="targets that tell clips apart",
            do="check the encoder, or train on more clips",
        )
    if tall:
        basis = vectors[:, :kept].T
    else:
        basis = np.empty((kept, flat.shape[1]))
        for columns, part in _centred(flat, mean):
            basis[:, columns] = (vectors[:, :kept] / np.sqrt(power[:kept])).T @ part
    # Of the two directions of an axis the one in which its largest entry is positive, whatever the solver returns.
    largest = np.take_along_axis(basis, np.abs(basis).argmax(1)[:, None], axis=1)
    basis = np.ascontiguousarray(basis * np.sign(largest), np.float32)
    scale = float(np.sqrt(power[:kept].sum() / (len(flat) * kept)))
    share = float(power[:kept].sum() / power[there].sum())
    return Components(mean.reshape(values.shape[1:]).astype(np.float32), basis, scale, share)


def _centred(flat: np.ndarray, mean: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Some centred columns at a time, in float64."""
    for start in range(0, flat.shape[1], _COLUMNS):
        columns = slice(start, start + _COLUMNS)
        yield columns, flat[:, columns] - mean[columns]
