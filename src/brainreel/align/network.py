"""The network of stage 1: an adapter per subject, one trunk for everybody."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from brainreel.training.randomness import dropout


class Adapters(nn.Module):
    """Linear maps response → latent of all subjects of one space: ``W_common + ΔW_subject``.

    ``ΔW`` starts at zero, so that training begins with one common map and subjects leave it where their data ask
    for it. A newcomer has no ``ΔW`` and uses ``W_common`` alone.
    """

    def __init__(self, subjects: int, features: int, latent: int, noise: torch.Generator) -> None:
        super().__init__()
        self.common = nn.Parameter(torch.randn(features, latent, generator=noise) / math.sqrt(features))
        self.delta = nn.Parameter(torch.zeros(subjects, features, latent))
        self.bias = nn.Parameter(torch.zeros(subjects, 1, latent))

    def forward(self, responses: Float[Tensor, "subjects trials features"]) -> Float[Tensor, "subjects trials latent"]:
        """All subjects at once, as one batched matrix product."""
        return torch.baddbmm(self.bias, responses, self.common + self.delta)

    def newcomer(self, responses: Float[Tensor, "trials features"]) -> Float[Tensor, "trials latent"]:
        """The latent of somebody who was never trained on: the common map and the mean bias."""
        return responses @ self.common + self.bias.mean(0)


class ResidualBlock(nn.Module):
    """x + W₂ dropout(GELU(W₁ LayerNorm(x)))."""

    def __init__(self, width: int, rate: float, noise: torch.Generator) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.enter = nn.Parameter(torch.randn(width, width, generator=noise) / math.sqrt(width))
        self.shift = nn.Parameter(torch.zeros(width))
        self.leave = nn.Parameter(0.1 * torch.randn(width, width, generator=noise) / math.sqrt(width))
        self.rate = rate

    def forward(self, x: Float[Tensor, "*n width"], noise: torch.Generator | None) -> Float[Tensor, "*n width"]:
        """One block; ``noise`` is None outside training."""
        hidden = nn.functional.gelu(self.norm(x) @ self.enter + self.shift)
        return x + dropout(hidden, self.rate, noise) @ self.leave


class Trunk(nn.Module):
    """Latent → embedding, the same for everybody: residual blocks and a linear map."""

    def __init__(self, latent: int, embedding: int, depth: int, rate: float, noise: torch.Generator) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock(latent, rate, noise) for _ in range(depth))
        self.out = nn.Parameter(torch.randn(latent, embedding, generator=noise) / math.sqrt(latent))
        self.rate = rate

    def forward(
        self, latent: Float[Tensor, "*n latent"], noise: torch.Generator | None = None
    ) -> Float[Tensor, "*n embedding"]:
        """Embeddings; not normalised, since their similarity to targets is a cosine."""
        for block in self.blocks:
            latent = block(latent, noise)
        return dropout(latent, self.rate, noise) @ self.out


class AlignNetwork(nn.Module):
    """Adapters for every space, the shared trunk, and the learned temperature of the contrastive loss.

    Args:
        spaces: space → (number of subjects, number of features).
        latent: Width d of the latent that adapters share.
        embedding: Dimension of the targets.
        depth: Residual blocks of the trunk.
        dropout_in: Dropout on responses.
        dropout_hidden: Dropout inside the trunk.
        noise: Where the initial weights come from.
    """

    def __init__(
        self,
        spaces: Mapping[str, tuple[int, int]],
        latent: int,
        embedding: int,
        depth: int,
        dropout_in: float,
        dropout_hidden: float,
        noise: torch.Generator,
    ) -> None:
        super().__init__()
        self.spaces = list(spaces)
        self.adapters = nn.ModuleList(Adapters(count, features, latent, noise) for count, features in spaces.values())
        self.trunk = Trunk(latent, embedding, depth, dropout_hidden, noise)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(10.0)))
        self.dropout_in = dropout_in

    def adapter(self, space: str) -> Adapters:
        """The adapters of a space."""
        module = self.adapters[self.spaces.index(space)]
        assert isinstance(module, Adapters)
        return module

    def forward(
        self,
        responses: Sequence[Float[Tensor, "_subjects _trials _features"]],
        noise: torch.Generator | None = None,
    ) -> list[Float[Tensor, "_subjects _trials embedding"]]:
        """Embeddings of one array of responses per space; spaces differ in all sizes but the embedding's."""
        latents = [
            adapter(dropout(values, self.dropout_in, noise))
            for adapter, values in zip(self.adapters, responses, strict=True)
        ]
        return [self.trunk(latent, noise) for latent in latents]
