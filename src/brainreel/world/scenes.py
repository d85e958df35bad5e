"""What a simulated clip shows: an object of some kind, size and colour that moves somewhere, by day or by night.

A `Scenes` is a whole batch, one row per clip, so that drawing and rendering thousands costs little more than one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from brainreel.errors import UsageError
from brainreel.world.backdrops import BACKDROPS, HEIGHT
from brainreel.world.shapes import SHAPES

SIDE = 64
FRAMES = 17
FPS = 8.0

KINDS: tuple[str, ...] = tuple(SHAPES)
PLACES: tuple[str, ...] = tuple(BACKDROPS)
MOTIONS: tuple[str, ...] = ("left", "right", "up", "down", "grow", "shrink", "spin", "still")
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (228, 38, 44),
    "orange": (252, 134, 16),
    "yellow": (252, 222, 36),
    "green": (52, 196, 62),
    "blue": (38, 104, 240),
    "purple": (166, 66, 218),
}
# The longer side of the object in pixels, halfway through the clip.
SIZES: dict[str, float] = {"small": 25.0, "large": 36.0}
LIGHTS: tuple[str, ...] = ("day", "night")

FACTORS: dict[str, tuple[str, ...]] = {
    "kind": KINDS,
    "place": PLACES,
    "motion": MOTIONS,
    "colour": tuple(COLOURS),
    "size": tuple(SIZES),
    "light": LIGHTS,
}

Combos = Literal["training", "held-out", "all"]
# One object-place-motion combination in seven belongs to the test splits.
_HELD_OUT_EVERY = 7


@dataclass(frozen=True)
class Scenes:
    """A batch of scenes: indices into `FACTORS`, and what no caption tells.

    Attributes:
        kind, place, motion, colour, size, light: Indices into the lists of `FACTORS`.
        x, y: The object's middle halfway through the clip, in pixels from the upper left corner.
        extent: How much of its motion it makes, 0 to 1: pixels travelled, growth, turns.
        scale: Its size relative to that of `SIZES`, about 1.
        tilt: Its angle halfway through the clip, in radians, clockwise.
        facing: 1 where it faces right, -1 left; objects that move sideways face where they go.
        turning: 1 where it would spin clockwise, -1 counter-clockwise.
        shift, horizon: How far the backdrop is moved sideways and up, in pixels.
        flip: Whether the backdrop is mirrored.
        brightness: Of the backdrop, about 1.
    """

    kind: Int[np.ndarray, " clips"]
    place: Int[np.ndarray, " clips"]
    motion: Int[np.ndarray, " clips"]
    colour: Int[np.ndarray, " clips"]
    size: Int[np.ndarray, " clips"]
    light: Int[np.ndarray, " clips"]
    x: Float[np.ndarray, " clips"]
    y: Float[np.ndarray, " clips"]
    extent: Float[np.ndarray, " clips"]
    scale: Float[np.ndarray, " clips"]
    tilt: Float[np.ndarray, " clips"]
    facing: Int[np.ndarray, " clips"]
    turning: Int[np.ndarray, " clips"]
    shift: Int[np.ndarray, " clips"]
    horizon: Int[np.ndarray, " clips"]
    flip: Bool[np.ndarray, " clips"]
    brightness: Float[np.ndarray, " clips"]

    def __len__(self) -> int:
        return len(self.kind)

    def __getitem__(self, which: slice | np.ndarray | list[int]) -> Scenes:
        """Some of the scenes, always as a batch."""
        return Scenes(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    def names(self, index: int) -> dict[str, str]:
        """One scene's factors in words."""
        return {factor: options[int(getattr(self, factor)[index])] for factor, options in FACTORS.items()}


def held_out(
    kind: Int[np.ndarray, " clips"], place: Int[np.ndarray, " clips"], motion: Int[np.ndarray, " clips"]
) -> Bool[np.ndarray, " clips"]:
    """Whether an object-place-motion combination belongs to the test splits, for arrays of indices.

    No clip of a training split and no clip that any network of the sandbox is trained on shows such a combination.
    They are spread like the symbols of a Latin square: every kind, place and motion, and every pair of two of them,
    is held out in about one combination of seven and seen in the others.
    """
    return (kind + 2 * place + 3 * motion) % _HELD_OUT_EVERY == 0


