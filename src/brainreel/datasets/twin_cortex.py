"""The sandbox's simulated people in fsLR32k: their driven parcels lie in areas of HCP-MMP1, the rest is noise.

A full twin has the 91,282 grayordinates and the real map of areas. A smaller one has fewer of them, all 180 areas
included, and brings its own map as a ``.dlabel.nii``, as the reader accepts it from anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int

from brainreel.datasets.parcels import GRAYORDINATES, LEFT, read_parcellation
from brainreel.datasets.protocol import Size
from brainreel.world.cortex import autocorrelated
from brainreel.world.viewers import PARCELS, Drives, Surface, Viewer, viewer

MAP_FILE = "HCP-MMP1.dlabel.nii"
# Parcel of the sandbox → the areas in which it lies. «other» is recorded by the viewer too but answers to nothing.
AREAS: dict[str, tuple[str, ...]] = {
    "V1": ("V1", "V2", "V3"),
    "V4": ("V4", "V8"),
    "MT": ("MT", "MST", "V3A", "V6"),
    "LOC": ("LO1", "LO2", "LO3", "PIT", "FFC", "PH"),
    "PPA": ("VMV1", "VMV2", "VMV3", "VVC", "RSC", "POS1"),
    "other": ("TPOJ1", "IP0"),
}
# Areas of the cortex that have nothing to do with videos, for the smaller twins.
_REST = """
    PEF FEF 4 3b 55b A1 PSL SFL PCV STV 7Pm 7m 23d v23ab d23ab 31pv 5m 5mv 23c 5L 24dd 24dv 7AL SCEF 6ma 7Am 7PL 7PC
    LIPv VIP MIP 1 2 3a 6d 6mp 6v p24pr 33pr a24pr p32pr a24 d32 8BM p32 10r 47m 8Av 8Ad 9m 8BL 9p 10d 8C 44 45 47l
    a47r 6r IFJa IFJp IFSp IFSa p9-46v 46 a9-46v 9-46d 9a 10v a10p 10pp 11l 13l OFC 47s LIPd 6a i6-8 s6-8 43 OP4 OP1
    OP2-3 52 RI PFcm PoI2 TA2 FOP4 MI Pir AVI AAIC FOP1 FOP3 FOP2 PFt AIP EC PreS H ProS PeEc STGa PBelt A5 PHA1 PHA3
    STSda STSdp STSvp TGd TE1a TE1p TE2a TF TE2p PHT TPOJ2 TPOJ3 DVT PGp IP2 IP1 PFop PF PFm PGi PGs V6A PHA2 V4t FST
    V3CD 31pd 31a 25 s32 pOFC PoI1 Ig FOP5 p10p p47r TGv MBelt LBelt A4 STSva TE1m PI a32pr p24 V3B V7 IPS1 POS2
