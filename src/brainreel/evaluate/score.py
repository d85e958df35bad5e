"""Score anybody's reconstructions against the videos that were shown, with no trained model of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brainreel import __version__
from brainreel.errors import UsageError
from brainreel.evaluate.score_compare import differences
from brainreel.evaluate.score_nulls import Nulls
from brainreel.evaluate.score_pairs import check_methods, pair_up
from brainreel.evaluate.score_pass import Pairs, Plan, measure
from brainreel.evaluate.score_rows import DERANGEMENTS, Column, Resamples, columns, rows
from brainreel.evaluate.score_semantics import Networks, semantic_columns
from brainreel.evaluate.score_sources import ArrayClips, Source, open_source
from brainreel.evaluate.score_tables import latex, markdown, per_clip
from brainreel.files import write_json, write_text, write_tsv
from brainreel.metrics.videos import Videos
from brainreel.progress import duration
from brainreel.video import Rate

WRONG_PAIRS = 24
# Measured on one core: seconds for a million pixels (of all frames) of comparing a pair but for its flows, of one
# video's flows, of learning a training clip, and of reading.
PIXELS_S, FLOW_S, LEARN_S, READ_S = 0.17, 0.24, 0.05, 0.01
BASE_BYTES = 300 * 2**20


@dataclass(frozen=True)
class Scored:
    """Everything that scoring found.

    Attributes:
        document: The content of metrics.json.
        columns: Each method's clips under each measure, clips in the order of `clips`.
        clips: The clips' names.
    """

    document: dict[str, Any]
    columns: list[Column]
    clips: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Write metrics.json, per_clip.tsv, scores.md and scores.tex."""
        write_tsv(folder / "per_clip.tsv", per_clip(self.columns, self.clips))
        write_text(folder / "scores.md", markdown(self.document))
        write_text(folder / "scores.tex", latex(self.document))
        write_json(folder / "metrics.json", self.document)


def score_videos(
    truth: Videos,
    recons: Mapping[str, Videos],
    *,
    fps: Rate | None = None,
    recon_fps: Rate | None = None,
    train: Videos | None = None,
    names: Sequence[str] | None = None,
    networks: Networks | None = None,
    seed: int = 0,
    wrong_pairs: int = WRONG_PAIRS,
) -> dict[str, Any]:
    """Every metric of each method's reconstructions, with intervals, controls and paired comparisons.

    Args:
        truth: What was shown, (clips, frames, H, W, 3) uint8 RGB.
        recons: By method: reconstructions of the same clips in the same order, of any size and, given `fps`, of any
            number of frames that last as long.
        fps: Frames per second; without it, metrics that need a rate are null.
        recon_fps: That of the reconstructions, if it differs.
        train: Training clips, for two of the null videos and the motion-energy correlation.
        names: The clips', for messages.
        networks: Loaded networks (`brainreel.encoders.visual.load_visual`) by what they are for.
        seed: Of the bootstrap, the tests, and which wrong pairs are measured.
        wrong_pairs: At least as many are measured, in whole shifts.

    Returns:
        The content of metrics.json: `scores`, `differences`, `resampling`, `controls` and what was scored.

    Raises:
        UsageError: Arrays that are no videos, or do not fit together.
        SourceError: Clips that last differently long, or training clips that are also true clips.
    """
    other_fps = fps if recon_fps is None else recon_fps
    return score_sources(
        ArrayClips(truth, "the truth", fps=fps, names=names),
        {name: ArrayClips(videos, name, fps=other_fps, names=names) for name, videos in recons.items()},
        train=None if train is None else ArrayClips(train, "the training clips", fps=fps),
        networks=networks,
        seed=seed,
        wrong_pairs=wrong_pairs,
    ).document


def score_sources(
    truth: Source,
    recons: Mapping[str, Source],
    *,
    train: Source | None = None,
    networks: Networks | None = None,
    seed: int = 0,
    wrong_pairs: int = WRONG_PAIRS,
) -> Scored:
    """As `score_videos`, for clips that are read one at a time; memory holds a few clips whatever their number."""
    if not recons:
        raise UsageError("nothing to score", expected="at least one method's reconstructions")
    pairs = Pairs.of(truth, dict(recons), seed=seed)
    without = pairs.without()
    nulls = Nulls(truth, train, pairs.digests, energies=("motion_energy_correlation", "pymoten-96") not in without)
    plan = Plan.of(len(truth), wrong_pairs)
    measured = measure(pairs, nulls, plan=plan, without=without)
    found = columns(measured, pairs, seed=seed)
    more, sets = semantic_columns(pairs, nulls, networks or {}, seed=seed)
    found += more
    resamples = Resamples(len(truth), seed)
    document = {
        "schema": 1,
        "brainreel": __version__,
        "seed": seed,
        "methods": list(recons),
        "clips": len(truth),
        "truth": truth.where,
        "reconstructions": {name: recon.where for name, recon in recons.items()},
        "train": None if train is None else {"where": train.where, "clips": len(train)},
        "resampling": pairs.resampling(),
        "controls": _controls(truth, recons, plan, train is not None),
        "scores": rows(found, resamples) + sets,
        "differences": differences(found, resamples, seed=seed),
    }
    return Scored(document, found, tuple(truth.names[index] for index in pairs.order))


