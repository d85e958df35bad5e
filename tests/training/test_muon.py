"""Muon: matrices move along orthogonal directions, all else as AdamW does, and an interrupted training repeats itself."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from brainreel.training.checkpoints import load_checkpoint, save_checkpoint
from brainreel.training.muon import Muon, orthogonalised, sorted_parameters
from brainreel.training.randomness import generator


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.SiLU(), nn.Flatten(), nn.Linear(8 * 36, 5))


def muon(module: nn.Module, **more: float) -> Muon:
    return Muon(*sorted_parameters(module, lambda _, value: value.ndim > 1), lr=0.02, others_lr=0.01, **more)


def step(module: nn.Module, optimiser: torch.optim.Optimizer, number: int) -> None:
    optimiser.zero_grad()
    module(torch.randn(4, 3, 8, 8, generator=generator("x", number))).square().mean().backward()
    optimiser.step()


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (12, 12)])
def test_singular_values_come_near_one_and_vectors_stay(shape):
    matrix = torch.randn(shape, generator=generator("matrix"))
    found = orthogonalised(matrix)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.6
    assert values.max() < 1.3
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    inside = u.T @ found @ v.T
    assert (inside - torch.diag(inside.diag())).abs().max() < 1e-4


def test_the_first_step_of_a_kernel_is_orthogonal_whatever_the_gradient_s_scale():
    moved = []
    for scale in (1.0, 1e-4):
        kernel = nn.Parameter(torch.zeros(4, 3, 3, 3))
        kernel.grad = scale * torch.randn(4, 3, 3, 3, generator=generator("gradient"))
        Muon([kernel], [], lr=0.5, others_lr=0.0).step()
        moved.append(kernel.detach().flatten(1))
    assert torch.linalg.svdvals(moved[0]).min() > 0.5 * 0.6
    torch.testing.assert_close(moved[0], moved[1], atol=2e-3, rtol=0)


def test_what_is_no_matrix_moves_as_with_adamw():
    mine, theirs = network(), network()
    ours = Muon([], mine.parameters(), lr=0.0, others_lr=0.01, weight_decay=0.1)
    adamw = torch.optim.AdamW(theirs.parameters(), 0.01, betas=(0.9, 0.98), weight_decay=0.1)
    for number in range(5):
        step(mine, ours, number)
        step(theirs, adamw, number)
    for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_a_training_goes_on_from_its_checkpoint_bit_by_bit(tmp_path):
    whole = network()
    optimiser = muon(whole, weight_decay=0.05)
    for number in range(3):
        step(whole, optimiser, number)
    save_checkpoint(tmp_path / "c.safetensors", whole, optimiser, 3)
    torch.manual_seed(1)
    again = nn.Sequential(nn.Conv2d(3, 8, 3), nn.SiLU(), nn.Flatten(), nn.Linear(8 * 36, 5))
    resumed = muon(again, weight_decay=0.05)
    assert load_checkpoint(tmp_path / "c.safetensors", again, resumed) == 3
    for number in range(3, 6):
        step(whole, optimiser, number)
        step(again, resumed, number)
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_every_parameter_is_in_one_of_both_groups():
    module = network()
    inner, others = sorted_parameters(module, lambda name, value: value.ndim > 1 and name.startswith("0"))
    assert [value.ndim for value in inner] == [4]
    assert {id(value) for value in (*inner, *others)} == {id(value) for value in module.parameters()}
    assert len(inner) + len(others) == 4
