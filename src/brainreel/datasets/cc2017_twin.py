"""A simulated CC2017: other movies, other people, the same files, and every oddity of the real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float32

from brainreel.datasets import cc2017_files as files
from brainreel.datasets import parcels
from brainreel.datasets.protocol import Facts, Size, TwinCard, new_folder
from brainreel.datasets.twin_cortex import TwinCortex, TwinPerson
from brainreel.errors import UsageError
from brainreel.files import write_folder, write_tsv
from brainreel.video import write_video
from brainreel.world.captions import captions
from brainreel.world.cortex import seed_of
from brainreel.world.drives import drives
from brainreel.world.film import draw_film
from brainreel.world.render import render
from brainreel.world.viewers import Drives


class Scale(NamedTuple):
    """How big a twin is; a grid too small for the real one's holds the volumes in MNI space, where there are any."""

    train: int
    test: int
    clips: int
    grid: tuple[int, int, int] | None


SCALES: dict[Size, Scale] = {
    "tiny": Scale(train=2, test=2, clips=24, grid=(9, 12, 10)),
    "small": Scale(train=6, test=3, clips=90, grid=(12, 16, 15)),
    "full": Scale(train=18, test=5, clips=240, grid=None),
}
# Share of a single presentation's variance that movies drive, as in the sandbox's film.
SIGNAL_SHARE = 0.20
# What headers say of the TR. It is wrong, as in the release.
HEADER_TR_S = 1.0
# Volumes simulated before and after a movie: a run begins up to so many early, and lasts a little longer.
_BEFORE, _AFTER = 5, 6


def write_twin(out: Path, facts: Facts, *, subjects: int | None, size: Size, seed: int) -> None:
    """Write a release at ``out`` whose movies are drawn and whose people are simulated.

    Args:
        out: A new or empty folder.
        facts: The real release's; the twin's card tells in what it differs.
        subjects: Number of people; default 3, with whom the run that began early comes.
        size: ``full`` has the real CIFTI shapes, 7.7 GB a person, and no volumes in MNI space.
        seed: The same seed makes the same movies, people and noise.
    """
    scale = SCALES[size]
    count = facts.subjects if subjects is None else subjects
    if count is None or count < 1:
        raise UsageError(f"a twin of {count} subjects", expected="at least 1")
    cortex = TwinCortex.grow(size)
    areas = {
        parcels.DEFAULT_SPACE: int(np.isin(cortex.parcel[: cortex.cortex], parcels.GROUP41).sum()),
        f"{parcels.MAP}/cortex": cortex.cortex,
        parcels.MAP: len(cortex),
    }
    movies = [*(f"seg{k + 1}" for k in range(scale.train)), *(f"test{k + 1}" for k in range(scale.test))]
    volumes = {m: scale.clips + v - files.clip_count(m, v) for m, v in facts.run_volumes.items() if m in movies}
    differs: dict[str, object] = {
        "title": f"Simulated twin of: {facts.title}",
        "licence": "simulated, nobody's data: free to use",
        "citation": f"Simulated by brainreel in the layout of: {facts.citation}",
        "responses": f"Simulated, prepared like the real release: {facts.responses}",
        "subjects": count,
        "spaces": areas,
        "run_volumes": volumes,
    }
    own = Facts.model_validate({**facts.model_dump(), **differs})
    card = TwinCard(simulated=True, dataset=facts.name, size=size, seed=seed, differs=differs)

    def fill(folder: Path) -> None:
        card.write(folder)
        if size != "full":
            cortex.write_map(folder)
        root = folder / files.TOP
        shown, told = {}, []
        for k, movie in enumerate(movies):
            shown[movie], described = _write_movie(root / "stimuli", movie, scale.clips, seed_of(seed, 1, k))
            names = [files.clip_id(movie, number) for number in range(scale.clips)]
            told.append(pd.DataFrame({"clip_id": names, "captions": described}))
        write_tsv(folder / files.CAPTIONS, pd.concat(told))
        for n in range(count):
            person = cortex.person(seed_of(seed, 2, n), signal_share=SIGNAL_SHARE)
            scanner = _Scanner(person, cortex.brain_models(), scale.grid, own.tr_s or files.CLIP_S)
            for k, run in enumerate(files.runs_of(f"subject{n + 1}", own)):
                scanner.record(root, run, shown[run.movie], seed_of(seed, 3, n, k))

    write_folder(new_folder(out), fill)


