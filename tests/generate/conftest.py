"""Tiny real pipelines: the sandbox's networks with random weights, saved as the trained ones are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from brainreel.files import write_json
from brainreel.generate.wan import WanGenerator
from brainreel.regress import Conditions
from brainreel.sandbox import networks
from brainreel.sandbox.words import TOKENS, tokenizer

SIZE = {"frames": 5, "height": 32, "width": 32, "fps": 8.0}
LATENT = (networks.LATENT_CHANNELS, 2, 4, 4)
CAPTIONS = ["a small red cat moving left on a beach by day", "a large blue dog jumping in a forest by night", "a cat"]


def save_pipeline(folder: Path, scheduler: str = "euler") -> Path:
    """A pipeline in half precision."""
    from diffusers.pipelines.wan.pipeline_wan import WanPipeline
    from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
    from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

    torch.manual_seed(0)
    vae = networks.autoencoder()
    vae.register_to_config(latents_mean=[0.1] * LATENT[0], latents_std=[1.5] * LATENT[0])
    schedulers = {
        "euler": lambda: FlowMatchEulerDiscreteScheduler(shift=3.0),
        # What Wan's own weights come with.
        "unipc": lambda: UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
        "noise": lambda: UniPCMultistepScheduler(),
    }
    pipeline = WanPipeline(
        tokenizer=tokenizer(start=False),
        text_encoder=networks.text_encoder(),
        transformer=networks.transformer(),
        vae=vae,
        scheduler=schedulers[scheduler](),
    )
    pipeline.to(torch.float16).save_pretrained(folder)
    write_json(folder / "video.json", SIZE)
    return folder


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    return save_pipeline(tmp_path_factory.mktemp("weights") / "pipeline")


@pytest.fixture(scope="session")
def wan(weights) -> WanGenerator:
    return WanGenerator(weights)


@pytest.fixture(scope="session")
def given() -> Conditions:
    """Nine clips with text and latents."""
    rng = np.random.default_rng(0)
    text = rng.normal(size=(9, TOKENS, networks.TEXT_DIM)).astype(np.float32)
    text[:, 12:] = 0
    latent = rng.normal(size=(9, *LATENT)).astype(np.float32)
    return Conditions([f"clip-{i}" for i in range(9)], {"text": text, "latent": latent})
