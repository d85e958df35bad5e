"""One fold's reconstructions against what was shown: every subject's clips, their wrong pairs and their controls.

Clips swap reconstructions inside random blocks of about 25, so that the number of wrong pairs grows with the
number of clips and not with its square; nothing is generated anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from brainreel.errors import SourceError
from brainreel.evaluate.score_nulls import NULLS, grid_of_any
from brainreel.evaluate.score_rows import as_parts
from brainreel.evaluate.score_semantics import Kind, Networks
from brainreel.evaluate.score_sources import Source
from brainreel.evaluate.score_threads import on_threads, threads_for
from brainreel.evaluate.video_clips import MEAN, ORACLE
from brainreel.evaluate.video_measures import PIXELS, Asked, Pixels, Views, asked_of, pixel_parts, unanswered
from brainreel.evaluate.video_shown import Shown
from brainreel.metrics.controls import derangements
from brainreel.metrics.motion import ClipFlow
from brainreel.metrics.nway import n_way_constant, n_way_ties
from brainreel.progress import track
from brainreel.video import Frames

DERANGEMENTS = 100
BLOCK = 25
# What is known of each reconstruction: its own score, wrong pairs', those of videos that stand for it, and whether
# classes tie in it.
CELLS = ("value", "shuffled", "mismatched", "ceiling", "mean_response", "constant", *NULLS, "ties")
CELL = {name: place for place, name in enumerate(CELLS)}

Cell = Float[np.ndarray, "cells measures 2"]
PairParts = Float[np.ndarray, "truths recons measures 2"]


@dataclass(frozen=True)
class FoldScores:
    """What scoring one fold found.

    Attributes:
        asked: The measures, in the order of the cells' middle axis.
        cells: (subject, clip) → numerators and denominators of every kind in `CELLS` under every measure.
        missing: Measure → why it could not be had.
        notes: What was done to the reconstructions that a reader should know.
    """

    asked: list[Asked]
    cells: dict[tuple[str, str], Cell]
    missing: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def score_fold(
    truth: Source,
    recons: Mapping[str, Source],
    *,
    oracle: Source | None = None,
    mean_response: Source | None = None,
    train: Source | None = None,
    networks: Networks | None = None,
    circular: Collection[str] = (),
    absent: Mapping[Kind, str] | None = None,
    shown: Shown | None = None,
    seed: int = 0,
) -> FoldScores:
    """Measure each subject's reconstructions, with everything that accompanies a number.

    Args:
        truth: The test clips, as they were shown.
        recons: Subject → reconstructions of all or some of these clips, paired by name.
        oracle: What the same generator makes of the true vectors: the ceiling.
        mean_response: What it makes of the mean response: a brainless control.
        train: The fold's training clips: two of the three null videos, and the classes' frequencies.
        networks: Loaded networks by what they are for.
        circular: Those of them that were a target, a loss or a selector of this experiment.
        absent: Networks that were not given → why their measures have no value.
        shown: What an earlier call found of the same true clips, training clips and networks.
        seed: Of the blocks and derangements.

    Raises:
        SourceError: A reconstruction of a clip that is not among the true ones, or a training clip that is.
    """
    shown = shown or Shown(truth, networks or {}, train)
    absent = absent or {}
    asked = asked_of(shown.networks, shown.answers, circular, absent)
    # Videos that stand for every subject's reconstruction: one per clip, whoever looks.
    pseudo = {ORACLE: oracle, MEAN: mean_response}
    once = {name: _paired(truth, source, name) for name, source in pseudo.items() if source is not None}
    shared = _stand_ins(shown, asked, once)
    shared["constant"] = _constant(shown, asked, shared["null_mean_clip"])
    cells: dict[tuple[str, str], Cell] = {}
    for subject, source in track(recons.items(), "scoring videos", total=len(recons)):
        mine = _subject(shown, asked, subject, source, shared, seed)
        cells |= {(subject, clip): mine[clip] for clip in truth.names if clip in mine}
    unanswered_of = {
        f"{one.measure.metric}/{one.measure.definition}": reason
        for kind, reason in absent.items()
        for one in unanswered(kind, {})
    }
    return FoldScores(asked, cells, shown.missing() | unanswered_of, _notes(truth, recons))


def _paired_names(truth: Source, source: Source, name: str) -> list[str]:
    """The clips of a source, all of which have to be true ones."""
    strays = sorted(set(source.names) - set(truth.names))
    if strays:
        raise SourceError(
            f"{source.where} ({name}) holds {strays[0]}, which is not among the {len(truth)} clips of {truth.where}",
            expected="reconstructions of test clips",
        )
    return list(source.names)


def _paired(truth: Source, source: Source, name: str) -> Callable[[int], Frames | None]:
    """From a true clip's place to the source's clip of that name on its grid, read when it is asked for."""
    place = {clip: row for row, clip in enumerate(_paired_names(truth, source, name))}

    def read(index: int) -> Frames | None:
        row = place.get(truth.names[index])
        return None if row is None else source.read(row, grid_of_any(truth.look(index), source.look(row))).frames

    return read


def _stand_ins(
    shown: Shown, asked: Sequence[Asked], once: Mapping[str, Callable[[int], Frames | None]]
) -> dict[str, Float[np.ndarray, "clips measures 2"]]:
    """Parts of each true clip with the videos that stand for every subject's reconstruction, whoever looks."""
    cell_of = {"ceiling": ORACLE, "mean_response": MEAN}
    found = {name: np.full((len(shown.truth), len(asked), 2), np.nan) for name in (*cell_of, *NULLS)}
    views: dict[tuple[str, Kind], dict[int, np.ndarray]] = {}
    nulls, threads = shown.nulls, threads_for(shown.truth)

    def stand_ins(index: int) -> tuple[dict[str, Frames], dict[str, Pixels]]:
        every = {name: once[whose](index) if whose in once else None for name, whose in cell_of.items()}
        every |= dict(zip(NULLS, nulls.of(index, shown.frames(index)), strict=True))
        videos = {name: video for name, video in every.items() if video is not None}
        return videos, {name: shown.stand_in(index, video) for name, video in videos.items()}

    for some in np.array_split(np.arange(len(shown.truth)), -(-len(shown.truth) // BLOCK)):
        for index, (videos, parts) in zip(some.tolist(), on_threads(stand_ins, some.tolist(), threads), strict=True):
            for name, pixels in parts.items():
                found[name][index, : len(PIXELS)] = pixels
            for name, video in videos.items():
                for kind in shown.networks:
                    views.setdefault((name, kind), {})[index] = shown.stand_in_views(kind, video)
    for (name, kind), made in views.items():
        rows = np.array(list(made))
        for place, one in enumerate(asked):
            if one.network == kind and one.score is not None:
                values = one.score(shown.answers[kind][rows], np.stack(list(made.values())))
                found[name][rows, place] = as_parts(values)
    return found


def _constant(shown: Shown, asked: Sequence[Asked], mean_clip: np.ndarray) -> Float[np.ndarray, "clips measures 2"]:
    """The best single answer: the mean training clip, and the training clips' classes where classes are scored."""
    parts = mean_clip.copy()
    for place, one in enumerate(asked):
        if "ways" not in one.facts or one.network is None:
            continue
        truth, prior = shown.answers[one.network], shown.prior(one.network)
        views, classes = truth.shape[1:]
        parts[:, place] = np.nan
        if prior is None:
            continue
        ways, definition = one.facts["ways"], one.measure.definition
        found = n_way_constant(truth.reshape(-1, classes), prior, n=ways, k=1, definition=definition)
        parts[:, place] = as_parts(found.reshape(-1, views).mean(axis=1))
    return parts


def _subject(
    shown: Shown, asked: Sequence[Asked], subject: str, source: Source, shared: Mapping[str, np.ndarray], seed: int
) -> dict[str, Cell]:
    """Cells of one subject's clips."""
    truth = shown.truth
    there = set(_paired_names(truth, source, subject))
    cells: dict[str, Cell] = {}
    for block in blocks(shown.lengths, seed):
        here = [index for index in block if truth.names[index] in there]
        if not here:
            continue
        pairs, ties = _pairs(shown, asked, here, source)
        same = np.array([[shown.digests[i] == shown.digests[j] for j in here] for i in here])
        wrong = np.where(same[:, :, None, None], np.nan, pairs)
        for row, index in enumerate(here):
            cell = np.full((len(CELLS), len(asked), 2), np.nan)
            cell[CELL["value"]], cell[CELL["ties"]] = pairs[row, row], ties[row]
            cell[CELL["mismatched"]] = mean_parts(wrong[row])
            for name, parts in shared.items():
                cell[CELL[name]] = parts[index]
            cells[truth.names[index]] = cell
        if len(here) > 1:
            given = derangements(len(here), DERANGEMENTS, seed)
            for row, index in enumerate(here):
                cells[truth.names[index]][CELL["shuffled"]] = mean_parts(wrong[row, given[:, row]])
    return cells


def blocks(lengths: Int[np.ndarray, " clips"], seed: int) -> list[list[int]]:
    """Clips in a random order, cut into equal blocks of about 25, inside which they swap reconstructions: those that last
    equally long (`length_groups`) among themselves."""
    order = np.random.default_rng(seed).permutation(len(lengths))
    groups = [order[lengths[order] == group] for group in np.unique(lengths)]
    return [block.tolist() for group in groups for block in np.array_split(group, max(1, round(len(group) / BLOCK)))]


def mean_parts(parts: Float[np.ndarray, "pairs measures 2"]) -> Float[np.ndarray, "measures 2"]:
    """Mean numerators and denominators of several pairs, without those that are undefined."""
    known = ~np.isnan(parts).any(axis=2, keepdims=True)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, parts, 0.0).sum(axis=0), np.nan) / np.maximum(count, 1)


