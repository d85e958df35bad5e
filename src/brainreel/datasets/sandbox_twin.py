"""Writing the sandbox's releases: clips are drawn and rendered, people are simulated, files are laid out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from brainreel.datasets import sandbox_files as files
from brainreel.datasets.protocol import Facts, Size, TwinCard, new_folder
from brainreel.datasets.twin_clips import both, rows, write_clips
from brainreel.errors import UsageError
from brainreel.files import write_folder, write_tsv
from brainreel.video import write_video
from brainreel.world.captions import captions
from brainreel.world.cortex import seed_of
from brainreel.world.drives import drives
from brainreel.world.film import draw_film
from brainreel.world.render import render
from brainreel.world.scenes import FPS, Scenes, draw_scenes
from brainreel.world.viewers import Drives, Surface, Viewer, surface, viewer


class Scale(NamedTuple):
    """How big a release is.

    Attributes:
        subjects: People.
        train: Training clips that a person saw (in a film: all its clips that do not test, gaps included).
        test: Test clips (in a film: of one film), the same for everybody.
        shared: How many training clips everybody saw where each person has some of their own.
        films: Number of films.
    """

    subjects: int
    train: int
    test: int
    shared: int = 0
    films: int = 0


SCALES: dict[str, dict[Size, Scale]] = {
    "repeated": {"tiny": Scale(2, 40, 6), "small": Scale(3, 240, 24), "full": Scale(4, 1000, 100)},
    "film": {
        "tiny": Scale(2, 90, 10, films=1),
        "small": Scale(3, 156, 12, films=2),
        "full": Scale(3, 285, 15, films=6),
    },
    "single": {
        "tiny": Scale(2, 40, 8, shared=12),
        "small": Scale(3, 240, 24, shared=48),
        "full": Scale(6, 600, 60, shared=120),
    },
}
# Share of a single presentation's variance that clips drive in an average driven vertex. For noise
# ceilings like those of real releases and decoding that does not saturate, never so that a method wins (docs/sandbox.md).
SIGNAL_SHARE = {"repeated": 0.06, "film": 0.20, "single": 0.17}
_SALT = {"repeated": 1, "film": 2, "single": 3}
_GAP_CLIPS = 12


def write_twin(
    out: Path,
    facts: Facts,
    layout: str,
    *,
    subjects: int | None,
    size: Size,
    seed: int,
    test_clips: int | None = None,
) -> None:
    """Write a release at ``out``.

    Args:
        out: A new or empty folder.
        facts: Of the full size; the card says what a smaller one changes.
        layout: A key of `SCALES`.
        subjects: Number of people; default: as many as the size has.
        size: Number of people and clips; every size has the same surface, noise and repetitions.
        seed: The same seed makes the same clips, people and noise. The functional organisation is always the same.
        test_clips: Number of test clips (in a film: of one film); default: as many as the size has.
    """
    scale = scale_of(layout, size, subjects, test_clips)
    if scale.subjects < 1:
        raise UsageError(f"a release of {scale.subjects} subjects", expected="at least 1")
    people = [f"sub-{n + 1:02d}" for n in range(scale.subjects)]
    salted = seed_of(seed, _SALT[layout])
    (vertices,) = facts.spaces.values()
    cortex = surface(coarse=vertices < len(surface()))
    write = {"repeated": _write_repeated, "film": _write_film, "single": _write_single}[layout]

    def fill(folder: Path) -> None:
        write_tsv(folder / "participants.tsv", pd.DataFrame({"subject": people}))
        write_tsv(folder / "surface.tsv", pd.DataFrame({"vertex": cortex.vertex, "parcel": list(cortex.parcel)}))
        watching = _Watching(people, cortex, SIGNAL_SHARE[layout], salted)
        differs = {"subjects": scale.subjects, **write(folder, scale, facts, watching)}
        TwinCard(simulated=True, dataset=facts.name, size=size, seed=seed, differs=differs).write(folder)

    write_folder(new_folder(out), fill)


def scale_of(layout: str, size: Size, subjects: int | None = None, test_clips: int | None = None) -> Scale:
    """How big a release of a size is, with other numbers of people and test clips if they are given."""
    scale = SCALES[layout][size]
    given = {"subjects": subjects, "test": test_clips}
    return scale._replace(**{name: count for name, count in given.items() if count is not None})


class _Watching(NamedTuple):
    """Who watches."""

    people: list[str]
    surface: Surface
    signal_share: float
    seed: int

    def viewer(self, n: int) -> Viewer:
        return viewer(seed_of(self.seed, 1, n), surface=self.surface, signal_share=self.signal_share)

    def noise(self, n: int, *parts: int) -> int:
        return seed_of(self.seed, 2, n, *parts)


def _write_repeated(folder: Path, scale: Scale, facts: Facts, watching: _Watching) -> dict[str, object]:
    train = draw_scenes(scale.train, seed_of(watching.seed, 3))
    test = draw_scenes(scale.test, seed_of(watching.seed, 4), combos="held-out")
    names = [f"train-{k:04d}" for k in range(len(train))], [f"test-{k:04d}" for k in range(len(test))]
    shown = both(_write_clips(folder, train, names[0]), _write_clips(folder, test, names[1]))
    told = captions(train, seed=watching.seed) + captions(test, seed=watching.seed + 1)
    _write_list(folder, [*names[0], *names[1]], ["train"] * len(train) + ["test"] * len(test), told)
    counts = (facts.repetitions["train"], facts.repetitions["test"])
    repetitions = np.repeat(np.arange(len(train) + len(test)), [counts[0]] * len(train) + [counts[1]] * len(test))
    (folder / "betas").mkdir()
    for n, who in enumerate(watching.people):
        # Shown in random order, kept clip by clip: only the drift knows about the order.
        order = np.random.default_rng(watching.noise(n, 0)).permutation(len(repetitions))
        betas = watching.viewer(n).betas(rows(shown, repetitions[order]), seed=watching.noise(n, 1))
        sorted_ = betas[np.argsort(order)].astype(np.float16)
        split = len(train) * counts[0]
        for role, part, count in (("train", sorted_[:split], counts[0]), ("test", sorted_[split:], counts[1])):
            np.save(files.betas_path(folder, who, role), part.reshape(-1, count, part.shape[1]))
    return {"clips": len(train) + len(test)}


def _write_single(folder: Path, scale: Scale, facts: Facts, watching: _Watching) -> dict[str, object]:
    test = draw_scenes(scale.test, seed_of(watching.seed, 4), combos="held-out")
    own = scale.train - scale.shared
    train = draw_scenes(scale.shared + own * scale.subjects, seed_of(watching.seed, 3))
    names = np.array([f"clip-{k:05d}" for k in range(len(train) + len(test))])
    shown = both(
        _write_clips(folder, train, names[: len(train)].tolist()),
        _write_clips(folder, test, names[len(train) :].tolist()),
    )
    told = captions(train, seed=watching.seed) + captions(test, seed=watching.seed + 1)
    _write_list(folder, names.tolist(), ["train"] * len(train) + ["test"] * len(test), told)
    for n, who in enumerate(watching.people):
        mine = scale.shared + own * n + np.arange(own)
        seen = np.concatenate([np.arange(scale.shared), mine, len(train) + np.arange(len(test))])
        seen = np.random.default_rng(watching.noise(n, 0)).permutation(seen)
        betas = watching.viewer(n).betas(rows(shown, seen), seed=watching.noise(n, 1)).astype(np.float16)
        runs = np.array_split(np.arange(len(seen)), -(-len(seen) // files.TRIALS_PER_RUN))
        for r, trials in enumerate(runs, start=1):
            events, path = files.run_paths(folder, who, r)
            path.parent.mkdir(exist_ok=True)
            np.save(path, betas[trials])
            onset = files.TRIAL_S * np.arange(len(trials))
            write_tsv(events, pd.DataFrame({"onset_s": onset, "duration_s": 2.0, "clip_id": names[seen[trials]]}))
    return {"clips": len(train) + len(test)}


def _write_film(folder: Path, scale: Scale, facts: Facts, watching: _Watching) -> dict[str, object]:
    tr_s = facts.tr_s or 2.0
    films = [f"film-{k + 1}" for k in range(scale.films)]
    volumes = scale.train + scale.test + files.LEAD_OUT_VOLUMES
    viewers = [watching.viewer(n) for n in range(len(watching.people))]
    for k, film in enumerate(films):
        roles = film_roles(scale.train, scale.test, share=(k + 1) / (len(films) + 1))
        scenes = draw_film(roles == "test", seed_of(watching.seed, 3, k))
        videos = render(scenes)
        path = files.film_path(folder / "stimuli", film)
        # One clip fills one volume exactly.
        write_video(path, videos.reshape(-1, *videos.shape[2:]), fps=videos.shape[1] / tr_s, lossless=True)
        told = [json.dumps(each) for each in captions(scenes, seed=seed_of(watching.seed, 5, k))]
        table = {"onset_s": tr_s * np.arange(len(scenes)), "duration_s": tr_s, "set": roles, "captions": told}
        write_tsv(path.with_suffix(".tsv"), pd.DataFrame(table))
        shown = {name: _then_nothing(drive) for name, drive in drives(scenes, videos).items()}
        for n, who in enumerate(watching.people):
            bold = viewers[n].bold(shown, tr_s=tr_s, seed=watching.noise(n, k))
            there = files.bold_path(folder, who, film)
            there.parent.mkdir(parents=True, exist_ok=True)
            np.save(there, bold)
    return {"clips": len(films) * (scale.train + scale.test), "run_volumes": dict.fromkeys(films, volumes)}


def film_roles(train: int, test: int, *, share: float) -> np.ndarray:
    """The role of each clip of a film: one block of test clips at `share` of its length, a gap on either side."""
    roles = np.full(train + test, "train")
    start = round(share * train)
    roles[max(0, start - _GAP_CLIPS) : start + test + _GAP_CLIPS] = "gap"
    roles[start : start + test] = "test"
    return roles


def _then_nothing(drive: np.ndarray) -> np.ndarray:
    """After the film the scanner runs on: nothing in particular is seen, the mean of what was."""
    return np.concatenate([drive, np.repeat(drive.mean(0, keepdims=True), files.LEAD_OUT_VOLUMES, axis=0)])


def _write_clips(folder: Path, scenes: Scenes, names: list[str]) -> Drives:
    return write_clips(scenes, [files.clip_path(folder / "stimuli", name) for name in names], fps=FPS)


def _write_list(folder: Path, names: list[str], roles: list[str], told: list[list[str]]) -> None:
    texts = [json.dumps(each) for each in told]
    write_tsv(folder / "stimuli.tsv", pd.DataFrame({"clip_id": names, "set": roles, "captions": texts}))
