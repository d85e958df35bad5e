"""A simulated HAD: actions of the sandbox's objects, other people, the same files, and the oddities of the real ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from brainreel.datasets import had_files as files
from brainreel.datasets import parcels
from brainreel.datasets.protocol import Facts, Size, TwinCard, new_folder
from brainreel.datasets.twin_cortex import TwinCortex, TwinPerson
from brainreel.errors import UsageError
from brainreel.files import write_folder, write_text, write_tsv
from brainreel.video import write_video
from brainreel.world.cortex import seed_of
from brainreel.world.drives import drives
from brainreel.world.render import render
from brainreel.world.scenes import FPS, KINDS, LIGHTS, MOTIONS, PLACES, Scenes, held_out, scenes_showing
from brainreel.world.viewers import Drives


class Scale(NamedTuple):
    """How big a twin is; `grid` holds raw runs, and without one there are betas alone."""

    subjects: int
    classes: int
    grid: tuple[int, int, int] | None


SCALES: dict[Size, Scale] = {
    "tiny": Scale(subjects=2, classes=18, grid=(9, 12, 10)),
    "small": Scale(subjects=4, classes=60, grid=(12, 16, 15)),
    "full": Scale(subjects=30, classes=180, grid=None),
}
# Shares of a single trial's variance in betas, and of a run's, that clips drive.
BETA_SHARE, BOLD_SHARE = 0.17, 0.20
TRIAL_S, CLIP_S = 5.0, 2.0
# When a run begins in the version of the release that counts onsets from the first volume.
_LATER_S = 12.122
_MOVING = ("going left", "going right", "rising", "falling", "growing", "shrinking", "spinning", "resting")


def write_twin(out: Path, facts: Facts, *, subjects: int | None, size: Size, seed: int) -> None:
    """Write a release at ``out`` whose clips are drawn and whose people are simulated.

    Args:
        out: A new or empty folder.
        facts: The real release's; the twin's card tells in what it differs.
        subjects: Number of people; default: as many as the size has.
        size: ``full`` has the real shapes of betas, events and clips, 175 MB a person, and no runs.
        seed: The same seed makes the same clips, people and noise.
    """
    scale = SCALES[size]
    scale = scale if subjects is None else scale._replace(subjects=subjects)
    if scale.subjects < 1:
        raise UsageError(f"a twin of {scale.subjects} subjects", expected="at least 1")
    cortex = TwinCortex.grow(size)
    group41 = int(np.isin(cortex.parcel[: cortex.cortex], parcels.GROUP41).sum())
    per_run = scale.classes * files.CYCLES // len(facts.run_volumes)
    tr_s = facts.tr_s or 2.0
    volumes = int(np.ceil((files.LEAD_IN_S + TRIAL_S * per_run) / tr_s))
    differs: dict[str, object] = {
        "title": f"Simulated twin of: {facts.title}",
        "licence": "simulated, nobody's data: free to use",
        "citation": f"Simulated by brainreel in the layout of: {facts.citation}",
        "responses": f"Simulated, in the form of: {facts.responses}",
        "subjects": scale.subjects,
        "clips": scale.subjects * scale.classes * files.CYCLES,
        "spaces": {parcels.DEFAULT_SPACE: group41, f"{parcels.MAP}/cortex": cortex.cortex},
        "run_volumes": dict.fromkeys(facts.run_volumes, volumes),
    }
    own = Facts.model_validate({**facts.model_dump(), **differs})
    card = TwinCard(simulated=True, dataset=facts.name, size=size, seed=seed, differs=differs)

    def fill(folder: Path) -> None:
        card.write(folder)
        if size != "full":
            cortex.write_map(folder)
        for n in range(scale.subjects):
            _Session(folder, n, cortex, own, scale.grid, seed).write()

    write_folder(new_folder(out), fill)


def class_names(count: int) -> list[str]:
    """The classes' names in the order of their numbers: alphabetical, several of them with the same first word."""
    names = [f"{kind.capitalize()} {moving}{light}" for (kind, moving, light), *_ in _classes()]
    return sorted(names[:count])


