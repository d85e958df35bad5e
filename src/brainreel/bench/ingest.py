"""How long one person of BOLD Moments takes from the release's pickles to a store, and how much memory.

The floor is merely unpickling the same two files with numpy. Both run in a process of their own, one after the other,
on files that the system still has in memory, so that the disk's speed is in neither. Checksums (of the files that were
read and of the store's) are timed apart: unpickling has none.
"""

from __future__ import annotations

import json
import pickle
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from ..datasets import DATASETS
from ..datasets import bmd_files as files
from ..datasets.parcels import GRAYORDINATES, MAP
from ..datasets.protocol import TwinCard
from ..files import write_json
from .apart import in_a_process, timed, timed_ingest

# The docs quote all 1,102 (`--clips 1102`), 3 GB of pickles; so few take seconds.
CLIPS = 110
_SUBJECT = "sub-01"


def run(*, clips: int = CLIPS, grayordinates: int = GRAYORDINATES) -> dict[str, Any]:
    """Write pickles of noise in the release's layout and types, read them, and print a table.

    Args:
        clips: Of which about a tenth are test clips, as in the release.
        grayordinates: Values of a trial; the release has 91,282, and other numbers bring a map of their own.

    Returns:
        `clips`, `bytes` of the pickles; `ingest` and `unpickle`, each with `seconds` and `peak_memory_mib`;
        `checksum_seconds`, which are not in `ingest`'s; and the `ratio` of both times.
    """
    facts = DATASETS["bmd"].facts
    test = max(1, round(clips * 102 / 1102))
    shapes = {
        role: (n, facts.repetitions[role], grayordinates) for role, n in (("train", clips - test), ("test", test))
    }
    with tempfile.TemporaryDirectory(prefix="brainreel-bench-") as place:
        root = Path(place)
        # Not here: see `in_a_process`.
        _measured("write", str(root / "release"), json.dumps(shapes))
        paths = [files.betas_path(root / "release", MAP, _SUBJECT, role) for role in shapes]
        unpickle = _measured("unpickle", *map(str, paths))
        ingest = _measured("ingest", str(root / "release"), str(root / "store"))
        result = {
            "clips": clips,
            "grayordinates": grayordinates,
            "bytes": sum(path.stat().st_size for path in paths),
            "unpickle": unpickle,
            "checksum_seconds": ingest.pop("checksum_seconds"),
            "ingest": ingest,
        }
    result["ratio"] = result["ingest"]["seconds"] / unpickle["seconds"]
    _print(result)
    return result


def _write(release: Path, shapes: dict[str, list[int]]) -> None:
    from ..datasets.twin_cortex import TwinCortex

    told, first = {}, {"train": 1, "test": 1001}
    rng = np.random.default_rng(0)
    for role, shape in shapes.items():
        numbers = [f"{first[role] + k:04d}" for k in range(shape[0])]
        told.update({number: {"set": role, "text_descriptions": [f"clip {number}"]} for number in numbers})
        path = files.betas_path(release, MAP, _SUBJECT, role)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            pickle.dump((rng.standard_normal(shape), [files.clip_name(n) for n in numbers]), stream, protocol=5)
    write_json(files.annotations_path(release), told)
    differs: dict[str, object] = {"subjects": 1, "clips": len(told)}
    if (cortex := TwinCortex.grow("tiny")) and len(cortex) == shapes["train"][2]:
        cortex.write_map(release)
        differs["spaces"] = {MAP: len(cortex)}
    TwinCard(simulated=True, dataset="bmd", size="full", seed=0, differs=differs).write(release)


def _measured(*arguments: str) -> dict[str, float]:
    return in_a_process("brainreel.bench.ingest", *arguments)


def _child(what: str, *arguments: str) -> dict[str, float]:
    if what == "write":
        return timed(lambda: _write(Path(arguments[0]), json.loads(arguments[1])))
    if what == "unpickle":
        return timed(lambda: _unpickle(arguments))
    return timed_ingest("bmd", *arguments)


def _unpickle(paths: tuple[str, ...]) -> None:
    for path in paths:
        with Path(path).open("rb") as stream:
            found = pickle.load(stream)
        # One is gone before the next comes.
        del found


def _print(result: dict[str, Any]) -> None:
    table = Table(
        title=f"One person of BOLD Moments, {result['clips']} clips, {result['bytes'] / 1e9:.2f} GB of pickles"
    )
    for column in ("", "seconds", "peak memory, MiB"):
        table.add_column(column, justify="left" if not column else "right")
    for name in ("unpickle", "ingest"):
        table.add_row(name, f"{result[name]['seconds']:.2f}", f"{result[name]['peak_memory_mib']:.0f}")
    table.add_row("checksums", f"{result['checksum_seconds']:.2f}", "")
    console = Console()
    console.print(table)
    console.print(f"Ingest without checksums takes {result['ratio']:.2f} times as long as unpickling with numpy.")


if __name__ == "__main__":
    print(json.dumps(_child(*sys.argv[1:])))
