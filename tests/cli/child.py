"""A brainreel process that costs no imports: children of a server that imported everything once."""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        "brainreel.pipeline.film_demo",
        "brainreel.sandbox.outlook",
        "brainreel.cli.run",
        "brainreel.cli.main",
        "transformers",
    ]
)


def start(arguments: list[str], log: Path) -> BaseProcess:
    """Start ``brainreel ARGUMENTS``; what it prints goes to ``log``."""
    process = SERVER.Process(target=_main, args=(arguments, log))
    process.start()
    return process


def finish(arguments: list[str], log: Path) -> str:
    """Run ``brainreel ARGUMENTS`` to its end, which must be a good one; returns what it printed."""
    process = start(arguments, log)
    process.join(300)
    assert process.exitcode == 0, log.read_text()
    return log.read_text()


def _main(arguments: list[str], log: Path) -> None:
    from brainreel.cli.main import main

    with log.open("w") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        sys.exit(main(arguments))
