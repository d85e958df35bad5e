"""What stages cost, estimated before they run: seconds on two CPU cores, bytes on disk, bytes of memory.

The constants were measured on two cores of a server (2.5 GHz, AVX-512) with simulated and real recordings. They are
estimates: another machine is easily twice as fast or slow.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from brainreel.align.budget import COPIES
from brainreel.align.config import AlignConfig
from brainreel.align.jobs import AlignJob
from brainreel.files import walk
from brainreel.progress import duration, size
from brainreel.regress.config import RegressConfig

START_S = 4.0  # importing torch and opening stores
START_BYTES = 450e6
INGEST_S_PER_BYTE = 1 / 25e6
COMPOSED_S = 0.025  # composing one caption
ENCODER_S, ENCODER_BYTES = 6.0, 900e6  # loading a sentence encoder of 22 M parameters
CAPTION_S = 0.02
FLOPS, RIDGE_FLOPS = 1e11, 3e10  # matrix products of training steps, and of cross-validated ridges, per second
PARAMETER_S = 4e-9  # one optimiser step's passes over one parameter
STEP_S = 0.003  # of one optimiser step, whatever its size
GROUP_S = 0.1  # reading responses, standardising, writing predictions
SCORED_SUBJECT_S = 0.03  # one subject's test trials of one fold
REPORT_S = 1.0
GENERATOR_FLOPS = 8e10  # of a video transformer's matrix products, per second
DECODE_S = 8e-13  # of decoding one pixel, per parameter of the autoencoder


class Cost(NamedTuple):
    """An estimate; costs of stages that run one after the other add up, except memory."""

    seconds: float = 0.0
    disk_bytes: float = 0.0
    memory_bytes: float = 0.0

    def then(self, other: Cost) -> Cost:
        """Both, one after the other."""
        return Cost(
            self.seconds + other.seconds,
            self.disk_bytes + other.disk_bytes,
            max(self.memory_bytes, other.memory_bytes),
        )

    def __str__(self) -> str:
        return (
            f"about {duration(max(1.0, self.seconds))} on 2 cores, {size(self.disk_bytes)} of disk, "
            f"{size(self.memory_bytes)} of memory (estimates)"
        )


class Size(NamedTuple):
    """How much one training sees: trials of one subject, features of a trial, and the target's dimension."""

    trials: int
    features: int
    dim: int


def ingest_cost(source: Path) -> Cost:
    """Reading every file of a release; the store is at most about as large.

    Releases of many files are read one after the other, in single precision beside what was read and what is written;
    of a few large ones (pickles) no more than about half is ever held.
    """
    sizes = [float(path.stat().st_size) for path in walk(source)]
    there = sum(sizes)
    held = min(there / 2, 3 * max(sizes, default=0.0))
    return Cost(there * INGEST_S_PER_BYTE + 1.0, there, START_BYTES + held)


def encode_cost(captions: int, clips: int, dim: int) -> Cost:
    """A sentence encoder over distinct captions."""
    return Cost(ENCODER_S + captions * CAPTION_S, 4.0 * dim * (captions + clips), ENCODER_BYTES)


def align_cost(job: AlignJob, size: Size) -> Cost:
    """All groups of one job, one after the other."""
    total = Cost()
    for group in job.groups:
        people = len(group.train)
        one = _COSTS[job.config.strategy](job.config, people, size)
        predictions = 4.0 * size.dim * size.trials / 8 * max(people, len(group.newcomers) * max(1, len(job.minutes)))
        total = total.then(Cost(one.seconds + GROUP_S, 3 * predictions + one.disk_bytes, one.memory_bytes))
    kept = _parameters(job.config, len(job.groups[0].train), size) if len(job.groups) == 1 else 0.0
    return total.then(Cost(0.0, 4.0 * kept, 0.0))


def regress_cost(
    config: RegressConfig, trials: int, clips: int, dim: int, numbers: Mapping[str, int], people: int
) -> Cost:
    """One fold of stage 2: compression, ridge, network, and everybody's conditions.

    ``numbers``: condition → how many numbers one of its targets has.
    """
    kept = {name: min(config.components, clips, count) for name, count in numbers.items()}
    heads, wide = sum(kept.values()), sum(numbers.values())
    basis = sum(kept[name] * count for name, count in numbers.items())
    products = 2.0 * clips**2 * wide + 10.0 * clips**3 * len(numbers) + 4.0 * clips * basis
    folds = config.ridge.inner_folds
    solved = 2.0 * (folds + 1) * trials * dim * (dim + heads)
    rival = solved + 2.0 * folds * len(config.ridge.penalties) * dim * heads * (dim + trials / folds)
    parameters = dim * config.width + config.width * (2 * config.depth * config.width + heads)
    batch = trials * min(1.0, config.clips_per_batch / max(1, clips))
    step = STEP_S + parameters * PARAMETER_S + 6.0 * batch * parameters / FLOPS
    tested = clips / 4
    disk = 4.0 * (basis + (people + 2) * tested * wide + parameters)
    memory = START_BYTES + 4.0 * (3 * clips * wide + 3 * basis + 4 * tested * wide + 3 * trials * (dim + heads))
    scored = people * (GROUP_S + 2e-8 * tested * wide * 20)
    return Cost((products + rival) / RIDGE_FLOPS + config.steps * step + scored, disk, memory)


