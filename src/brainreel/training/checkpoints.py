"""Checkpoints: model, optimiser and step in one safetensors file, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import nn

from brainreel.errors import ExperimentError
from brainreel.files import write_bytes


def save_checkpoint(path: Path, module: nn.Module, optimiser: torch.optim.Optimizer, step: int) -> None:
    """Write everything that the next step depends on."""
    tensors = {f"module/{name}": value.contiguous() for name, value in _untied(module).items()}
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
        found = {name.removeprefix("module/"): file.get_tensor(name) for name in names if name.startswith("module/")}
        tied = set(module.state_dict()) - set(_untied(module))
        missing, unexpected = module.load_state_dict(found, strict=False)
        if unexpected or set(missing) - tied:
            raise ExperimentError(
                f"{path} is a checkpoint of another network", do="remove it, and the training starts again"
            )
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name in names:
            if name.startswith("optimiser/"):
                _, index, key = name.split("/")
                state.setdefault(int(index), {})[key] = file.get_tensor(name)
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": state, "param_groups": groups})
        return int(file.metadata()["step"])


def _untied(module: nn.Module) -> dict[str, torch.Tensor]:
    """The state without the second names of tensors that have two."""
    seen: set[int] = set()
    out = {}
    for name, value in module.state_dict().items():
        if value.numel() == 0 or value.data_ptr() not in seen:
            out[name] = value
        seen.add(value.data_ptr())
    return out