def _classes() -> list[tuple[tuple[str, str, str], int, int, int]]:
    """Every class the world has room for: what its name says, and indices of kind, motion and light."""
    order = product(range(len(LIGHTS)), range(len(MOTIONS)), range(len(KINDS)))
    lights = ("", " at night")
    # So few motions of every kind at first, so that even a small twin has several classes of one first word.
    return [((KINDS[k], _MOVING[m], lights[light]), k, m, light) for light, m, k in order]


class _Session(NamedTuple):
    """Writes one person's session."""

    folder: Path
    number: int
    cortex: TwinCortex
    facts: Facts
    grid: tuple[int, int, int] | None
    seed: int

    @property
    def subject(self) -> str:
        return f"sub-{self.number + 1:02d}"

    def write(self) -> None:
        rng = np.random.default_rng(seed_of(self.seed, 1, self.number))
        count = files.class_count(self.facts)
        # Every cycle goes through all classes once, in random order.
        shown = np.concatenate([rng.permutation(count) for _ in range(files.CYCLES)])
        cycle = np.repeat(np.arange(files.CYCLES), count)
        scenes = _scenes(shown, cycle, rng)
        names = _clip_names(shown, count, rng)
        offered = self._write_clips(scenes, names)
        self._write_events(shown, names, rng)
        self._write_betas(shown, names, offered)
        if self.grid is not None:
            self._write_runs(offered, self.grid)

    def _write_clips(self, scenes: Scenes, names: list[str]) -> Drives:
        parts = []
        for start in range(0, len(scenes), 240):
            some = scenes[start : start + 240]
            videos = render(some)
            for name, video in zip(names[start : start + 240], videos, strict=True):
                folder, file = name.split("/")
                # Folders on disk have underscores; files have whatever the events say.
                write_video(self.folder / "stimuli" / folder.replace(" ", "_") / file, video, fps=FPS)
            parts.append(drives(some, videos))
        return {drive: np.concatenate([part[drive] for part in parts]) for drive in parts[0]}

    def _onset_s(self) -> Float[np.ndarray, " trials"]:
        """When the trials of a run begin after its first volume, by the version of the release."""
        per_run = files.class_count(self.facts) * files.CYCLES // len(self.facts.run_volumes)
        return (files.LEAD_IN_S if self.number % 2 == 0 else _LATER_S) + TRIAL_S * np.arange(per_run)

    def _write_events(self, shown: Int[np.ndarray, " trials"], names: list[str], rng: np.random.Generator) -> None:
        onset_s = self._onset_s()
        # The version that counts from the first trial does not mention the lead-in.
        told = onset_s - files.LEAD_IN_S if self.number % 2 == 0 else onset_s
        for k, run in enumerate(files.run_numbers(self.facts)):
            here = slice(k * len(onset_s), (k + 1) * len(onset_s))
            table = {
                "onset": told.round(3),
                "duration": CLIP_S,
                "trial_type": shown[here] + 1,
                "response": rng.choice([1, -1], size=len(onset_s)),
                "response_time": rng.uniform(0.6, 2.4, size=len(onset_s)).round(3),
                "stim_file": names[here],
            }
            write_tsv(files.func_path(self.folder, self.subject, run, "events.tsv"), pd.DataFrame(table))

    def _write_betas(self, shown: Int[np.ndarray, " trials"], names: list[str], offered: Drives) -> None:
        from nibabel.cifti2 import cifti2_axes

        betas = self._person(BETA_SHARE).betas(offered, seed=seed_of(self.seed, 3, self.number))
        brain, count = self.cortex.brain_models(cortex_only=True), files.class_count(self.facts)
        for cycle in range(files.CYCLES):
            here = slice(cycle * count, (cycle + 1) * count)
            values = np.empty((count, self.cortex.cortex), np.float32)
            values[shown[here]] = betas[here, : self.cortex.cortex]
            # Sorted as the authors do: by what stands between the first two underscores.
            labels = sorted((name.split("/")[1] for name in names[here]), key=lambda name: name.split("_")[1])
            header = (cifti2_axes.ScalarAxis(labels), brain)
            _write_cifti(files.beta_path(self.folder, self.subject, cycle + 1), values, header, "DENSE_SCALARS")
            text = "".join(f"{label}\n" for label in labels)
            write_text(files.beta_path(self.folder, self.subject, cycle + 1, "label.txt"), text)

    def _write_runs(self, offered: Drives, grid: tuple[int, int, int]) -> None:
        """Raw volumes, and the same preprocessed in fsLR32k; in the twin grayordinate i is voxel i in C order."""
        import nibabel
        from nibabel.cifti2 import cifti2_axes

        person, brain, tr_s = self._person(BOLD_SHARE), self.cortex.brain_models(), self.facts.tr_s or 2.0
        onset_s = self._onset_s()
        for k, (run, volumes) in enumerate(
            zip(files.run_numbers(self.facts), self.facts.run_volumes.values(), strict=True)
        ):
            seen = _seen(onset_s, volumes, tr_s)
            design = {name: seen @ drive[k * len(onset_s) :][: len(onset_s)] for name, drive in offered.items()}
            bold = person.bold(design, tr_s=tr_s, seed=seed_of(self.seed, 4, self.number, k))
            level = np.random.default_rng(seed_of(self.seed, 5, self.number)).uniform(800, 1200, bold.shape[1])
            bold = (level + 12 * bold).astype(np.float32)
            header = (cifti2_axes.SeriesAxis(0, tr_s, volumes, "SECOND"), brain)
            _write_cifti(files.surface_run_path(self.folder, self.subject, run), bold, header, "DENSE_SERIES")
            box = np.zeros((int(np.prod(grid)), volumes), np.int16)
            box[: bold.shape[1]] = np.rint(bold.T)
            image: Any = nibabel.Nifti1Image(box.reshape(*grid, volumes), np.diag([2.0, 2, 2, 1]))
            image.header.set_zooms((2, 2, 2, tr_s))
            nibabel.save(image, files.func_path(self.folder, self.subject, run, "bold.nii.gz"))

    def _person(self, share: float) -> TwinPerson:
        return self.cortex.person(seed_of(self.seed, 2, self.number), signal_share=share)


