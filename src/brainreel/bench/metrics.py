"""How fast the metrics are, beside scikit-image and the loops that published code uses.

`run()` is what `brainreel bench metrics` prints and writes; its sizes are those of a real test set, scaled to
what fits a coffee break. Both sides of a ratio are timed on the same arrays, and must agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, UInt8
from rich.console import Console
from rich.table import Table

from ..errors import UsageError
from ..memory import peak_memory_mib
from ..metrics.colour import hue_correlation
from ..metrics.nway import n_way_accuracy
from ..metrics.pixels import pixel_correlation, psnr
from ..metrics.ssim import ssim
from .test_set import measure_test_set

PAIRS, FRAMES, SIZE = 24, 8, 256
# The docs quote 1,200 clips (`--clips 1200`), which take minutes; so few take seconds.
TEST_SET_CLIPS = 24
CLIPS, CLASSES = 200, 1000
REPEATS = 3


class Seconds(NamedTuple):
    """On a busy machine the processor time, divided by the cores, is what an idle one would take."""

    wall: float
    processor: float


class Timing(NamedTuple):
    """What all clips take us and the rival, and by how much the values differ at most."""

    name: str
    rival: str
    ours: Seconds
    theirs: Seconds
    difference: float


def run(*, pairs: int = PAIRS, size: int = SIZE, clips: int = TEST_SET_CLIPS, train: int | None = None) -> dict:
    """Time every metric; a table on stdout, and the same as a JSON-able dict.

    Args:
        pairs: Videos of 8 frames to score; the rivals see as many as they manage in a few seconds.
        size: Their height and width.
        clips: Clips of 6 frames of the test set that is scored as `brainreel score` does.
        train: Training clips of that test set; a fifth of `clips`, at least 24, unless given.

    Returns:
        `timings` (seconds of ours and the rival's, ratio of the processor times, largest difference),
        `pixel_metrics` (SSIM, PSNR, hue and pixel correlation of all pairs), `test_set` (see `measure_test_set`) and
        `peak_memory_mib` of the process.

    Raises:
        UsageError: scikit-image (the extra `dev`), OpenCV or pymoten (`flow`) is missing.
    """
    truth, recon = _videos(pairs, FRAMES, size)
    pixels = _video_timings(truth, recon)
    result = {
        "pairs": pairs,
        "frames": FRAMES,
        "size": size,
        "timings": [_row(timing) for timing in (*pixels, *_n_way_timings())],
        "pixel_metrics": _sum(timing.ours for timing in pixels)._asdict(),
        "test_set": measure_test_set(clips, size, max(24, clips // 5) if train is None else train),
        "peak_memory_mib": peak_memory_mib(),
    }
    _print(result)
    return result


def _video_timings(
    truth: UInt8[np.ndarray, "clips frames h w 3"], recon: UInt8[np.ndarray, "clips frames h w 3"]
) -> list[Timing]:
    try:
        from skimage.color import rgb2hsv
        from skimage.metrics import peak_signal_noise_ratio, structural_similarity
    except ImportError as error:
        raise UsageError(
            "scikit-image is not installed", expected="the extra `dev`", do="pip install 'brainreel[dev]'"
        ) from error

    def ssim_of(t, r):
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
        return np.mean([structural_similarity(a, b, channel_axis=-1, **options) for a, b in zip(t, r, strict=True)])

    def hue_of(t, r):
        values = []
        for a, b in zip(t, r, strict=True):
            (ha, sa, va), (hb, sb, vb) = (np.moveaxis(rgb2hsv(frame), -1, 0) for frame in (a, b))
            weight = sa * va * sb * vb
            values.append((weight * np.cos(2 * np.pi * (ha - hb))).sum() / weight.sum())
        return np.mean(values)

    rivals: list[tuple[str, Callable, str, Callable]] = [
        ("ssim", ssim, "scikit-image", ssim_of),
        ("psnr", psnr, "scikit-image", lambda t, r: peak_signal_noise_ratio(t, r, data_range=255)),
        ("hue_correlation", hue_correlation, "scikit-image and numpy", hue_of),
        (
            "pixel_correlation",
            pixel_correlation,
            "numpy.corrcoef",
            lambda t, r: np.corrcoef(t.ravel(), r.ravel())[0, 1],
        ),
    ]
    return [_compare(name, ours, rival, loop, truth, recon) for name, ours, rival, loop in rivals]


def _compare(name: str, ours: Callable, rival: str, loop: Callable, truth: np.ndarray, recon: np.ndarray) -> Timing:
    some = min(4, len(truth))

    def theirs() -> np.ndarray:
        return np.array([loop(t, r) for t, r in zip(truth[:some], recon[:some], strict=True)])

    difference = float(np.abs(ours(truth[:some], recon[:some]) - theirs()).max())
    rival_seconds = _scaled(_seconds(theirs, repeats=1), len(truth) / some)
    return Timing(name, rival, _seconds(lambda: ours(truth, recon)), rival_seconds, difference)


def _n_way_timings() -> list[Timing]:
    rng = np.random.default_rng(0)
    truth, recon = rng.normal(size=(2, CLIPS, CLASSES)).astype(np.float32)
    recon += truth
    timings = []
    for definition, truth_classes in (("exact", 1), ("published-top3", 3)):
        closed = partial(n_way_accuracy, truth, recon, n=50, k=1, definition=definition)
        sampled = partial(_monte_carlo, truth, recon, n=50, k=1, truth_classes=truth_classes)
        difference = float(abs(closed().mean() - sampled().mean()))
        ours, theirs = _seconds(closed, repeats=20), _seconds(sampled, repeats=1)
        timings.append(Timing(f"n_way_accuracy {definition}", "100 draws", ours, theirs, difference))
    return timings


def _monte_carlo(
    truth: Float32[np.ndarray, "clips classes"],
    recon: Float32[np.ndarray, "clips classes"],
    *,
    n: int,
    k: int,
    truth_classes: int,
    trials: int = 100,
) -> Float[np.ndarray, " clips"]:
    """The loop that the closed form replaces: draw the distractors, rank, count."""
    rng = np.random.default_rng(0)
    accuracy = np.empty(len(truth))
    for clip, (t, r) in enumerate(zip(truth, recon, strict=True)):
        mine = np.argsort(-t)[:truth_classes]
        others = np.delete(r, mine)
        drawn = np.stack([rng.permutation(others)[: n - 1] for _ in range(trials)])
        accuracy[clip] = ((drawn >= r[mine].max()).sum(axis=1) < k).mean()
    return accuracy


def _videos(clips: int, frames: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise that drifts, and itself under other noise: no metric is quicker on it than on a real clip."""
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 256, (clips, size, size + frames, 3), dtype=np.uint8)
    truth = np.stack([wide[:, :, f : f + size] for f in range(frames)], axis=1)
    recon = truth // 2 + rng.integers(0, 128, truth.shape, dtype=np.uint8)
    return truth, recon


