"""What is behind the objects of the simulated clips: calm pictures with a few large features, by day and by night.

A picture is taller than the frame, so that its horizon can lie higher or lower, and wraps around sideways.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from jaxtyping import UInt8

WIDTH = 64
HEIGHT = 76
# Samples per pixel and side: edges are averaged over their squares.
_FINE = 4
_Y, _X = np.meshgrid(
    (np.arange(HEIGHT * _FINE) + 0.5) / _FINE - 0.5, (np.arange(WIDTH * _FINE) + 0.5) / _FINE - 0.5, indexing="ij"
)

# A whole number will do, and run-time type checks tell int from float.
Number = int | float
Colour = tuple[Number, Number, Number]


class Picture:
    """A canvas in floating-point RGB, 0 to 255, painted from back to front."""

    def __init__(self, top: Colour, bottom: Colour) -> None:
        t = (_Y / HEIGHT)[..., None]
        self.rgb = np.array(top) * (1 - t) + np.array(bottom) * t

    def paint(self, where: np.ndarray, colour: Colour, *, opacity: float = 1.0) -> None:
        self.rgb[where] += opacity * (np.array(colour) - self.rgb[where])

    def done(self) -> UInt8[np.ndarray, "height width 3"]:
        fine = self.rgb.reshape(HEIGHT, _FINE, WIDTH, _FINE, 3).mean((1, 3))
        return np.clip(np.round(fine), 0, 255).astype(np.uint8)


def _away(x: Number | np.ndarray) -> np.ndarray:
    """Sideways distance to a column, around the picture."""
    return (_X - x + WIDTH / 2) % WIDTH - WIDTH / 2


def _disc(x: Number, y: Number, rx: Number, ry: Number | None = None) -> np.ndarray:
    return (_away(x) / rx) ** 2 + ((_Y - y) / (ry or rx)) ** 2 < 1


def _below(base: Number, *waves: tuple[int, Number, Number]) -> np.ndarray:
    """Under a rolling line: waves of (number around the picture, height, phase in turns)."""
    edge = base + sum(h * np.sin(2 * np.pi * (n * _X / WIDTH + phase)) for n, h, phase in waves)
    return edge < _Y


def _rect(x: Number, half: Number, top: Number, bottom: Number = HEIGHT) -> np.ndarray:
    return (np.abs(_away(x)) < half) & (top <= _Y) & (bottom > _Y)


def _peak(x: Number, top: Number, slope: Number) -> np.ndarray:
    return top + slope * np.abs(_away(x)) < _Y


def _sky(night: bool, top: Colour = (105, 180, 245), bottom: Colour = (205, 232, 250)) -> Picture:
    if not night:
        picture = Picture(top, bottom)
        picture.paint(_disc(40, 17, 5.5), (255, 236, 130))
        return picture
    picture = Picture((10, 14, 48), (34, 40, 92))
    for x, y in ((4, 14), (13, 22), (20, 12), (27, 19), (33, 26), (52, 13), (58, 22), (47, 28), (9, 30)):
        picture.paint(_disc(x, y, 0.9), (235, 235, 210))
    picture.paint(_disc(40, 17, 5.5), (245, 243, 215))
    picture.paint(_disc(43, 15.4, 4.6), (16, 20, 58))
    return picture


def _lit(colour: Colour, night: bool) -> Colour:
    """A thing's colour, or what moonlight leaves of it."""
    if not night:
        return colour
    r, g, b = (0.34 * c for c in colour)
    return r, g + 4, b + 26


def _beach(night: bool) -> Picture:
    picture = _sky(night)
    picture.paint(_below(38), _lit((40, 130, 200), night))
    picture.paint(_below(43, (3, 0.6, 0.1)), _lit((70, 165, 215), night))
    picture.paint(_below(50, (2, 1.5, 0.3)), _lit((240, 248, 250), night))
    picture.paint(_below(52, (2, 1.5, 0.3)), _lit((242, 214, 148), night))
    trunk = np.abs(_away(10 + 0.006 * (_Y - 60) ** 2)) < 1.6
    picture.paint(trunk & (_Y > 28) & (_Y < 62), _lit((140, 95, 55), night))
    for dx, dy in ((-7, 0), (7, 1), (-5, -4), (5, -4)):
        picture.paint(_disc(16 + dx, 28 + dy, 7, 2.2), _lit((45, 150, 70), night))
    return picture


