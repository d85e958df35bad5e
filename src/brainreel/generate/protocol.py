"""What a video model must be to make reconstructions: the seam between regressed conditions and any generator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from brainreel.errors import UsageError
from brainreel.regress.conditions import Conditions

Mode = Literal["text-to-video", "video-to-video"]
"""Where denoising begins: at pure noise, or at the regressed latents with noise of a given strength."""


class Videos(NamedTuple):
    """Clips of one size.

    Attributes:
        frames: RGB, 0 to 255.
        fps: Frames per second.
    """

    frames: UInt8[np.ndarray, "clips frames height width 3"]
    fps: float


@runtime_checkable
class Generator(Protocol):
    """A pre-trained video model.

    Attributes:
        takes: Which of ``text``, ``image`` and ``latent`` it can be given. Captions every generator takes.
        identity: What makes its videos these: checksums or hub id of the weights, precision, size.
    """

    @property
    def takes(self) -> frozenset[str]: ...

    @property
    def identity(self) -> dict[str, Any]: ...

    def together(self, conditions: Conditions) -> int:
        """How many of these clips go through the network at once; never depends on how many there are."""
        ...

    def generate(
        self,
        conditions: Conditions,
        *,
        steps: int,
        strength: float,
        guidance: float,
        seed: int,
        mode: Mode | None = None,
    ) -> Videos:
        """Make a video of every clip.

        Args:
            conditions: What is known of the clips. Their fact ``fps``, if there, is the rate of their latents' frames.
            steps: Of the whole denoising; video-to-video does the last of them.
            strength: 0 to 1, how much noise the regressed latents get (video-to-video only).
            guidance: Weight of classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598); up to 1: none.
            seed: With a clip's id it decides the clip's noise, whatever else is made and in which order.
            mode: None: video-to-video if there are latents, else text-to-video.

        Raises:
            UsageError: a condition that the model does not take, is missing, or has the wrong shape.
        """
        ...


def choose_mode(conditions: Conditions, takes: Iterable[str], mode: Mode | None) -> Mode:
    """Which pass these conditions go through, after refusing what the generator cannot be given.

    A condition that it does not take is left out if a text condition or captions say the same; a text condition comes
    before the captions.

    Raises:
        UsageError: names the condition that is too many, missing or not finite.
    """
    takes, there = frozenset(takes), conditions.vectors.keys()
    said = any(conditions.captions) or "text" in there & takes
    if (strange := sorted(there - takes)) and not said:
        raise UsageError(
            f"this generator does not take the condition {strange[0]!r}",
            expected=f"{', '.join(sorted(takes))}, or captions",
            do="regress captions too, which stand for it, or choose another generator",
        )
    if not said:
        raise UsageError(
            "the conditions hold neither a text condition nor captions",
            expected="one of them, for every pass",
            do="regress `text` or captions",
        )
    chosen = mode or ("video-to-video" if "latent" in there & takes else "text-to-video")
    if chosen == "video-to-video" and "latent" not in there & takes:
        raise UsageError(
            "video-to-video without latents",
            expected="a condition `latent`, and a generator that takes it",
            do="regress it, or choose --mode text-to-video",
        )
    for name in sorted(there & takes):
        if not np.isfinite(conditions.vectors[name]).all():
            raise UsageError(f"the condition {name!r} holds values that are not finite", do="run `brainreel regress`")
    return chosen


def batches(conditions: Conditions, together: int) -> Iterator[Conditions]:
    """The clips in their order, some at a time."""
    for start in range(0, len(conditions), together):
        yield conditions.take(slice(start, start + together))
