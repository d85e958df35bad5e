"""A plausible report from invented numbers and descriptions: what the tests render."""

from __future__ import annotations

import random

import numpy as np

from brainreel.report import (
    Bar,
    Curves,
    Decoded,
    Difference,
    DifferenceTable,
    FilmTimeline,
    Headline,
    Measured,
    Method,
    Metric,
    Point,
    Prose,
    Reader,
    Reading,
    Report,
    Scaling,
    ScoreRow,
    ScoreTable,
    Series,
    Stage,
    Term,
    VideoCell,
    VideoGallery,
    VideoRow,
    WhatRan,
    Window,
    sheet_of,
)
from brainreel.report.sections import Role

GALLERY = 24
WHO = ("The inspector", "A tall man in a grey coat", "The landlady", "The young doctor", "A taxi driver")
DOES = (
    "walks down a wet street at night and stops under a lamp",
    "sits at a cluttered desk and opens a letter with a knife",
    "climbs a narrow staircase, listening at every door",
    "looks out of the window while rain runs down the glass",
    "answers the telephone and says nothing for a long while",
    "pours tea for two visitors who have not taken off their coats",
    "examines a body on the floor with a magnifying glass",
    "runs across the roof after a figure in black",
)
WHERE = (
    "in the laboratory",
    "at the police station",
    "in the sitting room",
    "outside the theatre",
    "in a cab",
)


def descriptions(rng: random.Random, count: int) -> list[str]:
    """`count` different invented sentences."""
    made = [f"{who} {does} {where}." for who in WHO for does in DOES for where in WHERE]
    rng.shuffle(made)
    return made[:count]


def reader(
    rng: random.Random, name: str, role: Role, skill: float, truths: list[tuple[str, ...]], texts: list[str]
) -> Reader:
    """A reader whose mean score is about 0.5 + skill / 2; every fortieth window has no score."""
    readings = []
    for i, true in enumerate(truths):
        if i % 40 == 39:
            readings.append(Reading())
            continue
        score = min(1.0, max(0.0, rng.gauss(0.5 + skill / 2, 0.27)))
        rank = 1 + round((1 - score) * (GALLERY - 1))
        nearest = rng.sample(texts, 3)
        if score > 0.97:
            nearest[0] = true[0]
        similarities = sorted((rng.uniform(0.1, 0.3 + 0.4 * score) for _ in range(3)), reverse=True)
        decoded = tuple(Decoded(text=t, similarity=s) for t, s in zip(nearest, similarities, strict=True))
        readings.append(Reading(decoded=decoded, score=1 - (rank - 1) / (GALLERY - 1), rank=rank, gallery=GALLERY))
    return Reader(name=name, role=role, readings=tuple(readings), note=f"{name}, invented")


def film(windows: int = 197, viewers: int = 1, seed: int = 0, texts: list[str] | None = None) -> FilmTimeline:
    """A film of two scans in windows of 15 s, read by a group, some viewers, ridge and a shuffled brain."""
    rng = random.Random(seed)
    texts = texts or descriptions(rng, 150)
    truths = [tuple(rng.sample(texts, rng.choice((1, 2, 2, 3, 5)))) for _ in range(windows)]
    laid = tuple(
        Window(
            start_s=15.0 * i,
            end_s=15.0 * (i + 1),
            truths=truths[i],
            scan="scan 1" if i < windows // 2 else "scan 2",
            block=f"block {i // 25 + 1} of 8",
        )
        for i in range(windows)
    )
    people: list[tuple[str, Role, float]] = [
        ("mean over 13 viewers", "model", 0.72),
        *((f"one viewer: s{i + 1}", "model", 0.45) for i in range(viewers)),
        ("ridge, mean over 13", "rival", 0.6),
        ("shuffled brain", "control", 0.0),
    ]
    readers = tuple(reader(rng, name, role, skill, truths, texts) for name, role, skill in people)
    return FilmTimeline(
        title="The film, minute by minute",
        nav="The film",
        intro="Every window was left out of training once and then described from the brain alone.",
        metric="two-way identification",
        definition="how often the true description is nearer to the prediction than another.",
        windows=laid,
        readers=readers,
    )


