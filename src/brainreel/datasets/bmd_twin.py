"""A simulated BOLD Moments: rendered clips, simulated people, the release's files in the release's types.

Every size has annotations, clips, raw events with oddballs and prepared betas in fsLR32k (float64 pickles). The two
smaller ones also have what those were made from (GLMsingle's output of four sessions), and MNI152, fsaverage and
versionA with few voxels. As in the release, one person has no region TOS, and RSC is empty in another.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from brainreel.datasets import bmd_files as files
from brainreel.datasets.bmd_glmsingle import NAME, SESSIONS, order_path
from brainreel.datasets.parcels import MAP
from brainreel.datasets.protocol import Facts, Size, TwinCard, new_folder
from brainreel.datasets.twin_clips import both, rows, write_clips
from brainreel.datasets.twin_cortex import TwinCortex
from brainreel.errors import UsageError
from brainreel.files import write_folder, write_json, write_tsv
from brainreel.world.captions import captions
from brainreel.world.cortex import seed_of
from brainreel.world.scenes import FRAMES, Scenes, draw_scenes
from brainreel.world.viewers import Drives


class Scale(NamedTuple):
    """How big a twin is; `voxels` in MNI152 and in each hemisphere of fsaverage, 0: without these spaces."""

    subjects: int
    train: int
    test: int
    voxels: int


SCALES: dict[Size, Scale] = {
    "tiny": Scale(subjects=2, train=40, test=6, voxels=60),
    "small": Scale(subjects=4, train=300, test=40, voxels=400),
    "full": Scale(subjects=10, train=1000, test=102, voxels=0),
}
# The first test clip's number, whatever the size.
FIRST_TEST = 1001
# Chosen for noise ceilings like the release's: median 10 to 30 % in visual areas.
SIGNAL_SHARE = 0.10
RUNS = {"test": 3, "train": 10}
TRIAL_S, ODDBALL_EVERY = 4.0, 8
# Regions of versionA and the sandbox's parcel whose vertices they hold.
REGIONS = {"V1d": "V1", "V1v": "V1", "hV4": "V4", "MT": "MT", "LOC": "LOC", "PPA": "PPA", "RSC": "PPA", "TOS": "PPA"}
_REGION_VOXELS = 12


def write_twin(out: Path, facts: Facts, *, subjects: int | None, size: Size, seed: int) -> None:
    """Write a release at ``out``.

    Args:
        out: A new or empty folder.
        facts: Of the release; the card says what a smaller size changes.
        subjects: Number of people; default: as many as the size has.
        size: Number of people, clips and grayordinates; every size has the release's repetitions.
        seed: The same seed makes the same clips, people and noise. The functional organisation is always the same.
    """
    scale = SCALES[size]
    people = [f"sub-{n + 1:02d}" for n in range(scale.subjects if subjects is None else subjects)]
    if not 1 <= len(people) <= (facts.subjects or 0):
        raise UsageError(f"a twin of {len(people)} subjects", expected=f"1 to {facts.subjects}")
    cortex = TwinCortex.grow(size)

    def fill(folder: Path) -> None:
        differs: dict[str, object] = {"subjects": len(people), "clips": scale.train + scale.test}
        if size != "full":
            cortex.write_map(folder)
            spaces = {MAP: len(cortex), "MNI152": scale.voxels, "fsaverage": 2 * scale.voxels}
            differs["spaces"] = spaces
        TwinCard(simulated=True, dataset=facts.name, size=size, seed=seed, differs=differs).write(folder)
        clips, shown = write_stimuli(folder, scale, seed)
        for n, subject in enumerate(people):
            sessions = _sessions(clips, facts, np.random.default_rng(seed_of(seed, 5, n)))
            for session, runs in zip(SESSIONS, sessions, strict=True):
                _write_events(folder, subject, session, runs, clips)
            order = np.concatenate([trials for runs in sessions for _, trials in runs])
            person = cortex.person(seed_of(seed, 1, n), signal_share=SIGNAL_SHARE)
            betas = person.betas(rows(shown, order), seed=seed_of(seed, 2, n))
            splits = np.cumsum([sum(len(trials) for _, trials in runs) for runs in sessions])[:-1]
            by_session = np.split(betas, splits)
            if size != "full":
                for session, runs, part in zip(SESSIONS, sessions, by_session, strict=True):
                    _write_glmsingle(files.glm_folder(folder, MAP) / subject / session, subject, runs, part, clips)
            prepared = _prepare(by_session, np.split(order, splits), scale, facts)
            del betas, by_session
            for role, values in prepared.items():
                write_pickle(files.betas_path(folder, MAP, subject, role), (values, clips.named(role)))
            if size != "full":
                _write_other_spaces(folder, n, subject, prepared, scale.voxels, cortex, clips)

    write_folder(new_folder(out), fill)


class Clips(NamedTuple):
    """The clips' numbers, training clips first."""

    train: list[str]
    test: list[str]

    @property
    def all(self) -> list[str]:
        return [*self.train, *self.test]

    def named(self, role: str) -> list[str]:
        return [files.clip_name(number) for number in (self.train if role == "train" else self.test)]


