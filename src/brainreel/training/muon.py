"""Muon: momentum whose matrices are made nearly orthogonal before they are subtracted (Jordan et al. 2024).

Small convolutional and attention networks on few CPU cores are short of steps, and Muon makes more of each than AdamW.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

# Five steps of this odd polynomial bring singular values near 1 (Jordan et al. 2024).
_POLYNOMIAL = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Muon for matrices (convolution kernels as matrices: output channels times all the rest), AdamW for what is none.

    Args:
        matrices: Parameters with at least two axes.
        others: Vectors, embeddings, first and last layers.
        lr: Of the matrices.
        others_lr: Of the others.
        momentum: Of the matrices; Nesterov's.
        betas: Of the others.
        weight_decay: Decoupled, of both.
    """

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        others: Iterable[nn.Parameter],
        *,
        lr: float,
        others_lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.98),
        weight_decay: float = 0.0,
    ) -> None:
        shared = {"momentum": momentum, "beta1": betas[0], "beta2": betas[1], "weight_decay": weight_decay}
        groups = [
            {"params": list(matrices), "lr": lr, "orthogonal": True},
            {"params": list(others), "lr": others_lr, "orthogonal": False},
        ]
        super().__init__(groups, shared)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """One step; without a closure."""
        for group in self.param_groups:
            move = _orthogonal if group["orthogonal"] else _adam
            for value in group["params"]:
                if value.grad is not None:
                    value.mul_(1 - group["lr"] * group["weight_decay"])
                    value.add_(move(value.grad, self.state[value], group), alpha=-group["lr"])


def sorted_parameters(
    module: nn.Module, inner: Callable[[str, Tensor], bool]
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """A module's parameters for `Muon`: those that ``inner`` says are matrices inside it, and the others."""
    named = dict(module.named_parameters())
    matrices = [name for name, value in named.items() if inner(name, value)]
    return [named[n] for n in matrices], [value for n, value in named.items() if n not in set(matrices)]


def _orthogonal(gradient: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> Tensor:
    if not state:
        state["momentum"] = torch.zeros_like(gradient)
    mean = state["momentum"].lerp_(gradient, 1 - group["momentum"])
    matrix = gradient.lerp(mean, group["momentum"]).flatten(1)
    rows, columns = matrix.shape
    return orthogonalised(matrix).view_as(gradient) * max(1.0, rows / columns) ** 0.5


def orthogonalised(matrix: Tensor) -> Tensor:
    """A matrix of the same singular vectors with all singular values near 1, by Newton and Schulz's iteration."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / (wide.norm() + 1e-7)
    a, b, c = _POLYNOMIAL
    for _ in range(_ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x if wide is matrix else x.T


def _adam(gradient: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> Tensor:
    if not state:
        state.update(mean=torch.zeros_like(gradient), square=torch.zeros_like(gradient), step=torch.zeros(()))
    state["step"] += 1
    mean = state["mean"].lerp_(gradient, 1 - group["beta1"])
    square = state["square"].lerp_(gradient.square(), 1 - group["beta2"])
    step = float(state["step"])
    return (mean / (1 - group["beta1"] ** step)) / ((square / (1 - group["beta2"] ** step)).sqrt() + 1e-8)
