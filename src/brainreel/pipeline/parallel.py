"""Several trainings at a time, one process each."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import torch

from brainreel.align.jobs import AlignJob
from brainreel.errors import ExperimentError
from brainreel.experiment import Experiment
from brainreel.pipeline.plan import FOLD_LISTS
from brainreel.pipeline.stages import align_stage, align_step
from brainreel.progress import track
from brainreel.store.fold_files import attach_lists
from brainreel.store.reader import Store
from brainreel.store.targets import Targets
from brainreel.training.devices import one_thread

_PR_SET_PDEATHSIG = 1


def align_all(
    experiment: Experiment,
    jobs: Sequence[AlignJob],
    stores: Sequence[Store],
    targets: Sequence[Targets],
    device: str,
    workers: int | None = 1,
) -> int:
    """Run every job that is not up to date; returns how many had to run.

    A job computes with one thread on a CPU, whatever the number of workers, so that results do not depend on how
    many cores there are: sums in another order differ in their last bits.

    Args:
        experiment: Where results go.
        jobs: The trainings; each is a stage of its own.
        stores: What they read.
        targets: Of each store.
        device: Where to compute; a GPU is one worker's.
        workers: Processes; None: one per core that this process may use. More than one needs a caller that can be
            imported again (a script with ``if __name__ == "__main__"``), as everything that spawns processes does.
    """
    todo = [job for job in jobs if align_step(job, stores, targets).state(experiment) != "up to date"]
    if workers is None:
        workers = cores() if device == "cpu" else 1
    workers = min(workers, len(todo))
    if workers <= 1:
        with one_thread(device):
            for job in todo:
                align_stage(experiment, job, stores, targets, device)
        return len(todo)
    roots = [store.root for store in stores]
    # Children of whoever called are not ours to end.
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        workers,
        multiprocessing.get_context("spawn"),
        _start,
        (experiment.root, roots, list(targets), device, os.getpid()),
    )
    try:
        running = [pool.submit(_work, job) for job in todo]
        for finished in track(as_completed(running), "align", len(running)):
            finished.result()
    except BrokenProcessPool as error:
        raise ExperimentError(
            "a training process was killed",
            expected="enough memory for every worker",
            do="run the command again with fewer --workers: it goes on where it stopped",
        ) from error
    except BaseException:
        # What a worker has not finished is found again by the next run: nobody has to wait for it now.
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    return len(todo)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_here: tuple[Experiment, list[Store], list[Targets], str]


def _start(root: Path, roots: list[Path], targets: list[Targets], device: str, parent: int) -> None:
    """What a worker opens once for all its jobs."""
    global _here
    # An interrupt is the parent's to handle, and a worker must not outlive a parent that was killed.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    torch.set_num_threads(1)
    stores = [Store(path) for path in roots]
    attach_lists(stores, root / FOLD_LISTS)
    _here = (Experiment(root), stores, targets, device)


def _work(job: AlignJob) -> None:
    experiment, stores, targets, device = _here
    align_stage(experiment, job, stores, targets, device)
