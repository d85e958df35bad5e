"""Which reconstruction belongs to which truth, and how it is brought to the truth's size and frame times.

Only here is anything resampled, and only the reconstruction (and training clips, for the null videos): to the
truth's size with Pillow's bicubic, which filters before it shrinks, and to the truth's frame times by the nearest
frame, the earlier on ties.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from brainreel.errors import SourceError, UsageError
from brainreel.evaluate.score_sources import Looked, Source
from brainreel.video import Format, Grid, Rate, Times, even_times, nearest_frames

# Clips differ in length by less than this, or they do not show the same.
LONGEST_STRAY = 0.1


def pair_up(truth: Source, recon: Source) -> Int[np.ndarray, " clips"]:
    """Which clip of `recon` belongs to each clip of `truth`: the one of its name; row by row where one has no names.

    Raises:
        SourceError: Different numbers of clips, or a name that only one of the two has.
    """
    if truth.named and recon.named:
        for one, other in ((truth, recon), (recon, truth)):
            lonely = sorted(set(one.names) - set(other.names))
            if lonely:
                some = ", ".join(lonely[:3]) + (" …" if len(lonely) > 3 else "")
                raise SourceError(
                    f"{len(lonely)} of {len(one)} clips of {one.where} are not in {other.where} ({some})",
                    expected="the same names in both",
                )
        place = {name: index for index, name in enumerate(recon.names)}
        return np.array([place[name] for name in truth.names])
    if len(truth) != len(recon):
        raise SourceError(
            f"{truth.where} has {len(truth)} clips and {recon.where} {len(recon)}", expected="equally many"
        )
    return np.arange(len(truth))


def grid_for(truth: Looked, recon: Looked, names: tuple[str, str]) -> Grid:
    """What a reconstruction is resampled to.

    Where neither rate is known, or only one, frames are paired one by one, and have to be equally many.

    Raises:
        SourceError: They last differently long, or equal numbers are needed and not there.
    """
    size = truth.format.height, truth.format.width
    if truth.times_s is None or recon.times_s is None:
        if truth.format.frames != recon.format.frames:
            raise SourceError(
                f"{names[0]} has {truth.format.frames} frames and {names[1]} {recon.format.frames}",
                expected="equally many where a rate is not known",
                do="give --fps (and --recon-fps, if the reconstruction's differs)",
            )
        return Grid(*size, None)
    check_durations(truth.format, recon.format, names)
    same = len(truth.times_s) == len(recon.times_s) and np.allclose(truth.times_s, recon.times_s, rtol=0, atol=1e-3)
    return Grid(*size, None if same else truth.times_s)


def check_durations(truth: Format, recon: Format, names: tuple[str, str]) -> None:
    """Refuse lengths that differ by more than a frame of the slower one, or a tenth.

    Raises:
        SourceError: They do.
    """
    assert truth.duration_s is not None
    assert recon.duration_s is not None
    slower = max(truth.duration_s / truth.frames, recon.duration_s / recon.frames)
    allowed = min(slower, LONGEST_STRAY * truth.duration_s) + 1e-3
    if abs(truth.duration_s - recon.duration_s) > allowed:
        raise SourceError(
            f"{names[0]} lasts {truth.duration_s:.3g} s and {names[1]} {recon.duration_s:.3g} s "
            f"({truth.frames} and {recon.frames} frames)",
            expected=f"the same, to {allowed:.3g} s",
            do="cut them alike, or say the right --fps and --recon-fps",
        )


def length_groups(looked: Sequence[Looked]) -> Int[np.ndarray, " clips"]:
    """A number that clips of one length share: only these are set against each other in controls.

    If a clip of 2 s met one of 3 s, a still last second would tell the two apart whatever they show, and every wrong pair
    would be easier to tell from a right one. A group ends where the next longer clip is more than a tenth longer. Clips
    of unknown length are a group.
    """
    lasts = np.array([each.format.duration_s or np.nan for each in looked], dtype=float)
    order = np.argsort(lasts, kind="stable")
    known = lasts[order]
    with np.errstate(invalid="ignore"):
        begins = known[1:] > (1 + LONGEST_STRAY) * known[:-1]
    label = np.concatenate([[0], np.cumsum(begins | (np.isnan(known[1:]) & ~np.isnan(known[:-1])))])
    groups = np.empty(len(lasts), dtype=np.int64)
    groups[order] = label[: len(lasts)]
    return groups


def frames_at(looked: Looked, rate: Rate) -> Int[np.ndarray, " times"] | None:
    """Which frames of a clip are shown at the times of a constant rate; None where its own is not known."""
    if looked.times_s is None or looked.format.duration_s is None:
        return None
    wanted: Times = even_times(max(1, round(looked.format.duration_s * rate)), rate)
    return nearest_frames(looked.times_s, wanted)


def resampling(truth: Source, recon: Source, which: Int[np.ndarray, " clips"], strategy: str) -> list[dict[str, Any]]:
    """What was done to the reconstructions, for each group of clips that are alike on both sides."""
    groups: Counter[tuple[Format, Format, bool]] = Counter()
    for index, other in enumerate(which):
        true, made = truth.look(index), recon.look(int(other))
        grid = grid_for(true, made, (truth.called(index), recon.called(int(other))))
        groups[true.format, made.format, grid.times_s is None] += 1
    return [
        {
            "strategy": strategy,
            "clips": clips,
            "truth": _described(true),
            "reconstruction": _described(made),
            "spatial": "none"
            if true[1:3] == made[1:3]
            else f"Pillow BICUBIC with antialiasing, {made.height}×{made.width} → {true.height}×{true.width}",
            "temporal": "none"
            if one_by_one
            else f"nearest frame to the truth's times, the earlier on ties, {made.frames} → {true.frames} frames",
        }
        for (true, made, one_by_one), clips in groups.items()
    ]


def check_methods(names: tuple[str, ...]) -> None:
    """Refuse two methods of one name, which no table could tell apart."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UsageError(f"two methods named {twice[0]}", expected="different names", do="give --recon NAME=PATH")


def _described(what: Format) -> dict[str, Any]:
    known = what.fps is not None and what.duration_s is not None
    return {
        "frames": what.frames,
        "height": what.height,
        "width": what.width,
        "fps": round(what.fps, 6) if what.fps is not None else None,
        "duration_s": round(what.duration_s, 6) if known and what.duration_s is not None else None,
    }
