"""How long one person of CC2017 takes from the release's CIFTI files to a store, and how much memory.

The floor is merely reading the same files with nibabel. As in `bench.ingest`, every measurement has a process of its own,
on files that the system still has in memory, and checksums are timed apart.
"""

from __future__ import annotations

import json
import sys
import tempfile
from itertools import accumulate
from pathlib import Path
from typing import Any, cast

import numpy as np
from rich.console import Console
from rich.table import Table

from ..datasets import DATASETS
from ..datasets import cc2017_files as files
from ..datasets.parcels import MAP
from ..datasets.protocol import Facts, Size, TwinCard
from ..datasets.twin_cortex import TwinCortex
from ..video import write_video
from .apart import in_a_process, timed, timed_ingest

# The docs quote all 86, 7.7 GB; so few take seconds.
RUNS = 4
SPACES = ("fsLR32k/group41", f"{MAP}/cortex")
_SUBJECT = "subject1"


def run(*, runs: int = RUNS, size: Size = "full") -> dict[str, Any]:
    """Write runs of noise in the release's layout and types, read them, and print a table.

    Args:
        runs: Files, of the training movies (two each) and then of the test movies (ten each); at least so many.
        size: Of the brain: `full` has 91,282 grayordinates, the others are those of the twins.

    Returns:
        `runs`, `bytes` of the files; `nibabel`, with `seconds` and `peak_memory_mib`; `ingest`, by space, with the same,
        `checksum_seconds` (not among the seconds) and the `ratio` of the seconds to nibabel's.
    """
    with tempfile.TemporaryDirectory(prefix="brainreel-bench-") as place:
        root = Path(place)
        _measured("write", str(root / "release"), str(runs), size)
        paths = sorted((root / "release").rglob("*.dtseries.nii"))
        result: dict[str, Any] = {
            "runs": len(paths),
            "bytes": sum(path.stat().st_size for path in paths),
            "nibabel": _measured("nibabel", *map(str, paths)),
            "ingest": {
                space: _measured("ingest", str(root / "release"), str(root / f"store-{k}"), space)
                for k, space in enumerate(SPACES)
            },
        }
    for found in result["ingest"].values():
        found["ratio"] = found["seconds"] / result["nibabel"]["seconds"]
    _print(result)
    return result


def _measured(*arguments: str) -> dict[str, float]:
    return in_a_process("brainreel.bench.ingest_cc2017", *arguments)


def _child(what: str, *arguments: str) -> dict[str, float]:
    if what == "write":
        return timed(lambda: _write(Path(arguments[0]), int(arguments[1]), cast(Size, arguments[2])))
    if what == "nibabel":
        return timed(lambda: _read(arguments))
    source, store, space = arguments
    return timed_ingest("cc2017", source, store, space=space)


def _read(paths: tuple[str, ...]) -> None:
    import nibabel

    for path in paths:
        image: Any = nibabel.load(path)
        image.get_fdata(dtype=np.float32, caching="unchanged")


def _shown(facts: Facts, runs: int) -> dict[str, int]:
    """The first movies whose presentations are together at least so many, and the volumes of their runs."""
    movies = list(facts.run_volumes)
    together = list(accumulate(facts.repetitions[files.role_of(movie)] for movie in movies))
    few = movies[: 1 + sum(count < runs for count in together)]
    return {movie: facts.run_volumes[movie] for movie in few}


def _write(release: Path, runs: int, size: Size) -> None:
    import nibabel
    from nibabel.cifti2 import cifti2_axes

    facts = DATASETS["cc2017"].facts
    cortex = TwinCortex.grow(size)
    shown = _shown(facts, runs)
    spaces = {MAP: len(cortex)}
    differs: dict[str, object] = {"subjects": 1, "run_volumes": shown, "spaces": {**facts.spaces, **spaces}}
    TwinCard(simulated=True, dataset="cc2017", size=size, seed=0, differs=differs).write(release)
    if size != "full":
        cortex.write_map(release)
    root, rng = release / files.TOP, np.random.default_rng(0)
    for movie, volumes in shown.items():
        # Ingest looks how long a movie is, and never decodes it.
        still = np.zeros((int(files.clip_count(movie, volumes) * files.CLIP_S), 16, 16, 3), np.uint8)
        write_video(files.movie_path(root / "stimuli", movie), still, fps=1.0)
    for which in files.runs_of(_SUBJECT, facts.model_copy(update={"run_volumes": shown})):
        path = files.cifti_path(root, which)
        path.parent.mkdir(parents=True, exist_ok=True)
        bold = rng.standard_normal((which.volumes, len(cortex)), dtype=np.float32)
        header = (cifti2_axes.SeriesAxis(0, 1.0, len(bold), "SECOND"), cortex.brain_models())
        image: Any = nibabel.Cifti2Image(bold, header=header)
        image.nifti_header.set_intent("NIFTI_INTENT_CONNECTIVITY_DENSE_SERIES")
        nibabel.save(image, path)


def _print(result: dict[str, Any]) -> None:
    table = Table(title=f"One person of CC2017, {result['runs']} runs, {result['bytes'] / 1e9:.2f} GB")
    for column in ("", "seconds", "checksums, s", "peak memory, MiB", "times nibabel"):
        table.add_column(column, justify="left" if not column else "right")
    plain = result["nibabel"]
    table.add_row("nibabel reads", f"{plain['seconds']:.2f}", "", f"{plain['peak_memory_mib']:.0f}", "1")
    for space, row in result["ingest"].items():
        numbers = (f"{row['seconds']:.2f}", f"{row['checksum_seconds']:.2f}", f"{row['peak_memory_mib']:.0f}")
        table.add_row(f"ingest, {space}", *numbers, f"{row['ratio']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    print(json.dumps(_child(*sys.argv[1:])))
