"""A simulated Sherlock kit: another film, other people, the same files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from brainreel.datasets import sherlock_kit as kit
from brainreel.datasets.protocol import Facts, Size, TwinCard, new_folder
from brainreel.errors import UsageError
from brainreel.files import write_folder
from brainreel.world.cortex import Cortex, Physiology, seed_of
from brainreel.world.story import ATTRIBUTES, Story, design, tell

GRID = (61, 73, 61)
AFFINE = np.array([[3, 0, 0, -90], [0, 3, 0, -126], [0, 0, 3, -72], [0, 0, 0, 1]], float)
SHIFT_TRS = 3
UNTIMED = 2
HEADER = (
    "Segment Number", "Start Time (s) ", "End Time (s) ", "Start Time (TRs, 1.5s)", "End Time (TRs, 1.5s)",
    "Scene Segments", "Scene Details - A Level ", "Space-In/Outdoor", "Name - All", "Name - Focus",
    "Name - Speaking", "Location", "Camera Angle", "Music Presence ", "Words on Screen ", "Arousal - Rater 1",
    "Valence - Rater 1", "Arousal - Rater 2", "Valence - Rater 2", "Arousal - Rater 3", "Valence - Rater 3",
    "Arousal - Rater 4", "Valence - Rater 4",
)  # fmt: skip


class Scale(NamedTuple):
    """How big a twin is; `lost` volumes at the end were not recorded for one person."""

    subjects: int
    voxels: int
    volumes: tuple[int, int]
    segments: int
    scenes: int
    lost: int


SCALES: dict[Size, Scale] = {
    "tiny": Scale(subjects=4, voxels=60, volumes=(146, 154), segments=152, scenes=12, lost=10),
    "small": Scale(subjects=8, voxels=200, volumes=(290, 310), segments=302, scenes=20, lost=20),
    "full": Scale(subjects=17, voxels=481, volumes=(946, 1030), segments=1000, scenes=50, lost=50),
}


class Region(NamedTuple):
    """Where a region lies on the grid, how large its mask is, how alike people's courses are in the real kit
    (mean correlation between people), and what it cares about (attribute prefix → importance)."""

    centre: tuple[int, int, int]
    voxels: int
    likeness: float
    importance: dict[str, float]


REGIONS: dict[str, Region] = {
    "aud_early": Region((30, 36, 25), 1018, 0.49, {"speaks": 2.0, "mood": 1.0}),
    "bilateral_hipp": Region((30, 36, 19), 468, 0.12, {"cut:scene": 2.0, "place": 0.5}),
    "ddmn_mpfc": Region((30, 58, 26), 1775, 0.15, {"person": 1.0, "mood": 1.0}),
    "early_visual": Region((30, 15, 23), 307, 0.47, {"cut": 2.0, "light": 1.0, "object": 0.7, "action": 0.7}),
    "pmc_nn": Region(
        (30, 24, 33),
        481,
        0.20,
        {"place": 1.0, "light": 0.7, "person": 1.0, "speaks": 0.7, "mood": 0.8, "action": 0.7, "object": 0.7},
    ),
    "post_parahipp": Region((30, 30, 18), 284, 0.20, {"place": 1.0, "light": 1.0}),
}


def write_twin(out: Path, facts: Facts, *, subjects: int | None, size: Size, seed: int) -> None:
    """Write a kit at ``out`` whose film is invented and whose people are simulated.

    Args:
        out: A new or empty folder.
        facts: The real kit's; the twin's card tells in what it differs.
        subjects: Number of people; default: as many as the size has.
        size: ``full`` has the real kit's shapes.
        seed: The same seed makes the same film, people and noise.
    """
    scale = SCALES[size]
    n_subjects = scale.subjects if subjects is None else subjects
    if n_subjects < 1:
        raise UsageError(f"a twin of {n_subjects} subjects", expected="at least 1")
    story = tell(
        sum(scale.volumes),
        n_shots=scale.segments - UNTIMED,
        n_scenes=scale.scenes,
        breaks=[scale.volumes[0]],
        seed=seed,
    )
    differs = {
        "title": f"Simulated twin of: {facts.title}",
        "licence": "simulated, nobody's data: free to use",
        "citation": f"Simulated by brainreel in the layout of: {facts.citation}",
        "responses": f"Simulated, prepared like the real kit: {facts.responses}",
        "notes": [n for n in facts.notes if "cartoon" not in n],
        "subjects": n_subjects,
        "segments": scale.segments,
        "spaces": {"sherlock/pmc": scale.voxels},
        "run_volumes": {"scan-1": scale.volumes[0], "scan-2": scale.volumes[1]},
    }
    card = TwinCard(simulated=True, dataset=facts.name, size=size, seed=seed, differs=differs)

    def fill(folder: Path) -> None:
        card.write(folder)
        _write_recordings(folder, story, scale, n_subjects, facts.tr_s or 1.0, seed)
        _write_masks(folder, scale)
        _write_sheet(kit.sheet_path(folder), story, facts.tr_s or 1.0, seed)

    write_folder(new_folder(out), fill)


def _write_recordings(folder: Path, story: Story, scale: Scale, n_subjects: int, tr_s: float, seed: int) -> None:
    from scipy.io import savemat

    voxels = _blob(REGIONS[kit.VOXELS].centre, scale.voxels)
    # A smaller twin samples the same stretch of cortex more coarsely.
    position = voxels * (SCALES["full"].voxels / scale.voxels) ** (1 / 3)
    incomplete = min(5, n_subjects) - 1
    courses: dict[str, list[np.ndarray]] = {region: [] for region in kit.REGIONS}
    for r, region in enumerate(kit.REGIONS):
        where = position if region == kit.VOXELS else np.zeros((1, 3))
        cortex = _cortex(REGIONS[region], where, seed=seed_of(seed, 1, r))
        for s in range(n_subjects):
            bold = _watch(cortex, story, tr_s, seed=seed_of(seed, 2, r, s))
            if s == incomplete:
                bold[-scale.lost :] = bold[-scale.lost - 1]
            courses[region].append(bold.mean(axis=1))
            if region == kit.VOXELS:
                path = kit.bold_path(folder, f"s{s + 1}")
                path.parent.mkdir(parents=True)
                kept = np.ones((len(voxels), 1), np.uint8)
                savemat(path, {"keptvox": kept, "rdata": bold.T.astype(np.float32)})
    for region, parts in courses.items():
        path = kit.course_path(folder, region)
        path.parent.mkdir(parents=True, exist_ok=True)
        table = np.stack(parts, axis=1)
        table = (table - table.mean(0)) / table.std(0)
        alike = np.corrcoef(table.T)[np.triu_indices(n_subjects, 1)].mean() if n_subjects > 1 else 1.0
        mean = table.mean(axis=1, keepdims=True)
        savemat(path, {"roitc": table, "uncropped_roitc": table, "meantc": mean, "meancorr": alike})


def _cortex(region: Region, position: Float[np.ndarray, "vertices dims"], *, seed: int) -> Cortex:
    weight = [
        max((w for prefix, w in region.importance.items() if name.startswith(prefix)), default=0.1)
        for name in ATTRIBUTES
    ]
    # People's tuning agrees only in part, so more than the shared share must be driven by the film.
    physiology = Physiology(signal_share=min(1.45 * region.likeness, 0.9))
    return Cortex.grow(position, np.array(weight), seed=seed, physiology=physiology)


def _watch(cortex: Cortex, story: Story, tr_s: float, *, seed: int) -> Float[np.ndarray, "trs vertices"]:
    """One person's film: scans simulated apart, shifted for the lag and z-scored like the real kit's."""
    person, shown, scans = cortex.person(seed), design(story), []
    for k, (begin, end) in enumerate(pairwise([0, *story.breaks, story.n_trs])):
        bold = cortex.bold(person, shown[begin:end], tr_s=tr_s, seed=seed_of(seed, k), shift_trs=SHIFT_TRS).astype(
            np.float64
        )
        scans.append((bold - bold.mean(0)) / bold.std(0, ddof=1))
    return np.concatenate(scans)


def _blob(centre: tuple[int, int, int], voxels: int) -> Int[np.ndarray, "voxels 3"]:
    """The grid points nearest to ``centre``, in Matlab's (column-major) order."""
    x, y, z = (np.arange(n) - c for n, c in zip(GRID, centre, strict=True))
    distance = x[:, None, None] ** 2 + y[None, :, None] ** 2 + z[None, None, :] ** 2
    nearest = np.argsort(distance.ravel(order="F"), kind="stable")[:voxels]
    return np.stack(np.unravel_index(np.sort(nearest), GRID, order="F"), axis=1)