def _scenes(shown: Int[np.ndarray, " trials"], cycle: Int[np.ndarray, " trials"], rng: np.random.Generator) -> Scenes:
    """What each trial's clip shows. Those that the default split tests are of held-out combinations, no others."""
    of_name = {f"{k.capitalize()} {m}{light}": indices for (k, m, light), *indices in _classes()}
    ordered = [of_name[name] for name in class_names(int(shown.max()) + 1)]
    kind, motion, light = np.array(ordered)[shown].T
    test = cycle == shown % files.CYCLES
    out = np.stack([held_out(kind, np.full_like(kind, here), motion) for here in range(len(PLACES))], axis=1)
    place = np.array([rng.choice(np.flatnonzero(row == tested)) for row, tested in zip(out, test, strict=True)])
    return replace(scenes_showing(np.stack([kind, place, motion], axis=1), rng), light=light)


def _clip_names(shown: Int[np.ndarray, " trials"], count: int, rng: np.random.Generator) -> list[str]:
    """«Class/v_Class_id_…_label_1.mp4», every other class with underscores for spaces."""
    letters, names = np.array(list("abcdefghijkABCDEFGHIJK0123456789-_")), class_names(count)
    out = []
    for number in shown.tolist():
        action = names[number].replace(" ", "_") if number % 2 else names[number]
        video, start_s = "".join(rng.choice(letters, size=11)), float(rng.integers(0, 200))
        out.append(f"{action}/v_{action}_id_{video}_start_{start_s}_end_{start_s + 2}_label_1.mp4")
    return out


def _seen(onset_s: Float[np.ndarray, " trials"], volumes: int, tr_s: float) -> Float[np.ndarray, "volumes trials"]:
    """For which share of each volume's time each clip was on the screen."""
    begin = tr_s * np.arange(volumes)[:, None]
    shared = np.minimum(begin + tr_s, onset_s + CLIP_S) - np.maximum(begin, onset_s)
    return np.maximum(shared, 0) / tr_s


def _write_cifti(path: Path, values: np.ndarray, header: tuple[Any, Any], intent: str) -> None:
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    image: Any = nibabel.Cifti2Image(values, header=header)
    image.nifti_header.set_intent(f"NIFTI_INTENT_CONNECTIVITY_{intent}")
    nibabel.save(image, path)
