"""How good the sandbox's networks are, on scenes that none of them was trained on.

The autoencoder's loss, the classifier's accuracy on rendered clips, and whether the classifier sees in videos made from
a caption alone what the caption says. The classifier shares nothing with what makes the videos.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

from brainreel.encoders.prompt import Prompt
from brainreel.encoders.visual import load_visual
from brainreel.generate.wan import WanGenerator
from brainreel.progress import track
from brainreel.regress.conditions import Conditions
from brainreel.sandbox.config import SandboxConfig
from brainreel.sandbox.installed import find_networks
from brainreel.world.captions import captions
from brainreel.world.render import render
from brainreel.world.scenes import FACTORS, KINDS, MOTIONS, Scenes, draw_scenes

# The docs quote 512.
CLIPS = 512
_SEED = 20_000
_TOGETHER = 64


def run(*, clips: int = CLIPS, weights: Path | None = None) -> dict[str, Any]:
    """Measure on ``clips`` scenes of held-out combinations, and print a table.

    Returns:
        `autoencoder_db`; for `renders` and `text_to_video`: `kind` and `motion`, each with the classifier's `agreement`,
        its 95 % Wilson interval `ci95` and `chance`.
    """
    found = find_networks(weights)
    scenes = draw_scenes(clips, _SEED, combos="held-out")
    truth = render(scenes)
    shown = _made(found.pipeline, scenes)
    classifier = load_visual("videomae", str(found.classifier))
    result = {
        "clips": clips,
        "autoencoder_db": _round_trip_db(found.pipeline, truth[: min(clips, 128)]),
        "renders": agreement(_logits(classifier, truth), scenes),
        "text_to_video": agreement(_logits(classifier, shown), scenes),
    }
    _print(result)
    return result


def agreement(logits: np.ndarray, scenes: Scenes) -> dict[str, Any]:
    """How often a classifier of kinds in motions (clips × (kinds × motions) logits) says what is shown."""
    joint = np.exp(logits - logits.max(1, keepdims=True)).reshape(len(scenes), len(KINDS), len(MOTIONS))
    said = {"kind": joint.sum(2).argmax(1), "motion": joint.sum(1).argmax(1)}
    out = {}
    for factor, answers in said.items():
        right = int((answers == getattr(scenes, factor)).sum())
        interval = binomtest(right, len(scenes)).proportion_ci(method="wilson")
        out[factor] = {
            "agreement": right / len(scenes),
            "ci95": [float(interval.low), float(interval.high)],
            "chance": 1 / len(FACTORS[factor]),
        }
    return out


def _made(pipeline: Path, scenes: Scenes) -> np.ndarray:
    """A video from each scene's plainest caption, by text-to-video with the recipe's settings."""
    config = SandboxConfig().generate
    prompt, generator = Prompt(str(pipeline)), WanGenerator(pipeline)
    said = [told[0] for told in captions(scenes, variants=1)]
    parts = []
    for start in track(range(0, len(said), _TOGETHER), "generate", -(-len(said) // _TOGETHER)):
        some = said[start : start + _TOGETHER]
        given = Conditions([f"{start + k:05d}" for k in range(len(some))], {"text": prompt.encode(some)}, some)
        made = generator.generate(
            given, steps=config.steps, strength=1.0, guidance=config.guidance, seed=_SEED, mode="text-to-video"
        )
        parts.append(made.frames)
    return np.concatenate(parts)


def _logits(classifier: Any, videos: np.ndarray) -> np.ndarray:
    return np.concatenate(
        [classifier.logits(videos[k : k + _TOGETHER])[:, 0] for k in range(0, len(videos), _TOGETHER)]
    )


def _round_trip_db(pipeline: Path, videos: np.ndarray) -> float:
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

    from brainreel.sandbox.train_autoencoder import psnr_db

    model = AutoencoderKLWan.from_pretrained(pipeline, subfolder="vae").float()
    return psnr_db(model, videos)


def _print(result: dict[str, Any]) -> None:
    table = Table("videos", "what", "agreement", "95 % interval", "chance")
    for videos in ("renders", "text_to_video"):
        for factor, row in result[videos].items():
            low, high = row["ci95"]
            table.add_row(videos, factor, f"{row['agreement']:.3f}", f"{low:.3f} to {high:.3f}", f"{row['chance']:.3f}")
    console = Console()
    console.print(table)
    console.print(f"autoencoder: {result['autoencoder_db']:.2f} dB; {result['clips']} clips of held-out combinations")