def clip(frames: int = 16, side: int = 24, seed: int = 0) -> np.ndarray:
    """A bright square that moves to the right over a coloured ground."""
    made = np.full((frames, side, side, 3), (30 + 20 * seed, 90, 120), np.uint8)
    for at in range(frames):
        made[at, 8:14, at : at + 6] = (240, 220 - 20 * seed, 40)
    return made


def videos(rows: int = 3) -> VideoGallery:
    """Rows of four videos, of which the truth has twice as many frames per second and one is half as long."""
    laid = []
    for at in range(rows):
        cells = (
            VideoCell(name="What was shown", role="truth", sheet=sheet_of(clip(32, seed=at), 16.0),
                      caption="A square moves to the right."),
            VideoCell(name="Read from the brain", sheet=sheet_of(clip(16, seed=at + 1), 8.0),
                      caption="Something bright moves.", scores=(Measured(label="SSIM", value=0.9 - 0.3 * at),)),
            VideoCell(name="The true vectors", role="ceiling", sheet=sheet_of(clip(8, seed=at), 8.0)),
            VideoCell(name="The shuffled brain", role="control", note="what was read for another clip",
                      scores=(Measured(label="SSIM", value=None),), scores_note="means of 100 shuffles"),
        )  # fmt: skip
        place = ("best", "median", "worst")[at % 3]
        laid.append(VideoRow(group="invented", place=place, rank=at + 1, of=rows, clip=f"clip-{at}", person="sub-01",
                             cells=cells))  # fmt: skip
    return VideoGallery(
        title="Truth beside reconstruction", nav="Videos", rows=tuple(laid), metric="SSIM", rule="Chosen by score alone.",
        terms=(Term(name="The true vectors", meaning="the most that the generator can do."),),
    )  # fmt: skip