def _forest(night: bool) -> Picture:
    picture = Picture((150, 200, 128), (104, 166, 92)) if not night else Picture((10, 34, 40), (14, 40, 44))
    for x, half in ((5, 3.2), (23, 2.6), (43, 3.4), (57, 2.4)):
        picture.paint(_rect(x, half, 0, 62), _lit((128, 92, 60), night))
    for x, y, r in ((2, 6, 13), (22, 4, 12), (43, 5, 13), (58, 7, 10)):
        picture.paint(_disc(x, y, r, 0.8 * r), _lit((38, 112, 50), night))
        picture.paint(_disc(x - 2, y - 2, 0.6 * r, 0.45 * r), _lit((62, 144, 64), night))
    if night:
        picture.paint(_disc(33, 23, 4.5), (225, 228, 205))
        picture.paint(_disc(35.4, 21.7, 3.8), (10, 36, 41))
    picture.paint(_below(60, (2, 1.5, 0.0)), _lit((70, 128, 54), night))
    return picture


def _city(night: bool) -> Picture:
    picture = _sky(night, (150, 190, 225), (225, 225, 225))
    for k, (x, half, top) in enumerate(((6, 6, 24), (19, 6, 35), (45, 6, 38), (57, 5, 26), (32, 6, 44))):
        shade = (136, 140, 160) if k % 2 else (176, 160, 160)
        picture.paint(_rect(x, half, top), _lit(shade, night))
        panes = (np.abs((_Y - top) % 7 - 4) < 1.7) & (np.abs(np.abs(_away(x)) - 2.6) < 1.2) & (top + 1.5 < _Y)
        lamp = (255, 216, 110) if night else (222, 232, 242)
        picture.paint(_rect(x, half, top, 58) & panes, lamp, opacity=0.8)
    picture.paint(_below(58), _lit((190, 190, 190), night))
    picture.paint(_below(61), _lit((92, 92, 100), night))
    picture.paint((np.abs(_Y - 68) < 0.9) & (_X % 16 < 9), _lit((245, 240, 220), night))
    return picture


def _mountains(night: bool) -> Picture:
    picture = _sky(night, (130, 185, 235), (225, 238, 250))
    for x, top, slope in ((6, 27, 0.95), (58, 25, 1.0), (26, 30, 0.85)):
        picture.paint(_peak(x, top, slope), _lit((112, 124, 150), night))
        picture.paint(_peak(x, top, slope) & (top + 8 + 2 * np.sin(_X) > _Y), _lit((248, 250, 255), night))
    snow = (238, 244, 252) if not night else (96, 108, 156)
    picture.paint(_below(52, (1, 3, 0.1), (2, 1.5, 0.4)), snow)
    picture.paint(_below(62, (1, 2, 0.6)), (252, 253, 255) if not night else (118, 130, 176))
    return picture


def _desert(night: bool) -> Picture:
    picture = _sky(night, (250, 190, 120), (255, 226, 170))
    picture.paint(_below(44, (1, 4, 0.2), (2, 1.5, 0.0)), _lit((226, 150, 80), night))
    picture.paint(_below(54, (1, 3, 0.7)), _lit((238, 172, 98), night))
    for x, top in ((10, 32), (56, 40)):
        cactus = _rect(x, 1.9, top, 60) | _rect(x - 4, 1.2, top + 6, top + 14) | _rect(x + 4, 1.2, top + 4, top + 12)
        cactus |= _rect(x, 5, top + 12, top + 14.4)
        picture.paint(cactus, _lit((60, 135, 70), night))
    return picture


