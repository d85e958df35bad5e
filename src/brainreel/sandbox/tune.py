"""The transformer's second half: what its own videos show is compared with their captions, and it learns from that.

Direct reward fine-tuning (DRaFT, Clark et al. 2024): a whole video is sampled from noise, with the gradient through
every step, and the reward is how surely a network reads the caption's factors from it. Flow matching alone hardly
notices the kind of an object, because it changes few of the numbers; it goes on beside, so that videos stay as varied
and as sharp as the clips are.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save
from torch import Tensor

from brainreel.files import write_bytes
from brainreel.sandbox.networks import LATENT_SHAPE
from brainreel.sandbox.patches import Patches
from brainreel.sandbox.pool import Pool, choose
from brainreel.sandbox.train_reward import NOISE, Reward, labels, surprise, train_reward
from brainreel.sandbox.train_reward import STEPS as reward_steps
from brainreel.sandbox.train_transformer import (
    Flow,
    Trained,
    fast,
    half_precision,
    optimiser_of,
    predict,
    prompts,
    shifted,
)
from brainreel.sandbox.words import tokenizer
from brainreel.training.loop import train
from brainreel.training.randomness import generator

STEPS, LEARNING_RATE = 1800, 0.002
# Clips of a step: rendered ones for the flow, and videos that are made.
FLOW_CLIPS, MADE = 48, 16
SAMPLER_STEPS = 12
WEIGHT = 0.1


def tune(
    pool: Pool, patches: Patches, begun: tuple[Any, Any], folder: Path, steps: int | None = None
) -> tuple[Any, Any]:
    """Go on with a trained transformer and its text encoder; returns both, the running means of their weights."""
    steps_here = steps or STEPS
    folder.mkdir(exist_ok=True)
    model = Trained()
    model.begin_with(*begun)
    network = fast(model.transformer, steps_here)
    flow = Flow(model, network, pool, folder.parent, patches, "tune", FLOW_CLIPS)
    reward = _reward(pool, flow.clean, folder, steps or reward_steps)
    words, shown = tokenizer(start=False), labels(pool.scenes)

    def batch_loss(step: int) -> Tensor:
        model.follow(step)
        noise = generator("tune", step)
        rows = choose("tune videos", step, len(pool.videos), MADE)
        which = torch.randint(0, len(pool.captions[0]), (len(rows),), generator=noise).tolist()
        said = [pool.captions[row][w] for row, w in zip(rows, which, strict=True)]
        with half_precision():
            made = sample(network, prompts(model.text_encoder, words, said), noise)
            spread = NOISE * torch.rand((len(rows), 1, 1, 1, 1), generator=noise)
            found = reward(made + spread * torch.randn(made.shape, generator=noise))
        return flow(step) + WEIGHT * surprise(found, {factor: of[rows] for factor, of in shown.items()})

    train(model, optimiser_of(model, LEARNING_RATE), batch_loss, steps=steps_here, folder=folder)
    return model.settled()


def sample(
    network: Any, text: Float[Tensor, "clips tokens dim"], noise: torch.Generator
) -> Float[Tensor, "clips c t h w"]:
    """Latents from noise by Euler's method without guidance, gradients kept."""
    sigma = shifted(torch.arange(SAMPLER_STEPS, -1, -1) / SAMPLER_STEPS)
    x = torch.randn((len(text), *LATENT_SHAPE), generator=noise)
    for now, then in pairwise(sigma):
        clean = (1 - now) * x - now * predict(network, x, now.expand(len(x)), text)
        x = clean + then / now * (x - clean)
    return x


def _reward(pool: Pool, latents: Tensor, folder: Path, steps: int) -> Reward:
    """The network that judges, or the one that was trained before."""
    path = folder / "reward.safetensors"
    if not path.is_file():
        beside = folder / "reward"
        beside.mkdir(exist_ok=True)
        write_bytes(path, save(train_reward(pool, latents, beside, steps).state_dict()))
    reward = Reward()
    reward.load_state_dict(load_file(path))
    return reward.eval().requires_grad_(False)
