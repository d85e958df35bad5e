"""What every public release declares and can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from brainreel import __version__
from brainreel.errors import SourceError, UsageError
from brainreel.files import write_json
from brainreel.store.manifest import Manifest
from brainreel.store.writer import StoreWriter

if TYPE_CHECKING:
    from brainreel.datasets.remote import ByHand, Remote

Size = Literal["tiny", "small", "full"]
Progress = Callable[[str], None]
TWIN_CARD = "twin.json"


class Facts(BaseModel):
    """What a release says of itself. Ingest demands it of the files, and tests demand it of the twin."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    title: str
    licence: str
    citation: str
    url: str
    how_to_get: str
    kind: Literal["continuous", "event"]
    responses: str = Field(description="How the responses were made: GLM, shift, standardisation.")
    subjects: int | None = Field(description="People in the whole release; None: whatever is there.")
    clips: int | None = Field(default=None, description="Number of clips of an event release.")
    segments: int | None = Field(default=None, description="Number of described segments of a film.")
    repetitions: dict[str, int] = Field(default_factory=dict, description="Role → presentations of a clip.")
    tr_s: float | None = None
    spaces: dict[str, int] = Field(default_factory=dict, description="Space → number of vertices.")
    run_volumes: dict[str, int] = Field(default_factory=dict, description="Run → number of volumes.")
    notes: tuple[str, ...] = ()

    def manifest(self, *, simulated: bool, notes: Sequence[str] = ()) -> Manifest:
        """The facts as a store's manifest, before anything was added to the store."""
        return Manifest(
            name=self.name,
            title=self.title,
            licence=self.licence,
            citation=self.citation,
            url=self.url,
            kind=self.kind,
            responses=self.responses,
            simulated=simulated,
            repetitions=self.repetitions,
            notes=[*self.notes, *notes],
        )


@runtime_checkable
class Dataset(Protocol):
    """A public release: its facts, the way from its files to a store, and a simulated copy of its files."""

    @property
    def facts(self) -> Facts: ...

    @property
    def download(self) -> Remote | ByHand:
        """Where the files can be had."""
        ...

    def manifest(self, source: Path) -> Manifest:
        """What a store made from ``source`` says of itself; cheap, reads no responses."""
        ...

    def ingest(
        self,
        source: Path,
        writer: StoreWriter,
        *,
        subjects: Sequence[str] | None = None,
        space: str | None = None,
        stimuli: Path | None = None,
        progress: Progress = ...,
    ) -> None:
        """Read the release at ``source`` into ``writer``; every broken file is a `SourceError`."""
        ...

    def twin(self, out: Path, *, subjects: int | None = None, size: Size = "tiny", seed: int = 0) -> None:
        """Write a simulated release at ``out``, in exactly the layout of the real one, beside a `TwinCard`."""
        ...


class TwinCard(BaseModel):
    """``twin.json``: says that the files beside it are simulated, and which facts differ from the release's."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    simulated: Literal[True]
    dataset: str
    size: Size
    seed: int
    differs: dict[str, object]
    brainreel: str = __version__

    def write(self, folder: Path) -> None:
        write_json(folder / TWIN_CARD, self.model_dump())


def facts_of(source: Path, facts: Facts) -> tuple[Facts, bool]:
    """The facts to demand of the files at ``source``, and whether those files say that they are simulated."""
    path = source / TWIN_CARD
    if not path.is_file():
        return facts, False
    try:
        card = TwinCard.model_validate_json(path.read_bytes())
        own = Facts.model_validate({**facts.model_dump(), **card.differs})
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{path} cannot be read as a twin's card ({str(error).splitlines()[0]})",
            expected="the file that `brainreel twin` wrote",
            do="make the twin again, or remove the file if the recordings are real",
        ) from error
    if card.dataset != facts.name:
        raise SourceError(
            f"{source} is a twin of {card.dataset!r}",
            expected=f"a release or a twin of {facts.name!r}",
            do=f"ingest it as {card.dataset!r}",
        )
    return own, True


def note(writer: StoreWriter, text: str) -> None:
    """Add a sentence to the notes of the store that is being written."""
    writer.manifest = writer.manifest.model_copy(update={"notes": [*writer.manifest.notes, text]})


def chosen(present: Sequence[str], asked: Sequence[str] | None, source: Path) -> list[str]:
    """The subjects to read, in the release's order; a name that is not there, or given twice, is an error."""
    if asked is None:
        return list(present)
    for name in asked:
        if name not in present:
            raise UsageError(
                f"subject {name!r} is not in {source}",
                expected=f"some of {', '.join(present)}",
                do="correct --subjects",
            )
    if not asked or len(set(asked)) < len(asked):
        raise UsageError(f"--subjects {' '.join(asked)!r}", expected="at least one name, each once")
    return [name for name in present if name in asked]


def new_folder(out: Path) -> Path:
    """``out``, if a twin may be written there."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists already", expected="a new or empty folder", do="choose another one")
    return out


def silent(_: str) -> None:
    """A progress callback that says nothing."""
