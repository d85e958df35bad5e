"""The film benchmark's demo: a simulated release of the film, and the benchmark on it."""

from __future__ import annotations

from pathlib import Path

from brainreel.datasets import DATASETS
from brainreel.datasets.protocol import Size as TwinSize
from brainreel.datasets.sherlock import BLOCKS, STEP_TRS
from brainreel.datasets.sherlock_kit import REGIONS
from brainreel.datasets.sherlock_twin import SCALES
from brainreel.experiment import Experiment
from brainreel.pipeline.costs import Cost, Size
from brainreel.pipeline.film_config import FilmConfig
from brainreel.pipeline.film_recipe import Film
from brainreel.pipeline.outlook import DIM, Outlook, film_outlook, unread_outlook
from brainreel.pipeline.run import Ran, run_film
from brainreel.pipeline.stages import Step

DATASET = "sherlock"
# Growing the simulated cortices takes longest.
TWIN_COST = Cost(8.0, 4e6, 3e8)


def simulate(out: Path, seed: int, size: TwinSize) -> Path:
    """Write the simulated release into an experiment, unless the same one is there; returns its folder."""
    experiment = Experiment(out)

    def work(folder: Path) -> None:
        # Killed between the twin and its provenance, a stage finds its twin complete.
        if not (folder / DATASET).exists():
            DATASETS[DATASET].twin(folder / DATASET, size=size, seed=seed)

    with experiment.lock():
        return twin_step(seed, size).run(experiment, work, seed=seed).path / DATASET


def twin_step(seed: int, size: TwinSize) -> Step:
    """The stage that simulates."""
    return Step("twin", {"dataset": DATASET, "size": size, "seed": seed}, {}, ("world", "datasets"))


def film_demo_config(seed: int) -> FilmConfig:
    """The film benchmark's settings with another seed."""
    config = FilmConfig()
    return config.model_copy(update={"align": config.align.model_copy(update={"seed": seed})})


def film_demo_outlook(out: Path, seed: int, size: TwinSize) -> Outlook:
    """What it would do."""
    step = twin_step(seed, size)
    state = step.state(Experiment(out))
    if state == "up to date":
        after = film_outlook(film_demo_config(seed), out, source=out / step.name / DATASET)
    else:
        scale = SCALES[size]
        film = Film(DATASET, tuple(f"s{n + 1}" for n in range(scale.subjects)), BLOCKS, sum(scale.volumes))
        seen = Size(film.volumes // STEP_TRS, scale.voxels + 4 * len(REGIONS), DIM)
        after = unread_outlook(film_demo_config(seed), film, seen, scale.segments, Cost(2.0, 1e7, 6e8))
    return Outlook(((step.name, state, TWIN_COST), *after.stages))


def run_film_demo(out: Path, seed: int, size: TwinSize, *, device: str = "cpu", workers: int | None = 1) -> Ran:
    """Simulate the release, and run the film benchmark on it, see `run_film`."""
    return run_film(film_demo_config(seed), out, source=simulate(out, seed, size), device=device, workers=workers)
