"""Scores through frozen networks that were given: CLIP's features, an image classifier's and a video classifier's.

A row exists only for a network that was given, and names it; only the gated frame consistency, which the gate's
absence leaves undefined, is null and says so. Whether a network was also a target, a loss or a
selector of the reconstructions cannot be seen from videos, so `circular` is null.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from brainreel.evaluate.score_measures import Measure
from brainreel.evaluate.score_nulls import NULLS, Nulls, grid_of_any
from brainreel.evaluate.score_pass import Pairs
from brainreel.evaluate.score_rows import Column, as_parts, number, pairwise
from brainreel.metrics.consistency import GATE, frame_consistency
from brainreel.metrics.distribution import frechet, kid
from brainreel.metrics.nway import (
    class_distribution,
    n_way_accuracy_of_frames,
    n_way_chance,
    n_way_constant,
    n_way_ties,
)
from brainreel.metrics.similarity import clip_similarity
from brainreel.progress import track

# Evenly spread over a clip; the frame-level numbers of the field are of 6 to 16 frames.
FRAMES = 16
# Clips a network sees at once.
BATCH = 8
WAYS = ((2, 1), (10, 1), (50, 1))
GATED = Measure("frame_consistency", "published-adjacent-gated")

Views = Float32[np.ndarray, "_clips _views _dim"]
Kind = Literal["clip", "image_classifier", "video_classifier"]


@runtime_checkable
class Network(Protocol):
    """What `brainreel.encoders.visual.load_visual` returns."""

    identity: dict[str, Any]

    def features(self, videos: UInt8[np.ndarray, "_clips _frames _height _width 3"]) -> Views:
        """Vectors, one per frame or one per clip."""
        ...

    def logits(self, videos: UInt8[np.ndarray, "_clips _frames _height _width 3"]) -> Views:
        """Class scores, one row per frame or per clip; only classifiers have them."""
        ...


Networks = dict[Kind, Network]
Answer = Callable[[UInt8[np.ndarray, "_clips _frames _height _width 3"]], Views]


def semantic_columns(
    pairs: Pairs, nulls: Nulls, networks: Networks, *, seed: int
) -> tuple[list[Column], list[dict[str, Any]]]:
    """Per-clip columns, and the rows of distances between sets, of every network that was given."""
    found: list[Column] = []
    sets: list[dict[str, Any]] = []
    if "clip" not in networks:
        found += [
            _no_gate(name, "needs the clips' similarity, which a CLIP gives; give --clip", pairs)
            for name in pairs.recons
        ]
    for kind, network in networks.items():
        # Frames in equal numbers, so that clips of different length can be wrong pairs.
        fewest = min(pairs.truth.look(index).format.frames for index in range(len(pairs.truth)))
        answer = network.features if kind == "clip" else network.logits
        truth, recons, null = _answers(pairs, nulls, answer, min(FRAMES, fewest))
        encoder = {"encoder": network.identity, "encoder_kind": kind, "circular": None}
        for name, recon in recons.items():
            if kind == "clip":
                found += _clip(truth, recon, null, name, encoder, pairs, seed)
                sets += _distances(truth, recon, name, encoder, seed)
            else:
                training = _training_logits(nulls, pairs, answer, min(FRAMES, fewest))
                found += _classes(truth, recon, null, training, name, encoder, pairs, seed)
    return found, sets


def _answers(
    pairs: Pairs, nulls: Nulls, answer: Answer, frames: int
) -> tuple[Views, dict[str, Views], dict[str, Views]]:
    """A network's answers for the truth, each method and each null video, clips in the order of `pairs`."""
    kept: dict[str, list[np.ndarray]] = {}
    clips = len(pairs.order)
    for position in track(range(clips), "networks", total=clips):
        index = int(pairs.order[position])
        true = pairs.truth.read(index).frames
        videos = {"truth": true, **{f"method {name}": pairs.read(name, index) for name in pairs.recons}}
        videos |= {name: video for name, video in zip(NULLS, nulls.of(index, true), strict=True) if video is not None}
        chosen = np.linspace(0, len(true) - 1, frames).round().astype(int)
        # One call for all videos of a clip: they have its size.
        stacked = answer(np.stack([video[chosen] for video in videos.values()]))
        for name, views in zip(videos, stacked, strict=True):
            kept.setdefault(name, []).append(views)
    views = {name: np.stack(each) for name, each in kept.items()}
    recons = {name: views[f"method {name}"] for name in pairs.recons}
    return views["truth"], recons, {name: views[name] for name in NULLS if name in views}


def _training_logits(nulls: Nulls, pairs: Pairs, answer: Answer, frames: int) -> Int[np.ndarray, " clips"] | None:
    """The top class of each training clip: the prior that the constant answer knows."""
    if nulls.train is None:
        return None
    first = pairs.truth.look(0)
    tops = []
    for index in track(range(len(nulls.train)), "networks, training clips", total=len(nulls.train)):
        video = nulls.train.read(index, grid_of_any(first, nulls.train.look(index))).frames
        chosen = np.linspace(0, len(video) - 1, frames).round().astype(int)
        tops.append(answer(video[chosen][None])[0].argmax(axis=-1))
    return np.concatenate(tops)


