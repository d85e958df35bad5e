"""The diffusion transformer and its text encoder, together, by flow matching (Lipman et al. 2023, Liu et al. 2023).

x_σ = (1 − σ) x + σ ε. As Wan does: prompt embeddings are zero past the sentence. Unlike Wan, the network is asked for
`TARGET` and not for ε − x: near σ = 1, where the shapes are decided, this is −x alone, and a network hardly wider than its
tokens need not carry their noise to its end (Li & He 2025, "Back to Basics", show what that costs).
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from safetensors.numpy import load_file, save
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import adaptive_max_pool3d

from brainreel.files import write_bytes
from brainreel.progress import track
from brainreel.sandbox.networks import LATENT_SHAPE, text_encoder, transformer
from brainreel.sandbox.patches import Patches
from brainreel.sandbox.pool import Pool, choose, pixels
from brainreel.sandbox.words import TOKENS, tokenizer
from brainreel.training.loop import train
from brainreel.training.muon import Muon, sorted_parameters
from brainreel.training.randomness import generator

STEPS, CLIPS, LEARNING_RATE, OTHERS_SHARE = 12_000, 64, 0.01, 0.15
OBJECT_WEIGHT = 6.0
UNCONDITIONAL = 0.1
# Times are drawn denser where there is more noise, as the sampler's steps are (`shift` of the scheduler).
SHIFT = 3.0
AVERAGE = 0.999
# Fewer are over before a compiler is.
_WORTH_COMPILING = 500
# (1 − σ) ε − (2 − σ) x, from which the sampler gets x = (1 − σ) x_σ − σ v: diffusers' name for it, with flow sigmas.
TARGET = "v_prediction"


class Trained(nn.Module):
    """Transformer and text encoder, and the running mean of their weights, which is what is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.transformer, self.text_encoder = transformer(), text_encoder()
        for name, value in self._live():
            self.register_buffer(f"mean_{name}", value.detach().clone())

    def _live(self) -> list[tuple[str, Tensor]]:
        parts = {"transformer": self.transformer, "text_encoder": self.text_encoder}
        return [(f"{p}_{n}".replace(".", "_"), v) for p, m in parts.items() for n, v in m.named_parameters()]

    @torch.no_grad()
    def begin_with(self, transformer: Any, text_encoder: Any) -> None:
        """Take over the weights of two networks that were trained."""
        self.transformer.load_state_dict(transformer.float().state_dict())
        self.text_encoder.load_state_dict(text_encoder.float().state_dict())
        for name, value in self._live():
            getattr(self, f"mean_{name}").copy_(value)

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Move the means towards the weights, fast at first."""
        keep = min(AVERAGE, (1 + step) / (10 + step))
        for name, value in self._live():
            getattr(self, f"mean_{name}").lerp_(value, 1 - keep)

    @torch.no_grad()
    def settled(self) -> tuple[Any, Any]:
        """Transformer and text encoder with the means in the place of their weights."""
        for name, value in self._live():
            value.copy_(getattr(self, f"mean_{name}"))
        return self.transformer.eval().requires_grad_(False), self.text_encoder.eval().requires_grad_(False)


def _inner(name: str, value: Tensor) -> bool:
    """Matrices of the blocks; not embeddings, nor what enters and leaves."""
    return value.ndim == 2 and ".block" in name and "table" not in name and "relative_attention_bias" not in name


def encode_pool(pool: Pool, patches: Patches, folder: Path) -> tuple[Tensor, Tensor]:
    """Latents of the whole pool, and how much of the object each of their places shows (0 or 1)."""
    path = folder / f"latents-{len(pool.videos)}.safetensors"
    if not path.is_file():
        parts = []
        for start in track(range(0, len(pool.videos), 64), "encode", -(-len(pool.videos) // 64)):
            parts.append(patches.encode(pixels(np.asarray(pool.videos[start : start + 64]))).half().numpy())
        write_bytes(path, save({"latents": np.concatenate(parts)}))
    return torch.from_numpy(load_file(path)["latents"]).float(), object_places(np.asarray(pool.masks))


def object_places(masks: Bool[np.ndarray, "clips 17 64 64"]) -> Float[Tensor, "clips 1 frames height width"]:
    """1 where any pixel of a latent place shows the object: the first frame is a place in time of its own."""
    first, rest = masks[:, :1], masks[:, 1:]
    groups = rest.reshape(len(masks), LATENT_SHAPE[1] - 1, 4, *masks.shape[2:]).any(2)
    where = torch.from_numpy(np.concatenate([first, groups], 1))[:, None]
    return torch.cat([adaptive_max_pool3d(part.float(), LATENT_SHAPE[1:]) for part in where.split(512)])


def prompts(encoder: Any, words: Any, said: list[str]) -> Float[Tensor, "prompts tokens dim"]:
    """Prompt embeddings as WanPipeline makes them: zero past the sentence's end."""
    tokens = words(
        said, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt", return_token_type_ids=False
    )
    found = encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state
    return found * tokens.attention_mask[..., None]


