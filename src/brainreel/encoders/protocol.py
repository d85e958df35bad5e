"""What an encoder is: a frozen network that gives every clip of a store its target."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from jaxtyping import Float

from brainreel.store.reader import Store

T = TypeVar("T")
# Shows how far a loop is: takes what is looped over and how many there are, gives it back one by one.
Progress = Callable[[Iterable[Any], int], Iterable[Any]]


def silent(items: Iterable[T], total: int) -> Iterable[T]:
    """Progress that nobody sees."""
    return items


@dataclass(frozen=True)
class Encoded:
    """What an encoder makes of a store.

    Attributes:
        embedding: One vector, or one array of vectors, per row of the clips table.
        captions: What the rows of `caption_values` say; empty for encoders whose space has no captions.
        caption_values: The captions' vectors in the space of `embedding`.
    """

    embedding: Float[np.ndarray, "clips ..."]
    captions: list[str] = field(default_factory=list)
    caption_values: Float[np.ndarray, "captions dim"] | None = None

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """By the names that they have on disk."""
        spoken = {} if self.caption_values is None else {"captions": self.caption_values}
        return {"embedding": self.embedding, **spoken}


class Encoder(Protocol):
    """A frozen network. Beyond what is here it may have settings of its own, as keywords of the first two.

    Attributes:
        name: Of the encoder and of its targets.
    """

    name: str

    def __init__(self, weights: str | None = None, device: str = "cpu") -> None:
        """Load it from a hub id, a local folder or (None) where its own weights are; WeightsError if that fails."""
        ...

    @staticmethod
    def identify(weights: str | None) -> dict[str, Any]:
        """What makes its targets these: weights and settings, found without loading anything."""
        ...

    def encode_store(self, store: Store, progress: Progress = silent) -> Encoded:
        """The targets of every clip; StoreError if a clip lacks what this encoder looks at."""
        ...
