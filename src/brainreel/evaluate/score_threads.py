"""Clips at work on several threads: numpy, scipy and OpenCV release the interpreter while they compute."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from brainreel.evaluate.score_sources import Source

# Videos, flows and temporary arrays of the clips at work stay below this.
WORKING_BYTES = 2**30


def threads_for(clips: Source) -> int:
    """As many as there are cores, unless the clips are so large that memory sets the limit."""
    largest = max(np.prod(clips.look(index).format[:3]) * 3 for index in range(len(clips)))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(WORKING_BYTES // (12 * largest))))


def on_threads(work: Callable[[int], Any], items: Sequence[int], threads: int) -> Iterator[Any]:
    """Results in order."""
    if threads == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        try:
            yield from pool.map(work, items)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
