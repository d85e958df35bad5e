"""The reward reads what clips show from their latents, and its gradient reaches the networks that made them."""

from __future__ import annotations

import pytest
import torch

from brainreel.sandbox.networks import LATENT_SHAPE, TEXT_DIM, transformer
from brainreel.sandbox.patches import fit_patches
from brainreel.sandbox.pool import pool
from brainreel.sandbox.train import main
from brainreel.sandbox.train_reward import Reward, labels, surprise, train_reward
from brainreel.sandbox.train_transformer import Trained, encode_pool
from brainreel.sandbox.tune import SAMPLER_STEPS, sample
from brainreel.sandbox.words import TOKENS
from brainreel.training.randomness import generator
from brainreel.world.scenes import FACTORS


def test_the_reward_learns_to_read_latents(made, tmp_path):
    clips = pool(made / "work", 40)
    latents, _ = encode_pool(clips, fit_patches(clips, made / "work"), made / "work")
    shown = labels(clips.scenes)
    torch.manual_seed(4)
    before = surprise(Reward()(latents), shown)
    reward = train_reward(clips, latents, tmp_path, steps=60)
    found = reward(latents)
    assert {factor: logits.shape[1] for factor, logits in found.items()} == {f: len(n) for f, n in FACTORS.items()}
    assert surprise(found, shown) < before / 3
    wrong = {factor: label.roll(1) for factor, label in shown.items()}
    assert surprise(found, wrong) > before, "it is sure of what is there, not of anything"


def test_gradients_reach_the_first_step_of_a_sampled_video():
    network, times = transformer(), []

    def watched(timestep, **given):
        times.append(timestep.unique().tolist())
        return network(timestep=timestep, **given)

    text = torch.randn(2, TOKENS, TEXT_DIM, requires_grad=True)
    made = sample(watched, text, generator("x"))
    assert made.shape == (2, *LATENT_SHAPE)
    assert len(times) == SAMPLER_STEPS
    assert times[0] == [1000.0]
    assert times == sorted(times, reverse=True)
    made.square().sum().backward()
    assert text.grad is not None
    assert text.grad.abs().sum((1, 2)).min() > 0
    assert torch.equal(sample(network, text, generator("x")), made), "a seed is a video"


def test_sampling_a_network_that_knows_the_answer_gives_the_answer():
    answer = torch.randn(2, *LATENT_SHAPE)

    def knows(hidden_states, timestep, encoder_hidden_states, return_dict):
        sigma = (timestep / 1000).view(-1, 1, 1, 1, 1)
        # What the transformer is trained to say, with the noise that the answer leaves.
        noise = (hidden_states - (1 - sigma) * answer) / sigma
        return ((1 - sigma) * noise - (2 - sigma) * answer,)

    found = sample(knows, torch.zeros(2, TOKENS, TEXT_DIM), generator("x"))
    torch.testing.assert_close(found, answer, atol=1e-4, rtol=0)


def test_tuning_begins_where_training_ended():
    torch.manual_seed(0)
    trained, further = Trained(), Trained()
    further.begin_with(*trained.settled())
    for one, other in zip(trained.settled(), further.settled(), strict=True):
        for name, value in one.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name


def test_there_must_be_something_to_tune(tmp_path):
    with pytest.raises(SystemExit, match="train `transformer` first"):
        main(tmp_path, parts=("tuned",), clips=4)
