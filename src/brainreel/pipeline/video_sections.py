"""Truth beside reconstruction: which clips a report shows is decided by score, for one typical person per dataset."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from brainreel.evaluate.video_clips import ORACLE
from brainreel.evaluate.video_fold import DERANGEMENTS
from brainreel.experiment import Experiment
from brainreel.metrics.controls import derangements
from brainreel.pipeline.made_videos import Videos
from brainreel.pipeline.plan import NEWCOMER
from brainreel.pipeline.video_scores import Key, VideoScores, key_of, metric_of, of_measure, short_label
from brainreel.report import Measured, Term, VideoCell, VideoGallery, VideoRow, pick_with_drawn_ties, sheet_of
from brainreel.report.videos import CellRole, Place
from brainreel.store import Store
from brainreel.store.clips import clip_frames

READ, SHUFFLED, UNSEEN = "Read from the brain", "The shuffled brain", "The unseen person"
SHOWN, TRUE_VECTORS = "What was shown", "The true vectors"
BESIDE = (("ssim", "gaussian-rgb", None, None), ("clip_similarity", "frame-mean", None, "clip"))
"""Shown under the leading measure where they are another and known."""


class Chosen(NamedTuple):
    """A clip that score alone chose."""

    clip: str
    place: Place
    rank: int
    of: int


def video_gallery(
    experiment: Experiment, stores: Sequence[Store], scores: VideoScores, lead: Key, *, seed: int = 0, count: int = 1
) -> VideoGallery | None:
    """Rows of every dataset's best, median and worst clips; None if there is nothing to show.

    Args:
        experiment: With videos.
        stores: What was shown.
        scores: Of the videos.
        lead: The measure that clips are chosen by.
        seed: Draws the order of equal scores, and whose video the shuffled brain shows.
        count: Clips of each kind and dataset.
    """
    model = model_of(scores)
    rows = [
        row
        for store in stores
        if model is not None
        for row in Typical(experiment.root, store, scores, lead, model, seed).rows(count)
    ]
    if not rows:
        return None
    terms = {
        SHOWN: "the clip itself, and its description.",
        READ: "made from one person's response by the model of all people; the words are the nearest description of "
        "the training clips, so they never contain the answer.",
        UNSEEN: "the same clip through somebody whom neither stage was trained on, with none of their own data (zero-shot).",
        TRUE_VECTORS: "the same generator, given the vectors computed from the clip itself: the most it can do.",
        SHUFFLED: "what was read from the same person for another clip; its scores are the means over "
        f"{DERANGEMENTS} shuffles.",
    }
    there = {cell.name for row in rows for cell in row.cells}
    return VideoGallery(
        title="Truth beside reconstruction",
        nav="Videos",
        intro="Clips that were never trained on, and what was made of one person's response to them.",
        rows=tuple(rows),
        metric=metric_of(lead).label,
        rule=(
            "Chosen by score alone. In each dataset one person is shown: the one whose mean score is the median of all "
            f"people's. Of that person's clips these are the best, the median and the worst by “{metric_of(lead).label}”, "
            f"equals in an order that is drawn (seed {seed})."
        ),
        terms=tuple(Term(name=name, meaning=meaning) for name, meaning in terms.items() if name in there),
    )


class Typical:
    """One dataset's typical person, whose clips are ranked."""

    def __init__(self, root: Path, store: Store, scores: VideoScores, lead: Key, model: str, seed: int) -> None:
        self.root, self.store, self.scores, self.lead, self.model, self.seed = root, store, scores, lead, model, seed

    @cached_property
    def measured(self) -> pd.DataFrame:
        """The dataset's rows of the leading measure."""
        mine = of_measure(self.scores.per_clip, self.lead)
        return mine.loc[mine["dataset"] == self.store.name]

    @cached_property
    def clips(self) -> pd.DataFrame:
        """The typical person's rows, one per clip, in the order of their ids."""
        mine = self.measured.loc[self.measured["strategy"] == self.model]
        if mine.empty:
            return mine
        means = mine.groupby("subject")["value"].mean().sort_values(kind="stable")
        person = means.index[(len(means) - 1) // 2]
        return mine.loc[mine["subject"] == person].sort_values("clip_id", kind="stable").reset_index(drop=True)

    def rows(self, count: int) -> list[VideoRow]:
        """The gallery's rows of this dataset."""
        if self.clips.empty:
            return []
        person = str(self.clips["subject"].iloc[0])
        chosen = choose(self.clips["value"].tolist(), self.clips["clip_id"].tolist(), count, self.seed)
        return [
            VideoRow(
                group=self.store.name,
                place=one.place,
                rank=one.rank,
                of=one.of,
                clip=one.clip,
                person=person,
                cells=tuple(self.cells(one.clip, person)),
            )
            for one in chosen
        ]

    def cells(self, clip: str, person: str) -> list[VideoCell]:
        """Truth, reconstruction, and whatever stands beside it."""
        fold = int(self.clips.loc[self.clips["clip_id"] == clip, "fold"].iloc[0])
        frames, fps = clip_frames(self.store, clip)
        said = self.store.clips.loc[self.store.clips["clip_id"] == clip, "captions"].iloc[0]
        found = [
            VideoCell(name=SHOWN, role="truth", sheet=sheet_of(frames, fps), caption=said[0] if said else ""),
            self._cell(READ, "model", self._videos(self.model, fold, person), clip, person),
        ]
        for other in self._newcomers(clip):
            found.append(self._cell(UNSEEN, "model", self._videos(NEWCOMER, fold, other), clip, other, note=other))
        found.append(
            self._cell(TRUE_VECTORS, "ceiling", self._videos(self.model, fold, ORACLE), clip, person, column="ceiling")
        )
        instead = self._instead(clip)
        if instead:
            found.append(
                self._cell(
                    SHUFFLED,
                    "control",
                    self._videos(self.model, fold, person),
                    clip,
                    person,
                    column="shuffled",
                    shown=instead,
                    note=f"what was read for {instead}",
                )
            )
        return found

    def _cell(
        self,
        name: str,
        role: CellRole,
        videos: Videos,
        clip: str,
        person: str,
        *,
        column: str = "value",
        shown: str | None = None,
        note: str = "",
    ) -> VideoCell:
        """A video with its scores against the clip's truth; `shown`: it is the video of another clip."""
        return VideoCell(
            name=name,
            role=role,
            sheet=videos.sheet(shown or clip),
            caption=videos.caption(shown or clip),
            note=note,
            scores=tuple(self._scores(videos.strategy, person, clip, column)),
            scores_note=f"means of {DERANGEMENTS} shuffles" if column == "shuffled" else "",
        )

    def _scores(self, strategy: str, person: str, clip: str, column: str) -> list[Measured]:
        known = {key_of(row) for row in self.scores.rows if row["value"] is not None}
        keys = [self.lead, *(key for key in BESIDE if key in known and key != self.lead)]
        found = []
        for key in keys:
            mine = of_measure(self.scores.per_clip, key)
            mine = mine.loc[
                (mine["strategy"] == strategy)
                & (mine["dataset"] == self.store.name)
                & (mine["subject"] == person)
                & (mine["clip_id"] == clip)
            ]
            if len(mine):
                found.append(Measured(label=short_label(key), value=float(mine[column].iloc[0])))
        return found

    def _videos(self, strategy: str, fold: int, subject: str) -> Videos:
        seeds = [int(path.name.split("-")[1]) for path in (self.root / "generate" / strategy).glob("seed-*")]
        return Videos(self.root, strategy, min(seeds, default=0), fold, self.store.name, subject)

    def _newcomers(self, clip: str) -> list[str]:
        mine = self.measured.loc[(self.measured["strategy"] == NEWCOMER) & (self.measured["clip_id"] == clip)]
        return sorted(set(mine["subject"].astype(str)))[:1]

    def _instead(self, clip: str) -> str | None:
        """The clip whose video the shuffled brain shows: of the same person and fold."""
        fold = self.clips.loc[self.clips["clip_id"] == clip, "fold"].iloc[0]
        ids = self.clips.loc[self.clips["fold"] == fold, "clip_id"].tolist()
        if len(ids) < 2:
            return None
        return ids[int(derangements(len(ids), 1, self.seed)[0][ids.index(clip)])]


def choose(values: Sequence[float], clips: Sequence[str], count: int, seed: int) -> list[Chosen]:
    """Best, median and worst by score; of fewer than three clips, the best and the worst."""
    known = [index for index, value in enumerate(values) if not math.isnan(value)]
    total = len(known)
    picks = pick_with_drawn_ties([values[index] for index in known], count, seed)
    size = len(picks.best)
    if not size:
        best_first = sorted(known, key=lambda index: -values[index])
        places: tuple[Place, ...] = ("best", "worst") if total == 2 else ("median",)
        return [
            Chosen(clips[i], place, at + 1, total)
            for at, (i, place) in enumerate(zip(best_first, places, strict=False))
        ]
    middle = (total - size) // 2
    ranked: list[tuple[int, Place, int]] = [
        *((index, "best", at + 1) for at, index in enumerate(picks.best)),
        *((index, "median", middle + at + 1) for at, index in enumerate(picks.median)),
        *((index, "worst", total - at) for at, index in enumerate(picks.worst)),
    ]
    return [Chosen(clips[known[index]], place, rank, total) for index, place, rank in ranked]


def model_of(scores: VideoScores) -> str | None:
    """The method whose videos are shown: that of many people, else the first that is nobody's newcomer's."""
    there = [name for name in scores.per_clip["strategy"].unique() if "+" not in name and name != NEWCOMER]
    return "contrastive" if "contrastive" in there else next(iter(there), None)