"""
# Grayordinates of a hemisphere in each driven area, in each other area, and of the whole subcortex.
_DENSITY: dict[Size, tuple[int, int, int]] = {"tiny": (12, 1, 40), "small": (40, 2, 100)}
_MESH = 32_492


@dataclass(frozen=True)
class TwinCortex:
    """Where the sandbox's parcels lie among a release's grayordinates.

    Attributes:
        parcel: The area of every grayordinate; outside the cortex «subcortex» or the structure's name.
        left: How many, the first ones, are left cortex.
        cortex: How many, the first ones, are cortex.
        surface: The recorded vertices of the sandbox, parcel after parcel.
        place: The grayordinate of each of them.
    """

    parcel: np.ndarray
    left: int
    cortex: int
    surface: Surface
    place: Int[np.ndarray, " recorded"]

    @classmethod
    def grow(cls, size: Size) -> TwinCortex:
        """The same for everybody, whatever the seed."""
        if size == "full":
            found = read_parcellation(None, GRAYORDINATES)
            parcel, left, cortex = found.parcel, LEFT, found.cortex
        else:
            driven, rest, below = _DENSITY[size]
            mine = [area for areas in AREAS.values() for area in areas]
            others = _REST.split()
            hemisphere = np.repeat([*mine, *others], [driven] * len(mine) + [rest] * len(others))
            parcel = np.concatenate([hemisphere, hemisphere, np.repeat("subcortex", below)])
            left, cortex = len(hemisphere), 2 * len(hemisphere)
        places, names, positions = [], [], []
        for name, areas in AREAS.items():
            for area in areas:
                for half, (start, stop) in enumerate(((0, left), (left, cortex))):
                    here = start + np.flatnonzero(parcel[start:stop] == area)
                    places.append(here)
                    names += [name] * len(here)
                    positions.append(_spread(len(here), PARCELS[name].rows, PARCELS[name].columns, half))
        place = np.concatenate(places)
        return cls(parcel, left, cortex, Surface(place, tuple(names), np.concatenate(positions)), place)

    def __len__(self) -> int:
        return len(self.parcel)

    def person(self, seed: int, *, signal_share: float) -> TwinPerson:
        """Somebody; `signal_share` as in `brainreel.world.viewers.viewer`."""
        return TwinPerson(self, viewer(seed, surface=self.surface, signal_share=signal_share))

    def brain_models(self, *, cortex_only: bool = False) -> Any:
        """The axis of grayordinates of CIFTI files (nibabel's BrainModelAxis)."""
        from nibabel.cifti2 import cifti2_axes

        left, right = (
            cifti2_axes.BrainModelAxis.from_surface(np.arange(count), _MESH, name=name)
            for name, count in (("cortex_left", self.left), ("cortex_right", self.cortex - self.left))
        )
        if cortex_only:
            return left + right
        below = len(self) - self.cortex
        voxels = np.stack(np.unravel_index(np.arange(below), (91, 109, 91)), axis=1)
        rest = cifti2_axes.BrainModelAxis(
            "CIFTI_STRUCTURE_BRAIN_STEM", voxel=voxels, affine=np.diag([2.0, 2, 2, 1]), volume_shape=(91, 109, 91)
        )
        return left + right + rest

    def write_map(self, folder: Path) -> None:
        """Write the map of areas as a lab would put it beside the files."""
        import nibabel
        from nibabel.cifti2 import cifti2_axes

        halves = [("L", self.parcel[: self.left]), ("R", self.parcel[self.left : self.cortex])]
        names = [f"{side}_{area}_ROI" for side, areas in halves for area in areas.tolist()]
        names += self.parcel[self.cortex :].tolist()
        table = {name: key for key, name in enumerate(dict.fromkeys(names), start=1)}
        labels = {0: ("???", (0.0, 0.0, 0.0, 0.0)), **{k: (name, (0.5, 0.5, 0.5, 1.0)) for name, k in table.items()}}
        header = (cifti2_axes.LabelAxis(["HCP-MMP1"], labels), self.brain_models())
        values = np.array([[table[name] for name in names]], np.float32)
        image: Any = nibabel.Cifti2Image(values, header=header)
        image.nifti_header.set_intent("NIFTI_INTENT_CONNECTIVITY_DENSE_LABELS")
        nibabel.save(image, folder / MAP_FILE)


@dataclass(frozen=True)
class TwinPerson:
    """A simulated person recorded in all grayordinates."""

    cortex: TwinCortex
    viewer: Viewer

    def betas(self, shown: Drives, *, seed: int) -> Float32[np.ndarray, "samples grayordinates"]:
        """Responses to single trials, in the order in which they were shown (`Viewer.betas`)."""
        noise = np.random.default_rng([seed, 1])
        return self._everywhere(
            self.viewer.betas(shown, seed=seed), lambda n, width: noise.standard_normal((n, width), np.float32)
        )

    def bold(self, shown: Drives, *, tr_s: float, seed: int) -> Float32[np.ndarray, "samples grayordinates"]:
        """One uninterrupted scan (`Viewer.bold`)."""
        noise = np.random.default_rng([seed, 1])
        return self._everywhere(
            self.viewer.bold(shown, tr_s=tr_s, seed=seed), lambda n, width: autocorrelated(noise, n, width, 0.4)
        )

    def _everywhere(
        self, driven: Float[np.ndarray, "samples recorded"], noise: Callable[..., np.ndarray]
    ) -> np.ndarray:
        out = np.empty((len(driven), len(self.cortex)), np.float32)
        rest = np.ones(len(self.cortex), bool)
        rest[self.cortex.place] = False
        (where,) = np.nonzero(rest)
        # A full release's noise would not fit into memory at once in double precision.
        for start in range(0, len(where), 8192):
            some = where[start : start + 8192]
            out[:, some] = noise(len(driven), len(some))
        out[:, self.cortex.place] = driven
        return out


def _spread(count: int, rows: int, columns: int, half: int) -> Float[np.ndarray, "vertices 2"]:
    """Places for a hemisphere's vertices of an area: evenly over the side of the parcel that is opposite to it."""
    columns = columns // 2
    across = max(1, round(np.sqrt(count * columns / rows)))
    down = max(1, -(-count // across))
    row, column = np.divmod(np.arange(count), across)
    where = np.stack([(row + 0.5) * rows / down - 0.5, (column + 0.5) * columns / across - 0.5], axis=1)
    return where + np.array([0.0, columns * (half == 0)])
