"""Clips to train on, rendered once: every network sees the same scenes, none of them held out."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from brainreel.files import replace_folder
from brainreel.progress import track
from brainreel.training.randomness import generator
from brainreel.world.captions import captions
from brainreel.world.render import masks, render
from brainreel.world.scenes import FRAMES, SIDE, Scenes, draw_scenes

CLIPS = 16384
CAPTIONS = 6
_SEED = 7
_TOGETHER = 256


class Pool(NamedTuple):
    """Rendered clips (a file that is mapped, not read), their objects' pixels, and what they show.

    Attributes:
        scenes: What is drawn.
        videos: (clips, frames, height, width, 3) uint8.
        masks: (clips, frames, height, width) bool.
        captions: Several for each clip.
    """

    scenes: Scenes
    videos: np.ndarray
    masks: np.ndarray
    captions: list[list[str]]


def pool(folder: Path, clips: int = CLIPS, seed: int = _SEED) -> Pool:
    """Render the pool into ``folder``, or find it there (3.5 GB for the default number of clips)."""
    scenes = draw_scenes(clips, seed, combos="training")
    place = folder / f"pool-{clips}-{seed}"
    if not place.is_dir():
        beside = place.with_name(f".{place.name}.partial")
        beside.mkdir(parents=True, exist_ok=True)
        shape = (clips, FRAMES, SIDE, SIDE)
        videos = np.lib.format.open_memmap(beside / "videos.npy", mode="w+", dtype=np.uint8, shape=(*shape, 3))
        where = np.lib.format.open_memmap(beside / "masks.npy", mode="w+", dtype=np.bool_, shape=shape)
        for start in track(range(0, clips, _TOGETHER), "render", -(-clips // _TOGETHER)):
            part = scenes[start : start + _TOGETHER]
            videos[start : start + len(part)], where[start : start + len(part)] = render(part), masks(part)
        videos.flush()
        where.flush()
        replace_folder(beside, place)
    videos = np.load(place / "videos.npy", mmap_mode="r")
    return Pool(scenes, videos, np.load(place / "masks.npy", mmap_mode="r"), captions(scenes, variants=CAPTIONS))


def choose(what: str, step: int, clips: int, count: int) -> np.ndarray:
    """The clips of a step, without repetition; they belong to the step's number and not to its history."""
    return torch.randperm(clips, generator=generator("sandbox", what, step))[:count].numpy()


def pixels(videos: np.ndarray) -> Float[Tensor, "clips 3 frames height width"]:
    """uint8 RGB to the networks' range, -1 to 1."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(videos, -1, 1))).float() / 127.5 - 1
