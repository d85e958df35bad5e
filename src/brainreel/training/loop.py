"""The training loop that every stage uses."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from brainreel.files import write_text
from brainreel.training.checkpoints import load_checkpoint, save_checkpoint


def one_cycle(step: int, steps: int, warmup: float = 0.15) -> float:
    """Factor on the learning rate: half a cosine up during ``warmup``, half a cosine down (Smith & Topin 2018)."""
    rise = max(1.0, warmup * steps)
    if step < rise:
        return 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * step / rise))
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1.0, steps - rise)))


def train(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch_loss: Callable[[int], Tensor],
    *,
    steps: int,
    folder: Path | None = None,
    checkpoint_every_s: float = 20.0,
) -> list[dict[str, int | float]]:
    """Take ``steps`` optimiser steps on ``batch_loss(step)`` under a one-cycle learning rate.

    Args:
        module: What is trained, in place.
        optimiser: Over the module's parameters.
        batch_loss: The loss of a step. It must depend on nothing but the module and the step's number, so that
            a resumed run sees the same batches and the same noise.
        steps: How many steps in all.
        folder: Where checkpoints and ``log.jsonl`` go; a checkpoint found there is continued. None: none.
        checkpoint_every_s: At most this much work is lost when the process dies.

    Returns:
        One entry per step: ``step``, ``loss``, ``lr``.
    """
    base = [group["lr"] for group in optimiser.param_groups]
    checkpoint = None if folder is None else folder / "checkpoint.safetensors"
    log_path = None if folder is None else folder / "log.jsonl"
    done = 0 if checkpoint is None else load_checkpoint(checkpoint, module, optimiser)
    log = _read_log(log_path)[:done]
    saved = time.monotonic()
    for step in range(done, steps):
        for group, lr in zip(optimiser.param_groups, base, strict=True):
            group["lr"] = lr * one_cycle(step, steps)
        optimiser.zero_grad(set_to_none=True)
        loss = batch_loss(step)
        loss.backward()
        optimiser.step()
        log.append(
            {"step": step, "loss": round(float(loss.detach()), 6), "lr": round(optimiser.param_groups[0]["lr"], 8)}
        )
        if checkpoint is not None and time.monotonic() - saved > checkpoint_every_s:
            # The log goes first: a checkpoint without its log lines could not be continued, the reverse can.
            _write_log(log_path, log)
            save_checkpoint(checkpoint, module, optimiser, step + 1)
            saved = time.monotonic()
    _write_log(log_path, log)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return log


def _read_log(path: Path | None) -> list[dict[str, int | float]]:
    if path is None or not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def _write_log(path: Path | None, log: list[dict[str, int | float]]) -> None:
    if path is not None:
        write_text(path, "".join(json.dumps(entry) + "\n" for entry in log))