Runs = list[tuple[str, np.ndarray]]


def write_stimuli(folder: Path, scale: Scale, seed: int) -> tuple[Clips, Drives]:
    """Write clips and annotations; returns the clips, and what each offers to a cortex, training clips first."""
    train = draw_scenes(scale.train, seed_of(seed, 3))
    test = draw_scenes(scale.test, seed_of(seed, 4), combos="held-out")
    first = {"train": 1, "test": FIRST_TEST}
    clips = Clips(
        *([f"{first[role] + k:04d}" for k in range(len(s))] for role, s in (("train", train), ("test", test)))
    )
    shown, told = [], {}
    for role, scenes, numbers in (("train", train, clips.train), ("test", test, clips.test)):
        paths = [folder / "stimuli" / role / f"{number}.mp4" for number in numbers]
        shown.append(write_clips(scenes, paths, fps=FRAMES / files.DURATION_S))
        told.update(_annotations(scenes, numbers, role, seed))
    write_json(files.annotations_path(folder), told)
    return clips, both(*shown)


def _annotations(scenes: Scenes, numbers: list[str], role: str, seed: int) -> dict[str, dict[str, object]]:
    said = captions(scenes, variants=5, seed=seed_of(seed, 6, FIRST_TEST * (role == "test")))
    score = np.random.default_rng(seed_of(seed, 7, len(scenes))).uniform(0.5, 1, len(scenes))
    out = {}
    for k, number in enumerate(numbers):
        names = scenes.names(k)
        out[number] = {
            "bmd_matrixfilename": f"vid_idx{number}",
            "MiT_url": "",
            "MiT_filename": f"{names['motion']}/{number}.mp4",
            "set": role,
            "objects": [names["kind"]] * 5,
            "scenes": [names["place"]] * 5,
            "actions": [names["motion"]] * 5,
            "text_descriptions": said[k],
            "spoken_transcription": said[k][0],
            "memorability_score": float(score[k]),
            "memorability_decay": -0.0004,
        }
    return out


def _sessions(clips: Clips, facts: Facts, rng: np.random.Generator) -> list[Runs]:
    """Which clip each trial of each run shows; a training clip's repetitions fall into one session."""
    n_train, n_test = len(clips.train), len(clips.test)
    tests = np.concatenate([rng.permutation(n_test) for _ in range(facts.repetitions["test"])]) + n_train
    trains = np.array_split(rng.permutation(n_train), len(SESSIONS))
    out = []
    for mine, test in zip(trains, np.array_split(tests, len(SESSIONS)), strict=True):
        train = np.concatenate([rng.permutation(mine) for _ in range(facts.repetitions["train"])])
        shown = {"test": test, "train": train}
        # The release's conditions list the test runs first.
        out.append([(role, part) for role, count in RUNS.items() for part in np.array_split(shown[role], count)])
    return out


