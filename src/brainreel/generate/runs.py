"""Making the videos of many clips, resumable clip by clip, into a folder that describes itself."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from brainreel.errors import ExperimentError, UsageError
from brainreel.files import is_plain, write_bytes, write_json
from brainreel.generate.config import GenerateConfig
from brainreel.generate.protocol import Generator, Videos, batches, choose_mode
from brainreel.progress import track
from brainreel.regress.conditions import Conditions

RECORD = "generation.json"


def reconstruct(
    conditions: Conditions,
    generator: Generator,
    folder: Path,
    config: GenerateConfig = GenerateConfig(),  # noqa: B008  frozen
    *,
    what: str = "generate",
) -> list[Path]:
    """Make what is missing of the clips' videos.

    A batch with a missing clip is made again whole, so that the result is the same, bit for bit, as if nothing had
    been missing; the files that are there stay as they are.

    Args:
        conditions: Of all clips that the folder shall hold, in an order that stays the same.
        generator: The video model.
        folder: Gets ``<clip_id>.npy``, uint8 (frames, H, W, 3), and ``generation.json``: rate, size, settings.
        config: How videos are made.
        what: Name of the progress bar.

    Returns:
        A file per clip, in the order of the conditions.

    Raises:
        UsageError: a clip whose id cannot be a file's name, or conditions that the generator cannot be given.
        ExperimentError: the folder holds videos of other conditions, settings or weights.
    """
    if bad := [clip for clip in conditions.clip_id if not is_plain(clip)]:
        raise UsageError(f"the clip id {bad[0]!r} cannot be a file's name", expected="no slashes, no dot in front")
    conditions = config.given(conditions)
    mode = choose_mode(conditions, generator.takes, config.mode)
    facts = {
        **config.affecting(),
        "mode": mode,
        "generator": generator.identity,
        "conditions": fingerprint(conditions),
        "clips": len(conditions),
    }
    facts = json.loads(json.dumps(facts))
    _refuse_others(folder, facts)
    paths = {clip: folder / f"{clip}.npy" for clip in conditions.clip_id}
    parts = batches(conditions, generator.together(conditions))
    todo = [some for some in parts if not all(paths[clip].is_file() for clip in some.clip_id)]
    for some in track(todo, what, len(todo)):
        made = generator.generate(some, **{**config.passed(), "mode": mode})
        if not (folder / RECORD).is_file():
            write_json(folder / RECORD, {**_format(made), **facts})
        for clip, frames in zip(some.clip_id, made.frames, strict=True):
            if not paths[clip].is_file():
                stream = io.BytesIO()
                np.save(stream, frames, allow_pickle=False)
                write_bytes(paths[clip], stream.getvalue())
    return list(paths.values())


def read_generation(folder: Path) -> dict[str, Any]:
    """``generation.json`` of a folder of videos: fps, frames, height, width, and how they were made.

    Raises:
        ExperimentError: if it is missing or damaged.
    """
    try:
        return json.loads((folder / RECORD).read_text())
    except (OSError, ValueError) as error:
        raise ExperimentError(f"{folder / RECORD} cannot be read ({error})", do="run `brainreel generate`") from error


def fingerprint(conditions: Conditions) -> str:
    """SHA-256 over everything that videos are made from; the facts that tell where it comes from do not count."""
    digest = hashlib.sha256(json.dumps([conditions.clip_id, conditions.captions, conditions.facts.get("fps")]).encode())
    for name, values in sorted(conditions.vectors.items()):
        values = np.ascontiguousarray(values, np.float32)
        digest.update(f"{name} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _refuse_others(folder: Path, facts: dict[str, Any]) -> None:
    if not (folder / RECORD).is_file():
        if next(folder.glob("*.npy"), None) is not None:
            raise ExperimentError(
                f"{folder} holds arrays of unknown origin", expected="an empty folder", do="choose another"
            )
        return
    there = read_generation(folder)
    for name, value in facts.items():
        if there.get(name) != value:
            shown = "other " + name if isinstance(value, dict) or name == "conditions" else f"{name} {there.get(name)}"
            raise ExperimentError(
                f"{folder} holds videos made with {shown}",
                expected="the same conditions, settings and weights" if "other" in shown else f"{value}",
                do="choose another folder, or delete that one",
            )


def _format(made: Videos) -> dict[str, Any]:
    frames, height, width = made.frames.shape[1:4]
    return {"fps": made.fps, "frames": frames, "height": height, "width": width}
