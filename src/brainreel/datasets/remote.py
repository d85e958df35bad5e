"""What a release declares of where its files can be had: `Remote`, by `brainreel datasets NAME --download`, or `ByHand`.

Patterns are paths inside the release in which ``*`` stands for any part of one name, and ``{subject}`` for a person.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from brainreel.datasets.protocol import TWIN_CARD

OPENNEURO = "https://s3.amazonaws.com/openneuro.org"
# What says which release this is, and under which terms. A mirror may serve a twin: its card, without which it would
# pass for recordings, and its map of areas belong to it.
ABOUT = ("dataset_description.json", "README*", "CHANGES", "LICENSE*", TWIN_CARD, "*.dlabel.nii")

# Clips that were shown, each as the paths at which it may lie, from the folder with the files of `Remote.index`.
Clips = Callable[[Path, Sequence[str]], list[tuple[str, ...]]]


@dataclass(frozen=True)
class Remote:
    """A release in a public S3 bucket.

    Args:
        root: The release's folder in the bucket, ending in «/».
        spaces: Space → patterns of the responses that ingest reads for it; the first is ingest's default.
        needed: Patterns of what ingest reads besides.
        index: Patterns of small files that are got first: they say which clips belong to a person.
        clips: Which clips those are, as paths below `clip_folder`; needs `index`.
        clip_folder: Where the clips lie, ending in «/».
        url: The bucket.
        subject: What names of people look like, as a regular expression.
        flat: Whether ingest expects the files side by side, whatever folders they lie in there.
        by_hand: What has to be got otherwise.
    """

    root: str
    spaces: Mapping[str, tuple[str, ...]]
    needed: tuple[str, ...] = ()
    index: tuple[str, ...] = ()
    clips: Clips | None = None
    clip_folder: str = "stimuli/"
    url: str = OPENNEURO
    subject: str = r"sub-\d+"
    flat: bool = False
    by_hand: str = ""


@dataclass(frozen=True)
class ByHand:
    """A release behind a form, a password or a website.

    Args:
        steps: What to do, in order.
        tree: What ingest expects afterwards: lines of a drawn folder.
    """

    steps: tuple[str, ...]
    tree: str = field(default="")

    def told(self) -> str:
        """The steps and the folder, for people."""
        steps = [f"{number}. {step}" for number, step in enumerate(self.steps, start=1)]
        return "\n".join([*steps, *(["", self.tree.strip("\n")] if self.tree else [])])


def literal(pattern: str, subject: str | None = None) -> str:
    """How every path that fits a pattern begins, as far as that is certain."""
    return _of(pattern, subject).partition("*")[0]


def in_one_folder(pattern: str, subject: str | None = None) -> bool:
    """Whether all paths that fit a pattern lie in one folder."""
    return "/" not in _of(pattern, subject).partition("*")[2]


def matching(pattern: str, paths: Iterable[str], people: str) -> list[tuple[str, str]]:
    """The paths that fit a pattern, each with the person whose it is (empty if it is nobody's).

    Args:
        pattern: As above.
        paths: Paths inside the release.
        people: What names of people look like, as a regular expression.
    """
    expression = ""
    for part in re.split(r"(\*|\{subject\})", pattern):
        if part == "*":
            expression += "[^/]*"
        elif part == "{subject}":
            expression += "(?P=who)" if "(?P<who>" in expression else f"(?P<who>{people})"
        else:
            expression += re.escape(part)
    whole = re.compile(expression)
    fits = ((path, whole.fullmatch(path)) for path in paths)
    return [(path, fit.groupdict().get("who", "")) for path, fit in fits if fit]


def _of(pattern: str, subject: str | None) -> str:
    # As in BIDS, everybody's name begins alike.
    return pattern.replace("{subject}", subject or "sub-*")
