"""Which metric catches which cheat? Reconstructions that know too little, scored on synthetic clips.

The tables of docs/metrics.md are made here: `python -m brainreel.bench.cheats docs/metrics.md` writes them anew, and a
test compares what the page says with what is computed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from ..errors import UsageError
from ..metrics import DEFINITIONS, FACTS
from ..metrics.colour import hue_correlation
from ..metrics.consistency import frame_consistency
from ..metrics.facts import Fact
from ..metrics.identification import rank_own, similarity
from ..metrics.motion import aggregate_endpoint_error, endpoint_error, flow_scores, optical_flow
from ..metrics.motion_energy import motion_energy_correlation, motion_energy_statistics
from ..metrics.nway import n_way_accuracy
from ..metrics.pixels import aggregate_psnr, pixel_correlation, psnr
from ..metrics.ssim import ssim
from ..metrics.videos import MID_GREY, blurred, nearest_training_clip

CATEGORIES, PER_CATEGORY, TRAIN_PER_CATEGORY = 6, 2, 4
FRAMES, SIZE, FPS = 5, 128, 8
# Pixels down and right per frame: motion that the flow can follow.
STEPS = [(down, right) for down in (-2, 0, 2) for right in (-2, 0, 2) if down or right]
CAUGHT_BELOW = 0.5
CHEATS = ("still image", "time-reversed", "copied training clip", "category-only guess", "flat grey")
Scores = dict[str, float]


def clips(
    per_category: int, seed: int
) -> tuple[UInt8[np.ndarray, "clips frames height width 3"], Int[np.ndarray, " clips"]]:
    """Coloured textures that drift; those of a category share most of their texture and no motion.

    Clip i is of category i modulo `CATEGORIES`, so neighbours always differ in category.
    """
    rng = np.random.default_rng(seed)
    shared = [_texture(np.random.default_rng(1000 + category)) for category in range(CATEGORIES)]
    category = np.tile(np.arange(CATEGORIES), per_category)
    videos = np.empty((len(category), FRAMES, SIZE, SIZE, 3), np.uint8)
    for kind, into in zip(category, videos, strict=True):
        plane = 0.65 * shared[kind] + 0.35 * _texture(rng)
        step = np.array(STEPS[rng.integers(len(STEPS))])
        start = rng.integers(0, 16, 2)
        for frame in range(FRAMES):
            into[frame] = np.roll(plane, tuple(start + frame * step), axis=(0, 1))[:SIZE, :SIZE]
    return videos, category


def _texture(rng: np.random.Generator) -> Float[np.ndarray, "side side 3"]:
    side = 2 * SIZE
    away = np.minimum(np.arange(side), side - np.arange(side))
    low = np.exp(-(away[:, None] ** 2 + away**2) / (2 * 14.0**2))
    noise = rng.normal(size=(side, side, 3))
    smooth = np.fft.ifft2(np.fft.fft2(noise, axes=(0, 1)) * low[..., None], axes=(0, 1)).real
    smooth /= smooth.std()
    # Every texture has a tint of its own.
    return np.clip(128 + 45 * smooth + rng.normal(0, 25, 3), 0, 255)


def reconstructions() -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """Truth, the reconstructions by name, training clips, categories of truth and of training clips.

    «honest» is the truth blurred by 1.5 pixels, «mismatched» the honest reconstruction of another category's clip.
    """
    truth, category = clips(PER_CATEGORY, seed=1)
    train, train_category = clips(TRAIN_PER_CATEGORY, seed=2)
    honest = blurred(truth, 1.5)
    guess = np.array([np.flatnonzero(train_category == kind)[0] for kind in category])
    made = {
        "honest": honest,
        "mismatched": np.roll(honest, 1, axis=0),
        "still image": np.repeat(truth[:, FRAMES // 2][:, None], FRAMES, axis=1),
        "time-reversed": truth[:, ::-1],
        "copied training clip": train[nearest_training_clip(truth, train)],
        "category-only guess": train[guess],
        "flat grey": np.full_like(truth, MID_GREY),
    }
    return truth, made, train, category, train_category


def features(videos: np.ndarray) -> Float[np.ndarray, "clips frames dim"]:
    """A stand-in for an image encoder: each frame's 8×8 thumbnail with a constant, so that grey has a direction."""
    small = videos.reshape(*videos.shape[:2], 8, SIZE // 8, 8, SIZE // 8, 3).mean((3, 5))
    flat = small.reshape(*videos.shape[:2], -1) / 128 - 1
    return np.concatenate([flat, np.ones((*flat.shape[:2], 1))], axis=2)


def values() -> dict[str, Scores]:
    """metric · definition → reconstruction → mean score, in the metric's own direction and unit."""
    truth, made, train, category, train_category = reconstructions()
    seen = {name: features(videos) for name, videos in {**made, "truth": truth, "train": train}.items()}
    statistics = motion_energy_statistics(train, fps=FPS)
    means = {name: frames.mean(1) for name, frames in seen.items()}
    centre = means["train"].mean(0)
    centroids = np.stack([means["train"][train_category == kind].mean(0) for kind in range(CATEGORIES)])

    truth_flow = optical_flow(truth, fps=FPS)
    flows = {name: flow_scores(truth, videos, fps=FPS, truth_flow=truth_flow) for name, videos in made.items()}

    def logits(name: str) -> np.ndarray:
        return -np.square(means[name][:, None] - centroids).sum(2)

    def identified(name: str, *, within: bool = False) -> float:
        alike = similarity(means[name] - centre, means["truth"], centre=centre)
        return _mean(rank_own(alike, np.arange(len(truth)), block=category if within else None).two_way)

    columns: dict[str, Callable[[str], float]] = {
        "ssim · gaussian-rgb": lambda name: _mean(ssim(truth, made[name])),
        "ssim · published-uniform-rgb": lambda name: _mean(ssim(truth, made[name], definition="published-uniform-rgb")),
        "psnr · clip": lambda name: aggregate_psnr(psnr(truth, made[name])),
        "pixel_correlation · frame-mean": lambda name: _mean(
            pixel_correlation(truth, made[name], definition="frame-mean")
        ),
        "hue_correlation · chroma-weighted": lambda name: _mean(hue_correlation(truth, made[name])),
        "endpoint_error · relative": lambda name: aggregate_endpoint_error(flows[name]),
        "endpoint_error · published-farneback": lambda name: _mean(
            endpoint_error(truth, made[name], definition="published-farneback")
        ),
        "direction_agreement · mean-flow": lambda name: _mean(flows[name].direction),
        "motion_energy_correlation · pymoten-96": lambda name: _mean(
            motion_energy_correlation(truth, made[name], training=statistics, fps=FPS)
        ),
        "frame_consistency · matched": lambda name: _mean(frame_consistency(seen["truth"], seen[name])),
        "frame_consistency · published-all-pairs": lambda name: _mean(
            frame_consistency(seen["truth"], seen[name], definition="published-all-pairs")
        ),
        "n_way_accuracy · exact": lambda name: _mean(n_way_accuracy(logits("truth"), logits(name), n=2, k=1)),
        "n_way_accuracy · published-top3": lambda name: _mean(
            n_way_accuracy(logits("truth"), logits(name), n=2, k=1, definition="published-top3")
        ),
        "two_way_identification · centred-cosine": identified,
        "two_way_identification, within the category": lambda name: identified(name, within=True),
    }
    return {column: {name: score(name) for name in made} for column, score in columns.items()}


def shares(found: dict[str, Scores]) -> dict[str, Scores]:
    """How far each cheat gets from «mismatched» (0) to «honest» (1); NaN where it has no score.

    The published frame consistency ranks a mismatched clip as high as an honest one: there 0 is «mismatched» and 1 the
    largest value the metric has, so that beating the honest one still shows.
    """
    out: dict[str, Scores] = {}
    for column, scores in found.items():
        low, high = scores["mismatched"], scores["honest"]
        if column == "frame_consistency · published-all-pairs":
            high = 1.0
        out[column] = {cheat: (scores[cheat] - low) / (high - low) for cheat in CHEATS}
    return out


def caught(share: float) -> bool:
    """Whether a share tells the cheat from an honest reconstruction; an undefined score does, since it is counted."""
    return not share >= CAUGHT_BELOW


def cheat_table(found: dict[str, Scores]) -> str:
    """The table of docs/metrics.md: «caught» or «passes» with the share."""
    lines = ["| metric | " + " | ".join(CHEATS) + " |", "|---" * (len(CHEATS) + 1) + "|"]
    for column, row in shares(found).items():
        cells = [f"{'caught' if caught(row[cheat]) else '**passes**'} {_number(row[cheat])}" for cheat in CHEATS]
        lines.append(f"| {column} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def fact_table() -> str:
    """Every metric and definition with direction, range, unit and chance."""
    lines = ["| metric | definition | better | range | unit | chance | what it is |", "|---" * 7 + "|"]
    for metric, definitions in DEFINITIONS.items():
        for name, sentence in definitions.items():
            fact = FACTS[metric][name]
            low, high = (_end(end) for end in fact.range)
            lines.append(
                f"| `{metric}` | `{name}` | {fact.direction} | {low} … {high} | {fact.unit} | {_chance(fact)} "
                f"| {sentence.replace('|', chr(92) + '|')} |"
            )
    return "\n".join(lines)


def _chance(fact: Fact) -> str:
    if fact.chance is None:
        return "–"
    if not callable(fact.chance):
        return f"{fact.chance:g}"
    if fact.unit == "rank":
        return "(N + 1)/2; top-k: k/N"
    return "1 − C(n−1, k)/C(n+2, k)" if fact.published else "k/n"


def _end(value: float) -> str:
    return f"{value:g}".replace("inf", "∞").replace("-", "−")


def _number(share: float) -> str:
    return "(undefined)" if np.isnan(share) else f"({min(max(share, 0.0), 1.0):.2f})"


def _mean(values: Float[np.ndarray, " clips"]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def replace_between(page: str, name: str, content: str) -> str:
    """A page with what stands between ``<!-- name -->`` and ``<!-- /name -->`` replaced."""
    start, stop = f"<!-- {name} -->", f"<!-- /{name} -->"
    if start not in page or stop not in page:
        raise UsageError(f"the page has no {start} … {stop}", do="put both markers where the table belongs")
    return page[: page.index(start) + len(start)] + "\n" + content + "\n" + page[page.index(stop) :]


def main(page: Path) -> None:
    """Write both tables into the page."""
    text = replace_between(page.read_text(), "facts", fact_table())
    page.write_text(replace_between(text, "cheats", cheat_table(values())))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
