"""A film of simulated clips, one after the other: it stays at a place for a while, and with an object for a clip or two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from brainreel.world.scenes import KINDS, LIGHTS, PLACES, Scenes, combinations, scenes_showing

# A take at one place, in one light, lasts so many clips.
_SHORTEST_TAKE, _LONGEST_TAKE = 3, 6
_STAYS = 0.5


def draw_film(held_out: Bool[np.ndarray, " clips"], seed: int) -> Scenes:
    """Draw the scenes of a film in the order in which they are shown.

    Args:
        held_out: Which clips show held-out object-place-motion combinations (`scenes.held_out`); the others show
            none of them. A take never runs across a change from one to the other.
        seed: The same seed draws the same film.
    """
    rng = np.random.default_rng(seed)
    # Kind and place -> the motions that are held out, and those that are not.
    motions: dict[tuple[bool, int, int], list[int]] = {}
    for out, name in ((True, "held-out"), (False, "training")):
        for kind, place, motion in combinations(name).tolist():
            motions.setdefault((out, kind, place), []).append(motion)
    shown, light = [], []
    left, place, night, kind = 0, -1, 0, -1
    for clip, out in enumerate(held_out.tolist()):
        if left == 0 or out != held_out[clip - 1]:
            left = int(rng.integers(_SHORTEST_TAKE, _LONGEST_TAKE + 1))
            place = int(rng.choice([p for p in range(len(PLACES)) if p != place]))
            night = int(rng.integers(len(LIGHTS)))
            kind = -1
        if kind < 0 or rng.random() > _STAYS:
            kind = int(rng.integers(len(KINDS)))
        shown.append((kind, place, int(rng.choice(motions[out, kind, place]))))
        light.append(night)
        left -= 1
    return replace(scenes_showing(np.array(shown), rng), light=np.array(light))
