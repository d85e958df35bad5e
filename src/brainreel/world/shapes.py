"""The silhouettes of the simulated clips, as signed distances, so that they stay sharp at any size and angle.

A signed distance is positive inside, in units of the object's longer side; x runs to the right, y down, and every
object faces right. Union is the maximum and intersection the minimum of distances (Quilez, 2D distance functions).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

# Half the side of the square that a silhouette is stored on, in units of the object, and its samples per side.
REACH = 0.75
SAMPLES = 256
# Distances beyond this are clipped: at every size it is more than a pixel.
CLIP = 0.125

Distance = Float[np.ndarray, "y x"]
# A whole number is a coordinate too, and run-time type checks tell int from float.
Number = int | float
Point = tuple[Number, Number]

_AXIS = (np.arange(SAMPLES) + 0.5) / SAMPLES * 2 * REACH - REACH
_X, _Y = np.meshgrid(_AXIS, _AXIS)


class Layers(NamedTuple):
    """Where an object is, and where on it a second shade, white and black lie."""

    body: Distance
    shade: Distance | None = None
    light: Distance | None = None
    dark: Distance | None = None


def oval(x: Number, y: Number, rx: Number, ry: Number | None = None) -> Distance:
    ry = rx if ry is None else ry
    return (1 - np.hypot((_X - x) / rx, (_Y - y) / ry)) * min(rx, ry)


def box(x0: Number, y0: Number, x1: Number, y1: Number, *, round: Number = 0.0) -> Distance:
    dx = np.abs(_X - (x0 + x1) / 2) - (x1 - x0) / 2 + round
    dy = np.abs(_Y - (y0 + y1) / 2) - (y1 - y0) / 2 + round
    return round - np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) - np.minimum(np.maximum(dx, dy), 0)


def line(width: Number, *points: Point) -> Distance:
    """A path with round ends, `width` from its middle to its edge."""
    return width - np.minimum.reduce([_to_segment(a, b) for a, b in pairwise(points)])


def polygon(*points: Point) -> Distance:
    """Even-odd inside; the distance is that to the nearest side."""
    inside = np.zeros(_X.shape, bool)
    far = np.full(_X.shape, np.inf)
    for a, b in zip(points, points[1:] + points[:1], strict=True):
        far = np.minimum(far, _to_segment(a, b))
        if a[1] != b[1]:
            crosses = (a[1] > _Y) != (b[1] > _Y)
            inside ^= crosses & ((b[0] - a[0]) * (_Y - a[1]) / (b[1] - a[1]) + a[0] > _X)
    return np.where(inside, far, -far)


def union(*parts: Distance) -> Distance:
    return np.maximum.reduce(parts)


def overlap(*parts: Distance) -> Distance:
    return np.minimum.reduce(parts)


def mirrored(part: Distance) -> Distance:
    """The part and its mirror image."""
    return np.maximum(part, part[:, ::-1])


def _to_segment(a: Point, b: Point) -> Distance:
    along, up = b[0] - a[0], b[1] - a[1]
    t = np.clip(((_X - a[0]) * along + (_Y - a[1]) * up) / (along**2 + up**2), 0, 1)
    return np.hypot(_X - a[0] - t * along, _Y - a[1] - t * up)


def _around(n: int, radius: float, *, turn: float = -0.25) -> list[Point]:
    """`n` points on a circle, the first one at the top."""
    angle = 2 * np.pi * (np.arange(n) / n + turn)
    return [(float(x), float(y)) for x, y in zip(radius * np.cos(angle), radius * np.sin(angle), strict=True)]


def _ball() -> Layers:
    rim = _around(6, 0.8)
    wedges = union(*(polygon((0, 0), rim[k], rim[k + 1]) for k in (0, 2, 4)))
    body = oval(0, 0, 0.48)
    return Layers(body, light=overlap(body, wedges), dark=oval(0, 0, 0.07))


def _star() -> Layers:
    outer, inner = _around(5, 0.54), _around(5, 0.25, turn=-0.15)
    points = [p for pair in zip(outer, inner, strict=True) for p in pair]
    eyes = mirrored(oval(0.1, -0.06, 0.045, 0.07))
    smile = line(0.025, (-0.12, 0.1), (-0.05, 0.16), (0.05, 0.16), (0.12, 0.1))
    return Layers(polygon(*points), dark=union(eyes, smile))


def _cup() -> Layers:
    handle = overlap(oval(0.26, 0.04, 0.22), -oval(0.26, 0.04, 0.11))
    mug = box(-0.4, -0.36, 0.24, 0.4, round=0.09)
    inside = oval(-0.08, -0.3, 0.27, 0.075)
    heart = union(mirrored(oval(0.065, 0.05, 0.08)), polygon((-0.14, 0.08), (0.14, 0.08), (0, 0.25)))
    return Layers(union(mug, handle), light=np.roll(heart, round(-0.08 * SAMPLES / (2 * REACH)), axis=1), dark=inside)


def _umbrella() -> Layers:
    dome = overlap(oval(0, 0.02, 0.52), -_Y + 0.02)
    scallops = union(*(oval(x, 0.06, 0.13, 0.1) for x in (-0.39, -0.13, 0.13, 0.39)))
    canopy = overlap(dome, -scallops)
    stick = line(0.035, (0, -0.5), (0, 0.38), (0.05, 0.45), (0.12, 0.45), (0.16, 0.38))
    panels = mirrored(polygon((0, -0.5), (0.13, 0.1), (0.39, 0.1), (0.26, -0.25)))
    return Layers(union(canopy, stick), light=overlap(panels, canopy), dark=overlap(stick, -canopy))


def _cat() -> Layers:
    ears = mirrored(polygon((0.3, -0.2), (0.29, -0.52), (0.04, -0.36)))
    head, body = oval(0, -0.18, 0.3, 0.23), oval(0, 0.24, 0.24, 0.27)
    tail = line(0.055, (0.12, 0.42), (0.36, 0.42), (0.42, 0.28), (0.36, 0.14))
    feet = mirrored(oval(0.12, 0.46, 0.11, 0.07))
    eyes = mirrored(oval(0.12, -0.2, 0.085, 0.075))
    pupils = mirrored(oval(0.12, -0.2, 0.035, 0.07))
    nose = polygon((-0.045, -0.11), (0.045, -0.11), (0, -0.05))
    return Layers(
        union(ears, head, body, tail, feet),
        shade=union(mirrored(polygon((0.25, -0.27), (0.24, -0.42), (0.12, -0.35))), feet),
        light=union(eyes, oval(0, 0.26, 0.12, 0.16)),
        dark=union(pupils, nose),
    )


def _dog() -> Layers:
    trunk = box(-0.4, -0.06, 0.26, 0.24, round=0.13)
    legs = union(*(line(0.07, (x, 0.16), (x, 0.42)) for x in (-0.31, -0.14, 0.05, 0.21)))
    head, snout = oval(0.22, -0.2, 0.22, 0.19), box(0.22, -0.22, 0.54, -0.04, round=0.08)
    tail = line(0.05, (-0.36, 0.02), (-0.47, -0.12), (-0.46, -0.26))
    ear = oval(0.07, -0.13, 0.085, 0.2)
    return Layers(
        union(trunk, legs, head, snout, tail, ear),
        shade=union(ear, oval(-0.18, 0.04, 0.14, 0.1)),
        light=union(oval(0.27, -0.25, 0.075), overlap(snout, _Y + 0.1, _X - 0.3)),
        dark=union(oval(0.52, -0.17, 0.06), oval(0.285, -0.25, 0.04)),
    )


def _fish() -> Layers:
    flesh = oval(0.08, 0, 0.42, 0.27)
    tail = polygon((-0.22, 0), (-0.52, -0.28), (-0.43, 0), (-0.52, 0.28))
    fins = union(polygon((-0.1, -0.2), (0.08, -0.42), (0.22, -0.2)), polygon((-0.08, 0.2), (0.02, 0.38), (0.14, 0.22)))
    stripes = union(*(line(0.04, (x, -0.4), (x - 0.04, 0), (x, 0.4)) for x in (-0.1, 0.06)))
    return Layers(
        union(flesh, tail, fins),
        shade=union(overlap(stripes, flesh), tail, overlap(fins, -flesh)),
        light=oval(0.3, -0.06, 0.085),
        dark=union(oval(0.32, -0.06, 0.045), line(0.02, (0.38, 0.1), (0.5, 0.06))),
    )


def _bird() -> Layers:
    plump, head = oval(-0.06, 0.1, 0.36, 0.25), oval(0.22, -0.2, 0.19)
    beak = polygon((0.36, -0.27), (0.56, -0.16), (0.36, -0.1))
    tail = polygon((-0.3, 0.16), (-0.54, -0.16), (-0.22, -0.06))
    legs = union(*(line(0.028, (x, 0.3), (x, 0.46), (x + 0.1, 0.46)) for x in (-0.1, 0.06)))
    wing = overlap(oval(-0.1, 0.04, 0.24, 0.17), _Y + 0.0)
    return Layers(
        union(plump, head, beak, tail, legs),
        shade=wing,
        light=union(oval(0.25, -0.24, 0.07), overlap(beak, -head)),
        dark=union(oval(0.26, -0.24, 0.038), overlap(legs, -plump)),
    )


def _car() -> Layers:
    cabin = polygon((-0.36, 0.02), (-0.24, -0.27), (0.14, -0.27), (0.32, 0.02))
    bonnet = box(-0.52, -0.04, 0.52, 0.2, round=0.08)
    wheels = mirrored(oval(0.29, 0.2, 0.14))
    panes = union(
        polygon((-0.26, -0.02), (-0.19, -0.2), (-0.06, -0.2), (-0.06, -0.02)),
        polygon((0.01, -0.02), (0.01, -0.2), (0.11, -0.2), (0.22, -0.02)),
    )
    hubs, lamp = mirrored(oval(0.29, 0.2, 0.06)), oval(0.47, 0.06, 0.05)
    return Layers(union(cabin, bonnet, wheels), light=union(panes, hubs, lamp), dark=overlap(wheels, -hubs))


def _boat() -> Layers:
    hull = polygon((-0.48, 0.2), (0.5, 0.2), (0.32, 0.46), (-0.34, 0.46))
    mast = line(0.028, (0, -0.48), (0, 0.22))
    main, fore = (
        polygon((0.05, -0.46), (0.05, 0.13), (0.42, 0.13)),
        polygon((-0.05, -0.36), (-0.05, 0.13), (-0.36, 0.13)),
    )
    band = overlap(hull, box(-0.6, 0.27, 0.6, 0.34))
    return Layers(union(hull, mast, main, fore), light=union(fore, band), dark=overlap(mast, -hull))


def _plane() -> Layers:
    tube = line(0.11, (-0.41, 0), (0.41, 0))
    wings = polygon((0.24, 0), (-0.1, -0.5), (-0.28, -0.5), (-0.12, 0), (-0.28, 0.5), (-0.1, 0.5))
    tail = polygon((-0.22, 0), (-0.4, -0.24), (-0.52, -0.24), (-0.44, 0), (-0.52, 0.24), (-0.4, 0.24))
    engines = union(line(0.045, (-0.12, -0.26), (0.06, -0.26)), line(0.045, (-0.12, 0.26), (0.06, 0.26)))
    return Layers(
        union(tube, wings, tail, engines),
        shade=union(engines, tail),
        light=line(0.04, (-0.24, 0), (0.2, 0)),
        dark=overlap(tube, 0.06 - np.abs(_X - 0.4)),
    )


def _train() -> Layers:
    boiler, cab = box(-0.2, -0.16, 0.44, 0.18, round=0.06), box(-0.48, -0.4, -0.12, 0.18, round=0.03)
    roof = box(-0.53, -0.44, -0.07, -0.35, round=0.03)
    chimney = polygon((0.22, -0.14), (0.18, -0.44), (0.42, -0.44), (0.36, -0.14))
    plough = polygon((0.38, 0.12), (0.54, 0.32), (0.36, 0.32))
    wheels = union(oval(-0.32, 0.26, 0.14), oval(0.0, 0.28, 0.12), oval(0.26, 0.28, 0.12))
    hubs = union(oval(-0.32, 0.26, 0.055), oval(0.0, 0.28, 0.045), oval(0.26, 0.28, 0.045))
    return Layers(
        union(boiler, cab, roof, chimney, plough, wheels),
        shade=union(roof, chimney, plough),
        light=union(box(-0.4, -0.29, -0.2, -0.1, round=0.02), hubs, oval(0.4, 0.0, 0.06)),
        dark=union(overlap(wheels, -hubs), box(0.16, -0.48, 0.44, -0.41)),
    )


def _house() -> Layers:
    walls, roof = box(-0.36, -0.08, 0.36, 0.46), polygon((-0.52, -0.02), (0, -0.48), (0.52, -0.02))
    chimney = box(0.2, -0.46, 0.33, -0.15)
    panes = union(box(-0.28, 0.06, -0.09, 0.26), oval(0, -0.18, 0.08))
    return Layers(union(walls, roof, chimney), shade=union(roof, chimney), light=panes, dark=box(0.06, 0.1, 0.26, 0.48))


def _person() -> Layers:
    head = oval(0, -0.31, 0.18)
    trunk = polygon((-0.2, -0.14), (0.2, -0.14), (0.24, 0.22), (-0.24, 0.22))
    arms = union(line(0.075, (-0.16, -0.08), (-0.33, 0.02), (-0.36, 0.16)), line(0.075, (0.16, -0.08), (0.36, -0.18)))
    arms = union(arms, line(0.075, (0.36, -0.18), (0.42, -0.34)))
    legs = mirrored(line(0.09, (0.12, 0.2), (0.14, 0.42)))
    hands = union(oval(-0.37, 0.19, 0.085), oval(0.42, -0.38, 0.085))
    hair = overlap(head, -oval(0.05, -0.24, 0.17))
    return Layers(
        union(head, trunk, arms, legs, hands),
        shade=overlap(legs, _Y - 0.22),
        light=union(head, hands),
        dark=union(hair, oval(0.02, -0.3, 0.03), oval(0.11, -0.3, 0.03), mirrored(oval(0.16, 0.45, 0.11, 0.06))),
    )


def _flower() -> Layers:
    middle = (0.0, -0.18)
    petals = union(*(oval(x + middle[0], y + middle[1], 0.16) for x, y in _around(6, 0.2)))
    stem = line(0.05, (0, 0.05), (0, 0.5))
    leaves = union(
        polygon((0, 0.42), (0.12, 0.2), (0.32, 0.16), (0.22, 0.36)),
        polygon((0, 0.48), (-0.12, 0.28), (-0.32, 0.26), (-0.22, 0.44)),
    )
    return Layers(
        union(petals, stem, leaves),
        shade=overlap(union(stem, leaves), -petals),
        light=oval(*middle, 0.13),
        dark=union(mirrored(oval(0.05, -0.21, 0.025, 0.035)), line(0.018, (-0.05, -0.13), (0, -0.11), (0.05, -0.13))),
    )


def _mushroom() -> Layers:
    cap = overlap(oval(0, 0.06, 0.5, 0.52), 0.08 - _Y)
    stem = box(-0.16, 0.0, 0.16, 0.48, round=0.1)
    spots = union(oval(-0.24, -0.1, 0.1), oval(0.06, -0.26, 0.11), oval(0.28, -0.04, 0.09))
    eyes = mirrored(oval(0.07, 0.22, 0.03, 0.05))
    return Layers(union(cap, stem), light=union(overlap(stem, -cap), spots), dark=eyes)


# Four animals, four vehicles, four things of the house, four of the world.
SHAPES: dict[str, Callable[[], Layers]] = {
    "cat": _cat,
    "dog": _dog,
    "fish": _fish,
    "bird": _bird,
    "car": _car,
    "train": _train,
    "boat": _boat,
    "plane": _plane,
    "cup": _cup,
    "umbrella": _umbrella,
    "ball": _ball,
    "star": _star,
    "house": _house,
    "person": _person,
    "flower": _flower,
    "mushroom": _mushroom,
}


@cache
def silhouettes() -> UInt8[np.ndarray, "kinds samples samples 4"]:
    """All kinds in the order of `SHAPES`; channels body, shade, light, dark; 128 is the edge, 255 deep inside."""
    out = np.zeros((len(SHAPES), SAMPLES, SAMPLES, 4), np.uint8)
    for k, draw in enumerate(SHAPES.values()):
        for j, layer in enumerate(draw()):
            if layer is not None:
                out[k, ..., j] = np.round(128 + 127 * np.clip(layer / CLIP, -1, 1))
    out.setflags(write=False)
    return out
