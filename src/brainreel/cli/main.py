"""The command line's entry: finds the command, imports only it, and turns errors into exit codes."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from brainreel import __version__
from brainreel.errors import BrainreelError, UsageError, alternatives

DONE, BUG, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

# One line each, so that listing the commands imports none of them.
COMMANDS = {
    "demo": "the whole way on simulated people, in a few minutes, to videos and a report",
    "run": "every stage of a recipe, resuming: `run sherlock` is the real-fMRI benchmark",
    "recipes": "list what `run` knows",
    "datasets": "a dataset's facts, licence and citation; downloads it where that is possible",
    "twin": "write a simulated release in exactly a dataset's layout",
    "ingest": "read a release into a store",
    "check": "verify stores, and look for leaks within and across them",
    "encode": "what was shown → targets",
    "align": "stage 1: train responses → embeddings in every fold",
    "regress": "stage 2: embeddings → the conditions that a video model takes",
    "generate": "stage 3: conditions → videos, with a pre-trained video model",
    "reconstruct": "videos and captions from new responses, without any truth",
    "evaluate": "score an experiment, with its controls",
    "score": "score anybody's reconstructions, and compare methods",
    "report": "write an experiment's report.html",
    "adapt": "a new person on a trained model, zero-shot or with a few minutes",
    "export": "a trained model as one file, without anybody's brain data",
    "import": "make an experiment of an exported file",
    "bench": "the benchmarks that the docs quote",
}
# What a person who stopped a command needs to know; the others leave nothing behind either.
_GOES_ON = ("demo", "run", "datasets", "align", "regress", "generate", "evaluate", "reconstruct")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: What follows ``brainreel``; default: the process's own arguments.

    Returns:
        0 done, 1 a bug, 2 wrong input or usage, 130 interrupted.
    """
    # numpy's many small products only lose by threads, which wait for each other while other processes compute
    # (ridge: 40 times slower on two busy cores), and sums in another order differ in their last bits.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments[0] if arguments else "--help"
    if command in ("-h", "--help"):
        return _print(overview())
    if command == "--version":
        return _print(f"brainreel {__version__}\n")
    with _stoppable() as stopped:
        try:
            if command not in COMMANDS:
                raise UsageError(f"there is no command {alternatives(command, COMMANDS)}", do="see `brainreel --help`")
            return _call(*resolve(command, arguments[1:]))
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) or stopped:
                return _interrupted(command)
            return _explain(error, command)


def overview() -> str:
    """What ``brainreel --help`` prints."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{told}" for name, told in COMMANDS.items()]
    return "\n".join(
        [
            "brainreel demo --out my-first-run",
            "",
            "Reconstruct the video a person watched from their fMRI: one model for many people and many datasets.",
            "",
            "usage: brainreel COMMAND …   (brainreel COMMAND --help explains one)",
            "",
            *lines,
            "",
            "Exit status: 0 done, 2 wrong input or usage, 130 interrupted, 1 a bug.",
            "",
        ]
    )


def resolve(command: str, arguments: Sequence[str]) -> tuple[str, ModuleType, list[str]]:
    """How a command is called, the module that has it, and the arguments that its ``run`` takes.

    A command that stands for several (`run`) has a ``choose``, which finds the one that is named.
    """
    module = importlib.import_module(f"brainreel.cli.{'import_' if command == 'import' else command}")
    if not hasattr(module, "choose"):
        return command, module, list(arguments)
    name, chosen, rest = module.choose(command, arguments)
    return name, chosen or module, rest


def _call(command: str, module: ModuleType, arguments: Sequence[str]) -> int:
    from brainreel.cli.parse import parse

    if "-h" in arguments or "--help" in arguments:
        from brainreel.cli.parse import help_text

        return _print(help_text(command, module))
    call = parse(command, module.run, arguments)
    return call() or DONE


@contextmanager
def _stoppable() -> Iterator[list[int]]:
    """SIGTERM stops like Ctrl-C. The list fills when a signal came: libraries may hide the exception itself."""
    stopped: list[int] = []

    def stop(number: int, frame: object) -> None:
        stopped.append(number)
        raise KeyboardInterrupt

    try:
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:
        # Not the main thread, where signals never arrive.
        before = {}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupted(command: str) -> int:
    goes_on = "goes on where this one stopped" if command in _GOES_ON else "starts afresh; nothing half-written stays"
    _complain(f"interrupted: the same command {goes_on}")
    return INTERRUPTED


def _explain(error: BaseException, command: str) -> int:
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, BrainreelError):
        _complain(str(error))
        return WRONG_INPUT
    if isinstance(error, BrokenPipeError):
        # Whoever read our messages is gone; so is the reason to go on.
        _silence(sys.stdout, sys.stderr)
        return INTERRUPTED
    if isinstance(error, OSError) and error.filename is not None and not _is_ours(error.filename):
        reason = (error.strerror or type(error).__name__).lower()
        _complain(
            f"{os.fsdecode(error.filename)} cannot be used ({reason}); check the path, its permissions and space."
        )
        return WRONG_INPUT
    import traceback

    traceback.print_exception(error)
    _complain(
        f"this is a bug in brainreel {__version__} (`brainreel {command}`), not in your input: please report it with "
        "the lines above."
    )
    return BUG


def _is_ours(path: object) -> bool:
    """Whether a file belongs to the installed package: missing, it is a bug."""
    if not isinstance(path, str | bytes | os.PathLike):
        return True
    package = Path(__file__).resolve().parents[1]
    return Path(os.fsdecode(path)).resolve().is_relative_to(package)


def _complain(message: str) -> None:
    try:
        print(f"brainreel: {message}", file=sys.stderr, flush=True)
    except BrokenPipeError:
        _silence(sys.stderr)


def _print(text: str) -> int:
    from brainreel.cli.output import show

    show(text.rstrip("\n"))
    return DONE


def _silence(*streams: object) -> None:
    from brainreel.cli.output import silence

    for stream in streams:
        silence(stream)
