"""Prepared pickles of the betas of 41 areas, as the authors of decoders from fsLR32k pass them on: a file a person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from brainreel.datasets import bmd_files as files
from brainreel.datasets.named_clips import clip_of, named_clips, tests_by_name
from brainreel.datasets.parcels import DEFAULT_SPACE, GRAYORDINATES, MAP, read_space
from brainreel.datasets.pickles import read_pickle
from brainreel.datasets.protocol import Facts, Progress, Size, chosen, facts_of, silent
from brainreel.datasets.reading import need_folder
from brainreel.datasets.remote import ByHand
from brainreel.datasets.stored_array import StoredArray
from brainreel.errors import SourceError, UsageError
from brainreel.store.manifest import Manifest
from brainreel.store.writer import StoreWriter

FACTS = Facts(
    name="group41",
    title="Prepared betas of 41 areas (BOLD Moments or HAD): one Group41 pickle a person (event design)",
    licence="that of the dataset that the betas are of (BOLD Moments and HAD: CC0)",
    citation=(
        "Cite the dataset: BOLD Moments, doi:10.1038/s41467-024-50310-3, or HAD, doi:10.1038/s41597-023-02325-6; "
        "areas: Glasser, M. F., et al. (2016), doi:10.1038/nature18933"
    ),
    url="https://openneuro.org/datasets/ds005165",
    how_to_get=(
        "From the betas' makers: sub-XX/…/prepared_allvoxel_pkl/Group41_betas-GLMsingle_type-typed_z=1.pkl. Put "
        "annotations.json of BOLD Moments beside the subjects' folders for its captions"
    ),
    kind="event",
    responses="GLMsingle betas (type D) of single trials, z-scored by their makers; kept in half precision",
    subjects=None,
    spaces={DEFAULT_SPACE: 13_156},
    notes=(
        "z=1: training and test betas were each z-scored across their own conditions, test betas with the test set's "
        "mean and standard deviation.",
    ),
)
DOWNLOAD = ByHand(
    steps=(
        "Ask those who prepared the betas for the Group41 pickles; no public server has them.",
        "Put each person's into a folder named like the person, however deep.",
        "For captions of BOLD Moments' clips, put its annotations.json beside the people's folders "
        "(`brainreel datasets bmd --download DIR` brings it, in derivatives/stimuli_metadata/).",
    ),
    tree="""
SOURCE/
  sub-01/…/Group41_betas-GLMsingle_type-typed_z=1.pkl
  sub-02/…/Group41_betas-GLMsingle_type-typed_z=1.pkl
  …
  annotations.json                                        of BOLD Moments, for captions
""",
)
FOLD = "fold-1"
FILES = "Group41_betas-*.pkl"
_DO = "get the file again from those who prepared it"


class Group41:
    """Pickles with ``train_data_allvoxel`` and ``test_data_allvoxel``, or ``data_allvoxel`` alone."""

    facts = FACTS
    download = DOWNLOAD

    def manifest(self, source: Path) -> Manifest:
        need_folder(source, f"sub-01/…/{FILES} …")
        facts, simulated = facts_of(source, FACTS)
        return facts.manifest(simulated=simulated)

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
        if space not in (None, DEFAULT_SPACE):
            raise UsageError(f"there is no space {space!r} in these files", expected=f"{DEFAULT_SPACE} (the default)")
        facts, _ = facts_of(source, FACTS)
        paths = _find(source)
        people = chosen(list(paths), subjects, source)
        where = read_space(None, source, facts.spaces.get(MAP, GRAYORDINATES))
        writer.add_space(where.name, where.vertex, where.parcel)
        trials: list[pd.DataFrame] = []
        for subject in people:
            progress(f"reading {subject}")
            shown, betas = _read(paths[subject], where.vertex)
            writer.add_responses(subject, betas, space=where.name)
            writer.source(paths[subject], source)
            trials.append(shown.assign(subject=subject, session="", run=""))
        table = pd.concat(trials, ignore_index=True)
        known = (table["role"] != "").to_numpy().all()
        name = "official" if known else "one-of-four"
        # Training clips come first, and clips in the order in which they are met.
        clips = table.sort_values("role", ascending=False, kind="stable")["clip_id"].unique().tolist()
        writer.write_clips(named_clips(clips, source, stimuli))
        writer.write_trials(table)
        if not known:
            parts = [_by_name(paths[subject], shown) for subject, shown in zip(people, trials, strict=True)]
            table["role"] = np.concatenate(parts)
        writer.write_folds(name, pd.DataFrame({FOLD: table["role"]}))

    def twin(self, out: Path, *, subjects: int | None = None, size: Size = "tiny", seed: int = 0) -> None:
        from brainreel.datasets.group41_twin import write_twin

        write_twin(out, FACTS, subjects=subjects, size=size, seed=seed)


def _find(source: Path) -> dict[str, Path]:
    """Each person's file; the person is the first folder of its path."""
    found: dict[str, list[Path]] = {}
    for path in sorted(source.rglob(FILES)):
        found.setdefault(path.relative_to(source).parts[0], []).append(path)
    people = {name: paths for name, paths in found.items() if name.startswith("sub")}
    if not people:
        raise SourceError(f"{source} has no {FILES}", expected=f"sub-01/…/{FILES}", do="give the folder around them")
    for name, paths in people.items():
        if len(paths) > 1:
            raise SourceError(
                f"{source / name} has {len(paths)} files {FILES}", expected="one kind of betas", do="move the others"
            )
    return {name: paths[0] for name, paths in people.items()}


