"""The strategies of stage 1 behind one interface, so that they can be compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from brainreel.align.config import AlignConfig
from brainreel.align.consensus import fit_consensus
from brainreel.align.contrastive import fit_contrastive
from brainreel.align.decoders import Decoder, LinearDecoder
from brainreel.align.examples import Trials
from brainreel.align.goals import Goals
from brainreel.align.ridge import fit_pooled_ridge, fit_ridge

Known = Mapping[str, Decoder]
"""What an earlier training of the same people towards the same goals left, by the names of `Fitted.also`."""


@dataclass(frozen=True)
class Training:
    """What every strategy is given: training trials of all subjects, their targets, and where and how to learn."""

    recordings: Sequence[Trials]
    goals: Goals
    config: AlignConfig
    folder: Path | None
    device: torch.device
    known: Known


@dataclass(frozen=True)
class Fitted:
    """A strategy's result: the decoder to use, and others that training it left behind, by name."""

    decoder: Decoder
    also: dict[str, Decoder]


Strategy = Callable[[Training], Fitted]


def _contrastive(given: Training) -> Fitted:
    decoder, before = fit_contrastive(given.recordings, given.goals, given.config, given.folder, given.device)
    return Fitted(decoder, {} if before is decoder else {"trained": before})


def _consensus(given: Training) -> Fitted:
    known = given.known.get("alone")
    soloists = known if isinstance(known, LinearDecoder) else None
    decoder, alone = fit_consensus(given.recordings, given.goals, given.config, given.folder, given.device, soloists)
    return Fitted(decoder, {} if alone is decoder else {"alone": alone})


def _ridge(given: Training) -> Fitted:
    return Fitted(fit_ridge(given.recordings, given.goals, given.config), {})


def _pooled_ridge(given: Training) -> Fitted:
    return Fitted(fit_pooled_ridge(given.recordings, given.goals, given.config), {})


STRATEGIES: dict[str, Strategy] = {
    "contrastive": _contrastive,
    "consensus": _consensus,
    "ridge": _ridge,
    "pooled-ridge": _pooled_ridge,
}
