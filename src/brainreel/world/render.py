"""From scenes to pixels: 64 × 64, 17 frames at 8 per second, edges softened by signed distance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from brainreel.world.backdrops import backdrops
from brainreel.world.scenes import COLOURS, FRAMES, MOTIONS, SIDE, SIZES, Scenes, growth, travel, turns
from brainreel.world.shapes import CLIP, REACH, SAMPLES, silhouettes

# Objects are drawn inside a square of so many pixels that follows them.
PATCH = 52
# So many clips at a time keep the intermediate arrays in the processor's cache.
_TOGETHER = 4
_OUTLINE_PX = 1.1
# Edges are as soft as a lens makes them, so that a small autoencoder can show them.
_EDGE_PX = 3.0
_NIGHT = 0.92


class Paths(NamedTuple):
    """Where an object is in every frame: its middle and longer side in pixels, its angle in radians, clockwise."""

    x: Float[np.ndarray, "clips frames"]
    y: Float[np.ndarray, "clips frames"]
    side: Float[np.ndarray, "clips frames"]
    angle: Float[np.ndarray, "clips frames"]


def paths(scenes: Scenes, *, frames: int = FRAMES) -> Paths:
    """The objects' courses, at a constant speed; more frames show the same motion more finely."""
    t = np.linspace(-0.5, 0.5, frames)[None, :]
    across, along = travel(scenes.motion, scenes.extent)
    way = (scenes.motion == MOTIONS.index("grow")) - 1.0 * (scenes.motion == MOTIONS.index("shrink"))
    side = np.array(list(SIZES.values()))[scenes.size] * scenes.scale
    spun = 2 * np.pi * scenes.turning * turns(scenes.motion, scenes.extent)
    return Paths(
        x=scenes.x[:, None] + across[:, None] * t,
        y=scenes.y[:, None] + along[:, None] * t,
        side=side[:, None] * growth(scenes.motion, scenes.extent)[:, None] ** (2 * way[:, None] * t),
        angle=scenes.tilt[:, None] + spun[:, None] * t,
    )


def backdrop(scenes: Scenes) -> UInt8[np.ndarray, "clips 64 64 3"]:
    """What is behind the objects; the same in all frames."""
    pictures = backdrops()
    columns = np.arange(SIDE)[None, :] - scenes.shift[:, None]
    columns = np.where(scenes.flip[:, None], SIDE - 1 - columns, columns) % SIDE
    rows = np.arange(SIDE)[None, :] + scenes.horizon[:, None]
    place, light = scenes.place[:, None, None], scenes.light[:, None, None]
    shown = pictures[place, light, rows[:, :, None], columns[:, None, :]]
    return np.clip(shown * scenes.brightness[:, None, None, None] + 0.5, 0, 255).astype(np.uint8)


def render(scenes: Scenes) -> UInt8[np.ndarray, "clips 17 64 64 3"]:
    """The clips, RGB."""
    out = np.empty((len(scenes), FRAMES, SIDE, SIDE, 3), np.uint8)
    for start in range(0, len(scenes), _TOGETHER):
        part = scenes[start : start + _TOGETHER]
        out[start : start + _TOGETHER] = backdrop(part)[:, None]
        _paint(part, out[start : start + _TOGETHER])
    return out


def masks(scenes: Scenes) -> Bool[np.ndarray, "clips 17 64 64"]:
    """Which pixels show more of the object than of the backdrop."""
    out = np.zeros((len(scenes), FRAMES, SIDE, SIDE), bool)
    for start in range(0, len(scenes), _TOGETHER):
        part = scenes[start : start + _TOGETHER]
        patch = _patches(part)
        body = _covered(patch.distance[..., 0], patch.px)
        rows, columns = _where(patch)
        clips = np.arange(start, start + len(part))[:, None, None, None]
        out[clips, np.arange(FRAMES)[None, :, None, None], rows, columns] = body > 0.5
    return out


class _Patches(NamedTuple):
    """The squares around objects: their upper left corners, the layers' distances, pixels per unit of distance."""

    left: Int[np.ndarray, "clips frames"]
    top: Int[np.ndarray, "clips frames"]
    distance: UInt8[np.ndarray, "clips frames patch patch 4"]
    px: Float[np.ndarray, "clips frames 1 1"]