def read_cost(config: RegressConfig, answers: int) -> Cost:
    """Saying in words what people saw, ``answers`` in all."""
    return Cost(answers * COMPOSED_S if config.captions == "composed" else 0.0)


def evaluate_cost(subjects: int) -> Cost:
    """Scoring ``subjects`` sets of one person's predictions in one fold, and the report."""
    return Cost(subjects * SCORED_SUBJECT_S + REPORT_S, subjects * 2e4, START_BYTES)


def generate_cost(clips: int, passes: float, parameters: Mapping[str, float], size: tuple[int, int, int]) -> Cost:
    """Videos of some clips.

    Args:
        clips: How many.
        passes: Of one clip through the transformer.
        parameters: How many the `transformer`, `vae` and `text_encoder` have; without them no time is known.
        size: Frames, height and width of a video.
    """
    pixels = float(size[0] * size[1] * size[2])
    # Wan's patches: 8 × 8 pixels of 4 frames make a place of the latent, 2 × 2 places a token.
    tokens = pixels / (4 * 16 * 16)
    one = 2 * parameters.get("transformer", 0.0) * tokens * passes / GENERATOR_FLOPS
    decoded = parameters.get("vae", 0.0) * pixels * DECODE_S
    # Compressed videos are small beside the arrays, 3 bytes a pixel.
    return Cost(
        clips * (one + decoded), clips * 3.2 * pixels, START_BYTES + 4 * sum(parameters.values()) + 2000 * pixels
    )


def _parameters(config: AlignConfig, people: int, size: Size) -> float:
    if "ridge" in config.strategy:
        return float(size.features * size.dim * (1 if config.strategy == "pooled-ridge" else people))
    latent, depth = config.contrastive.latent, config.contrastive.depth
    return float(size.features * latent * (people + 1) + latent * (size.dim + 2 * depth * latent)) * (
        config.contrastive.members
    )


def _network(config: AlignConfig, people: int, size: Size) -> Cost:
    settings = config.contrastive
    width = size.features * settings.latent + settings.latent * (size.dim + 2 * settings.depth * settings.latent)
    parameters = _parameters(config, people, size)
    batch = people * min(settings.clips_per_batch, size.trials)
    step = STEP_S + parameters / settings.members * PARAMETER_S + 6.0 * batch * width / FLOPS
    solved = settings.refit_rounds * people * _solve_flops(size, settings.latent) / FLOPS if settings.refit else 0.0
    data = 4.0 * people * size.trials * (size.features + settings.latent)
    held, spooled = 3 * data, 0.0
    if config.budget is not None and COPIES * data > config.budget:
        held, spooled = float(config.budget), 4.0 * people * size.trials * size.features
    memory = START_BYTES + 4 * 4.0 * parameters + held
    return Cost(settings.members * ((settings.steps + settings.polish_steps) * step + solved), spooled, memory)


def _ridge(config: AlignConfig, people: int, size: Size) -> Cost:
    """Per subject by himalaya; pooled by normal equations (see `brainreel.align.ridge`)."""
    pooled = config.strategy == "pooled-ridge"
    trials, models = (size.trials * people, 1) if pooled else (size.trials, people)
    fits, penalties = config.ridge.inner_folds + 1, len(config.ridge.penalties)
    predicted = 2.0 * trials * size.features * size.dim * penalties
    if pooled:
        one = fits * 2.0 * trials * size.features * (size.features + size.dim) + predicted
    else:
        one = fits * (6.0 * trials * size.features * min(trials, size.features) + predicted)
    return Cost(models * one / RIDGE_FLOPS, 0.0, START_BYTES + 6 * 4.0 * trials * size.features)


def _consensus(config: AlignConfig, people: int, size: Size) -> Cost:
    """Everybody alone, then two closed forms; of one group, since groups share what people learnt alone."""
    alone = config.model_copy(update={"contrastive": config.contrastive.model_copy(update={"depth": 0})})
    solved = Cost(2 * people * _solve_flops(size, size.dim) / FLOPS)
    return _network(alone, people, size).then(solved)


def _solve_flops(size: Size, latent: int) -> float:
    return 2.0 * size.trials * size.features * (size.features + 2 * latent) + size.features**3 / 3


_COSTS = {"contrastive": _network, "consensus": _consensus, "ridge": _ridge, "pooled-ridge": _ridge}
