"""Small event stores with videos: smooth random clips that can be encoded anew, mirrored and renamed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from brainreel.files import sha256
from brainreel.store import Store, StoreWriter
from brainreel.video import write_video

from . import small

FRAMES = 10


def picture(seed: int, frames: int = FRAMES, size: int = 48) -> np.ndarray:
    """A film of smooth blobs that fade from one pattern into another."""
    rng = np.random.default_rng(seed)
    ends = [
        np.asarray(Image.fromarray(rng.integers(0, 255, (5, 5, 3), np.uint8)).resize((size, size), 3)) for _ in range(2)
    ]
    t = np.linspace(0, 1, frames)[:, None, None, None]
    return np.rint(ends[0] * (1 - t) + ends[1] * t).astype(np.uint8)


def resized(video: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.stack([np.asarray(Image.fromarray(frame).resize((width, height), 3)) for frame in video])


def release(
    folder: Path,
    name: str,
    clips: Mapping[str, np.ndarray],
    test: Sequence[str],
    *,
    fps: float = 8.0,
    seed: int = 0,
    responses: Mapping[str, np.ndarray] | None = None,
    space: str = "own/cortex",
    vertex: np.ndarray | None = None,
) -> Store:
    """A store of two people who saw each clip once; their responses are noise unless given."""
    videos = folder / f"{name}-videos"
    paths = []
    for clip, frames in clips.items():
        paths.append(videos / f"{clip}.mp4")
        write_video(paths[-1], frames, fps=fps)
    rng = np.random.default_rng(seed + 100)
    responses = responses or {who: rng.normal(size=(len(clips), 64)) for who in ("s1", "s2")}
    shown = pd.DataFrame({"run": "1", "session": "1", "clip_id": list(clips), "repetition": 1})
    with StoreWriter(folder / name, small.manifest("event", name)) as writer:
        width = next(iter(responses.values())).shape[1]
        writer.add_space(space, np.arange(width) if vertex is None else vertex, ["P"] * width)
        for who, values in responses.items():
            writer.add_responses(who, values.astype(np.float32), space=space)
        writer.write_clips(
            pd.DataFrame(
                {
                    "clip_id": list(clips),
                    "path": [str(path.resolve()) for path in paths],
                    "duration_s": FRAMES / 8,
                    "sha256": [sha256(path) for path in paths],
                }
            )
        )
        trials = pd.concat([shown.assign(subject=who) for who in responses], ignore_index=True)
        writer.write_trials(trials)
        writer.write_folds("official", pd.DataFrame({"f": np.where(trials["clip_id"].isin(test), "test", "train")}))
    return Store(folder / name)