def open_all(
    truth: Path, recons: Sequence[str], *, train: Path | None, fps: Rate | None, recon_fps: Rate | None
) -> tuple[Source, dict[str, Source], Source | None]:
    """The sources of a command line; a method is called NAME in NAME=PATH, else after its folder or file."""
    if not recons:
        raise UsageError("nothing to score", expected="--recon with a folder or an .npy file")
    named = _named(recons)
    check_methods(tuple(name for name, _ in named))
    other_fps = fps if recon_fps is None else recon_fps
    return (
        open_source(truth, fps=fps),
        {name: open_source(path, fps=other_fps) for name, path in named},
        None if train is None else open_source(train, fps=fps),
    )


def estimate(
    truth: Source, recons: Mapping[str, Source], train: Source | None, *, wrong_pairs: int = WRONG_PAIRS
) -> str:
    """What scoring would take, from the first clip's size."""
    for recon in recons.values():
        pair_up(truth, recon)
    frames, height, width, _ = truth.look(0).format
    megapixels = frames * height * width / 1e6
    clips = len(truth)
    plan = Plan.of(clips, wrong_pairs)
    own, wrong = clips * len(recons), plan.wrong_clips * plan.shifts * len(recons)
    nulls = plan.null_clips * (1 if train is None else 3)
    learning = 0.0 if train is None else LEARN_S * len(train)
    pixels = PIXELS_S * (own + wrong + nulls) + READ_S * (2 * clips + own + wrong)
    seconds = megapixels * (pixels + FLOW_S * (clips + own + (0 if train is None else plan.null_clips)) + learning)
    memory = BASE_BYTES + megapixels * 1e6 * 60
    return (
        f"{clips} clips of {frames} frames at {height}×{width}, {len(recons)} method(s): about "
        f"{duration(max(1.0, seconds / 2))} on 2 cores, under 1 MB of disk, {memory / 2**30:.1f} GiB of memory "
        "(estimates, without --clip and classifiers)"
    )


def _named(recons: Sequence[str]) -> list[tuple[str, Path]]:
    pairs: list[tuple[str | None, Path]] = []
    for given in recons:
        name, equals, path = given.partition("=")
        pairs.append((name, Path(path)) if equals and not Path(given).exists() else (None, Path(given)))
    paths = [path.resolve() for name, path in pairs if name is None]
    stems = [path.stem if path.suffix == ".npy" else path.name for path in paths]
    # Folders are often all called «reconstructions»: the folder above tells them apart.
    called = dict(
        zip(
            paths,
            (
                f"{path.parent.name}/{stem}" if stems.count(stem) > 1 else stem
                for path, stem in zip(paths, stems, strict=True)
            ),
            strict=True,
        )
    )
    return [(called[path.resolve()] if name is None else name, path) for name, path in pairs]


def _first(some: int, clips: int) -> str:
    return "all clips" if some == clips else f"the first {some} of {clips} clips in that order"


def _controls(truth: Source, recons: Mapping[str, Source], plan: Plan, trained: bool) -> dict[str, Any]:
    clips = len(truth)
    by_row = [name for name, recon in recons.items() if not (truth.named and recon.named)]
    return {
        "pairing": "by name" if not by_row else f"by name; row by row, in sorted order, for {', '.join(by_row)}",
        "shifts": plan.shifts,
        "wrong_clips": plan.wrong_clips,
        "null_clips": plan.null_clips,
        "wrong_pairs": f"Wrong pairs: {plan.shifts} of {clips - 1} shifts of the clips in an order drawn from their "
        f"content and the seed, {_first(plan.wrong_clips, clips)} ({plan.shifts * plan.wrong_clips} pairs); motion "
        f"energy and networks: all shifts up to 100. shuffled: those shifts, or {DERANGEMENTS} derangements.",
        "nulls": "Null videos know nothing of the brain: flat grey"
        + (", the mean training clip, the blurred nearest training clip" if trained else "; more with --train")
        + f"; pixel and motion metrics: {_first(plan.null_clips, clips)}.",
        "interval": f"95 %: percentile bootstrap over {clips} clips, 10,000 resamples.",
        "tests": "p: sign flips per clip, two-sided; corrected for all tests in the table (Benjamini-Hochberg).",
        "ignored": sorted({name for source in (truth, *recons.values()) for name in source.ignored}),
    }
