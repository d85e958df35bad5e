"""The network: everybody at once is the same as one after the other, and nobody leaks into anybody."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

from brainreel.align.examples import Recording, blocks, population_scaling
from brainreel.align.network import Adapters, AlignNetwork, Trunk
from brainreel.cortex.standardise import Scaling, fit_scaling
from brainreel.errors import BrainreelError
from brainreel.training.randomness import generator


@pytest.fixture
def network():
    noise = generator("network")
    network = AlignNetwork({"a": (3, 7), "b": (2, 5)}, 6, 4, 2, 0.3, 0.3, noise)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=noise))
    return network


def test_all_subjects_at_once_equal_one_subject_at_a_time(network):
    responses = [torch.randn(3, 11, 7), torch.randn(2, 9, 5)]
    together = network(responses)
    for space, values, found in zip(("a", "b"), responses, together, strict=True):
        adapter = network.adapter(space)
        for row in range(len(values)):
            latent = values[row] @ (adapter.common + adapter.delta[row]) + adapter.bias[row]
            torch.testing.assert_close(found[row], network.trunk(latent), rtol=1e-4, atol=1e-5)


def test_adapters_are_one_batched_product_without_a_loop_over_subjects():
    """The number of operations must not grow with the number of subjects."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Count(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.calls += 1
            return func(*args, **(kwargs or {}))

    calls = []
    for subjects in (2, 50):
        adapters = Adapters(subjects, 6, 4, generator("count"))
        with torch.no_grad(), Count() as count:
            adapters(torch.randn(subjects, 5, 6))
        calls.append(count.calls)
    assert calls[0] == calls[1]
    assert "for " not in inspect.getsource(Adapters.forward)


def test_a_subjects_embedding_depends_on_that_subject_alone(network):
    responses = [torch.randn(3, 11, 7), torch.randn(2, 9, 5)]
    before = network(responses)
    responses[0][1] += 5
    after = network(responses)
    assert torch.equal(before[1], after[1])
    assert torch.equal(before[0][[0, 2]], after[0][[0, 2]])
    assert not torch.allclose(before[0][1], after[0][1])


def test_everybody_begins_with_the_common_map():
    network = AlignNetwork({"a": (3, 7)}, 6, 4, 1, 0.0, 0.0, generator("fresh"))
    responses = torch.randn(7, 7)
    (together,) = network([responses.expand(3, 7, 7).contiguous()])
    assert torch.equal(together[0], together[1])
    newcomer = network.trunk(network.adapter("a").newcomer(responses))
    torch.testing.assert_close(newcomer, together[0])


def test_a_newcomer_gets_the_common_map_and_the_mean_bias(network):
    adapter, x = network.adapter("a"), torch.randn(5, 7)
    torch.testing.assert_close(adapter.newcomer(x), x @ adapter.common + adapter.bias.mean(0))


def test_initial_weights_come_from_the_generator_alone():
    def build(place, state):
        torch.manual_seed(state)
        return AlignNetwork({"a": (2, 7)}, 6, 4, 2, 0.1, 0.1, generator(place)).state_dict()

    one, same, other = build("x", 1), build("x", 2), build("y", 1)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["adapters.0.common"], other["adapters.0.common"])


def test_latents_begin_at_the_scale_of_standardised_responses():
    """Whatever the number of vertices, so that one learning rate serves all spaces."""
    for features in (20, 2000):
        adapters = Adapters(1, features, 64, generator("scale"))
        assert adapters(torch.randn(1, 200, features)).std().item() == pytest.approx(1, abs=0.1)
    trunk = Trunk(64, 32, 3, 0.0, generator("scale"))
    assert trunk(torch.randn(500, 64)).std().item() == pytest.approx(1, abs=0.3)


def test_noise_decides_dropout_and_none_switches_it_off(network):
    responses = [torch.randn(3, 11, 7), torch.randn(2, 9, 5)]
    one, same, other = (network(responses, generator(place)) for place in ("p", "p", "q"))
    plain, again = network(responses), network(responses)
    assert torch.equal(one[0], same[0])
    assert not torch.equal(one[0], other[0])
    assert torch.equal(plain[0], again[0])
    assert not torch.equal(one[0], plain[0])


def recording(subject, space, trials, features, seed=0):
    rng = np.random.default_rng(seed)
    responses = (5 + 3 * rng.normal(size=(trials, features))).astype(np.float32)
    weight = np.linspace(1, 2, features, dtype=np.float32)
    return Recording(subject, space, responses, np.arange(trials), fit_scaling(responses), weight)


def test_blocks_standardise_weigh_and_pad():
    people = [recording("a1", "a", 6, 4, 1), recording("b1", "b", 3, 5, 2), recording("a2", "a", 9, 4, 3)]
    first, second = blocks(people)
    assert (first.space, first.subjects, second.subjects) == ("a", ("a1", "a2"), ("b1",))
    assert first.responses.shape == (2, 9, 4)
    assert first.clip[0].tolist() == [*range(6), -1, -1, -1]
    assert first.there.sum(1).tolist() == [6, 9]
    assert (first.responses[0, 6:] == 0).all()
    for row, person in ((0, people[0]), (1, people[2])):
        mine = first.responses[row, : len(person.clip)].numpy()
        scaled = (person.responses - person.responses.mean(0)) / person.responses.std(0) * person.weight
        np.testing.assert_allclose(mine, scaled, atol=1e-4)


def test_one_space_with_two_widths_is_an_error_that_names_both():
    people = [recording("x/s1", "voxels", 6, 4), recording("y/s1", "voxels", 6, 5)]
    with pytest.raises(BrainreelError, match=r"y/s1.* 5 .*'voxels'.*x/s1.* 4"):
        blocks(people)


def test_taking_trials_standardises_by_them_alone():
    whole = recording("s", "a", 20, 4)
    part = whole.take(np.arange(5))
    np.testing.assert_allclose(part.standardised.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(part.standardised.std(0), whole.weight, rtol=1e-5)
    np.testing.assert_array_equal(part.clip, np.arange(5))


def test_the_population_is_the_mean_of_its_people():
    one = Scaling(np.array([1.0, 3.0], np.float32), np.array([2.0, 2.0], np.float32))
    two = Scaling(np.array([3.0, 5.0], np.float32), np.array([4.0, 1.0], np.float32))
    mean, std = population_scaling({"a": one, "b": two})
    assert mean.tolist() == [2, 4]
    assert std.tolist() == [3, 1.5]
