"""What is in a store, in numbers: the row of a table over several."""

from __future__ import annotations

import numpy as np
import zarr
from pydantic import BaseModel, ConfigDict

from brainreel.store.reader import Store


class HeldOut(BaseModel):
    """One list of folds: how many there are, and how many clips a fold trains and tests at most."""

    model_config = ConfigDict(frozen=True)
    name: str
    folds: int
    train_clips: int
    test_clips: int
    test_repetitions: tuple[int, int] | None

    def __str__(self) -> str:
        """«official: 1000 train, 102 test × 10»."""
        least, most = self.test_repetitions or (1, 1)
        times = "" if most == 1 else f" × {most}" if least == most else f" × {least}-{most}"
        folds = "" if self.folds == 1 else f" in each of {self.folds}"
        return f"{self.name}: {self.train_clips} train, {self.test_clips} test{times}{folds}"


class Summary(BaseModel):
    """The numbers of one store.

    Attributes:
        repetitions: The least and the most often that somebody saw a clip.
        hours: Of recording (continuous) or of shown clips (event), all people together; None where durations are
            unknown.
        videos: Clips whose video is there.
    """

    model_config = ConfigDict(frozen=True)
    store: str
    dataset: str
    kind: str
    simulated: bool
    subjects: int
    clips: int
    videos: int
    trials: int
    repetitions: tuple[int, int]
    hours: float | None
    tr_s: float | None
    spaces: dict[str, int]
    held_out: list[HeldOut]


def summary(store: Store) -> Summary:
    """The numbers of a store; of responses, nothing but shapes is read."""
    facts, trials, clips = store.manifest, store.trials, store.clips
    shown = trials.groupby(["subject", "clip_id"], sort=False).size().to_numpy()
    spaces = {space: who for subjects in facts.spaces.values() for who, space in subjects.items()}
    groups = {space: group for group, subjects in facts.spaces.items() for space in subjects.values()}
    return Summary(
        store=str(store.root),
        dataset=store.name,
        kind=facts.kind,
        simulated=facts.simulated,
        subjects=len(store.subjects),
        clips=len(clips),
        videos=sum(bool(path) and (store.root / path).is_file() for path in clips["path"].astype(str)),
        trials=len(trials),
        repetitions=(int(shown.min()), int(shown.max())) if len(shown) else (0, 0),
        hours=_hours(store),
        tr_s=facts.tr_s,
        spaces={space: len(store.space(groups[space], who)) for space, who in spaces.items()},
        held_out=[held_out(store, name) for name in facts.folds],
    )


def held_out(store: Store, name: str) -> HeldOut:
    """What a list of folds leaves for training and test."""
    roles = store.folds(name)
    counts, times = {"train": 0, "test": 0}, []
    for fold in roles.columns:
        for role in counts:
            rows = np.flatnonzero((roles[fold] == role).to_numpy())
            counts[role] = max(counts[role], len(np.unique(store.clip_index(rows))))
            if role == "test" and len(rows):
                times += store.trials.iloc[rows].groupby(["subject", "clip_id"], sort=False).size().tolist()
    often = (min(times), max(times)) if times else None
    return HeldOut(
        name=name,
        folds=roles.shape[1],
        train_clips=counts["train"],
        test_clips=counts["test"],
        test_repetitions=often,
    )


def _hours(store: Store) -> float | None:
    facts = store.manifest
    if facts.kind == "continuous":
        group = zarr.open_group(store.root / f"{facts.groups[0]}.zarr", mode="r")
        volumes = sum(a.shape[0] for _, a in group.members(max_depth=None) if isinstance(a, zarr.Array))
        return round(volumes * (facts.tr_s or 0) / 3600, 2)
    duration = store.trials["duration_s"].to_numpy(dtype=float)
    known = store.clips["duration_s"].to_numpy(dtype=float)[store.clip_of_trial]
    total = np.where(np.isnan(duration), known, duration).sum()
    return None if np.isnan(total) else round(float(total) / 3600, 2)
