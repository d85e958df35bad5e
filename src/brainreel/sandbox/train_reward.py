"""The reward of the transformer's second half: a network that tells from noisy latents what a clip shows.

It is thrown away after training. With the classifier of the semantic scores it shares the rendered clips and nothing else:
another architecture, another input, other weights.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gelu

from brainreel.sandbox.networks import LATENT_SHAPE
from brainreel.sandbox.pool import Pool, choose
from brainreel.training.loop import train
from brainreel.training.muon import Muon, sorted_parameters
from brainreel.training.randomness import generator
from brainreel.world.scenes import FACTORS, Scenes

STEPS, CLIPS, LEARNING_RATE, OTHERS_RATE = 2500, 64, 0.01, 1.5e-3
# Noise on the latents, of which each clip gets its own part: what is generated is never quite right.
NOISE = 0.4
_WIDTH, _DEPTH = 96, 4


class Residual(nn.Module):
    """Two convolutions in space, and what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.conv_in, self.conv_out = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, x: Float[Tensor, "n width h w"]) -> Float[Tensor, "n width h w"]:
        """Same shape."""
        return x + self.conv_out(gelu(self.conv_in(self.norm(x))))


class Reward(nn.Module):
    """Latents to logits of every factor of a scene: convolutions in each place in time, then over all of them."""

    def __init__(self) -> None:
        super().__init__()
        channels, frames, height, width = LATENT_SHAPE
        self.enter = nn.Conv2d(channels, _WIDTH, 3, padding=1)
        self.frame_block = nn.Sequential(*(Residual(_WIDTH) for _ in range(_DEPTH // 2)))
        self.join = nn.Conv2d(frames * _WIDTH, _WIDTH, 1)
        # Where something is matters to how it moves, and convolutions cannot know it.
        self.where = nn.Parameter(torch.zeros(_WIDTH, height, width))
        self.clip_block = nn.Sequential(*(Residual(_WIDTH) for _ in range(_DEPTH // 2)))
        self.norm = nn.LayerNorm(2 * _WIDTH)
        self.heads = nn.ModuleDict({factor: nn.Linear(2 * _WIDTH, len(names)) for factor, names in FACTORS.items()})

    def forward(self, latents: Float[Tensor, "clips c t h w"]) -> dict[str, Float[Tensor, "clips options"]]:
        """Logits by factor."""
        clips, _, frames, *_ = latents.shape
        x = self.frame_block(self.enter(latents.transpose(1, 2).flatten(0, 1)))
        x = self.clip_block(self.join(x.unflatten(0, (clips, frames)).flatten(1, 2)) + self.where)
        pooled = self.norm(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1).float())
        return {factor: head(pooled).float() for factor, head in self.heads.items()}


def labels(scenes: Scenes) -> dict[str, Tensor]:
    """What scenes show, by factor."""
    return {factor: torch.from_numpy(getattr(scenes, factor)).long() for factor in FACTORS}


def surprise(logits: dict[str, Tensor], shown: dict[str, Tensor], smoothing: float = 0.0) -> Float[Tensor, ""]:
    """Cross-entropies of all factors together."""
    parts = [cross_entropy(found, shown[factor], label_smoothing=smoothing) for factor, found in logits.items()]
    return torch.stack(parts).sum()


def train_reward(pool: Pool, latents: Float[Tensor, "clips c t h w"], folder: Path, steps: int = STEPS) -> Reward:
    """Train on the pool's latents with noise."""
    torch.manual_seed(4)
    model, shown = Reward(), labels(pool.scenes)
    optimiser = Muon(*sorted_parameters(model, _inner), lr=LEARNING_RATE, others_lr=OTHERS_RATE, weight_decay=0.05)

    def batch_loss(step: int) -> Tensor:
        rows = choose("reward", step, len(latents), CLIPS)
        noise = generator("reward noise", step)
        spread = NOISE * torch.rand((len(rows), 1, 1, 1, 1), generator=noise)
        x = latents[rows]
        with torch.autocast("cpu", torch.bfloat16):
            found = model(x + spread * torch.randn(x.shape, generator=noise))
        return surprise(found, {factor: of[rows] for factor, of in shown.items()}, smoothing=0.05)

    train(model, optimiser, batch_loss, steps=steps, folder=folder)
    return model.eval().requires_grad_(False)


def _inner(name: str, value: Tensor) -> bool:
    return value.ndim == 4 and "_block" in name