def _clip(
    truth: Views,
    recon: Views,
    null: dict[str, Views],
    name: str,
    encoder: dict[str, Any],
    pairs: Pairs,
    seed: int,
) -> list[Column]:
    def column(metric: str, definition: str, score: Callable[[Views, Views], np.ndarray], **more: object) -> Column:
        return _column(Measure(metric, definition), score, truth, recon, null, name, encoder | more, pairs, seed)

    found = [column("clip_similarity", "frame-mean", clip_similarity)]
    if truth.shape[1] < 2:
        return [*found, _no_gate(name, "clips of one frame", pairs)]
    for definition in ("matched", "published-all-pairs"):
        found.append(column("frame_consistency", definition, partial(frame_consistency, definition=definition)))

    def gated(t: Views, r: Views) -> Float[np.ndarray, " clips"]:
        return frame_consistency(t, r, definition=GATED.definition, similarity=clip_similarity(t, r))

    # The published gate is ViFi-CLIP's; whose similarity decides here, the row says.
    gate = {"metric": "clip_similarity", "definition": "frame-mean", "encoder": encoder["encoder"], "above": GATE}
    open_for = int((clip_similarity(truth, recon) > GATE).sum())
    return [*found, column(*GATED[:2], gated, gate=gate, gate_open=open_for)]


def _no_gate(name: str, reason: str, pairs: Pairs) -> Column:
    """The gated consistency where nothing says how similar the clips are: null, with the reason."""
    return Column(GATED, name, np.full((len(pairs.order), 2), np.nan), {**dict.fromkeys(NULLS), "note": reason})


def _classes(
    truth: Views,
    recon: Views,
    null: dict[str, Views],
    training: Int[np.ndarray, " clips"] | None,
    name: str,
    encoder: dict[str, Any],
    pairs: Pairs,
    seed: int,
) -> list[Column]:
    classes = truth.shape[2]
    found = []
    for definition in ("exact", "published-top3"):
        for ways, k in WAYS:
            if ways > classes - 3:
                continue

            def score(t: Views, r: Views, n: int = ways, k: int = k, definition: str = definition) -> np.ndarray:
                return n_way_accuracy_of_frames(t, r, n=n, k=k, definition=definition)

            flat = truth.reshape(-1, classes), recon.reshape(-1, classes)
            ties = n_way_ties(*flat, definition=definition).reshape(truth.shape[:2]).any(axis=1)
            facts = {
                **encoder,
                "ways": ways,
                "k": k,
                "level": "frame" if truth.shape[1] > 1 else "clip",
                "chance": n_way_chance(ways, k, definition),
                "ties": int(ties.sum()),
                "label": f"n_way_accuracy/{definition}/{ways}/{k}/{encoder['encoder_kind']}",
            }
            if training is not None:
                prior = class_distribution(training, classes)
                constant = n_way_constant(flat[0], prior, n=ways, k=k, definition=definition)
                facts["constant"] = float(constant.mean())
            measure = Measure("n_way_accuracy", definition)
            found.append(_column(measure, score, truth, recon, null, name, facts, pairs, seed))
    return found


def _column(
    measure: Measure,
    score: Callable[[Views, Views], np.ndarray],
    truth: Views,
    recon: Views,
    null: dict[str, Views],
    name: str,
    facts: dict[str, Any],
    pairs: Pairs,
    seed: int,
) -> Column:
    controls = pairwise(lambda rows: score(truth, recon[rows]), pairs.same[pairs.order], seed=seed)
    nulls: dict[str, float | None] = dict.fromkeys(NULLS)
    for which, views in null.items():
        values = score(truth, views)
        nulls[which] = float(np.nanmean(values)) if not np.isnan(values).all() else None
    return Column(measure, name, as_parts(score(truth, recon)), {**nulls, **controls, **facts})


def _distances(truth: Views, recon: Views, name: str, encoder: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """Distances between the sets of clips' mean features; they have no clips to resample or to pair."""
    sides = [views.mean(axis=1).astype(np.float64) for views in (truth, recon)]
    rows = []
    for metric, definition, found in (
        ("frechet", "gaussian", frechet(*sides)),
        ("kid", "polynomial-3", kid(*sides, seed=seed)),
    ):
        ends = [number(found.low), number(found.high)]
        rows.append(
            {
                "metric": metric,
                "stage": "generate",
                "strategy": name,
                "dataset": None,
                "subject": None,
                "split": "test",
                "definition": definition,
                "value": number(found.value),
                "ci95": None if None in ends else ends,
                "bootstrap": "halves" if metric == "kid" else None,
                **dict.fromkeys(("chance", "constant", "mismatched", "shuffled", "ceiling")),
                "direction": "lower",
                "n": found.n,
                "unit": "squared distance",
                **encoder,
                "published": False,
                "undefined": 0,
                "note": found.note,
            }
        )
    return rows
