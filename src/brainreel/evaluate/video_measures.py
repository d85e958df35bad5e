"""What is measured on an experiment's videos: one definition per pixel and motion metric, and networks' answers.

Wrong pairs are many (every truth with the reconstructions of a block of other clips), so what belongs to one clip
alone, its flow and a network's answer, is computed once, and a pair costs little.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from brainreel.evaluate.score_measures import MOTION_FPS, Measure
from brainreel.evaluate.score_semantics import FRAMES, Kind, Network, Networks
from brainreel.metrics import hue_correlation, mse, pixel_correlation, ssim
from brainreel.metrics.consistency import frame_consistency
from brainreel.metrics.motion import ClipFlow, compare_flows, optical_flow
from brainreel.metrics.nway import n_way_accuracy_of_frames, n_way_chance
from brainreel.metrics.videos import Videos, map_clips
from brainreel.video import Frames

PIXELS = (
    Measure("ssim", "gaussian-rgb"),
    Measure("mse", "clip"),
    Measure("psnr", "clip", "decibel"),
    Measure("pixel_correlation", "clip"),
    Measure("hue_correlation", "chroma-weighted"),
    Measure("endpoint_error", "relative", "ratio"),
    Measure("direction_agreement", "mean-flow"),
)
MOTION = ("endpoint_error", "direction_agreement")
SIMILARITY, CONSISTENCY = Measure("clip_similarity", "frame-mean"), Measure("frame_consistency", "matched")
WAYS = (2, 10, 50)
# What a definition leaves for distractors: all classes but the truth's one, or but its best three.
OUTSIDE = {"exact": 1, "published-top3": 3}

Views = Float[np.ndarray, "clips views dim"]
Parts = Float[np.ndarray, "clips measures 2"]
Pixels = Float[np.ndarray, "measures 2"]


@dataclass(frozen=True)
class Asked:
    """A measure of videos: how parts become a value, and the keys that its rows carry.

    Attributes:
        measure: The metric, its definition, its kind.
        facts: Further keys (`ways`, `k`, `chance`, `encoder`, `circular` …).
        network: Whose answers it compares; None for pixels and motion.
        score: From answers of truths and reconstructions, (pairs, views, dim) each, to a value per pair.
    """

    measure: Measure
    facts: dict[str, Any] = field(default_factory=dict)
    network: Kind | None = None
    score: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None

    @property
    def key(self) -> str:
        """A name that no other measure of the same table has."""
        ways = f"/{self.facts['ways']}" if "ways" in self.facts else ""
        return f"{self.measure.metric}/{self.measure.definition}{ways}" + (f"/{self.network}" if self.network else "")


def asked_of(
    networks: Networks, truth: Mapping[Kind, Views], circular: Collection[str], absent: Iterable[Kind] = ()
) -> list[Asked]:
    """Every measure that can be had: pixels and motion always, the others where a network was given.

    Args:
        networks: The networks by what they are for.
        truth: Each one's answers for the true clips.
        circular: Networks that were a target, a loss or a selector of the experiment.
        absent: Networks that were not given, and whose measures shall be there without a value.
    """
    found = [Asked(measure, {"circular": False}) for measure in PIXELS]
    for kind, network in networks.items():
        views, classes = truth[kind].shape[1:]
        facts = {"encoder": network.identity, "encoder_kind": kind, "circular": kind in circular}
        if kind == "clip":
            found.append(Asked(SIMILARITY, facts, kind, _cosine))
            if views > 1:
                found.append(Asked(CONSISTENCY, facts, kind, _consistency))
            continue
        level = {"level": "frame" if views > 1 else "clip"}
        for definition, outside in OUTSIDE.items():
            for ways in WAYS:
                if ways - 1 <= classes - outside:
                    more = {"ways": ways, "k": 1, "chance": n_way_chance(ways, 1, definition)}
                    measure = Measure("n_way_accuracy", definition)
                    found.append(Asked(measure, {**facts, **level, **more}, kind, n_way_score(ways, definition)))
    for kind in absent:
        found += unanswered(kind, {"circular": kind in circular})
    return found


def unanswered(kind: Kind, facts: Mapping[str, Any]) -> list[Asked]:
    """A network's measures without the network."""
    if kind == "clip":
        return [Asked(measure, dict(facts)) for measure in (SIMILARITY, CONSISTENCY)]
    return [
        Asked(Measure("n_way_accuracy", definition), {**facts, "ways": ways, "k": 1})
        for definition in OUTSIDE
        for ways in WAYS
    ]


def n_way_score(ways: int, definition: str) -> Callable[[Views, Views], np.ndarray]:
    """`n_way_accuracy` at k = 1 of answers, mean over the views of a clip."""
    return lambda truth, recon: n_way_accuracy_of_frames(truth, recon, n=ways, k=1, definition=definition)


def answers(kind: Kind, network: Network, videos: Iterable[Frames], *, frames: int = FRAMES) -> Views:
    """A network's answers for some clips, which may differ in size.

    Args:
        kind: What the network is for. A video classifier is handed whole clips and takes the frames it needs.
        network: The network.
        videos: The clips.
        frames: How many frames of each clip an image network sees, evenly spread.
    """
    ask = network.features if kind == "clip" else network.logits
    found: list[np.ndarray] = []
    for video in videos:
        if kind != "video_classifier":
            video = video[np.linspace(0, len(video) - 1, frames).round().astype(int)]
        found.append(ask(video[None])[0])
    return np.stack(found).astype(np.float64)


def clip_flow(frames: Frames, moving: np.ndarray | None) -> ClipFlow | None:
    """Flow at 8 frames per second; None where it cannot be had.

    Args:
        frames: The clip.
        moving: Which frames are shown 8 times a second; None: no flow is wanted.
    """
    if moving is None or len(moving) < 2:
        return None
    return optical_flow(frames[moving][None], definition="relative", fps=MOTION_FPS)[0]


def pixel_parts(
    truths: Videos, recon: Frames, truth_flows: Sequence[ClipFlow | None], recon_flow: ClipFlow | None
) -> Parts:
    """Numerator and denominator of `PIXELS` for several truths of one size with one reconstruction.

    A measure that is undefined for a pair is NaN in both parts.
    """
    recons = np.broadcast_to(recon, truths.shape)
    error = mse(truths, recons)
    values = [ssim(truths, recons), error, error, pixel_correlation(truths, recons), hue_correlation(truths, recons)]
    parts = np.full((len(truths), len(PIXELS), 2), np.nan)
    for place, value in enumerate(values):
        parts[:, place] = np.stack([value, np.ones(len(truths))], axis=1)
    if recon_flow is not None and all(flow is not None for flow in truth_flows):
        flows = map_clips(lambda flow: compare_flows(flow, recon_flow), truth_flows, width=3)
        # A still truth has no motion that an error could be measured by.
        parts[:, -2] = np.where(flows[:, 1:2] > 0, flows[:, :2], np.nan)
        parts[:, -1] = np.stack([flows[:, 2], np.ones(len(truths))], axis=1)
    parts[np.isnan(parts).any(axis=2)] = np.nan
    return parts


def _cosine(truth: Views, recon: Views) -> np.ndarray:
    lengths = np.linalg.norm(truth, axis=2) * np.linalg.norm(recon, axis=2)
    return ((truth * recon).sum(axis=2) / lengths).mean(axis=1)


def _consistency(truth: Views, recon: Views) -> np.ndarray:
    return frame_consistency(truth, recon, definition="matched")
