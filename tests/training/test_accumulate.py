"""Accumulated over chunks of subjects, a contrastive loss has the gradient of one big batch."""

from __future__ import annotations

import pytest
import torch

from brainreel.align.losses import contrastive_loss
from brainreel.align.network import AlignNetwork
from brainreel.training.accumulate import accumulated
from brainreel.training.randomness import generator

SUBJECTS, TRIALS, FEATURES, DIM, CLIPS = 5, 7, 6, 4, 9


@pytest.fixture
def batch():
    """A network in float64, everybody's responses, and which clip each trial showed (-1: padding)."""
    noise = generator("accumulate")
    network = AlignNetwork({"a": (SUBJECTS, FEATURES)}, 8, DIM, 1, 0.2, 0.2, noise).double()
    responses = torch.randn(SUBJECTS, TRIALS, FEATURES, generator=noise, dtype=torch.float64)
    clip = torch.randint(-1, CLIPS, (SUBJECTS, TRIALS), generator=noise)
    target = torch.randn(CLIPS, DIM, generator=noise, dtype=torch.float64)
    return network, responses, clip, target


def gradients(network):
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def chunk_of(network, responses, some):
    """The embeddings of some subjects, with dropout that a second call repeats."""

    def chunk():
        adapter = network.adapter("a")
        latent = torch.baddbmm(adapter.bias[some], responses[some], adapter.common + adapter.delta[some])
        return network.trunk(latent, generator("dropout", *some)).flatten(0, 1)

    return chunk


@pytest.mark.parametrize("parts", [[[0, 1, 2, 3, 4]], [[0, 1], [2, 3], [4]], [[0], [1], [2], [3], [4]]])
def test_gradient_equals_that_of_the_big_batch_temperature_included(batch, parts):
    network, responses, clip, target = batch
    chunks = [chunk_of(network, responses, some) for some in parts]

    def loss_of(embedding):
        return contrastive_loss(embedding, target, clip.flatten(), network.log_temperature.exp())

    big = loss_of(torch.cat([chunk() for chunk in chunks]))
    big.backward()
    expected = gradients(network)
    network.zero_grad(set_to_none=True)
    small = accumulated(chunks, loss_of)
    small.backward()
    found = gradients(network)
    assert small.item() == pytest.approx(big.item(), rel=1e-12)
    assert found.keys() == expected.keys() >= {"log_temperature", "trunk.out", "adapters.0.common"}
    for name, gradient in expected.items():
        assert gradient.abs().max() > 1e-6, f"{name} has no gradient to compare"
        torch.testing.assert_close(found[name], gradient, rtol=1e-10, atol=1e-12, msg=name)


def test_summing_the_chunks_losses_would_be_another_loss(batch):
    """What `accumulated` is for: the naive way has other gradients."""
    network, responses, clip, target = batch
    chunks = [chunk_of(network, responses, some) for some in ([0, 1], [2, 3], [4])]
    clips = [clip[some].flatten() for some in ([0, 1], [2, 3], [4])]
    scale = network.log_temperature.exp()
    big = contrastive_loss(torch.cat([c() for c in chunks]), target, clip.flatten(), scale)
    naive = sum(contrastive_loss(c(), target, k, scale) for c, k in zip(chunks, clips, strict=True)) / 3
    one, other = (torch.autograd.grad(loss, network.trunk.out, retain_graph=True)[0] for loss in (big, naive))
    assert (one - other).norm() > 0.01 * one.norm()


def test_the_incoming_gradient_scales_the_pull_and_gradients_add_up(batch):
    network, responses, clip, target = batch
    chunks = [chunk_of(network, responses, [0, 1]), chunk_of(network, responses, [2, 3, 4])]

    def loss_of(embedding):
        return contrastive_loss(embedding, target, clip.flatten(), network.log_temperature.exp())

    accumulated(chunks, loss_of).backward()
    once = gradients(network)
    (2.5 * accumulated(chunks, loss_of)).backward()
    for name, gradient in gradients(network).items():
        torch.testing.assert_close(gradient, 3.5 * once[name], rtol=1e-10, atol=1e-14, msg=name)


def test_only_one_chunk_has_a_graph_at_a_time(batch):
    """The first pass, which holds all embeddings, must not record a graph: that is where memory is saved."""
    network, responses, clip, target = batch
    recorded = []

    def watched(some):
        chunk = chunk_of(network, responses, some)

        def call():
            out = chunk()
            recorded.append(out.requires_grad)
            return out

        return call

    chunks = [watched([0, 1, 2]), watched([3, 4])]
    loss = accumulated(chunks, lambda e: contrastive_loss(e, target, clip.flatten(), torch.tensor(5.0).double()))
    assert recorded == [False, False]
    loss.backward()
    assert recorded == [False, False, True, True]
