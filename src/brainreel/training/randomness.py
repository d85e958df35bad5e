"""Randomness that belongs to a place in the work, not to its history, so that a resumed run repeats it."""

from __future__ import annotations

import hashlib

import torch
from jaxtyping import Float
from torch import Tensor


def generator(*place: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator seeded by a place, such as ``("align", seed, step)``: the same place, the same numbers."""
    digest = hashlib.sha256("/".join(map(str, place)).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:7], "big"))


def dropout(x: Float[Tensor, "*shape"], rate: float, noise: torch.Generator | None) -> Float[Tensor, "*shape"]:
    """Inverted dropout (Srivastava et al. 2014) from an explicit generator; none, or rate 0: ``x`` itself."""
    if noise is None or rate == 0:
        return x
    kept = torch.empty_like(x, requires_grad=False).bernoulli_(1 - rate, generator=noise)
    return x * kept.div_(1 - rate)
