"""What is measured on a pair of clips. Every score is a ratio of sums over clips, so a clip's part is two numbers.

A mean is Σ value / Σ 1 over the clips where it is defined; the relative endpoint error is Σ error / Σ motion; the
PSNR of a set is that of Σ squared error / Σ 1. Bootstrap, wrong pairs and comparisons then treat all alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from brainreel.errors import UsageError
from brainreel.evaluate import score_flows
from brainreel.evaluate.score_flows import MOTION_FPS, Flows, flows_of
from brainreel.metrics import hue_correlation, mse, pixel_correlation, psnr, ssim
from brainreel.metrics.motion import flow_scores
from brainreel.metrics.motion_energy import default_pyramid, motion_energy
from brainreel.metrics.pixels import PEAK
from brainreel.metrics.ssim import WINDOWS
from brainreel.metrics.videos import opencv
from brainreel.video import Frames

Parts = Float[np.ndarray, "*any 2"]


class Measure(NamedTuple):
    """One definition of one metric, and how clips' parts become a value."""

    metric: str
    definition: str
    kind: Literal["mean", "ratio", "decibel"] = "mean"

    def of(self, parts: Parts) -> Float[np.ndarray, "*any"]:
        """The value of parts, or of sums of parts; NaN where nothing was defined."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(parts[..., 1] > 0, parts[..., 0] / parts[..., 1], np.nan)
            return np.asarray(10 * np.log10(PEAK**2 / ratio) if self.kind == "decibel" else ratio)


MEASURES = (
    *(Measure("ssim", definition) for definition in WINDOWS),
    Measure("mse", "clip"),
    Measure("psnr", "clip", "decibel"),
    Measure("psnr", "frame-mean"),
    Measure("psnr", "published-capped"),
    Measure("pixel_correlation", "clip"),
    Measure("pixel_correlation", "frame-mean"),
    Measure("hue_correlation", "chroma-weighted"),
    Measure("hue_correlation", "published-cosine"),
    Measure("endpoint_error", "relative", "ratio"),
    Measure("endpoint_error", "published-farneback"),
    Measure("direction_agreement", "mean-flow"),
)
PLACE = {(measure.metric, measure.definition): index for index, measure in enumerate(MEASURES)}
ENERGY = Measure("motion_energy_correlation", "pymoten-96")
MOVING = ("endpoint_error", "direction_agreement", "motion_energy_correlation")
NEED_OPENCV = {("hue_correlation", "published-cosine"), *(key for key in PLACE if key[0] in MOVING)}


def not_installed() -> dict[tuple[str, str], str]:
    """Why which measures cannot be had on this machine."""
    reasons: dict[tuple[str, str], str] = {}
    try:
        opencv()
    except UsageError as error:
        reasons |= dict.fromkeys(NEED_OPENCV, str(error))
    try:
        default_pyramid()
    except UsageError as error:
        reasons[ENERGY.metric, ENERGY.definition] = str(error)
    return reasons


def frames_move(frames: int, moving: Int[np.ndarray, " times"] | None) -> dict[tuple[str, str], str]:
    """Why which measures cannot be had of clips of this length and rate."""
    reasons: dict[tuple[str, str], str] = {}
    if moving is None:
        unknown = "no frame rate is known; give --fps"
        reasons = {key: unknown for key in PLACE if key[0] in MOVING and key[1] != "published-farneback"}
        reasons[ENERGY.metric, ENERGY.definition] = unknown
    elif len(moving) < 2:
        reasons = {key: "clips of one frame at 8 per second" for key in PLACE if key[0] in MOVING}
    if frames < 2:
        reasons["endpoint_error", "published-farneback"] = "clips of one frame"
    return reasons


class Truth:
    """A true clip that several videos are measured against; its flow is computed once.

    Args:
        frames: The clip.
        moving: Which of its frames are shown 8 times a second; None where no rate is known.
        without: Measures to leave out, which become NaN.
    """

    def __init__(
        self, frames: Frames, moving: Int[np.ndarray, " times"] | None, without: frozenset[tuple[str, str]]
    ) -> None:
        self.frames, self.moving, self.without = frames, moving, without
        self.flows = flows_of(frames, moving, without)

    def measure(self, recon: Frames, flows: Flows | None = None) -> Float[np.ndarray, "measures 2"]:
        """Numerator and denominator of every measure for one reconstruction on the truth's grid.

        Args:
            recon: The reconstruction.
            flows: Its optical flow, if it is at hand.
        """
        if flows is None:
            flows = flows_of(recon, self.moving, self.without)
        parts = np.full((len(MEASURES), 2), np.nan)
        pair = self.frames[None], recon[None]

        def put(metric: str, definition: str, value: float, weight: float = 1.0) -> None:
            parts[PLACE[metric, definition]] = value, weight

        for definition in WINDOWS:
            put("ssim", definition, ssim(*pair, definition=definition)[0])
        error = mse(*pair)[0]
        put("mse", "clip", error)
        put("psnr", "clip", error)
        for definition in ("frame-mean", "published-capped"):
            put("psnr", definition, psnr(*pair, definition=definition)[0])
        for definition in ("clip", "frame-mean"):
            put("pixel_correlation", definition, pixel_correlation(*pair, definition=definition)[0])
        for definition in ("chroma-weighted", "published-cosine"):
            if self._wanted("hue_correlation", definition):
                put("hue_correlation", definition, hue_correlation(*pair, definition=definition)[0])
        if self._wanted("endpoint_error", "relative"):
            at_rate = self.frames[self.moving][None], recon[self.moving][None]
            flow = flow_scores(*at_rate, fps=MOTION_FPS, truth_flow=self.flows.relative, recon_flow=flows.relative)
            put("endpoint_error", "relative", flow.error[0], flow.motion[0])
            put("direction_agreement", "mean-flow", flow.direction[0])
        if self._wanted("endpoint_error", "published-farneback"):
            put("endpoint_error", "published-farneback", self._published_error(recon, flows))
        # What is undefined counts in neither sum.
        parts[np.isnan(parts).any(axis=1)] = np.nan
        return parts

    def energies(self, videos: Sequence[Frames]) -> Float[np.ndarray, "videos filters"] | None:
        """Motion energies of videos on the truth's grid; None where they are not wanted."""
        if self.moving is None or not self._wanted(ENERGY.metric, ENERGY.definition):
            return None
        return motion_energy(np.stack(videos), shown=self.moving)

    def _wanted(self, metric: str, definition: str) -> bool:
        return (metric, definition) not in self.without

    def _published_error(self, recon: Frames, flows: Flows) -> float:
        if self.flows.published is not None:
            stretches = [slice(0, len(recon))]
        else:
            step = max(1, score_flows.LARGEST_FLOW_BYTES // (8 * recon[0, :, :, 0].size))
            stretches = [slice(start, start + step + 1) for start in range(0, len(recon) - 1, step)]
        steps = np.array([len(recon[part]) - 1 for part in stretches])
        errors = [
            flow_scores(
                self.frames[None, part],
                recon[None, part],
                definition="published-farneback",
                truth_flow=self.flows.published,
                recon_flow=flows.published,
            ).error[0]
            for part in stretches
        ]
        return float(steps @ errors / steps.sum())


def correlations(
    truth: Float[np.ndarray, "truths filters"],
    recon: Float[np.ndarray, "recons filters"],
    training: Float[np.ndarray, "2 filters"],
) -> Float[np.ndarray, "truths recons"]:
    """`motion_energy_correlation` of every truth with every reconstruction.

    Args:
        truth: Motion energies of the true clips.
        recon: Of the reconstructions.
        training: Mean and SD of each filter over the training clips.
    """
    varies = training[1] > 0
    sides = [((side - training[0])[:, varies] / training[1][varies]) for side in (truth, recon)]
    x, y = (side - side.mean(axis=1, keepdims=True) for side in sides)
    lengths = np.sqrt((x**2).sum(axis=1)[:, None] * (y**2).sum(axis=1))
    return np.divide(x @ y.T, lengths, out=np.full(lengths.shape, np.nan), where=lengths > 0)