def _write_movie(stimuli: Path, movie: str, clips: int, seed: int) -> tuple[Drives, list[str]]:
    """Draw a movie and write it; returns what it offers, with volumes of nothing in particular around it, and what a
    lab would have had to write itself: its clips' captions, as JSON."""
    scenes = draw_film(np.full(clips, files.role_of(movie) == "test"), seed)
    videos = render(scenes)
    write_video(
        files.movie_path(stimuli, movie), videos.reshape(-1, *videos.shape[2:]), fps=videos.shape[1] / files.CLIP_S
    )
    around = {}
    for name, drive in drives(scenes, videos).items():
        nothing = drive.mean(0, keepdims=True)
        around[name] = np.concatenate([nothing.repeat(_BEFORE, axis=0), drive, nothing.repeat(_AFTER, axis=0)])
    return around, [json.dumps(each) for each in captions(scenes, seed=seed)]


class _Scanner(NamedTuple):
    """Writes a person's runs."""

    person: TwinPerson
    brain: Any
    grid: tuple[int, int, int] | None
    tr_s: float

    def record(self, root: Path, run: files.Run, shown: Drives, seed: int) -> None:
        simulated = self.person.bold(shown, tr_s=self.tr_s, seed=seed)
        # Volume `first` is the one that begins two TRs after the movie.
        begin = _BEFORE + 2 - run.first
        bold = _scanned(simulated[begin : begin + run.volumes], seed)
        self._write_cifti(files.cifti_path(root, run), bold)
        if self.grid:
            # All runs of one movie are called like this, so that readers meet both names.
            path = files.volume_path(root, run)
            self._write_volumes(path.with_name(f"{run.name}.mni.nii.gz") if run.movie == "test1" else path, bold)

    def _write_cifti(self, path: Path, bold: Float32[np.ndarray, "volumes grayordinates"]) -> None:
        import nibabel
        from nibabel.cifti2 import cifti2_axes

        path.parent.mkdir(parents=True, exist_ok=True)
        header = (cifti2_axes.SeriesAxis(0, HEADER_TR_S, len(bold), "SECOND"), self.brain)
        image: Any = nibabel.Cifti2Image(bold, header=header)
        image.nifti_header.set_intent("NIFTI_INTENT_CONNECTIVITY_DENSE_SERIES")
        nibabel.save(image, path)

    def _write_volumes(self, path: Path, bold: Float32[np.ndarray, "volumes grayordinates"]) -> None:
        """The same brain in a small box: grayordinate i is voxel i in C order, the rest is empty."""
        import nibabel

        path.parent.mkdir(parents=True, exist_ok=True)
        box = np.zeros((int(np.prod(self.grid or ())), len(bold)), np.float32)
        box[: bold.shape[1]] = bold.T
        image: Any = nibabel.Nifti1Image(box.reshape(*(self.grid or ()), len(bold)), np.diag([2.0, 2, 2, 1]))
        image.header.set_zooms((2, 2, 2, HEADER_TR_S))
        nibabel.save(image, path)


def _scanned(
    bold: Float32[np.ndarray, "volumes grayordinates"], seed: int
) -> Float32[np.ndarray, "volumes grayordinates"]:
    """In a scanner's units: around 10,000, changing by a hundred, and wandering slowly."""
    rng = np.random.default_rng([seed, 2])
    level = rng.uniform(8000, 12000, size=bold.shape[1]).astype(np.float32)
    t = np.linspace(-1, 1, len(bold))[:, None] ** np.arange(1, 5)
    slow = (t @ rng.normal(scale=60, size=(4, bold.shape[1]))).astype(np.float32)
    return 100 * bold + slow + level
