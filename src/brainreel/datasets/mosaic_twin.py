"""A simulated MOSAIC: people of two of its datasets, in both of the layouts that its files come in.

People of BOLD Moments saw clips several times, people of HAD once, mostly others than the others. Every second person's
trials are named without phase and attributes; vertices without signal, which are NaN, are listed as numbers, as a mask
or in a group.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from brainreel.datasets.bmd_files import clip_name
from brainreel.datasets.bmd_twin import FIRST_TEST
from brainreel.datasets.bmd_twin import Scale as Stimuli
from brainreel.datasets.bmd_twin import write_stimuli as write_bmd
from brainreel.datasets.parcels import MAP
from brainreel.datasets.protocol import Facts, Size, TwinCard, new_folder
from brainreel.datasets.twin_clips import both, rows, write_clips
from brainreel.datasets.twin_cortex import TwinCortex, TwinPerson
from brainreel.errors import UsageError
from brainreel.files import write_folder
from brainreel.metrics import noise_ceiling
from brainreel.world.cortex import seed_of
from brainreel.world.scenes import FRAMES, draw_scenes
from brainreel.world.viewers import Drives


class Scale(NamedTuple):
    """People and clips (training, test) of each dataset; HAD's are of every person."""

    people: dict[str, int]
    bmd: tuple[int, int]
    had: tuple[int, int]


SCALES: dict[Size, Scale] = {
    "tiny": Scale({"BMD": 2, "HAD": 1}, bmd=(40, 6), had=(45, 15)),
    "small": Scale({"BMD": 3, "HAD": 3}, bmd=(300, 40), had=(240, 60)),
    "full": Scale({"BMD": 10, "HAD": 30}, bmd=(1000, 102), had=(540, 180)),
}
SIGNAL_SHARE = {"BMD": 0.10, "HAD": 0.17}
REPETITIONS = {"BMD": {"train": 3, "test": 10}, "HAD": {"train": 1, "test": 1}}
# So many vertices of every second person have no signal.
LOST = 3
_SALT = 93


class Shown(NamedTuple):
    """A person's clips: names and roles, and what they offer to a cortex."""

    names: list[str]
    roles: list[str]
    drives: Drives


def write_twin(out: Path, facts: Facts, *, subjects: int | None, size: Size, seed: int) -> None:
    """Write a folder of HDF5 files, clips and annotations at ``out``.

    Args:
        out: A new or empty folder.
        facts: Of the release; the card says what a smaller size changes.
        subjects: Number of people, BOLD Moments' first; default: as many as the size has.
        size: Number of people, clips and grayordinates.
        seed: The same seed makes the same clips, people and noise.

    Raises:
        UsageError: h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise UsageError(
            "HDF5 files cannot be written", expected="the extra `mosaic` (h5py)", do="pip install 'brainreel[mosaic]'"
        ) from error
    scale, cortex, salted = SCALES[size], TwinCortex.grow(size), seed_of(seed, _SALT)
    people = [(name, n) for name, count in scale.people.items() for n in range(count)]
    count = len(people) if subjects is None else subjects
    if not 1 <= count <= len(people):
        raise UsageError(f"a twin of {count} subjects", expected=f"1 to {len(people)}")

    def fill(folder: Path) -> None:
        differs: dict[str, object] = {"subjects": count}
        if size != "full":
            cortex.write_map(folder)
            differs["spaces"] = {MAP: len(cortex)}
        TwinCard(simulated=True, dataset=facts.name, size=size, seed=seed, differs=differs).write(folder)
        clips, drives = write_bmd(folder, Stimuli(0, *scale.bmd, voxels=0), salted)
        shared = Shown([clip_name(n) for n in clips.all], _roles(scale.bmd), drives)
        for k, (name, n) in enumerate(people[:count]):
            shown = shared if name == "BMD" else _had_clips(folder, scale.had, n, salted)
            person = cortex.person(seed_of(salted, 1, k), signal_share=SIGNAL_SHARE[name])
            with h5py.File(folder / f"sub-{n + 1:02d}_{name}.hdf5", "w") as file:
                _write_person(file, f"sub-{n + 1:02d}", name, shown, person, seed_of(salted, 2, k), plain=k % 2 == 1)

    write_folder(new_folder(out), fill)


def _roles(counts: tuple[int, int]) -> list[str]:
    return ["train"] * counts[0] + ["test"] * counts[1]


def _had_clips(folder: Path, counts: tuple[int, int], n: int, seed: int) -> Shown:
    train = draw_scenes(counts[0], seed_of(seed, 3, n))
    test = draw_scenes(counts[1], seed_of(seed, 4, n), combos="held-out")
    names, drives, first = [], [], FIRST_TEST * n
    for scenes in (train, test):
        told = [f"v_{scenes.names(k)['motion'].title()}_id_{n:02d}{first + k:05d}" for k in range(len(scenes))]
        first += len(scenes)
        drives.append(write_clips(scenes, [folder / "stimuli" / "had" / f"{t}.mp4" for t in told], fps=FRAMES / 2.0))
        names += told
    return Shown(names, _roles(counts), both(*drives))


def _write_person(
    file: Any, subject: str, dataset: str, shown: Shown, person: TwinPerson, seed: int, *, plain: bool
) -> None:
    counts = [REPETITIONS[dataset][role] for role in shown.roles]
    trials = np.repeat(np.arange(len(counts)), counts)
    order = np.random.default_rng(seed_of(seed, 0)).permutation(len(trials))
    betas = person.betas(rows(shown.drives, trials[order]), seed=seed)[np.argsort(order)].astype(np.float64)
    train = betas[: sum(count for count, role in zip(counts, shown.roles, strict=True) if role == "train")]
    betas = (betas - train.mean(axis=0)) / train.std(axis=0, ddof=1)
    # Some of them in areas that everybody reads.
    lost = np.random.default_rng(seed_of(seed, 1)).choice(person.cortex.place, LOST, replace=False)
    lost = np.sort(lost) if plain else lost[:0]
    betas[:, lost] = np.nan
    told = {"subjectID": subject, "dataset_name": dataset, "age": "n/a", "sex": "n/a", "beta_pipeline": "simulated"}
    file.attrs.update(told)
    group = file.create_group("betas", track_order=True)
    for row, (clip, values) in enumerate(zip(trials.tolist(), betas, strict=True)):
        repetition = row - int(np.searchsorted(trials, clip))
        name, role = shown.names[clip], shown.roles[clip]
        if plain:
            group.create_dataset(f"{name}_rep-{repetition}", data=values)
            continue
        full = f"{subject}_{dataset}_stimulus-{name}_phase-{role}_rep-{repetition}"
        trial = group.create_dataset(full, data=values)
        attributes = {"phase": role, "repetition": repetition, "presented_stimulus_filename": f"{name}.mp4"}
        trial.attrs.update({"nan_indices": lost, **attributes})
    if dataset == "BMD":
        three = betas[: len(train)].reshape(-1, REPETITIONS[dataset]["train"], betas.shape[1])
        ceiling = np.nan_to_num(noise_ceiling(np.nan_to_num(three).astype(np.float32), n=1))
        file.create_group("noiseceiling").create_dataset("noiseceiling_n-1", data=ceiling)
    if plain:
        mask = np.zeros(betas.shape[1], bool)
        mask[lost] = True
        file.create_group("nan_indices").create_dataset(f"{subject}_nan_indices", data=mask)
    else:
        file.create_dataset("nan_indices_all", data=lost)