def _pairs(
    shown: Shown, asked: Sequence[Asked], here: Sequence[int], source: Source
) -> tuple[PairParts, Float[np.ndarray, "clips measures 2"]]:
    """Every truth of a block with every reconstruction of it, and whether classes tie in each one's own."""
    truth = shown.truth
    place = {clip: index for index, clip in enumerate(source.names)}
    frames = {index: shown.frames(index) for index in here}
    threads = threads_for(truth)
    flows = dict(zip(here, on_threads(shown.own_flow, here, threads), strict=True))
    # Truths of one size and length are met by one and the same resampled reconstruction.
    alike: dict[tuple, list[int]] = {}
    for row, each in enumerate(here):
        what = truth.look(each).format
        alike.setdefault((*what[:3], round(what.duration_s or 0, 3)), []).append(row)

    def resampled(index: int) -> list[tuple[Frames, ClipFlow | None]]:
        other = place[truth.names[index]]
        firsts = [here[rows[0]] for rows in alike.values()]
        videos = [source.read(other, grid_of_any(truth.look(first), source.look(other))).frames for first in firsts]
        return [(video, shown.flow(first, video)) for first, video in zip(firsts, videos, strict=True)]

    parts = np.full((len(here), len(here), len(asked), 2), np.nan)
    ties = np.full((len(here), len(asked), 2), np.nan)
    own: list[Frames] = []
    for column, found in enumerate(on_threads(resampled, here, threads)):
        for rows, (video, flow) in zip(alike.values(), found, strict=True):
            truths = np.stack([frames[here[row]] for row in rows])
            parts[rows, column, : len(PIXELS)] = pixel_parts(truths, video, [flows[here[row]] for row in rows], flow)
            if column in rows:
                own.append(video)
    for kind in shown.networks:
        made, true = shown.ask(kind, own), shown.answers[kind][here]
        rows, columns = np.divmod(np.arange(len(here) ** 2), len(here))
        for at, one in enumerate(asked):
            if one.network == kind and one.score is not None:
                parts[rows, columns, at] = as_parts(one.score(true[rows], made[columns]))
                if "ways" in one.facts:
                    ties[:, at] = as_parts(_tied(true, made, one.measure.definition))
    return parts, ties


