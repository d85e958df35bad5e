"""What a simulated clip offers to the cortex: computed from the scene and its pixels, never from a network.

Every drive has features of several kinds. A kind's features are centred and divided by their total standard
deviation over many scenes, so that its weight is its share of what drives the tissue.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from brainreel.world.render import SIDE, paths, render
from brainreel.world.scenes import COLOURS, FACTORS, KINDS, PLACES, Scenes, draw_scenes
from brainreel.world.shapes import REACH, silhouettes

Videos = UInt8[np.ndarray, "clips frames 64 64 3"]
Features = Float[np.ndarray, "clips features"]

# The visual field is cut into so many cells per side, and coarser where motion is concerned.
CELLS = 8
MOTION_CELLS = 4
# So many consecutive kinds of `KINDS` are of one category: animals, vehicles, household things, the rest.
CATEGORY = 4
_REFERENCE = 128


class Kind(NamedTuple):
    """One kind of features and how much of a drive's power it has."""

    weight: float
    features: Callable[[Scenes, Videos], Features]


def layout(scenes: Scenes, videos: Videos) -> Float[np.ndarray, "clips cells cells 3"]:
    """What is drawn where: mean luminance, red minus green, yellow minus blue of every cell over the clip."""
    block = SIDE // CELLS
    rgb = videos.mean(axis=1, dtype=np.float32) / 255
    rgb = rgb.reshape(len(videos), CELLS, block, CELLS, block, 3).mean(axis=(2, 4))
    r, g, b = np.moveaxis(rgb, -1, 0)
    return np.stack([(r + g + b) / 3, r - g, (r + g) / 2 - b], axis=-1).astype(np.float64)


def _channel(channel: slice) -> Callable[[Scenes, Videos], Features]:
    return lambda scenes, videos: layout(scenes, videos)[..., channel].reshape(len(scenes), -1)


def _motion_where(scenes: Scenes, videos: Videos) -> Features:
    """How much changes between frames in every coarse cell."""
    block = SIDE // MOTION_CELLS
    grey = videos.mean(axis=-1, dtype=np.float32) / 255
    change = np.abs(np.diff(grey, axis=1)).mean(axis=1)
    cells = change.reshape(len(videos), MOTION_CELLS, block, MOTION_CELLS, block).mean(axis=(2, 4))
    return cells.reshape(len(videos), -1).astype(np.float64)


def _motion_how(scenes: Scenes, videos: Videos) -> Features:
    """Speed rightward, leftward, down, up, outward, inward, clockwise and counter-clockwise, of the whole clip."""
    path = paths(scenes)
    across, along = path.x[:, -1] - path.x[:, 0], path.y[:, -1] - path.y[:, 0]
    outward = (path.side[:, -1] - path.side[:, 0]) / 2
    around = (path.angle[:, -1] - path.angle[:, 0]) * path.side[:, 0] / (4 * np.pi)
    speeds = np.stack([across, along, outward, around], axis=1)
    return np.concatenate([np.maximum(speeds, 0), np.maximum(-speeds, 0)], axis=1)


def _one_hot(index: np.ndarray, count: int) -> Features:
    return np.eye(count)[index]


def _silhouette(scenes: Scenes, videos: Videos) -> Features:
    """The object's outline, coarsely, whatever its size and place, as it faces."""
    side = 6
    shapes = silhouettes()[..., 0] > 128
    # The object's own square: the outer part of the stored one is empty.
    edge = round(shapes.shape[1] * (1 - 0.55 / REACH) / 2)
    shapes = shapes[:, edge:-edge, edge:-edge]
    width = shapes.shape[1] // side * side
    coarse = shapes[:, :width, :width].reshape(len(KINDS), side, width // side, side, width // side).mean(axis=(2, 4))
    shown = coarse[scenes.kind]
    return np.where(scenes.facing[:, None, None] > 0, shown, shown[:, :, ::-1]).reshape(len(scenes), -1)


def _object_colour(scenes: Scenes, videos: Videos) -> Features:
    rgb = np.array(list(COLOURS.values()))[scenes.colour] / 255
    return np.concatenate([_one_hot(scenes.colour, len(COLOURS)), rgb], axis=1)


# What drives a parcel of the cortex -> the kinds of features it answers to.
DRIVES: dict[str, tuple[Kind, ...]] = {
    "layout": (Kind(0.5, _channel(slice(0, 1))), Kind(0.5, _channel(slice(1, 3)))),
    "motion": (Kind(0.7, _motion_how), Kind(0.3, _motion_where)),
    "colour": (
        Kind(0.8, _object_colour),
        Kind(0.2, lambda scenes, videos: layout(scenes, videos)[..., 1:].mean(axis=(1, 2))),
    ),
    "object": (
        Kind(0.4, lambda scenes, videos: _one_hot(scenes.kind, len(KINDS))),
        Kind(0.25, lambda scenes, videos: _one_hot(scenes.kind // CATEGORY, len(KINDS) // CATEGORY)),
        Kind(0.25, _silhouette),
        Kind(0.1, lambda scenes, videos: np.log(paths(scenes).side.mean(axis=1, keepdims=True))),
    ),
    "scene": (
        Kind(0.6, lambda scenes, videos: _one_hot(scenes.place, len(PLACES))),
        Kind(0.15, lambda scenes, videos: 1.0 * (scenes.place == PLACES.index("kitchen"))[:, None]),
        Kind(0.25, lambda scenes, videos: _one_hot(scenes.light, len(FACTORS["light"]))),
    ),
}


def drives(scenes: Scenes, videos: Videos) -> dict[str, Features]:
    """What each clip offers to each kind of tissue.

    Args:
        scenes: What the clips show.
        videos: Their pixels, as `render` makes them.

    Returns:
        Drive → features of every clip, centred over many scenes, of unit total variance over them.
    """
    out = {}
    for name, kinds in DRIVES.items():
        parts = []
        for kind, (centre, scale) in zip(kinds, _reference(name), strict=True):
            parts.append(np.sqrt(kind.weight) * (kind.features(scenes, videos) - centre) / scale)
        out[name] = np.concatenate(parts, axis=1)
    return out


@cache
def _reference(name: str) -> list[tuple[np.ndarray, float]]:
    """Mean, and square root of the total variance, of each kind of features over scenes of all combinations."""
    found = []
    for kind in DRIVES[name]:
        features = kind.features(*_many_scenes())
        found.append((features.mean(axis=0), float(np.sqrt(features.var(axis=0).sum()))))
    return found


@cache
def _many_scenes() -> tuple[Scenes, Videos]:
    scenes = draw_scenes(_REFERENCE, seed=0, combos="all")
    return scenes, render(scenes)
