"""Embeddings of training trials by decoders that were not trained on their clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors.numpy import load_file, save

from brainreel.align.config import AlignConfig
from brainreel.align.examples import Recording
from brainreel.align.goals import Goals
from brainreel.align.strategies import STRATEGIES, Training
from brainreel.files import write_bytes
from brainreel.progress import track
from brainreel.regress.parts import clip_parts


def crossfit(
    recordings: Sequence[Recording],
    goals: Goals,
    config: AlignConfig,
    count: int,
    folder: Path,
    device: torch.device,
) -> list[Float[np.ndarray, "_trials dim"]]:
    """Each recording's embeddings, every trial's by a decoder of the other parts of the training clips.

    A decoder knows the clips that it was trained on: its embeddings of them are far better than those of a test
    clip, and whoever learns from them trusts test embeddings too much. Stacking (Wolpert 1992) trains the second
    stage on what the first says about clips it has not seen. All decoders answer in the space of the same targets,
    so their embeddings may stand side by side.

    Args:
        recordings: Training trials of all subjects.
        goals: Targets of stage 1, centred.
        config: Of stage 1.
        count: Parts that the clips are divided into.
        folder: For checkpoints and finished parts; what is found there is not computed again.
        device: Where to compute.

    Raises:
        FoldError: if there are too few clips for two parts.
    """
    clip = np.concatenate([recording.clip for recording in recordings])
    out = np.full((len(clip), goals.dim), np.nan, np.float32)
    for number, (train, held) in enumerate(track(clip_parts(goals, clip, count, config.gap_s), "crossfit")):
        path = folder / f"part-{number}.safetensors"
        if not path.is_file():
            found = _answers(recordings, goals, config, train, held, folder / f"part-{number}", device)
            write_bytes(path, save({"embedding": found}))
        out[held] = load_file(path)["embedding"]
    sizes = np.cumsum([len(recording.clip) for recording in recordings])[:-1]
    return np.split(out, sizes)


def _answers(
    recordings: Sequence[Recording],
    goals: Goals,
    config: AlignConfig,
    train: np.ndarray,
    held: np.ndarray,
    folder: Path,
    device: torch.device,
) -> Float[np.ndarray, "held dim"]:
    """Embeddings of the held-out trials; NaN where a person has no other trials to be decoded by."""
    starts = np.cumsum([0, *(len(recording.clip) for recording in recordings)])
    inside = np.zeros((2, starts[-1]), bool)
    inside[0, train] = inside[1, held] = True
    parts = [
        (recording, *(np.flatnonzero(mask[start : start + len(recording.clip)]) for mask in inside))
        for recording, start in zip(recordings, starts, strict=False)
    ]
    kept = [recording.take(rows) for recording, rows, _ in parts if len(rows)]
    decoder = STRATEGIES[config.strategy](Training(kept, goals, config, folder, device, {})).decoder
    out = np.full((starts[-1], goals.dim), np.nan, np.float32)
    for (recording, rows, asked), start in zip(parts, starts, strict=False):
        if len(rows) and len(asked):
            out[start + asked] = decoder.embed(recording.subject, recording.responses[asked])
    return out[held]