def _tied(truth: Views, recon: Views, definition: str) -> Float[np.ndarray, " clips"]:
    """1 where a class ties with the right one in any view of a clip, else 0."""
    classes = truth.shape[2]
    found = n_way_ties(truth.reshape(-1, classes), recon.reshape(-1, classes), definition=definition)
    return found.reshape(truth.shape[:2]).any(axis=1).astype(float)


def _notes(truth: Source, recons: Mapping[str, Source]) -> tuple[str, ...]:
    """Reconstructions are brought to the truth's size and frame times; how, in words, each thing once."""
    found: dict[str, None] = {}
    for source in recons.values():
        place = {clip: index for index, clip in enumerate(source.names)}
        for index, clip in enumerate(truth.names):
            if clip not in place:
                continue
            true, made = truth.look(index).format, source.look(place[clip]).format
            if true[1:3] != made[1:3]:
                found[f"{made.height}×{made.width} → {true.height}×{true.width} pixels (Pillow BICUBIC)"] = None
            if true.frames != made.frames or true.fps != made.fps:
                found[f"{made.frames} → {true.frames} frames (nearest in time)"] = None
            if (true.duration_s or 0) > 1.1 * (made.duration_s or 0):
                found[f"{made.duration_s:.3g} s held to the truth's {true.duration_s:.3g} s"] = None
    return tuple(found)
