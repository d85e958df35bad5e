"""Simulated prepared pickles of 41 areas: the people and clips of a simulated BOLD Moments."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from brainreel.datasets.bmd_twin import SCALES, SIGNAL_SHARE, write_pickle, write_stimuli
from brainreel.datasets.parcels import GROUP41, MAP
from brainreel.datasets.protocol import Facts, Size, TwinCard, new_folder
from brainreel.datasets.twin_clips import rows
from brainreel.datasets.twin_cortex import TwinCortex
from brainreel.errors import UsageError
from brainreel.files import write_folder
from brainreel.world.cortex import seed_of

NAME = "Group41_betas-GLMsingle_type-typed_z=1.pkl"
REPETITIONS = {"train": 3, "test": 10}
_SALT = 41


def write_twin(out: Path, facts: Facts, *, subjects: int | None, size: Size, seed: int) -> None:
    """Write a folder of pickles at ``out``, with annotations and clips as BOLD Moments has them.

    Columns lie area by area, left hemisphere before right, as the makers' script puts them.

    Args:
        out: A new or empty folder.
        facts: Of `group41`; the card says what a smaller size changes.
        subjects: Number of people; default: as many as a simulated BOLD Moments of this size has.
        size: Number of people, clips and vertices.
        seed: The same seed makes the same clips, people and noise.
    """
    scale = SCALES[size]
    count = scale.subjects if subjects is None else subjects
    if count < 1:
        raise UsageError(f"a twin of {count} subjects", expected="at least 1")
    cortex = TwinCortex.grow(size)
    inside = cortex.parcel[: cortex.cortex]
    vertex = np.concatenate([np.flatnonzero(inside == area) for area in GROUP41])
    salted = seed_of(seed, _SALT)

    def fill(folder: Path) -> None:
        differs: dict[str, object] = {}
        if size != "full":
            cortex.write_map(folder)
            differs["spaces"] = {MAP: len(cortex)}
        TwinCard(simulated=True, dataset=facts.name, size=size, seed=seed, differs=differs).write(folder)
        clips, shown = write_stimuli(folder, scale, salted)
        numbers = [REPETITIONS["train"]] * scale.train + [REPETITIONS["test"]] * scale.test
        trials = np.repeat(np.arange(len(clips.all)), numbers)
        split = REPETITIONS["train"] * scale.train
        for n in range(count):
            order = np.random.default_rng(seed_of(salted, 3, n)).permutation(len(trials))
            person = cortex.person(seed_of(salted, 1, n), signal_share=SIGNAL_SHARE)
            betas = person.betas(rows(shown, trials[order]), seed=seed_of(salted, 2, n))[np.argsort(order)][:, vertex]
            found: dict[str, object] = {"roi_indices_hcp": vertex}
            for role, part in (("train", betas[:split]), ("test", betas[split:])):
                scored = (part - part.mean(axis=0, dtype=np.float64)) / part.std(axis=0, dtype=np.float64)
                found[f"{role}_data_allvoxel"] = scored.reshape(-1, REPETITIONS[role], len(vertex))
                found[f"{role}_stim_order"] = clips.named(role)
            write_pickle(folder / f"sub-{n + 1:02d}" / "GLMsingle" / "prepared_allvoxel_pkl" / NAME, found)

    write_folder(new_folder(out), fill)
