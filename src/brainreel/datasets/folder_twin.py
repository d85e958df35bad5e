"""A simulated folder of your own: people who saw described clips, the test clips several times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from brainreel.datasets.protocol import Facts, Size, TwinCard, new_folder
from brainreel.errors import UsageError
from brainreel.files import write_folder, write_json, write_tsv
from brainreel.world.cortex import Cortex, seed_of
from brainreel.world.story import ATTRIBUTES, single_shots

# What each half of the simulated cortex cares about: attribute prefixes.
PARCELS = {"scenes": ("place", "light", "object"), "people": ("person", "speaks", "mood", "action")}


class Scale(NamedTuple):
    subjects: int
    train: int
    test: int
    test_repetitions: int
    vertices: int


SCALES: dict[Size, Scale] = {
    "tiny": Scale(subjects=3, train=60, test=10, test_repetitions=3, vertices=64),
    "small": Scale(subjects=4, train=300, test=30, test_repetitions=5, vertices=400),
    "full": Scale(subjects=8, train=1000, test=100, test_repetitions=10, vertices=2000),
}


def write_twin(out: Path, facts: Facts, *, subjects: int | None, size: Size, seed: int) -> None:
    """Write a folder in the documented layout with simulated single-trial responses.

    Args:
        out: A new or empty folder.
        facts: The facts of `folder`.
        subjects: Number of people; default: as many as the size has.
        size: Number of clips, repetitions and vertices.
        seed: The same seed makes the same clips, people and noise.
    """
    scale = SCALES[size]
    n_subjects = scale.subjects if subjects is None else subjects
    if n_subjects < 1:
        raise UsageError(f"a twin of {n_subjects} subjects", expected="at least 1")
    shots = single_shots(scale.train + scale.test, seed=seed)
    shown = np.array([[a in shot.attributes() for a in ATTRIBUTES] for shot in shots], float)
    repetitions = [1] * scale.train + [scale.test_repetitions] * scale.test
    clip_of_trial = np.repeat(np.arange(len(shots)), repetitions)
    people = [f"sub-{n + 1:02d}" for n in range(n_subjects)]

    def fill(folder: Path) -> None:
        name = f"brainreel twin {size} {seed}"
        write_json(folder / "dataset_description.json", {"Name": name, "License": "simulated, nobody's data"})
        card = TwinCard(simulated=True, dataset=facts.name, size=size, seed=seed, differs={})
        card.write(folder)
        names = np.array([f"clip-{k:04d}" for k in range(len(shots))])
        captions = [json.dumps([shot.text]) for shot in shots]
        write_tsv(folder / "clips.tsv", pd.DataFrame({"clip_id": names, "duration_s": 2.0, "captions": captions}))
        trials = [pd.DataFrame({"subject": who, "run": "run-1", "clip_id": names[clip_of_trial]}) for who in people]
        write_tsv(folder / "trials.tsv", pd.concat(trials, ignore_index=True))
        roles = np.where(clip_of_trial < scale.train, "train", "test")
        write_tsv(folder / "folds" / "official.tsv", pd.DataFrame({"fold-1": np.tile(roles, n_subjects)}))
        _write_cortices(folder, people, shown[clip_of_trial], scale.vertices, seed)

    write_folder(new_folder(out), fill)


def _write_cortices(folder: Path, people: list[str], shown: np.ndarray, n_vertices: int, seed: int) -> None:
    side = int(np.ceil(np.sqrt(n_vertices)))
    position = np.argwhere(np.ones((side, side)))[:n_vertices] * (20.0 / side)
    halves = np.array_split(np.arange(n_vertices), len(PARCELS))
    parcel = np.repeat(list(PARCELS), [len(h) for h in halves])
    write_tsv(folder / "vertices.tsv", pd.DataFrame({"vertex": np.arange(n_vertices), "parcel": parcel}))
    (folder / "responses").mkdir()
    for s, who in enumerate(people):
        parts = []
        for k, (half, prefixes) in enumerate(zip(halves, PARCELS.values(), strict=True)):
            importance = np.array([1.0 if a.startswith(prefixes) else 0.1 for a in ATTRIBUTES])
            cortex = Cortex.grow(position[half], importance, seed=seed_of(seed, k))
            person = cortex.person(seed_of(seed, k, s))
            parts.append(cortex.betas(person, shown, seed=seed_of(seed, k, s, 1)))
        np.save(folder / "responses" / f"{who}.npy", np.concatenate(parts, axis=1))
