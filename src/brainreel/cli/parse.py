"""From a typed function to flags, with help and usage errors as brainreel writes them."""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import tyro
from tyro.conf import arg

from brainreel.errors import UsageError

Run = Callable[..., int | None]

Out = Annotated[Path, arg(metavar="DIR")]
Json = Annotated[Path | None, arg(metavar="FILE", help="also write the result as JSON")]
Device = Annotated[str, arg(help="auto, cpu, cuda, cuda:N or mps; affects speed only")]
Workers = Annotated[int | None, arg(help="trainings at a time, results do not depend on it; default: one per core")]
DryRun = Annotated[bool, arg(help="say what would run, with an estimate of time, disk and memory; change nothing")]
Subjects = Annotated[tuple[str, ...] | None, arg(metavar="NAME …", help="only these people; default: everybody")]


def parse(command: str, run: Run, arguments: Sequence[str]) -> Callable[[], int | None]:
    """``run`` with its arguments from the command line, not called yet.

    Raises:
        UsageError: one sentence about what does not fit.
    """

    # Parsing ends before the command begins: its own output and errors must not pass through the parser.
    @functools.wraps(run)
    def bound(*args: Any, **kwargs: Any) -> Callable[[], int | None]:
        return functools.partial(run, *args, **kwargs)

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return _cli(command, bound, arguments)
    except SystemExit as stop:
        raise UsageError(_sentence(said.getvalue()), do=f"see `brainreel {command} --help`") from stop
    except ValueError as error:
        # Limits of flags that stand in no group of their own pass through the parser.
        from pydantic import ValidationError

        if not isinstance(error, ValidationError):
            raise
        first = error.errors()[0]
        flag, reason = ".".join(map(str, first["loc"])).replace("_", "-"), first["msg"]
        raise UsageError(
            f"--{flag} is {first['input']}: {reason[0].lower()}{reason[1:]}", do=f"see `brainreel {command} --help`"
        ) from error


def help_text(command: str, module: ModuleType) -> str:
    """A runnable line, what the command does, its flags."""
    flags = io.StringIO()
    with contextlib.redirect_stdout(flags), contextlib.suppress(SystemExit):
        _cli(command, module.run, ["--help"])
    return f"{module.EXAMPLE}\n\n{inspect.cleandoc(module.__doc__ or '')}\n\n{flags.getvalue()}"


def _cli(command: str, run: Any, arguments: Sequence[str]) -> Any:
    return tyro.cli(run, prog=f"brainreel {command}", description="", args=list(arguments))


def _sentence(framed: str) -> str:
    """The parser's framed, wrapped message as one sentence."""
    # The first line is the frame with a title; the frame is of spaces where the terminal has no lines to draw.
    lines = [line.strip("│╭╰╮╯").rstrip() for line in framed.splitlines()[1:]]
    missing = [index for index, line in enumerate(lines) if line.lstrip().startswith("Missing from")]
    if missing:
        # Names stand below, four spaces further in, each with its help text still further in.
        depth = len(lines[missing[0]]) - len(lines[missing[0]].lstrip()) + 4
        names = [line.strip() for line in lines[missing[0] :] if re.match(rf" {{{depth}}}\S", line)]
        return f"missing: {', '.join(name for name in names if not name.startswith('brainreel'))}"
    kept: list[str] = []
    for line in lines:
        if not line.strip("─- ") or line.strip().startswith(("Argument helptext", "For full helptext")):
            if kept:
                break
            continue
        kept.append(line.strip())
    text = " ".join(kept)
    # pydantic names the field and the class; people know the flag.
    limits = re.search(
        r"Error parsing (\S+): \d+ validation errors? for \w+ (\S+) (.+?) \[type=.*?input_value=(.*?), input_type", text
    )
    if limits:
        where, field, reason, value = limits.groups()
        flag = ".".join([*where.split(".")[1:], field]).replace("_", "-")
        return f"--{flag} is {value}: {reason[0].lower()}{reason[1:]}"
    return text.rstrip(".")
