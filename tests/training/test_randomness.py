"""Randomness that belongs to a place: stable for ever, different elsewhere."""

from __future__ import annotations

import pytest
import torch

from brainreel.errors import UsageError
from brainreel.training.devices import pick_device
from brainreel.training.randomness import dropout, generator


def test_a_place_gives_the_same_numbers_in_every_process_and_version():
    # Written down once: if these change, every published result of a seed changes with them.
    assert generator("align", 0, 0, "weights").initial_seed() == 0xC10C44FF3D949B
    assert generator("align", 0, 0, "noise", 12).initial_seed() == 0x505040AC62F82D
    drawn = torch.rand(3, generator=generator("align", 0, 0, "weights"))
    assert drawn.tolist() == pytest.approx([0.3263633, 0.1564946, 0.2714198], abs=1e-7)


def test_places_that_look_alike_differ():
    places = [("align", 1, 12), ("align", 11, 2), ("align", 1, 1, 2), ("align", 112), ("align", 0), ("align", 1)]
    assert len({generator(*place).initial_seed() for place in places}) == len(places)


def test_dropout_keeps_the_expectation_and_drops_the_rate():
    ones = torch.ones(400, 500)
    out = dropout(ones, 0.3, generator("drop"))
    assert out.mean().item() == pytest.approx(1, abs=0.005)
    assert (out == 0).float().mean().item() == pytest.approx(0.3, abs=0.005)
    assert out.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert torch.equal(ones, torch.ones(400, 500)), "the input was changed"


def test_dropout_repeats_with_its_place_and_passes_gradients_only_where_it_kept():
    x = torch.randn(20, 30, generator=generator("x"), requires_grad=True)
    out = dropout(x, 0.5, generator("here"))
    assert torch.equal(out, dropout(x, 0.5, generator("here")))
    assert not torch.equal(out, dropout(x, 0.5, generator("there")))
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert torch.equal(gradient, torch.where(out == 0, 0.0, 2.0))


@pytest.mark.parametrize(("rate", "noise"), [(0.5, None), (0.0, "place"), (0.0, None)])
def test_without_noise_or_rate_dropout_is_nothing_at_all(rate, noise):
    x = torch.randn(3, 4)
    assert dropout(x, rate, None if noise is None else generator(noise)) is x


def test_devices():
    assert pick_device("cpu") == torch.device("cpu")
    automatic = pick_device()
    assert automatic.type == ("cuda" if torch.cuda.is_available() else automatic.type)
    assert automatic.type in {"cpu", "cuda", "mps"}
    torch.zeros(1, device=automatic)


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", "cpu:x", "xla"])
def test_a_device_that_is_not_there_is_a_usage_error_that_lists_what_can_be_said(name):
    with pytest.raises(UsageError, match="expected auto, cpu, cuda") as caught:
        pick_device(name)
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)
