"""People who watch simulated clips: one functional organisation on a common surface, everybody a little different.

Early visual cortex is retinotopic: a place on the surface sees a place in the visual field. The other parcels prefer
mixtures of features that change smoothly from place to place. A person reads this organisation at displaced
positions, has some tuning of their own, and noise and gain of their own (`brainreel.world.cortex`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from brainreel.world.cortex import Cortex, Field, Person, Physiology, seed_of
from brainreel.world.drives import CELLS, drives
from brainreel.world.render import render
from brainreel.world.scenes import draw_scenes

# The underscores let one call take drives of several sets of clips.
Drives = Mapping[str, Float[np.ndarray, "_samples _features"]]

# Everybody's organisation is the same whatever people, clips and noise are drawn.
_ORGANISATION = 20240
# How far a receptive field reaches, in shares of the visual field's side.
_FIELD_SIGMA = 0.1


class Parcel(NamedTuple):
    """A patch of cortex: rows and columns of its vertices, what drives it (nothing if empty), its signal's share
    of the variance relative to the others'."""

    rows: int
    columns: int
    drive: str
    signal: float


PARCELS: dict[str, Parcel] = {
    "V1": Parcel(16, 16, "layout", 1.2),
    "V4": Parcel(9, 10, "colour", 0.8),
    "MT": Parcel(10, 11, "motion", 1.0),
    "LOC": Parcel(13, 14, "object", 1.1),
    "PPA": Parcel(10, 12, "scene", 1.0),
    "other": Parcel(12, 12, "", 0.0),
}
VERTICES = sum(p.rows * p.columns for p in PARCELS.values())


@dataclass(frozen=True)
class Surface:
    """Which vertices of the common surface a release has, and where; a coarse one has every second vertex."""

    vertex: Int[np.ndarray, " vertices"]
    parcel: tuple[str, ...]
    position: Float[np.ndarray, "vertices 2"]

    def __len__(self) -> int:
        return len(self.vertex)


@cache
def surface(*, coarse: bool = False) -> Surface:
    """The common surface, parcel after parcel; positions are (row, column) in their parcel."""
    position = np.concatenate([np.indices((p.rows, p.columns)).reshape(2, -1).T for p in PARCELS.values()])
    parcel = np.repeat(list(PARCELS), [p.rows * p.columns for p in PARCELS.values()])
    kept = np.flatnonzero(position.sum(axis=1) % 2 == 0) if coarse else np.arange(len(position))
    return Surface(kept, tuple(parcel[kept].tolist()), position[kept].astype(float))


@dataclass(frozen=True)
class Retinotopy:
    """Receptive fields on a grid of cells: a vertex sees where its position in the parcel is in the visual field.

    Attributes:
        extent: Rows and columns of the parcel, which map to the height and width of the visual field.
        preference: How much luminance and the two colour axes count at a position.
    """

    extent: tuple[int, int]
    preference: Field

    def __call__(self, position: Float[np.ndarray, "vertices 2"]) -> Float[np.ndarray, "vertices attributes"]:
        where = (position + 0.5) / np.array(self.extent)
        cell = (np.arange(CELLS) + 0.5) / CELLS
        down, across = (np.exp(-((where[:, [j]] - cell) ** 2) / (2 * _FIELD_SIGMA**2)) for j in (0, 1))
        seen = down[:, :, None] * across[:, None, :]
        liked = self.preference(position)
        # The kinds of features lie one after the other: all cells of luminance, then all cells of both colours.
        luminance = (seen * liked[:, None, None, 0]).reshape(len(position), -1)
        colours = (seen[..., None] * liked[:, None, None, 1:]).reshape(len(position), -1)
        tuning = np.concatenate([luminance, colours], axis=1)
        return tuning / np.sqrt((tuning**2).mean(axis=1, keepdims=True))


@dataclass(frozen=True)
class Viewer:
    """One simulated person."""

    surface: Surface
    cortices: Mapping[str, Cortex]
    people: Mapping[str, Person]

    def betas(self, shown: Drives, *, seed: int) -> Float[np.ndarray, "samples vertices"]:
        """Responses to single trials of an event design, in the order in which they were shown.

        Args:
            shown: What each trial offered (`drives`, rows repeated for repetitions).
            seed: Of the noise.
        """
        return self._parcels(
            lambda cortex, person, design, k: cortex.betas(person, design, seed=seed_of(seed, k)), shown
        )

    def bold(self, shown: Drives, *, tr_s: float, seed: int) -> Float[np.ndarray, "samples vertices"]:
        """One uninterrupted scan.

        Args:
            shown: What each volume's time offered.
            tr_s: Seconds per volume.
            seed: Of the noise.
        """
        return self._parcels(
            lambda cortex, person, design, k: cortex.bold(person, design, tr_s=tr_s, seed=seed_of(seed, k)), shown
        )

    def _parcels(self, respond, shown: Drives) -> np.ndarray:
        samples = len(next(iter(shown.values())))
        parts = []
        for k, (name, cortex) in enumerate(self.cortices.items()):
            design = shown[PARCELS[name].drive] if PARCELS[name].drive else np.zeros((samples, 1))
            parts.append(respond(cortex, self.people[name], design, k))
        return np.concatenate(parts, axis=1)


def viewer(seed: int, *, surface: Surface, signal_share: float) -> Viewer:
    """Somebody.

    Args:
        seed: Whom.
        surface: The vertices that are recorded.
        signal_share: Share of the variance that clips drive in an average driven vertex of an average person.
    """
    quality = np.random.default_rng(seed_of(seed, 0)).normal(scale=0.3)
    cortices, people = {}, {}
    for k, (name, parcel) in enumerate(PARCELS.items()):
        here = np.array([p == name for p in surface.parcel])
        share = min(signal_share * max(parcel.signal, 1e-3), 0.9)
        odds = math.log(share / (1 - share)) + quality
        physiology = Physiology(
            tuning_length=2.5,
            displacement=1.0,
            displacement_length=6.0,
            own_share=0.2,
            signal_share=1 / (1 + math.exp(-odds)),
            signal_spread=0.1,
            noise_smooth_share=0.4,
            noise_autocorrelation=0.4,
            beta_smooth_share=0.3,
            beta_drift_share=0.05,
        )
        cortices[name] = replace(_organisation(name), position=surface.position[here], physiology=physiology)
        people[name] = cortices[name].person(seed_of(seed, 1, k))
    return Viewer(surface, cortices, people)


@cache
def _organisation(name: str) -> Cortex:
    """What everybody shares of a parcel."""
    parcel, seed = PARCELS[name], seed_of(_ORGANISATION, list(PARCELS).index(name))
    columns = _columns(parcel.drive)
    nowhere, physiology = np.zeros((0, 2)), Physiology(tuning_length=2.5)
    importance = np.ones(columns) if parcel.drive else np.zeros(columns)
    if parcel.drive != "layout":
        return Cortex.grow(nowhere, importance, seed=seed, physiology=physiology)
    preference = Field.draw(np.random.default_rng(seed), dims=2, outputs=3, length=2.5)
    return Cortex(nowhere, Retinotopy((parcel.rows, parcel.columns), preference), importance, physiology)


def _columns(drive: str) -> int:
    """Number of features of a drive."""
    if not drive:
        return 1
    scenes = draw_scenes(1, seed=0)
    return drives(scenes, render(scenes))[drive].shape[1]
