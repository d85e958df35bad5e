"""Checkpoints: model, optimiser and step in one safetensors file, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import nn

from brainreel.files import write_bytes


def save_checkpoint(path: Path, module: nn.Module, optimiser: torch.optim.Optimizer, step: int) -> None:
    """Write everything that the next step depends on."""
    tensors = {f"module/{name}": value.contiguous() for name, value in module.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{index}/{name}": torch.as_tensor(value) for name, value in state.items()}
    write_bytes(path, save(tensors, {"step": str(step)}))


def load_checkpoint(path: Path, module: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """Restore what `save_checkpoint` wrote; returns the number of steps done, 0 without a file."""
    if not path.is_file():
        return 0
    device = next(module.parameters()).device
    with safe_open(path, framework="pt", device=str(device)) as file:
        names = list(file.keys())
        module.load_state_dict(
            {name.removeprefix("module/"): file.get_tensor(name) for name in names if name.startswith("module/")}
        )
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name in names:
            if name.startswith("optimiser/"):
                _, index, key = name.split("/")
                state.setdefault(int(index), {})[key] = file.get_tensor(name)
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": state, "param_groups": groups})
        return int(file.metadata()["step"])
