"""Clips of stores that look alike: the same clip under other names, mirrored or encoded anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from brainreel.store.look_cache import Looks, looks_of
from brainreel.store.looks import lookalikes
from brainreel.store.reader import Store


class Alike(NamedTuple):
    """A clip and another one, of the same store or of another, that shows the same."""

    store: str
    clip: str
    other_store: str
    other_clip: str
    how: str
    distance: float

    def json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**self._asdict(), "distance": round(self.distance, 4)}


@dataclass
class Likeness:
    """All pairs of clips that look alike, in a set of stores.

    Attributes:
        pairs: For people, nearest first; store is the path that was given.
        looks: Per store, what was looked at.
    """

    pairs: list[Alike] = field(default_factory=list)
    looks: list[Looks] = field(default_factory=list)
    _stores: list[Store] = field(default_factory=list)
    _rows: dict[tuple[int, int], list[tuple[int, int]]] = field(default_factory=dict)

    def hit(
        self, training: Store, train: Int[np.ndarray, " train"], testing: Store, test: Int[np.ndarray, " test"]
    ) -> Bool[np.ndarray, " test"]:
        """Which test clips look like a training clip."""
        if training not in self._stores or testing not in self._stores:
            return np.zeros(len(test), bool)
        pairs = self._rows.get((self._stores.index(testing), self._stores.index(training)), [])
        trained = set(train.tolist())
        return np.isin(test, [mine for mine, theirs in pairs if theirs in trained])


def likeness_of(stores: Sequence[Store]) -> Likeness:
    """Look at all clips of all stores whose videos are there, and compare each with every other.

    Parts of one film are not compared with each other: there, time says what overlaps.
    """
    looks = [looks_of(store) for store in stores]
    where = [(s, row) for s, look in enumerate(looks) for row in np.flatnonzero(look.seen).tolist()]
    found = Likeness(looks=looks, _stores=list(stores))
    if not where:
        return found
    films: dict[tuple[str, str, int], int] = {}
    apart = []
    for s, row in where:
        film = int(looks[s].film[row])
        # The name of a film means the same thing only inside one dataset.
        name = (stores[s].name, "film", film) if film >= 0 else (str(s), "clip", row)
        apart.append(films.setdefault(name, len(films)))
    thumbs = np.concatenate([look.thumbs[look.seen] for look in looks])
    for pair in lookalikes(thumbs, np.array(apart)):
        (a, i), (b, j) = where[pair.one], where[pair.other]
        ids = [str(stores[s].clips["clip_id"].iloc[row]) for s, row in ((a, i), (b, j))]
        # Two stores of one dataset share clips under the same names, which other checks see.
        if a != b and stores[a].name == stores[b].name and ids[0] == ids[1]:
            continue
        found._rows.setdefault((a, b), []).append((i, j))
        found._rows.setdefault((b, a), []).append((j, i))
        sums = [str(stores[s].clips["sha256"].iloc[row]) for s, row in ((a, i), (b, j))]
        how = "same file" if sums[0] and sums[0] == sums[1] else "mirrored" if pair.mirrored else "looks alike"
        found.pairs.append(Alike(str(stores[a].root), ids[0], str(stores[b].root), ids[1], how, pair.distance))
    return found