def _seconds(call: Callable[[], object], repeats: int = REPEATS) -> Seconds:
    """The best of a few: other processes can only slow it down."""
    walls, processors = [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        call()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return Seconds(min(walls), min(processors))


def _scaled(seconds: Seconds, factor: float) -> Seconds:
    return Seconds(seconds.wall * factor, seconds.processor * factor)


def _sum(parts: Iterable[Seconds]) -> Seconds:
    walls, processors = zip(*parts, strict=True)
    return Seconds(sum(walls), sum(processors))


def _row(timing: Timing) -> dict:
    return {
        "name": timing.name,
        "rival": timing.rival,
        "ours": timing.ours._asdict(),
        "theirs": timing.theirs._asdict(),
        "ratio": timing.theirs.processor / timing.ours.processor,
        "difference": timing.difference,
    }


def _print(result: dict) -> None:
    console = Console()
    table = Table(title=f"{result['pairs']} pairs of {result['frames']} frames at {result['size']}², seconds")
    for column in ("metric", "wall", "processor", "rival", "its processor", "ratio", "difference"):
        table.add_column(column, justify="left" if column in ("metric", "rival") else "right")
    for row in result["timings"]:
        ours = (f"{row['ours'][clock]:.4f}" for clock in Seconds._fields)
        theirs = f"{row['theirs']['processor']:.3f}"
        table.add_row(row["name"], *ours, row["rival"], theirs, f"{row['ratio']:.0f}", f"{row['difference']:.0e}")
    console.print(table)
    together = result["pixel_metrics"]
    console.print(
        f"SSIM, PSNR, hue and pixel correlation of all pairs: {together['wall']:.2f} s wall, "
        f"{together['processor']:.2f} s processor"
    )
    whole = result["test_set"]
    console.print(
        f"A test set of {whole['clips']} clips of {whole['frames']} frames at {whole['size']}², {whole['train']} training "
        f"clips, {whole['wrong_pairs']} wrong pairs, null videos of {whole['null_clips']} clips: "
        f"{whole['seconds']['wall']:.1f} s wall, {whole['seconds']['processor']:.1f} s processor; "
        f"{whole['ratio']:.2f} times the {whole['floor_s']:.1f} s of Farneback's flow of its clips"
    )
    console.print(f"Peak memory of the process: {result['peak_memory_mib']:.0f} MiB")