def _write_masks(folder: Path, scale: Scale) -> None:
    import nibabel

    for name, region in REGIONS.items():
        mask = np.zeros(GRID, np.uint8)
        mask[tuple(_blob(region.centre, scale.voxels if name == kit.VOXELS else region.voxels).T)] = 1
        if name == "ddmn_mpfc":
            mask = mask[..., None]
        path = kit.mask_path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(mask, AFFINE), path)


def _write_sheet(path: Path, story: Story, tr_s: float, seed: int) -> None:
    import openpyxl
    from openpyxl.styles import Font

    rng = np.random.default_rng(seed_of(seed, 3))
    rows, scene = [], -1
    ends = {*story.breaks, story.n_trs}
    for shot in story.shots:
        begin = max([0, *(b for b in story.breaks if b <= shot.start)])
        # Now and then a segment ends within the volume in which the next one starts, as in the real sheet.
        last = shot.stop if shot.stop in ends or rng.random() > 0.09 else shot.stop + 1
        title = f"{shot.scene + 1}. {shot.place.title()} " if shot.scene != scene else None
        scene = shot.scene
        seconds = (round((shot.start - begin) * tr_s), round((shot.stop - begin) * tr_s))
        mood = ("+", "-")[shot.mood in ("gloomy", "furious", "tense")]
        ratings = [cell for _ in range(4) for cell in (int(rng.integers(1, 6)), mood)]
        told = [title, shot.text, "Indoor" if shot.indoor else "Outdoor"]
        people = [", ".join(shot.people), shot.people[0], shot.speaker]
        seen = [shot.place.title(), "Medium", "Yes", None]
        rows.append([*seconds, shot.start + 1, last, *told, *people, *seen, *ratings])
        if shot.stop == story.breaks[0]:
            black = [None, "Black screen. ", "Unknown", "Nobody", None, None, "Black Screen", None, "No", None]
            rows += [[seconds[1] + k, seconds[1] + k + 1, None, None, *black, *ratings] for k in range(UNTIMED)]

    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.title = kit.SHEET
    sheet.append(HEADER)
    for number, row in enumerate(rows, start=1):
        sheet.append([number, *row])
    # Formatted but empty cells: they give the real sheet a nameless last column and an empty last row.
    sheet.cell(1, len(HEADER) + 1).font = Font(bold=True)
    sheet.cell(len(rows) + 2, 1).font = Font(bold=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
