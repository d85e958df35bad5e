"""A training that dies at any moment and goes on must end exactly where an undisturbed one ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

import brainreel
from brainreel.training.checkpoints import load_checkpoint, save_checkpoint
from brainreel.training.loop import one_cycle, train
from brainreel.training.randomness import dropout, generator

STEPS = 80


class Small(nn.Module):
    """A linear map with a buffer and a parameter that only some steps use."""

    def __init__(self) -> None:
        super().__init__()
        noise = generator("small")
        self.weight = nn.Parameter(torch.randn(6, 3, generator=noise))
        self.rare = nn.Parameter(torch.ones(3))
        self.register_buffer("seen", torch.zeros(()))


def training(folder: Path | None, steps: int = STEPS, pause_s: float = 0.0, every_s: float = 0.0):
    """Train `Small` with dropout, AdamW and a different batch at every step."""
    torch.set_num_threads(1)
    module = Small()

    def batch_loss(step: int) -> torch.Tensor:
        time.sleep(pause_s)
        noise = generator("batch", step)
        x = torch.randn(16, 6, generator=noise)
        out = dropout(x, 0.3, noise) @ module.weight
        if step % 3 == 2:
            out = out * module.rare
        module.seen += 1
        return (out - x[:, :3].sin()).square().mean()

    optimiser = torch.optim.AdamW(module.parameters(), lr=0.02, weight_decay=0.1)
    log = train(module, optimiser, batch_loss, steps=steps, folder=folder, checkpoint_every_s=every_s)
    return module, log


def equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_training_killed_at_any_moment_ends_bit_for_bit_where_an_undisturbed_one_ends(tmp_path):
    whole, log = training(tmp_path / "whole")
    broken = tmp_path / "broken"
    code = f"from pathlib import Path; from {__name__} import training; training(Path({str(broken)!r}), pause_s=0.02)"
    paths = [Path(__file__).parents[1], Path(brainreel.__file__).parents[1]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    try:
        deadline = time.monotonic() + 60
        while not (broken / "checkpoint.safetensors").exists():
            assert process.poll() is None, "the training ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        # Some steps further, at a moment that nothing in the code decides.
        time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    done = len((broken / "log.jsonl").read_text().splitlines())
    assert 0 < done < STEPS
    resumed, resumed_log = training(broken)
    assert equal(whole, resumed)
    assert resumed_log == log
    assert (broken / "log.jsonl").read_text() == (tmp_path / "whole" / "log.jsonl").read_text()
    assert not (broken / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("dies_at", [0, 1, 7, 24])
def test_resuming_takes_only_the_steps_that_are_missing(tmp_path, dies_at):
    class Died(Exception):
        pass

    def run(folder: Path | None, last: int | None) -> tuple[nn.Module, list[int], list]:
        module, taken = Small(), []

        def batch_loss(step: int) -> torch.Tensor:
            if step == last:
                raise Died
            taken.append(step)
            return (torch.randn(4, 6, generator=generator("x", step)) @ module.weight).square().mean()

        optimiser = torch.optim.AdamW(module.parameters(), lr=0.1)
        log = train(module, optimiser, batch_loss, steps=25, folder=folder, checkpoint_every_s=0.0)
        return module, taken, log

    whole, _, log = run(None, None)
    with pytest.raises(Died):
        run(tmp_path, dies_at)
    resumed, taken, resumed_log = run(tmp_path, None)
    assert taken == list(range(dies_at, 25))
    assert equal(whole, resumed)
    assert resumed_log == log


def test_log_that_is_ahead_of_its_checkpoint_is_cut_back(tmp_path):
    """The log is written first, so a kill between the two writes leaves lines that will be taken again."""
    whole, log = training(tmp_path / "whole", steps=20)
    broken = tmp_path / "broken"
    module = Small()
    optimiser = torch.optim.AdamW(module.parameters(), lr=0.02, weight_decay=0.1)
    save_checkpoint(broken / "checkpoint.safetensors", module, optimiser, 0)
    (broken / "log.jsonl").write_text(json.dumps({"step": 0, "loss": 99.0, "lr": 1.0}) + "\n")
    resumed, resumed_log = training(broken, steps=20)
    assert equal(whole, resumed)
    assert resumed_log == log


def test_checkpoint_round_trip_restores_module_optimiser_and_step(tmp_path):
    path = tmp_path / "deep" / "checkpoint.safetensors"
    trained, _ = training(None, steps=5)
    optimiser = torch.optim.AdamW(trained.parameters(), lr=0.02)
    for _ in range(2):
        optimiser.zero_grad()
        trained.weight.square().sum().backward()  # ``rare`` gets no gradient and so has no optimiser state.
        optimiser.step()
    save_checkpoint(path, trained, optimiser, 7)
    fresh = Small()
    fresh_optimiser = torch.optim.AdamW(fresh.parameters(), lr=0.02)
    assert load_checkpoint(path, fresh, fresh_optimiser) == 7
    assert equal(trained, fresh)
    saved, loaded = optimiser.state_dict()["state"], fresh_optimiser.state_dict()["state"]
    assert saved.keys() == loaded.keys()
    for index, state in saved.items():
        assert state.keys() == loaded[index].keys()
        for name, value in state.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(loaded[index][name])), name


def test_no_checkpoint_means_no_steps_done_and_nothing_touched(tmp_path):
    module = Small()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert load_checkpoint(tmp_path / "none.safetensors", module, torch.optim.AdamW(module.parameters())) == 0
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


@pytest.mark.parametrize("steps", [2, 10, 45, 1000])
def test_one_cycle_rises_during_the_warm_up_and_then_falls_to_nearly_nothing(steps):
    factors = [one_cycle(step, steps) for step in range(steps)]
    peak = factors.index(max(factors))
    assert all(0 < factor <= 1 for factor in factors)
    assert abs(peak - 0.15 * steps) <= 1
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert one_cycle(0, steps) == pytest.approx(0.04)
    assert one_cycle(steps, steps) == pytest.approx(0, abs=1e-12)


def test_one_cycle_by_hand():
    assert one_cycle(15, 100) == pytest.approx(1)
    assert one_cycle(30, 200, warmup=0.3) == pytest.approx(0.04 + 0.96 * 0.5)
    assert one_cycle(100, 200, warmup=0.0) == pytest.approx(0.5, abs=0.01)


def test_the_log_holds_the_learning_rate_that_was_used(tmp_path):
    _, log = training(tmp_path, steps=10)
    assert [entry["step"] for entry in log] == list(range(10))
    assert [entry["lr"] for entry in log] == pytest.approx([0.02 * one_cycle(s, 10) for s in range(10)], abs=1e-8)
    assert [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()] == log
