"""Your own recordings: a folder with responses, the list of trials, and what was shown (docs/folder.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from brainreel.datasets import folder_files as files
from brainreel.datasets.protocol import Facts, Progress, Size, chosen, facts_of, silent
from brainreel.datasets.remote import ByHand
from brainreel.errors import SourceError
from brainreel.store.folds import contiguous_blocks
from brainreel.store.manifest import Manifest
from brainreel.store.writer import StoreWriter

FACTS = Facts(
    name="folder",
    title="Your own: a folder with responses, trials.tsv and clips",
    licence="not stated",
    citation="not stated",
    url="",
    how_to_get="Lay out the folder as docs/folder.md says, or look at one: brainreel twin folder OUT",
    kind="event",
    responses="one row per trial, as found in the folder",
    subjects=None,
)
DOWNLOAD = ByHand(
    steps=("Lay out your recordings as docs/folder.md says, or look at simulated ones: brainreel twin folder OUT",),
    tree="""
SOURCE/
  trials.tsv                                              what was shown to whom
  responses.npy                                           (trials, vertices), in the order of trials.tsv
  clips.tsv                                               captions, or paths of videos; or clips/ with videos
""",
)
DESCRIPTION = "dataset_description.json"
BLOCKS = 5
DEFAULT_FOLDS = "clips-in-5"


class Folder:
    """An event dataset from plain files."""

    facts = FACTS
    download = DOWNLOAD

    def manifest(self, source: Path) -> Manifest:
        files.read_trials(source)
        facts, simulated = facts_of(source, FACTS)
        return facts.model_copy(update=_described(source)).manifest(simulated=simulated)

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
        trials = files.read_trials(source)
        clips = files.read_clips(source, stimuli)
        people = chosen(list(dict.fromkeys(trials["subject"])), subjects, source)
        unknown = set(trials["clip_id"]) - set(clips["clip_id"])
        if unknown:
            raise SourceError(
                f"trials.tsv in {source} shows the clip {min(unknown)!r}",
                expected="only clips that clips.tsv or clips/ has",
                do="add the clip, or correct the trial",
            )
        folds = dict(files.read_folds(source, len(trials))) or {
            DEFAULT_FOLDS: _folds_by_clip(trials["clip_id"].tolist())
        }
        _write_responses(writer, source, trials, people, space, progress)
        kept = trials["subject"].isin(people).to_numpy()
        # Responses are stored by subject, so the table lists the trials of one person after another's.
        order = np.concatenate([np.flatnonzero(kept & (trials["subject"] == p).to_numpy()) for p in people])
        writer.write_clips(clips)
        writer.write_trials(trials.iloc[order])
        for name, roles in folds.items():
            writer.write_folds(name, roles.iloc[order])
        for path in (source / "trials.tsv", source / "clips.tsv", source / "vertices.tsv"):
            if path.exists():
                writer.source(path, source)

    def twin(self, out: Path, *, subjects: int | None = None, size: Size = "tiny", seed: int = 0) -> None:
        from brainreel.datasets.folder_twin import write_twin

        write_twin(out, FACTS, subjects=subjects, size=size, seed=seed)


def _described(source: Path) -> dict[str, str]:
    """What the folder says of itself in BIDS's dataset_description.json; its name is the folder's otherwise."""
    path, told = source / DESCRIPTION, {}
    if path.exists():
        try:
            told = json.loads(path.read_text())
            told = {key: told[key] for key in ("Name", "License", "HowToAcknowledge") if key in told}
        except (OSError, ValueError, TypeError) as error:
            raise SourceError(f"{path} cannot be read ({error})", expected="a JSON object, as in BIDS") from error
        if not all(isinstance(value, str) for value in told.values()):
            raise SourceError(f"{path} has values that are no text", expected="Name, License, HowToAcknowledge as text")
    name = told.get("Name", source.resolve().name)
    facts = {"name": re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or FACTS.name, "title": name}
    if "License" in told:
        facts["licence"] = told["License"]
    if "HowToAcknowledge" in told:
        facts["citation"] = told["HowToAcknowledge"]
    return facts


def _write_responses(
    writer: StoreWriter,
    source: Path,
    trials: pd.DataFrame,
    people: list[str],
    space: str | None,
    progress: Progress,
) -> None:
    together = source / "responses.npy"
    paths = dict.fromkeys(people, together) if together.exists() else files.response_paths(source, people)
    spaces: dict[str, tuple[int, ...]] = {}
    everything = files.read_responses(source, together, len(trials)) if together.exists() else None
    for subject, path in paths.items():
        progress(f"reading {subject}")
        mine = (trials["subject"] == subject).to_numpy()
        if everything is None:
            values, vertex = files.read_responses(source, path, int(mine.sum()))
        else:
            values, vertex = everything[0][mine], everything[1]
        cortices = files.read_cortices(source, vertex, path)
        name = space or (f"{writer.manifest.name}/{'common' if cortices.shared else subject}")
        known = spaces.setdefault(name, tuple(cortices.vertex.tolist()))
        if known != tuple(cortices.vertex.tolist()):
            raise SourceError(
                f"{path} has other vertices than the subjects before it in space {name!r}",
                expected="the same vertices in the same order for everybody in one space",
                do="leave out --space and vertices.tsv, so that each subject gets a space of their own",
            )
        writer.add_space(name, cortices.vertex, cortices.parcel)
        writer.add_responses(subject, values, space=name)
    for path in dict.fromkeys(paths.values()):
        writer.source(path, source)


def _folds_by_clip(clip_of_trial: Sequence[str]) -> pd.DataFrame:
    """Each fold tests a fifth of the clips, in the order in which they first appear, in all their trials."""
    clips = {clip: k for k, clip in enumerate(dict.fromkeys(clip_of_trial))}
    if len(clips) < BLOCKS:
        raise SourceError(f"{len(clips)} clips were shown", expected=f"at least {BLOCKS}, or a folds/<name>.tsv")
    place = np.array([clips[clip] for clip in clip_of_trial])
    blocks = contiguous_blocks(len(clips), BLOCKS)
    return pd.DataFrame(
        {f"fold-{k + 1}": np.where((place >= a) & (place < b), "test", "train") for k, (a, b) in enumerate(blocks)}
    )