def fast(network: Any, steps: int) -> Callable[..., Any]:
    """The network compiled, which makes a step a third shorter, where that is worth it and there is a compiler."""
    return torch.compile(network, dynamic=False) if steps >= _WORTH_COMPILING and shutil.which("g++") else network


@contextmanager
def half_precision() -> Iterator[None]:
    """Products in bfloat16: a quarter faster on a core that multiplies it."""
    # The fused attention goes backward over 80 tokens eight times slower than plain products do.
    with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
        # Norms have weights in full precision, and torch says that it takes a slower way for them.
        warnings.filterwarnings("ignore", "Mismatch dtype between input and weight")
        yield


class Flow:
    """The flow-matching loss of `Trained` on a pool of clips.

    Args:
        name: Steps of another name see other clips.
        clips: A step.
        network: The model's transformer, as it is called.
    """

    def __init__(
        self, model: Trained, network: Any, pool: Pool, latents: Path, patches: Patches, name: str, clips: int
    ):
        self.model, self.network, self.said, self.name, self.clips = model, network, pool.captions, name, clips
        self.words = tokenizer(start=False)
        self.clean, self.places = encode_pool(pool, patches, latents)

    def __call__(self, step: int) -> Float[Tensor, ""]:
        """The loss of a step: the squared error of `TARGET`, where the object is `OBJECT_WEIGHT` times more."""
        rows = choose(self.name, step, len(self.clean), self.clips)
        noise = generator("flow", step)
        which = torch.randint(0, len(self.said[0]), (len(rows),), generator=noise).tolist()
        silent = (torch.rand(len(rows), generator=noise) < UNCONDITIONAL).tolist()
        said = ["" if mute else self.said[row][w] for row, w, mute in zip(rows, which, silent, strict=True)]
        sigma = shifted(torch.rand(len(rows), generator=noise)).view(-1, 1, 1, 1, 1)
        x, where = self.clean[rows], self.places[rows]
        epsilon = torch.randn(x.shape, generator=noise)
        with half_precision():
            text = prompts(self.model.text_encoder, self.words, said)
            found = predict(self.network, (1 - sigma) * x + sigma * epsilon, sigma.flatten(), text)
        weight = 1 + OBJECT_WEIGHT * where
        wanted = (1 - sigma) * epsilon - (2 - sigma) * x
        return (weight * (found - wanted).square()).sum() / weight.sum() / LATENT_SHAPE[0]


def shifted(time: Tensor) -> Tensor:
    """Times from 0 to 1 to noise levels σ."""
    return SHIFT * time / (1 + (SHIFT - 1) * time)


def predict(network: Any, noisy: Tensor, sigma: Float[Tensor, " clips"], text: Tensor) -> Tensor:
    """`TARGET` of noisy latents, by a transformer."""
    return network(hidden_states=noisy, timestep=1000 * sigma, encoder_hidden_states=text, return_dict=False)[0].float()


def optimiser_of(model: Trained, lr: float) -> Muon:
    """Muon with ``lr`` for the blocks' matrices, and AdamW in proportion for the others."""
    return Muon(*sorted_parameters(model, _inner), lr=lr, others_lr=OTHERS_SHARE * lr, weight_decay=0.01)


def train_transformer(pool: Pool, patches: Patches, folder: Path, steps: int = STEPS) -> tuple[Any, Any]:
    """Train; returns the transformer and its text encoder, both the running means of their weights."""
    torch.manual_seed(3)
    model = Trained()
    flow = Flow(model, fast(model.transformer, steps), pool, folder.parent, patches, "transformer", CLIPS)

    def batch_loss(step: int) -> Tensor:
        model.follow(step)
        return flow(step)

    train(model, optimiser_of(model, LEARNING_RATE), batch_loss, steps=steps, folder=folder)
    return model.settled()
