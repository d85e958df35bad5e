"""The network of stage 2: a residual trunk that all conditions share, a head for each."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from brainreel.align.network import ResidualBlock
from brainreel.training.randomness import dropout


class RegressNetwork(nn.Module):
    """Standardised embedding → components of every condition.

    Args:
        dim: Dimension of embeddings.
        heads: condition → number of its components.
        width: Width of the trunk.
        depth: Residual blocks of the trunk; with 0 the network is linear.
        dropout_in: Dropout on embeddings.
        dropout_hidden: Dropout inside the trunk.
        noise: Where the initial weights come from.
    """

    def __init__(
        self,
        dim: int,
        heads: Mapping[str, int],
        width: int,
        depth: int,
        dropout_in: float,
        dropout_hidden: float,
        noise: torch.Generator,
    ) -> None:
        super().__init__()
        self.enter = nn.Parameter(torch.randn(dim, width, generator=noise) / math.sqrt(dim))
        self.blocks = nn.ModuleList(ResidualBlock(width, dropout_hidden, noise) for _ in range(depth))
        self.heads = nn.ParameterDict()
        self.bias = nn.ParameterDict()
        self.log_temperature = nn.ParameterDict()
        for name, count in heads.items():
            # Small, so that training begins near the answer of somebody who knows nothing: the mean target.
            self.heads[name] = nn.Parameter(0.1 * torch.randn(width, count, generator=noise) / math.sqrt(width))
            self.bias[name] = nn.Parameter(torch.zeros(count))
            self.log_temperature[name] = nn.Parameter(torch.tensor(math.log(10.0)))
        self.dropout_in, self.dropout_hidden = dropout_in, dropout_hidden

    def forward(
        self, embedding: Float[Tensor, "trials dim"], noise: torch.Generator | None = None
    ) -> dict[str, Float[Tensor, "trials _components"]]:
        """Components of every condition; ``noise`` is None outside training."""
        hidden = dropout(embedding, self.dropout_in, noise) @ self.enter
        for block in self.blocks:
            hidden = block(hidden, noise)
        hidden = dropout(hidden, self.dropout_hidden, noise)
        return {name: hidden @ weight + self.bias[name] for name, weight in self.heads.items()}