@cache
def combinations(combos: Combos) -> Int[np.ndarray, "combinations 3"]:
    """The object-place-motion combinations (indices) that training may show, those held out, or all."""
    grid = np.indices((len(KINDS), len(PLACES), len(MOTIONS))).reshape(3, -1).T
    out = held_out(*grid.T)
    return grid[{"training": ~out, "held-out": out, "all": np.ones(len(grid), bool)}[combos]]


def draw_scenes(count: int, seed: int, *, combos: Combos = "training") -> Scenes:
    """Draw scenes at random, every admitted combination with the same probability.

    Args:
        count: How many.
        seed: The same seed draws the same scenes.
        combos: Which object-place-motion combinations may occur (`combinations`).
    """
    if count < 1:
        raise UsageError(f"{count} scenes", expected="at least 1")
    rng = np.random.default_rng(seed)
    admitted = combinations(combos)
    return scenes_showing(admitted[rng.integers(len(admitted), size=count)], rng)


def scenes_showing(combination: Int[np.ndarray, "clips 3"], rng: np.random.Generator) -> Scenes:
    """Scenes with the given objects, places and motions (indices), and everything else drawn at random."""
    kind, place, motion = combination.T
    count = len(combination)
    colour, size, light = (rng.integers(len(FACTORS[name]), size=count) for name in ("colour", "size", "light"))
    scale, extent = rng.uniform(0.95, 1.05, size=count), rng.uniform(size=count)
    facing = rng.choice([-1, 1], size=count)
    facing = np.select([motion == MOTIONS.index("left"), motion == MOTIONS.index("right")], [-1, 1], facing)
    longest = np.array(list(SIZES.values()))[size] * scale * growth(motion, extent)
    across, along = travel(motion, extent)
    return Scenes(
        kind=kind,
        place=place,
        motion=motion,
        colour=colour,
        size=size,
        light=light,
        x=_within(rng, longest, across),
        y=_within(rng, longest, along),
        extent=extent,
        scale=scale,
        tilt=rng.uniform(-0.12, 0.12, size=count),
        facing=facing,
        turning=rng.choice([-1, 1], size=count),
        shift=rng.integers(-9, 10, size=count),
        horizon=rng.integers(0, HEIGHT - SIDE + 1, size=count),
        flip=rng.random(count) < 0.5,
        brightness=rng.uniform(0.93, 1.07, size=count),
    )


def travel(
    motion: Int[np.ndarray, " clips"], extent: Float[np.ndarray, " clips"]
) -> tuple[Float[np.ndarray, " clips"], Float[np.ndarray, " clips"]]:
    """How far the object goes from the first to the last frame, right and down, in pixels."""
    distance = 18 + 8 * extent
    right = (motion == MOTIONS.index("right")) - 1.0 * (motion == MOTIONS.index("left"))
    down = (motion == MOTIONS.index("down")) - 1.0 * (motion == MOTIONS.index("up"))
    return right * distance, down * distance


def growth(motion: Int[np.ndarray, " clips"], extent: Float[np.ndarray, " clips"]) -> Float[np.ndarray, " clips"]:
    """The largest size of the clip relative to that halfway through it; where it shrinks or grows, about 1.35."""
    changes = np.isin(motion, [MOTIONS.index("grow"), MOTIONS.index("shrink")])
    return np.where(changes, 1.3 + 0.08 * extent, 1.0)


def turns(motion: Int[np.ndarray, " clips"], extent: Float[np.ndarray, " clips"]) -> Float[np.ndarray, " clips"]:
    """How often the object spins around during the clip."""
    return np.where(motion == MOTIONS.index("spin"), 0.8 + 0.4 * extent, 0.0)


def _within(rng: np.random.Generator, longest: np.ndarray, way: np.ndarray) -> np.ndarray:
    """A place halfway of the object's way such that its box stays in the frame from beginning to end."""
    room = np.maximum(SIDE / 2 - (longest + np.abs(way)) / 2, 1.0)
    return SIDE / 2 + room * rng.uniform(-1, 1, size=len(way))