def report(timeline: FilmTimeline | None = None) -> Report:
    """One section of every kind."""
    bars = (
        Bar(label="Mean over 13 viewers", value=0.861, ci95=(0.83, 0.89), note="one model for all"),
        Bar(label="One viewer", value=0.724, ci95=(0.69, 0.76), note="mean of 13"),
        Bar(label="Ridge, mean over 13", value=0.804, ci95=(0.77, 0.84), role="rival"),
        Bar(label="Mean response of others", value=None, role="control", note="not computed"),
        Bar(label="Shuffled brain", value=0.502, ci95=(0.46, 0.54), role="control"),
    )
    controls = {"chance": 0.5, "constant": 0.5, "mismatched": 0.49, "shuffled": 0.502}
    table = ScoreTable(
        title="Scores and their controls",
        nav="Scores",
        metrics=(
            Metric(name="identification", label="Two-way identification", unit="fraction",
                   definition="Fraction of other windows less similar to the prediction than the true one."),
            Metric(name="rank", label="Median rank", unit="of 24", direction="lower", decimals=1),
        ),
        rows=(
            ScoreRow(metric="identification", label="Contrastive, mean over 13 viewers", value=0.861,
                     ci95=(0.83, 0.89), n=197, bootstrap="blocks of 30 s", ceiling=0.93, **controls),
            ScoreRow(metric="identification", label="Contrastive, one viewer", value=0.724, ci95=(0.69, 0.76),
                     n=197, bootstrap="blocks of 30 s", **controls),
            ScoreRow(metric="identification", label="Ridge, mean over 13 viewers", value=0.804,
                     ci95=(0.77, 0.84), n=197, bootstrap="blocks of 30 s", **controls),
            ScoreRow(metric="identification", label="Captions by the target's own encoder", value=0.9,
                     circular=True, n=197),
            ScoreRow(metric="rank", label="Contrastive, mean over 13 viewers", value=4.0, ci95=(3.0, 5.0),
                     chance=12.5, n=197),
            ScoreRow(metric="rank", label="Ridge, mean over 13 viewers", value=None),
        ),
    )  # fmt: skip
    differences = DifferenceTable(
        title="Paired differences",
        nav="Differences",
        metric=table.metrics[0],
        rows=(
            Difference(a="contrastive", b="ridge", value=0.057, ci95=(0.021, 0.094), n=197, bootstrap="crossed"),
            Difference(a="mean over 13", b="one viewer", value=0.137, ci95=(0.10, 0.17), n=197),
            Difference(a="contrastive", b="shared responses", value=-0.004, ci95=(-0.03, 0.02), n=197),
            Difference(a="contrastive", b="masked", value=None),
        ),
    )
    sizes = (1, 2, 4, 8, 13)
    scaling = Scaling(
        title="More people, better reading",
        nav="Scaling",
        methods=tuple(
            Method(name=name, role=role, points=tuple(
                Point(x=n, value=0.5 + gain * i, ci95=(0.47 + gain * i, 0.53 + gain * i))
                for i, n in enumerate(sizes, 1)))
            for name, role, gain in (("contrastive", "model", 0.07), ("ridge", "rival", 0.06),
                                     ("shuffled", "control", 0.0))
        ),
        x_label="viewers", y_label="two-way identification", log_x=True, chance=0.5,
        caption="Points are means over five draws of viewers, lines their 95 % intervals.",
    )  # fmt: skip
    steps = tuple(float(x) for x in range(0, 2000, 50))
    curves = Curves(
        title="How training went",
        nav="Training",
        series=(
            Series(name="training", x=steps, y=tuple(3.2 / (1 + x / 300) for x in steps)),
            Series(name="validation", x=steps, y=tuple(0.9 + 2.4 / (1 + x / 250) for x in steps),
                   low=tuple(0.8 + 2.4 / (1 + x / 250) for x in steps),
                   high=tuple(1.0 + 2.4 / (1 + x / 250) for x in steps), role="rival"),
        ),
        x_label="step", y_label="contrastive loss",
    )  # fmt: skip
    stages = WhatRan(
        title="What ran",
        stages=(
            Stage(name="encode", summary="1,000 descriptions → text-minilm", device="cpu", wall_s=41.2,
                  memory_bytes=700 * 2**20, seed=0, versions={"python": "3.11.2", "torch": "2.13.0"}),
            Stage(name="align", summary="contrastive, 8 folds", device="cpu", wall_s=388.0, seed=0,
                  memory_bytes=3 * 2**29, config={"strategy": "contrastive", "lags_s": [3.0, 4.5]}),
            Stage(name="evaluate"),
        ),
    )  # fmt: skip
    return Report(
        title="Sherlock benchmark",
        date="2026-11-22",
        made_with="brainreel 0.1.0",
        sections=(
            Headline(
                title="Reading a film from the brain, in words",
                nav="Summary",
                claim="From the fMRI of 13 people who watched the same 48 minutes, the description of a "
                "15-second window is told from another in 86 % of cases [83, 89]; ridge reaches 80 %, "
                "a shuffled brain 50 %.",
                chips=(
                    "13 people",
                    "48 min of film",
                    "197 windows of 15 s",
                    "posterior medial cortex",
                    "chance 50 %",
                ),
                metric="Two-way identification.",
                definition="Of two descriptions, how often is the true one nearer to what was decoded?",
                bars=bars,
                bar_range=(0.4, 1.0),
                chance=0.5,
            ),
            timeline or film(),
            videos(),
            table,
            differences,
            scaling,
            curves,
            Prose(
                title="How to read this",
                nav="Notes",
                paragraphs=("Nothing here was chosen by hand, and no window was seen in training.",),
                points=("Descriptions are the nearest of those of the training blocks.", "Ties count half."),
            ),
            stages,
        ),
    )
