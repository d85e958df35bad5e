"""A film that nobody shot: scenes and shots with attributes, told in plain English."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from brainreel.errors import UsageError
from brainreel.world.vocabulary import (
    ACTIONS,
    LIGHT,
    MOODS,
    OBJECTS,
    OPENINGS,
    PEOPLE,
    PLACES,
    SHOTS,
    SPEECH,
)

ATTRIBUTES: tuple[str, ...] = (
    *(f"place:{p}" for p in PLACES),
    "light:indoor",
    "light:night",
    *(f"person:{p}" for p in PEOPLE),
    *(f"speaks:{p}" for p in PEOPLE),
    *(f"action:{a}" for a in ACTIONS),
    *(f"object:{o}" for o in OBJECTS),
    *(f"mood:{m}" for m in MOODS),
    "cut:shot",
    "cut:scene",
)


@dataclass(frozen=True)
class Shot:
    """What is seen and heard during the volumes [start, stop), counted from 0."""

    scene: int
    start: int
    stop: int
    place: str
    night: bool
    people: tuple[str, ...]
    speaker: str | None
    action: str
    thing: str
    mood: str
    text: str

    @property
    def indoor(self) -> bool:
        return PLACES[self.place][1]

    def attributes(self) -> frozenset[str]:
        """The names of ATTRIBUTES that hold as long as the shot lasts (cuts, which do not last, left out)."""
        held = {f"place:{self.place}", f"action:{self.action}", f"object:{self.thing}", f"mood:{self.mood}"}
        held |= {f"person:{p}" for p in self.people}
        held |= {f"speaks:{self.speaker}"} if self.speaker else set()
        held |= {"light:indoor"} if self.indoor else set()
        held |= {"light:night"} if self.night else set()
        return frozenset(held)


@dataclass(frozen=True)
class Story:
    """A film of `n_trs` volumes, its shots in order; scans end at the volumes in `breaks`."""

    n_trs: int
    breaks: tuple[int, ...]
    shots: tuple[Shot, ...]


def tell(n_trs: int, *, n_shots: int, n_scenes: int, breaks: Sequence[int] = (), seed: int) -> Story:
    """Invent a film.

    Args:
        n_trs: Length of the film in volumes.
        n_shots: Number of described shots; each lasts at least one volume, none runs across a break.
        n_scenes: Number of scenes: stretches with one place, light, mood and cast.
        breaks: Volumes at which a scan (and therefore a scene) begins, 0 left out.
        seed: The same seed tells the same film.
    """
    rng = np.random.default_rng(seed)
    scenes = _cut(n_trs, n_scenes, {0, *breaks}, rng)
    cuts = _cut(n_trs, n_shots, set(scenes), rng)
    shots: list[Shot] = []
    scene, setting = -1, _setting(rng)
    for start, stop in pairwise([*cuts, n_trs]):
        opening = start in scenes
        if opening:
            scene, setting = scene + 1, _setting(rng, before=setting.place)
        shots.append(_shot(rng, setting, scene=scene, start=start, stop=stop, opening=opening))
    return Story(n_trs=n_trs, breaks=tuple(breaks), shots=tuple(shots))


def single_shots(n: int, *, seed: int) -> tuple[Shot, ...]:
    """`n` unrelated shots of one volume each: the clips of an event design."""
    rng = np.random.default_rng(seed)
    return tuple(_shot(rng, _setting(rng), scene=i, start=i, stop=i + 1, opening=True) for i in range(n))


def design(story: Story) -> Float[np.ndarray, "trs attributes"]:
    """Which of ATTRIBUTES holds in which volume: 0 or 1, in the order of ATTRIBUTES."""
    column = {name: j for j, name in enumerate(ATTRIBUTES)}
    out = np.zeros((story.n_trs, len(ATTRIBUTES)), np.float32)
    scene = -1
    for shot in story.shots:
        out[shot.start : shot.stop, [column[a] for a in shot.attributes()]] = 1.0
        out[shot.start, column["cut:shot"]] = 1.0
        out[shot.start, column["cut:scene"]] = float(shot.scene != scene)
        scene = shot.scene
    return out


class _Setting(NamedTuple):
    """What stays the same during a scene."""

    place: str
    night: bool
    cast: tuple[str, ...]
    things: tuple[str, ...]
    mood: str


def _cut(n_trs: int, n: int, forced: set[int], rng: np.random.Generator) -> list[int]:
    """`n` volumes to cut at, those in `forced` among them."""
    if not len(forced) <= n <= n_trs:
        raise UsageError(f"{n} shots or scenes in {n_trs} volumes", expected=f"between {len(forced)} and {n_trs}")
    free = np.setdiff1d(np.arange(n_trs), sorted(forced))
    more = rng.choice(free, size=n - len(forced), replace=False)
    return sorted({*forced, *more.tolist()})


def _pick(rng: np.random.Generator, options: Iterable[str]) -> str:
    return str(rng.choice(list(options)))


def _setting(rng: np.random.Generator, before: str = "") -> _Setting:
    return _Setting(
        place=_pick(rng, (p for p in PLACES if p != before)),
        night=bool(rng.random() < 0.5),
        cast=tuple(rng.permutation(list(PEOPLE))[: rng.integers(1, 4)].tolist()),
        things=tuple(rng.permutation(list(OBJECTS))[:3].tolist()),
        mood=_pick(rng, MOODS),
    )


def _shot(rng: np.random.Generator, of: _Setting, *, scene: int, start: int, stop: int, opening: bool) -> Shot:
    people = tuple(rng.permutation(list(of.cast))[: rng.integers(1, len(of.cast) + 1)].tolist())
    shot = Shot(
        scene=scene,
        start=start,
        stop=stop,
        place=of.place,
        night=of.night,
        people=people,
        speaker=_pick(rng, people) if rng.random() < 0.5 else None,
        action=_pick(rng, ACTIONS),
        thing=_pick(rng, of.things),
        mood=of.mood,
        text="",
    )
    return replace(shot, text=_describe(rng, shot, opening=opening))


def _describe(rng: np.random.Generator, shot: Shot, *, opening: bool) -> str:
    first, *others = shot.people
    where = PLACES[shot.place][0]
    thing = OBJECTS[shot.thing]
    sentence = _pick(rng, OPENINGS if opening else SHOTS).format(
        who=f"{first}, {PEOPLE[first]}," if opening or rng.random() < 0.2 else first,
        does=ACTIONS[shot.action].format(it=thing),
        where=where,
        Where=where[0].upper() + where[1:],
        place=shot.place,
        thing=thing,
        Light=_pick(rng, LIGHT[shot.night]),
    )
    sentences = [sentence.replace(",,", ",")]
    if others:
        sentences.append(f"{' and '.join(others)} {'looks' if len(others) == 1 else 'look'} on.")
    feeling, lines = MOODS[shot.mood]
    if rng.random() < 0.4:
        sentences.append(f"{feeling}.")
    if shot.speaker:
        sentences.append(_pick(rng, SPEECH).format(speaker=shot.speaker, line=_pick(rng, lines)))
    return " ".join(sentences)