def _kitchen(night: bool) -> Picture:
    def lit(colour: Colour) -> Colour:
        r, g, b = (0.3 * c for c in colour)
        return (r + 8, g, b + 22) if night else colour

    picture = Picture(lit((252, 240, 206)), lit((246, 230, 192)))
    picture.paint(_rect(32, 11.5, 11, 36), lit((255, 255, 255)))
    picture.paint(_rect(32, 10, 12.5, 34.5), (10, 14, 48) if night else (140, 205, 250))
    if night:
        picture.paint(_disc(36.5, 19, 4), (245, 243, 215))
        picture.paint(_disc(38.6, 17.8, 3.3), (10, 14, 48))
        for x, y in ((26, 17), (27, 29), (38, 30)):
            picture.paint(_disc(x, y, 0.9), (235, 235, 210))
    picture.paint(_rect(32, 0.7, 12, 35), lit((255, 255, 255)))
    picture.paint(_rect(0, 16, 8, 33), lit((196, 142, 94)))
    picture.paint(_rect(0, 0.5, 8, 33), lit((134, 90, 56)))
    for x in (-3, 3):
        picture.paint(_disc(x, 28, 1.1), lit((250, 230, 160)))
    checks = ((_X // 4 + _Y // 4) % 2 < 1) & (_Y >= 44) & (_Y < 52)
    picture.paint(_rect(32, 33, 44, 52), lit((250, 250, 250)))
    picture.paint(checks, lit((120, 190, 200)))
    picture.paint(_below(52), lit((110, 72, 48)))
    picture.paint(_below(55), lit((196, 142, 94)))
    for x in (0, 32):
        picture.paint(_rect(x, 0.5, 55), lit((134, 90, 56)))
        picture.paint(_rect(x + 16, 4, 59, 60.6), lit((250, 230, 160)))
    return picture


def _meadow(night: bool) -> Picture:
    picture = _sky(night)
    for x, y in ((12, 20), (58, 26)):
        for dx, dy, r in ((0, 0, 4), (-4.5, 1, 3), (4.5, 1, 3)):
            picture.paint(_disc(x + dx, y + dy, r, 0.75 * r), _lit((255, 255, 255), night))
    picture.paint(_below(42, (1, 4, 0.0)), _lit((150, 205, 90), night))
    picture.paint(_below(50, (1, 3, 0.45)), _lit((120, 190, 75), night))
    for k in range(7):
        x = 4 + 9.14 * k
        picture.paint(_disc(x, 58 + 5 * (k % 3), 1.5), _lit(((250, 240, 250), (250, 210, 230))[k % 2], night))
    return picture


def _water(night: bool) -> Picture:
    picture = Picture((90, 215, 225), (10, 95, 150)) if not night else Picture((16, 66, 92), (4, 18, 52))
    for x in (16, 36, 58):
        beam = np.abs(_away(x - 0.3 * _Y)) < 3 - 0.03 * _Y
        picture.paint(beam, (225, 255, 250), opacity=0.22 if not night else 0.07)
    for x, y, r in ((8, 20, 2.2), (11, 13, 1.4), (48, 30, 2), (52, 22, 1.3), (28, 14, 1.5)):
        picture.paint(_disc(x, y, r) & ~_disc(x + 0.3, y + 0.3, 0.62 * r), _lit((225, 250, 255), night))
    picture.paint(_below(62, (1, 2, 0.2), (3, 0.8, 0.0)), _lit((214, 196, 140), night))
    for x, top in ((5, 38), (11, 46), (57, 34), (50, 48)):
        weed = np.abs(_away(x + 1.8 * np.sin(_Y / 4 + x))) < 1.5
        picture.paint(weed & (top < _Y) & (_Y < 66), _lit((30, 150, 90), night))
    if night:
        picture.paint(_disc(40, 13, 4), (190, 225, 225))
    return picture


BACKDROPS: dict[str, Callable[[bool], Picture]] = {
    "beach": _beach,
    "forest": _forest,
    "city": _city,
    "mountains": _mountains,
    "desert": _desert,
    "kitchen": _kitchen,
    "meadow": _meadow,
    "sea": _water,
}


@cache
def backdrops() -> UInt8[np.ndarray, "scenes lights height width 3"]:
    """All pictures in the order of `BACKDROPS`, by day (0) and by night (1)."""
    out = np.stack([np.stack([draw(night).done() for night in (False, True)]) for draw in BACKDROPS.values()])
    out.setflags(write=False)
    return out
