"""The sandbox: three simulated releases of people who watched simulated clips, each unlike the others (docs/sandbox.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from brainreel.datasets.protocol import Facts, Progress, Size, chosen, facts_of, silent
from brainreel.datasets.remote import ByHand
from brainreel.errors import SourceError, UsageError
from brainreel.store.manifest import Manifest
from brainreel.store.writer import StoreWriter

Layout = Literal["repeated", "film", "single"]

_NOBODY = "simulated, nobody's data: free to use"
_CITATION = "Simulated by brainreel: docs/sandbox.md"
_NOTES = (
    "Clips, cortex and people are simulated: conclusions about brains cannot be drawn from them.",
    "Test clips show only object-place-motion combinations that no training clip of any sandbox release shows.",
)


@dataclass(frozen=True)
class Sandbox:
    """One of the simulated releases. There is no other copy of it than the one that `twin` writes.

    Attributes:
        facts: Of the full size.
        layout: How its files are laid out: betas of repeated clips, runs of a film, runs of betas of single trials.
    """

    facts: Facts
    layout: Layout

    @property
    def download(self) -> ByHand:
        """It is written, not downloaded."""
        return ByHand(steps=(f"brainreel twin {self.facts.name} SOURCE",))

    def manifest(self, source: Path) -> Manifest:
        return self._own(source).manifest(simulated=True)

    def ingest(
        self,
        source: Path,
        writer: StoreWriter,
        *,
        subjects: Sequence[str] | None = None,
        space: str | None = None,
        stimuli: Path | None = None,
        progress: Progress = silent,
    ) -> None:
        from brainreel.datasets import sandbox_files as files

        facts = self._own(source)
        (name,) = facts.spaces
        if space not in (None, name):
            raise UsageError(f"space {space!r} of {facts.name} does not exist", expected=f"{name} (the default)")
        people = chosen(files.read_participants(source, facts), subjects, source)
        surface = files.read_surface(source, facts)
        writer.add_space(name, surface["vertex"].to_numpy(), surface["parcel"].tolist())
        clips = stimuli or source / "stimuli"
        read = {"repeated": files.ingest_repeated, "film": files.ingest_film, "single": files.ingest_single}
        read[self.layout](source, clips, facts, writer, people, progress)

    def twin(
        self,
        out: Path,
        *,
        subjects: int | None = None,
        size: Size = "tiny",
        seed: int = 0,
        test_clips: int | None = None,
    ) -> None:
        from brainreel.datasets.sandbox_twin import write_twin

        write_twin(out, self.facts, self.layout, subjects=subjects, size=size, seed=seed, test_clips=test_clips)

    def _own(self, source: Path) -> Facts:
        """The facts of the release at ``source``, which depend on its size."""
        facts, simulated = facts_of(source, self.facts)
        if not simulated:
            raise SourceError(
                f"{source} has no twin.json",
                expected=f"what `brainreel twin {self.facts.name} {source}` writes",
                do="make it with that command",
            )
        return facts


def _facts(name: str, title: str, **more: object) -> Facts:
    how = f"brainreel twin {name} OUT --size small"
    shared = {"licence": _NOBODY, "citation": _CITATION, "url": "", "how_to_get": how, "notes": _NOTES}
    return Facts.model_validate({"name": name, "title": title, **shared, **more})


EVENT = Sandbox(
    _facts(
        "sandbox-event",
        "Sandbox: simulated people saw 2-s clips, each several times (event design)",
        kind="event",
        responses="simulated betas of single trials, neither standardised nor averaged",
        subjects=4,
        clips=1100,
        repetitions={"train": 3, "test": 10},
        spaces={"sandbox/surface": 902},
    ),
    "repeated",
)
MOVIE = Sandbox(
    _facts(
        "sandbox-movie",
        "Sandbox: simulated people watched films of 2-s clips without a pause (continuous design)",
        kind="continuous",
        responses="simulated BOLD; the volume that begins 4 s after a clip's onset is paired with the clip, as in CC2017",
        subjects=3,
        clips=1800,
        repetitions={"train": 1, "test": 1},
        tr_s=2.0,
        spaces={"sandbox/surface": 902},
        run_volumes={f"film-{k}": 305 for k in range(1, 7)},
        notes=(*_NOTES, "The responses are already shifted by 2 TRs for the haemodynamic lag: do not shift again."),
    ),
    "film",
)
SINGLE = Sandbox(
    _facts(
        "sandbox-single",
        "Sandbox: simulated people saw 2-s clips once, mostly other clips than the others (event design)",
        kind="event",
        responses="simulated betas of single trials, neither standardised nor averaged",
        subjects=6,
        clips=3060,
        repetitions={"train": 1, "test": 1},
        spaces={"sandbox/coarse": 451},
    ),
    "single",
)