def _read(path: Path, vertex: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """A person's trials (clip_id, repetition, role: empty where the file has no sets) and betas, area by vertex."""
    found = read_pickle(path, do=_DO)
    if not isinstance(found, dict):
        raise SourceError(
            f"{path} holds a {type(found).__name__}", expected="a dict with train_data_allvoxel …", do=_DO
        )
    order = _columns(path, found, vertex)
    keys = {"": ("data_allvoxel", "stim_order")}
    if "train_data_allvoxel" in found:
        keys = {role: (f"{role}_data_allvoxel", f"{role}_stim_order") for role in ("train", "test")}
    tables, parts = [], []
    for role, (data, names) in keys.items():
        betas = found.get(data)
        if not isinstance(betas, StoredArray) or names not in found:
            raise SourceError(f"{path} has {', '.join(map(str, found))}", expected=f"{data} and {names}", do=_DO)
        clips = [clip_of(path, name) for name in files.names_in(path, found[names])]
        if betas.dtype.kind != "f":
            raise SourceError(f"{path} holds {betas.dtype} values in {data}", expected="float64", do=_DO)
        if len(betas.shape) not in (2, 3) or (betas.shape[0], betas.shape[-1]) != (len(clips), len(vertex)):
            raise SourceError(
                f"{path} has {data} of shape {betas.shape}",
                expected=f"({len(clips)}, …, {len(vertex)}) (clips as in {names}, vertices as in roi_indices_hcp)",
                do=_DO,
            )
        values = betas.take(np.arange(len(vertex)), -1, np.float16)
        files.need_finite(path, values)
        count = values.size // len(vertex) // len(clips)
        table = pd.DataFrame({"clip_id": np.repeat(clips, count), "role": role})
        tables.append(table.assign(repetition=table.groupby("clip_id").cumcount() + 1))
        parts.append(values.reshape(-1, len(vertex))[:, order])
    if both := set(tables[0]["clip_id"]) & set(tables[-1]["clip_id"]) if len(tables) == 2 else set():
        raise SourceError(
            f"{path} has the clip {min(both)!r} in both train and test", expected="in one of them", do=_DO
        )
    return pd.concat(tables, ignore_index=True), np.concatenate(parts)


def _columns(path: Path, found: dict, vertex: np.ndarray) -> np.ndarray:
    """How to sort the columns, which lie area by area, by vertex; raises unless they are the 41 areas' vertices."""
    indices = found.get("roi_indices_hcp")
    values = indices.read().ravel() if isinstance(indices, StoredArray) else np.zeros(0)
    if values.dtype.kind not in "iu" or not np.array_equal(np.sort(values), vertex):
        raise SourceError(
            f"{path} has {len(values)} roi_indices_hcp, which are not the vertices of the 41 areas",
            expected=f"{len(vertex)} numbers, each once",
            do=_DO,
        )
    return np.argsort(values)


def _by_name(path: Path, shown: pd.DataFrame) -> list[str]:
    tests = tests_by_name(shown["clip_id"].tolist())
    if tests is None:
        raise SourceError(
            f"{path} does not say which clips test, nor do names as {shown['clip_id'].iloc[0]!r}",
            expected="train_ and test_data_allvoxel, or HAD's clips",
            do=_DO,
        )
    return ["test" if test else "train" for test in tests]
