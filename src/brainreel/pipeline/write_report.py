"""`report.html` of an experiment, from what its stages left: a film read in words, or clips made into videos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brainreel import __version__
from brainreel.errors import ExperimentError
from brainreel.evaluate.brain_to_brain import STRATEGY as BRAIN_TO_BRAIN
from brainreel.experiment import Experiment
from brainreel.pipeline.audit_report import audit_sections
from brainreel.pipeline.film_sections import headline, timeline
from brainreel.pipeline.plan import Plan
from brainreel.pipeline.record_sections import caveats, learning_curves, what_ran
from brainreel.pipeline.score_sections import (
    TWO_WAY,
    averages,
    difference_table,
    label,
    scaling_over_minutes,
    scaling_over_subjects,
    score_table,
)
from brainreel.pipeline.video_headline import video_headline
from brainreel.pipeline.video_scores import leading, read_video_scores
from brainreel.pipeline.video_sections import model_of, video_gallery
from brainreel.pipeline.video_tables import video_differences, video_tables
from brainreel.report import Prose, Report, Section, write
from brainreel.store import Store

_OF_WORDS = "Chance is 50 % by construction: every control above is scored by the same code as the model."
_OF_BLOCKS = "Single blocks of a film differ much; with fewer than ten blocks the interval is rough."


def write_report(experiment: Experiment, plan: Plan) -> Path:
    """Write ``report.html`` from what the stages left; returns its path.

    Videos come first where there are any that were scored. What stage 1 read in words, its scores, differences,
    curves and audit follow in any case.

    Raises:
        ExperimentError: nothing was scored.
    """
    stores = plan.open_stores(experiment)
    words = _Words.read(experiment, plan, stores)
    videos = _videos(experiment, plan, stores)
    sections: list[Section] = [*(videos or [words.headline()]), *words.sections()]
    sections += learning_curves(experiment)
    sections += audit_sections(words.audit, label)
    sections.append(caveats(stores, [_OF_WORDS] if videos else [_OF_WORDS, _OF_BLOCKS]))
    sections.append(what_ran(experiment))
    title = stores[0].manifest.title if len(stores) == 1 else plan.recipe
    report = Report(title=f"brainreel: {title}", sections=tuple(sections), made_with=f"brainreel {__version__}")
    return write(report, experiment.root / "report.html")


def _videos(experiment: Experiment, plan: Plan, stores: list[Store]) -> list[Section]:
    """Headline, gallery and tables of the videos; nothing if none were scored."""
    scores = read_video_scores(experiment)
    model = None if scores is None else model_of(scores)
    if scores is None or model is None:
        return []
    lead = leading(scores.rows)
    if lead is None:
        return [Prose(title="The videos have no scores", paragraphs=("No measure of theirs has a value.",))]
    gallery = video_gallery(experiment, stores, scores, lead, seed=plan.seed)
    return [
        section
        for section in (
            video_headline(scores.rows, lead, model, stores),
            gallery,
            *video_tables(scores, lead),
            video_differences(scores, lead),
        )
        if section is not None
    ]


class _Words:
    """What stage 1 left: its scores, and what was read in words from the first store's clips."""

    def __init__(
        self, scores: dict[str, Any], film: dict[str, Any], audit: dict[str, Any], plan: Plan, stores: list[Store]
    ) -> None:
        self.differences, self.film, self.audit, self.plan, self.store = (
            scores["differences"],
            film,
            audit,
            plan,
            stores[0],
        )
        self.rows = averages(scores["scores"])
        self.means = {
            row["strategy"]: row for row in self.rows if row["metric"] == TWO_WAY and row["dataset"] == self.store.name
        }

    @classmethod
    def read(cls, experiment: Experiment, plan: Plan, stores: list[Store]) -> _Words:
        folder = experiment.stage("evaluate")
        if not (folder / "audit.json").is_file():
            raise ExperimentError(f"{folder} was scored without an audit", do="run `brainreel evaluate` again")
        scores, film, audit = (
            json.loads((folder / f"{name}.json").read_text()) for name in ("metrics", "film", "audit")
        )
        return cls(scores, film, audit, plan, stores)

    def headline(self) -> Section:
        manifest = self.store.manifest
        return headline(
            self.means, self.differences, self.film, manifest.title, manifest.simulated, len(self.store.subjects)
        )

    def sections(self) -> list[Section]:
        found: list[Section] = [timeline(self.film)] if self.film["windows"] else []
        found.append(score_table(self.rows, [*(method.name for method in self.plan.methods), BRAIN_TO_BRAIN]))
        if self.differences:
            found.append(difference_table(self.differences))
        scaling = (scaling_over_subjects(self.means), scaling_over_minutes(self.means))
        return found + [section for section in scaling if section]