def _patches(scenes: Scenes) -> _Patches:
    path = paths(scenes)
    left, top = (
        np.clip(np.round(middle) - PATCH // 2, 0, SIDE - PATCH).astype(np.int64) for middle in (path.x, path.y)
    )
    pixel = np.arange(PATCH, dtype=np.float32) + 0.5
    dx = pixel[None, None, :] + (left - path.x)[..., None].astype(np.float32)
    dy = pixel[None, None, :] + (top - path.y)[..., None].astype(np.float32)
    zoom = SAMPLES / (2 * REACH) / path.side[..., None]
    cos, sin = zoom * np.cos(path.angle)[..., None], zoom * np.sin(path.angle)[..., None]
    mirror = scenes.facing[:, None, None]
    # Frame to object: turned back, and mirrored where it faces left. Rows and columns add up, so both are cheap.
    column = _grid(mirror * sin * dy, mirror * cos * dx)
    row = _grid(cos * dy, -sin * dx)
    # Shapes lie within the middle of their square: beyond it there is nothing, as on its border.
    index = np.clip(row, 0, SAMPLES - 1) * SAMPLES + np.clip(column, 0, SAMPLES - 1)
    index += (scenes.kind * SAMPLES**2).astype(np.int32)[:, None, None, None]
    # One gather fetches all four layers of a sample.
    flat = silhouettes().reshape(-1, 4).view(np.uint32)[:, 0]
    distance = flat[index][..., None].view(np.uint8)
    return _Patches(left, top, distance, path.side[..., None, None])


def _grid(of_row: np.ndarray, of_column: np.ndarray) -> np.ndarray:
    """Sample numbers from what each row and each column of the patch adds to them."""
    shifted = (of_row + SAMPLES / 2).astype(np.float32)
    return (shifted[..., :, None] + of_column.astype(np.float32)[..., None, :]).astype(np.int32)


def _covered(distance: np.ndarray, px: np.ndarray, inset_px: float = 0.0) -> Float[np.ndarray, "clips frames y x"]:
    """How much of a pixel lies inside a layer's soft edge, or `inset_px` further in: 0 to 1."""
    per_level = (CLIP / 127 * px / _EDGE_PX).astype(np.float32)
    out = distance * per_level
    out += np.float32(0.5 - inset_px / _EDGE_PX) - 128 * per_level
    return np.clip(out, 0, 1, out=out)


def _where(patch: _Patches) -> tuple[np.ndarray, np.ndarray]:
    pixel = np.arange(PATCH)
    return (patch.top[..., None] + pixel)[..., :, None], (patch.left[..., None] + pixel)[..., None, :]


def _paint(scenes: Scenes, canvas: np.ndarray) -> None:
    patch = _patches(scenes)
    body, shade, light, dark = (patch.distance[..., j] for j in range(4))
    opacity = _covered(body, patch.px)
    lit = np.float32(_NIGHT) ** scenes.light[:, None, None, None].astype(np.float32)
    # The object's colour counts where neither white nor black nor the outline covers it.
    inner = _covered(body, patch.px, _OUTLINE_PX)
    inner *= 1 - _covered(dark, patch.px)
    inner *= lit * opacity
    white = _covered(light, patch.px) * inner
    coloured = inner - white
    coloured *= 1 - np.float32(0.38) * _covered(shade, patch.px)
    coloured += np.float32(0.12) * (opacity - inner)
    white *= np.float32(250)
    white += np.float32(14) * (opacity - inner)
    white += np.float32(0.5)
    behind = 1 - opacity
    for clip, rgb in enumerate(np.array(list(COLOURS.values()), np.float32)[scenes.colour]):
        _mix(canvas[clip], patch.top[clip], patch.left[clip], behind[clip], coloured[clip], white[clip], rgb)


def _mix(
    canvas: UInt8[np.ndarray, "frames 64 64 3"],
    top: Int[np.ndarray, " frames"],
    left: Int[np.ndarray, " frames"],
    behind: Float[np.ndarray, "frames patch patch"],
    coloured: Float[np.ndarray, "frames patch patch"],
    white: Float[np.ndarray, "frames patch patch"],
    rgb: Float[np.ndarray, " 3"],
) -> None:
    """Lay one clip's object over its backdrop; channel by channel, because numpy is slow along an axis of 3."""
    mixed = np.empty((*behind.shape, 3), np.uint8)
    for channel, value in enumerate(rgb):
        still = np.ascontiguousarray(canvas[0, :, :, channel]).astype(np.float32)
        layer = np.lib.stride_tricks.sliding_window_view(still, (PATCH, PATCH))[top, left]
        layer *= behind
        layer += coloured * value
        layer += white
        mixed[..., channel] = layer
    for frame, (y, x) in enumerate(zip(top.tolist(), left.tolist(), strict=True)):
        canvas[frame, y : y + PATCH, x : x + PATCH] = mixed[frame]
