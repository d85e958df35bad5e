"""BOLD Moments in each of its spaces: one reader of a person's responses for each."""

from __future__ import annotations

import abc
from pathlib import Path

import numpy as np
from jaxtyping import Float16, Int

from brainreel.datasets import bmd_files as files
from brainreel.datasets.bmd_glmsingle import read_sessions, sessions_of
from brainreel.datasets.parcels import GRAYORDINATES, MAP, Space, read_space
from brainreel.datasets.pickle_names import Inert
from brainreel.datasets.pickles import read_pickle
from brainreel.datasets.protocol import Facts, note
from brainreel.datasets.stored_array import StoredArray
from brainreel.errors import SourceError, UsageError, alternatives
from brainreel.store.writer import StoreWriter

Betas = Float16[np.ndarray, "clips repetitions vertices"]
_AXES = "clips, repetitions, vertices"


class Reader(abc.ABC):
    """Adds people's responses to a store, each in the order of the listed clips.

    Args:
        source: The release.
        facts: What it must be like.
        space: As the user named it.
        listed: Role → clips.
        writer: The store.
    """

    folder: Path

    def __init__(
        self, source: Path, facts: Facts, space: str, listed: dict[str, list[str]], writer: StoreWriter
    ) -> None:
        self.source, self.facts, self.space, self.listed, self.writer = source, facts, space, listed, writer
        self._known: dict[str, tuple[bytes, tuple[str, ...]]] = {}
        self.prepare()

    @abc.abstractmethod
    def prepare(self) -> None:
        """Set `folder`, and refuse a space that does not exist."""

    @abc.abstractmethod
    def read(self, subject: str) -> tuple[dict[str, Betas], Space, list[Path]]:
        """Role → betas, where their columns lie, and the files that were read."""

    def people(self) -> list[str]:
        """Whom there are files of."""
        return files.people_in(self.folder, self.facts)

    def add(self, subject: str) -> None:
        betas, space, paths = self.read(subject)
        values = np.empty((sum(b.shape[0] * b.shape[1] for b in betas.values()), len(space)), np.float16)
        start = 0
        for role in self.listed:
            # Popped, so that no more than one copy of a set stays in memory.
            part = betas.pop(role)
            values[start : start + part.shape[0] * part.shape[1]] = part.reshape(-1, len(space))
            start += part.shape[0] * part.shape[1]
        key = (space.vertex.tobytes(), tuple(space.parcel))
        if self._known.setdefault(space.name, key) != key:
            space = Space(f"{space.name}/{subject}", space.vertex, space.parcel)
        self.writer.add_space(space.name, space.vertex, space.parcel)
        self.writer.add_responses(subject, values, space=space.name)
        for path in paths:
            self.writer.source(path, self.source)

    def shape(self, role: str, vertices: int) -> tuple[int, int, int]:
        return len(self.listed[role]), self.facts.repetitions[role], vertices


class Grayordinates(Reader):
    """fsLR32k: the prepared betas, or GLMsingle's own output where they are not there."""

    def prepare(self) -> None:
        self.folder = files.glm_folder(self.source, MAP)
        self.count = self.facts.spaces.get(MAP, GRAYORDINATES)
        self.chosen = read_space(self.space, self.source, self.count)

    def read(self, subject: str) -> tuple[dict[str, Betas], Space, list[Path]]:
        first = files.betas_path(self.source, MAP, subject, "train")
        if not first.parent.exists() and sessions_of(self.folder / subject):
            betas, paths = read_sessions(self.folder / subject, self.listed, self.facts, self.count, self.chosen)
            note(self.writer, f"{subject}: from GLMsingle's output, standardised here as the release does it.")
            return betas, self.chosen, paths
        out, paths = {}, []
        for role, clips in self.listed.items():
            path = files.betas_path(self.source, MAP, subject, role)
            betas, names, _ = files.read_prepared(path)
            files.need_betas(path, betas, self.shape(role, self.count), _AXES)
            out[role] = files.half(path, betas, self.chosen.vertex, names, clips)
            paths.append(path)
        return out, self.chosen, paths


class Voxels(Reader):
    """MNI152: voxels of a mask that lies in each pickle."""

    def prepare(self) -> None:
        self.folder = files.glm_folder(self.source, "MNI152")
        if self.space != "MNI152":
            raise UsageError(f"there is no space {self.space!r}", expected="MNI152, all voxels of the release's mask")

    def read(self, subject: str) -> tuple[dict[str, Betas], Space, list[Path]]:
        out, paths, spaces = {}, [], []
        count = self.facts.spaces["MNI152"]
        for role, clips in self.listed.items():
            path = files.betas_path(self.source, "MNI152", subject, role)
            betas, names, rest = files.read_prepared(path, inert=("nibabel",))
            files.need_betas(path, betas, self.shape(role, count), _AXES)
            spaces.append(_masked(path, rest, count))
            out[role] = files.half(path, betas, np.arange(count), names, clips)
            paths.append(path)
        if not np.array_equal(spaces[0], spaces[1]):
            raise SourceError(
                f"the masks in {paths[0]} and {paths[1]} differ", expected="the same", do="fetch both again"
            )
        return out, Space("MNI152", spaces[0], ["brain"] * count), paths


