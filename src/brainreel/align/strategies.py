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
from brainreel.align.examples import Recording
from brainreel.align.goals import Goals
from brainreel.align.ridge import fit_pooled_ridge, fit_ridge


@dataclass(frozen=True)
class Fitted:
    """A strategy's result: the decoder to use, and others that training it left behind, by name."""

    decoder: Decoder
    also: dict[str, Decoder]


Known = Mapping[str, Decoder]
"""What an earlier training of the same people towards the same goals left, by the names of `Fitted.also`."""

Strategy = Callable[[Sequence[Recording], Goals, AlignConfig, Path | None, torch.device, Known], Fitted]


def _contrastive(
    recordings: Sequence[Recording],
    goals: Goals,
    config: AlignConfig,
    folder: Path | None,
    device: torch.device,
    known: Known,
) -> Fitted:
    decoder, before = fit_contrastive(recordings, goals, config, folder, device)
    return Fitted(decoder, {} if before is decoder else {"trained": before})


def _consensus(
    recordings: Sequence[Recording],
    goals: Goals,
    config: AlignConfig,
    folder: Path | None,
    device: torch.device,
    known: Known,
) -> Fitted:
    soloists = known.get("alone")
    soloists = soloists if isinstance(soloists, LinearDecoder) else None
    decoder, alone = fit_consensus(recordings, goals, config, folder, device, soloists)
    return Fitted(decoder, {} if alone is decoder else {"alone": alone})


def _ridge(
    recordings: Sequence[Recording],
    goals: Goals,
    config: AlignConfig,
    folder: Path | None,
    device: torch.device,
    known: Known,
) -> Fitted:
    return Fitted(fit_ridge(recordings, goals, config), {})


def _pooled_ridge(
    recordings: Sequence[Recording],
    goals: Goals,
    config: AlignConfig,
    folder: Path | None,
    device: torch.device,
    known: Known,
) -> Fitted:
    return Fitted(fit_pooled_ridge(recordings, goals, config), {})


STRATEGIES: dict[str, Strategy] = {
    "contrastive": _contrastive,
    "consensus": _consensus,
    "ridge": _ridge,
    "pooled-ridge": _pooled_ridge,
}