def _write_events(folder: Path, subject: str, session: str, runs: Runs, clips: Clips) -> None:
    numbers = np.array(clips.all)
    count = dict.fromkeys(RUNS, 0)
    for role, trials in runs:
        count[role] += 1
        kind = [f"vid{number}" for number in numbers[trials]]
        file = [f"{role}/{number}.mp4" for number in numbers[trials]]
        # Now and then a blank to press a button at.
        for place in range(len(kind) // ODDBALL_EVERY * ODDBALL_EVERY, 0, -ODDBALL_EVERY):
            kind.insert(place, "oddball")
            file.insert(place, "n/a")
        table = {"onset": TRIAL_S * np.arange(len(kind)), "duration": files.DURATION_S, "trial_type": kind}
        name = f"{subject}_{session}_task-{role}_run-{count[role]}_events.tsv"
        write_tsv(folder / subject / session / "func" / name, pd.DataFrame({**table, "stim_file": file}))


def _write_glmsingle(folder: Path, subject: str, runs: Runs, betas: np.ndarray, clips: Clips) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = np.array([files.clip_name(number) for number in clips.all])
    # A GLM's betas have a scale and a level of their own, in per cent of the signal.
    level = np.random.default_rng(len(betas)).normal(1, 0.3, betas.shape[1]).astype(np.float32)
    result = {
        "betasmd": np.ascontiguousarray((0.7 * betas + level).T)[:, None, None, :],
        "R2": np.full((betas.shape[1], 1, 1), 5.0, np.float32),
        "HRFindex": np.zeros((betas.shape[1], 1, 1), np.int64),
    }
    np.save(folder / f"{NAME}.npy", np.array(result, dtype=object), allow_pickle=True)
    shown = [names[trials].tolist() for _, trials in runs]
    events = [{"trial_type": clip, "onset": [TRIAL_S * k for k in range(len(clip))]} for clip in shown]
    write_pickle(order_path(folder, subject), (events, list(dict.fromkeys(clip for run in shown for clip in run))))


def _prepare(sessions: list[np.ndarray], orders: list[np.ndarray], scale: Scale, facts: Facts) -> dict[str, np.ndarray]:
    """Betas as the release prepares them: standardised by session, sorted by clip, float64."""
    width = sessions[0].shape[1]
    out = {
        "train": np.full((scale.train, facts.repetitions["train"], width), np.nan),
        "test": np.full((scale.test, facts.repetitions["test"], width), np.nan),
    }
    seen = np.zeros(scale.train + scale.test, int)
    for betas, order in zip(sessions, orders, strict=True):
        train = betas[order < scale.train]
        mean, std = train.mean(axis=0, dtype=np.float64), train.std(axis=0, ddof=1, dtype=np.float64)
        for row, clip in zip(betas, order.tolist(), strict=True):
            role, place = ("train", clip) if clip < scale.train else ("test", clip - scale.train)
            out[role][place, seen[clip]] = (row - mean) / std
            seen[clip] += 1
    return out


def _write_other_spaces(
    folder: Path, n: int, subject: str, prepared: dict[str, np.ndarray], voxels: int, cortex: TwinCortex, clips: Clips
) -> None:
    import nibabel

    driven = np.resize(cortex.place, 2 * voxels)
    mask = np.zeros((8, 10, 9), np.uint8)
    mask.ravel()[np.linspace(0, mask.size - 1, voxels).astype(int)] = 1
    image = nibabel.Nifti1Image(mask, np.diag([2.0, 2, 2, 1]))
    for role, betas in prepared.items():
        some = np.ascontiguousarray(betas[..., driven[:voxels]])
        write_pickle(files.betas_path(folder, "MNI152", subject, role), (some, clips.named(role), image))
        for hemisphere, columns in (("left", driven[:voxels]), ("right", driven[voxels:])):
            path = files.betas_path(folder, "fsaverage", subject, role, hemisphere)
            write_pickle(path, (np.ascontiguousarray(betas[..., columns]), clips.named(role)))
    parcel = np.array(cortex.surface.parcel)
    for k, (region, name) in enumerate(REGIONS.items()):
        where = np.roll(cortex.place[parcel == name], _REGION_VOXELS * k)[:_REGION_VOXELS]
        if n == 1 and region == "TOS":
            continue
        where = where[:0] if n == 1 and region == "RSC" else where
        dicts = {f"{role}_data_allvoxel": np.ascontiguousarray(betas[..., where]) for role, betas in prepared.items()}
        write_pickle(files.roi_path(folder, subject, region), dicts)


def write_pickle(path: Path, value: object) -> None:
    """As the release's scripts do it: with the highest protocol."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        pickle.dump(value, stream, protocol=pickle.HIGHEST_PROTOCOL)