class Hemispheres(Reader):
    """fsaverage: a pickle for each hemisphere; vertices of the right one are counted on from the left one's."""

    def prepare(self) -> None:
        self.folder = files.glm_folder(self.source, "fsaverage")
        if self.space != "fsaverage":
            raise UsageError(f"there is no space {self.space!r}", expected="fsaverage, all vertices")

    def read(self, subject: str) -> tuple[dict[str, Betas], Space, list[Path]]:
        width = self.facts.spaces["fsaverage"] // 2
        out, paths = {}, []
        for role, clips in self.listed.items():
            both = np.empty(self.shape(role, 2 * width), np.float16)
            for k, hemisphere in enumerate(("left", "right")):
                path = files.betas_path(self.source, "fsaverage", subject, role, hemisphere)
                betas, names, _ = files.read_prepared(path)
                files.need_betas(path, betas, self.shape(role, width), _AXES)
                both[..., k * width : (k + 1) * width] = files.half(path, betas, np.arange(width), names, clips)
                paths.append(path)
            out[role] = both
        return out, Space("fsaverage", np.arange(2 * width), ["left"] * width + ["right"] * width), paths


class Regions(Reader):
    """versionA: responses averaged over TRs 5 to 9 in each person's own regions of MNI152."""

    def prepare(self) -> None:
        self.folder = files.rois_folder(self.source)
        _, _, names = self.space.partition("/")
        if "/" in self.space and not names:
            raise UsageError(f"there is no space {self.space!r}", expected="versionA, or versionA/V1v+V1d")
        self.names = names.split("+") if names else None

    def read(self, subject: str) -> tuple[dict[str, Betas], Space, list[Path]]:
        there = {p.name.split("_TRavg")[0]: p for p in sorted((self.folder / subject).glob("*_allvoxel.pkl"))}
        everywhere = {p.name.split("_TRavg")[0] for p in self.folder.glob("sub-*/*_allvoxel.pkl")}
        if odd := [name for name in self.names or () if name not in everywhere]:
            raise UsageError(f"there is no region {alternatives(odd[0], sorted(everywhere))}", do="correct --space")
        parts: dict[str, list[Betas]] = {role: [] for role in self.listed}
        parcel, lost, paths = [], [], []
        for name in self.names or sorted(everywhere):
            width = self._add(there.get(name), parts)
            parcel += [name] * width
            if width:
                paths.append(there[name])
            else:
                lost.append(name)
        if lost:
            note(self.writer, f"{subject} has no {', '.join(lost)}: missing or empty in the release.")
        if not parcel:
            raise SourceError(
                f"{self.folder / subject} has no voxels in {', '.join(lost) or 'any region'}",
                expected="at least one region with voxels",
                do="leave this subject out, or choose other regions with --space",
            )
        betas = {role: np.concatenate(part, axis=-1) for role, part in parts.items()}
        return betas, Space(f"{self.space}/{subject}", np.arange(len(parcel)), parcel), paths

    def _add(self, path: Path | None, parts: dict[str, list[Betas]]) -> int:
        """Append one region's betas; returns its number of voxels, 0 if it is missing or empty."""
        if path is None:
            return 0
        found = read_pickle(path)
        arrays = {role: found.get(f"{role}_data_allvoxel") if isinstance(found, dict) else None for role in parts}
        if not all(isinstance(array, StoredArray) for array in arrays.values()):
            raise SourceError(f"{path} lacks arrays", expected="train_data_allvoxel and test_data_allvoxel")
        if any(0 in array.shape for array in arrays.values() if array is not None):
            return 0
        width = arrays["train"].shape[-1] if arrays["train"] is not None else 0
        for role, array in arrays.items():
            assert array is not None
            files.need_betas(path, array, self.shape(role, width), _AXES)
            clips = self.listed[role]
            parts[role].append(files.half(path, array, np.arange(width), clips, clips))
        return width


def _masked(path: Path, rest: list, count: int) -> Int[np.ndarray, " voxels"]:
    """The flat indices of the voxels of the mask image that comes third in a pickle."""
    image = rest[0] if rest else None
    state = image.state if isinstance(image, Inert) else None
    data = state.get("_dataobj") if isinstance(state, dict) else None
    mask = data.read() if isinstance(data, StoredArray) and data.dtype.kind in "biuf" else np.zeros(0)
    if np.count_nonzero(mask) != count:
        raise SourceError(
            f"{path} has a mask of {np.count_nonzero(mask)} voxels",
            expected=f"an image with {count}",
            do="fetch it again",
        )
    return np.flatnonzero(mask)


def reader_of(kind: str) -> type[Reader]:
    """Which reader a space needs, by the part of its name before the slash."""
    return {MAP: Grayordinates, "MNI152": Voxels, "fsaverage": Hemispheres, "versionA": Regions}[kind]
