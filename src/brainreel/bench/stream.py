"""How fast stage 1 trains on responses that are read from disk, and how fast with all of them in memory.

Both train the same network on the same store of noise, each in a process of its own, in turns. The spool's pages are
dropped from the system's cache before they are read (where the system allows it), so that the disk is in the streamed
rate. The floor is what the disk alone allows: the bytes of a batch at the rate at which one file is read.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from ..align.budget import parse_bytes
from ..align.budget import size as told
from ..memory import peak_memory_mib
from ..store import Manifest, StoreWriter

VERTICES = 13_156
# Processes of each kind; the fastest counts.
REPEATS = 2
_DIM, _WARM = 64, 2
_MODES = ("memory", "stream")


def run(
    *,
    clips: int = 2048,
    vertices: int = VERTICES,
    subjects: int = 4,
    batch: int = 512,
    memory_budget: str | None = None,
    steps: int = 16,
    latent: int = 512,
) -> dict[str, Any]:
    """Write a store of noise, train on it in memory and streamed, and print a table.

    Args:
        clips: That everybody sees once.
        vertices: Of everybody.
        subjects: How many people.
        batch: Trials of a step: everybody's of ``batch / subjects`` clips.
        memory_budget: Of the streamed training; default: a quarter of the responses, at least three batches.
        steps: Timed ones; two before them are for warming up.
        latent: Width of the adapters; the smaller, the faster a step, and the harder for the disk.

    Returns:
        The sizes; `memory` and `stream`, each with `steps_per_s`, `prepare_s` (reading the store, and spooling) and
        `peak_memory_mib` above the empty process; their `ratio`; `disk_bytes_per_s` and `floor_s`, of a batch;
        `cold`, whether pages were dropped.
    """
    row = 4 * vertices
    responses = clips * subjects * row
    budget = memory_budget or str(max(responses // 4, 3 * batch * row))
    with tempfile.TemporaryDirectory(prefix="brainreel-bench-") as place:
        root = Path(place)
        _write(root / "store", clips, vertices, subjects)
        asked = {
            "clips_per_batch": batch // subjects,
            "steps": steps + _WARM + 1,
            "latent": latent,
            "budget": budget,
        }
        found: dict[str, list[dict[str, float]]] = {mode: [] for mode in _MODES}
        for _ in range(REPEATS):
            for mode in _MODES:
                found[mode].append(_measured(mode, str(root), json.dumps(asked)))
        disk = _measured("disk", str(root), json.dumps({"bytes": min(responses, 1 << 28)}))
    result: dict[str, Any] = {
        "clips": clips,
        "subjects": subjects,
        "vertices": vertices,
        "batch": batch,
        "latent": latent,
        "response_bytes": responses,
        "batch_bytes": batch * row,
        "memory_budget": budget,
        "cold": hasattr(os, "posix_fadvise"),
    }
    for mode in _MODES:
        best = max(found[mode], key=lambda one: one["steps_per_s"])
        result[mode] = {**best, "peak_memory_mib": min(one["peak_memory_mib"] for one in found[mode])}
    result["ratio"] = result["stream"]["steps_per_s"] / result["memory"]["steps_per_s"]
    result["disk_bytes_per_s"] = disk["bytes_per_s"]
    result["floor_s"] = result["batch_bytes"] / disk["bytes_per_s"]
    _print(result)
    return result


def _write(path: Path, clips: int, vertices: int, subjects: int) -> None:
    noise = np.random.default_rng(0)
    names = [f"clip-{index:06d}" for index in range(clips)]
    facts = {"name": "noise", "title": "noise", "licence": "none", "citation": "none", "responses": "noise"}
    with StoreWriter(path, Manifest.model_validate({**facts, "kind": "event", "simulated": True})) as writer:
        writer.add_space("noise", np.arange(vertices), ["all"] * vertices)
        tables = []
        for index in range(subjects):
            who = f"sub-{index:02d}"
            values = noise.standard_normal((clips, vertices), np.float32).astype(np.float16)
            writer.add_responses(who, values, space="noise")
            shown = [names[k] for k in noise.permutation(clips)]
            tables.append(pd.DataFrame({"subject": who, "session": "1", "run": "1", "clip_id": shown}))
        writer.write_clips(pd.DataFrame({"clip_id": names, "duration_s": 3.0}))
        writer.write_trials(pd.concat(tables, ignore_index=True).assign(repetition=1, onset_s=0.0, duration_s=3.0))


def _measured(what: str, *arguments: str) -> dict[str, float]:
    """Run `_child` in a fresh process: a process's peak memory never falls again."""
    command = [sys.executable, "-m", "brainreel.bench.stream", what, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _child(what: str, place: str, settings: str) -> dict[str, float]:
    asked = json.loads(settings)
    return _disk(Path(place), asked["bytes"]) if what == "disk" else _train(what, Path(place), asked)


def _train(mode: str, root: Path, asked: dict[str, Any]) -> dict[str, float]:
    from ..align import contrastive, spool
    from ..align.aligner import Aligner
    from ..align.config import AlignConfig
    from ..store import Store
    from ..store.targets import Targets

    store = Store(root / "store")
    values = np.random.default_rng(1).standard_normal((len(store.clips), _DIM)).astype(np.float32)
    config = AlignConfig.model_validate(
        {
            "memory_budget": asked["budget"] if mode == "stream" else None,
            "contrastive": {key: asked[key] for key in ("clips_per_batch", "steps", "latent")} | {"refit": False},
        }
    )
    times: list[float] = []
    supplied = contrastive.supply

    @contextmanager
    def timed(*arguments: Any) -> Iterator[tuple[Callable[[int], Any], Any]]:
        with supplied(*arguments) as (batch, weights):

            def one(step: int) -> Any:
                times.append(time.perf_counter())
                return batch(step)

            yield one, weights

    read = spool.Spooled.read

    def cold(self: Any, trials: slice, out: Any = None) -> Any:
        row = 4 * self.features
        _drop(self.path, row * trials.start, row * (trials.stop - trials.start))
        return read(self, trials, out)

    targets = [Targets("noise", values, [], values[:0])]
    empty, begun = peak_memory_mib(), time.perf_counter()
    with patch.object(contrastive, "supply", timed), patch.object(spool.Spooled, "read", cold):
        Aligner(config, device="cpu").fit([store], targets=targets, folder=root / mode)
    return {
        # The last step's end is not known: its beginning closes the one before.
        "steps_per_s": (len(times) - 1 - _WARM) / (times[-1] - times[_WARM]),
        "prepare_s": times[0] - begun,
        "peak_memory_mib": peak_memory_mib() - empty,
    }


def _disk(root: Path, count: int) -> dict[str, float]:
    path, chunk = root / "disk", os.urandom(1 << 22)
    with path.open("wb") as file:
        for _ in range(max(1, count // len(chunk))):
            file.write(chunk)
    _drop(path, 0, 0)
    begun, total = time.perf_counter(), 0
    with path.open("rb", buffering=0) as file:
        while found := file.readinto(memoryview(bytearray(len(chunk)))):
            total += found
    return {"bytes_per_s": total / (time.perf_counter() - begun)}


def _drop(path: Path, start: int, length: int) -> None:
    """Let the system forget a stretch of a file that it keeps in memory."""
    if not hasattr(os, "posix_fadvise"):
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        # Only what is on the disk can be dropped.
        os.fdatasync(handle)
        os.posix_fadvise(handle, start, length, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


def _print(result: dict[str, Any]) -> None:
    table = Table(
        title=f"Batches of {result['batch']} × {result['vertices']} of {told(result['response_bytes'])}, "
        f"budget {told(parse_bytes(result['memory_budget']))}"
    )
    for column in ("", "steps a second", "before the first, s", "peak memory, MiB"):
        table.add_column(column, justify="left" if not column else "right")
    for mode, name in zip(_MODES, ("in memory", "streamed"), strict=True):
        found = result[mode]
        table.add_row(
            name, f"{found['steps_per_s']:.2f}", f"{found['prepare_s']:.1f}", f"{found['peak_memory_mib']:.0f}"
        )
    table.add_row("disk alone", f"{1 / result['floor_s']:.2f}", "", "")
    console = Console()
    console.print(table)
    console.print(
        f"Streamed training takes {result['ratio']:.2f} of the steps that training in memory takes; the disk reads "
        f"{told(int(result['disk_bytes_per_s']))} a second{'' if result['cold'] else ', from memory'}."
    )


if __name__ == "__main__":
    print(json.dumps(_child(*sys.argv[1:])))
