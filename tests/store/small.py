"""Small stores with planted values."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from brainreel.store import Manifest, Store, StoreWriter

TR_S = 1.5
RUNS = {"a": 24, "b": 30}
FACTS = {"title": "t", "licence": "l", "citation": "c", "responses": "planted"}


def manifest(kind: str = "continuous", name: str = "film", **facts) -> Manifest:
    return Manifest(name=name, kind=kind, **FACTS, **facts)


def values(seed: int, rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


def seed_of(subject: str, run: str = "", group: str = "bold") -> int:
    return int.from_bytes(f"{subject}/{run}/{group}".encode(), "little") % (1 << 31)


def windows() -> pd.DataFrame:
    """Windows of 4 volumes, 2 apart, in film time through both runs."""
    parts, before = [], 0
    for run, volumes in RUNS.items():
        local = np.arange(0, volumes - 3, 2)
        parts.append(pd.DataFrame({"run": run, "onset_s": local * TR_S, "film_s": (local + before) * TR_S}))
        before += volumes
    table = pd.concat(parts, ignore_index=True)
    return table.assign(duration_s=4 * TR_S, clip_id=[f"w{k:03d}" for k in range(len(table))])


def clips(table: pd.DataFrame, **more) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "clip_id": table["clip_id"],
            "stimulus": "film",
            "onset_s": table["film_s"],
            "duration_s": table["duration_s"],
            "captions": [json.dumps([f"scene {k}"]) for k in range(len(table))],
        }
    )
    return table.assign(**more)


def roles(table: pd.DataFrame) -> np.ndarray:
    """Two folds that test one run each and train on the other."""
    return np.stack([np.where(table["run"] == run, "test", "train") for run in RUNS], axis=1)


def fill_film(writer: StoreWriter, subjects=("s1", "s2"), seed: int = 0, more=None) -> None:
    writer.add_space("atlas/cortex", np.arange(5) * 7, ["V1", "V1", "V2", "V2", "NA"])
    writer.add_space("atlas/regions", np.arange(2), ["R1", "R2"])
    table = windows()
    for subject in subjects:
        for run, volumes in RUNS.items():
            for group, space, width in (("bold", "atlas/cortex", 5), ("regions", "atlas/regions", 2)):
                planted = values(seed + seed_of(subject, run, group), volumes, width)
                writer.add_bold(subject, run, planted, tr_s=TR_S, space=space, group=group)
    writer.write_clips(clips(table, **(more or {})))
    shown = table[["run", "clip_id", "onset_s", "duration_s"]].assign(session="01", repetition=1)
    writer.write_trials(pd.concat([shown.assign(subject=s) for s in subjects], ignore_index=True))
    writer.write_folds("by-run", pd.DataFrame(np.concatenate([roles(table)] * len(subjects)), columns=list(RUNS)))
    notes = {"stimulus": "film", "onset_s": np.arange(9) * 9.0, "duration_s": 9.0}
    notes["caption"] = [f"scene {k}" for k in range(9)]
    writer.write_annotations(pd.DataFrame(notes), stimulus_volumes=sum(RUNS.values()))


def film(path: Path, name: str = "film", **options) -> Store:
    with StoreWriter(path, manifest(name=name)) as writer:
        fill_film(writer, **options)
    return Store(path)


def fill_events(writer: StoreWriter, dtype: type = np.float16, seed: int = 0, table=None, more=None) -> None:
    writer.add_space("own", np.arange(3), ["P"] * 3)
    for subject in ("s1", "s2"):
        writer.add_responses(subject, values(seed + seed_of(subject), 6, 3).astype(dtype), space="own")
    ids = ["c1", "c2", "c3", "c1", "c2", "c3"]
    shown = pd.DataFrame({"run": "1", "clip_id": ids, "repetition": [1, 1, 1, 2, 2, 2]})
    # The subjects' trials lie between each other, as in releases sorted by session.
    trials = pd.concat([shown.assign(subject=s, session=k // 3) for k in range(6) for s in ("s2", "s1")][:2])
    order = np.arange(12).reshape(2, 6).T.ravel()
    trials = trials.iloc[order].reset_index(drop=True)
    writer.write_clips(pd.DataFrame({"clip_id": ["c1", "c2", "c3"], "duration_s": 3.0, **(more or {})}))
    writer.write_trials(trials)
    given = np.where(trials["clip_id"] == "c3", "test", "train") if table is None else table
    writer.write_folds("official", pd.DataFrame({"fold": given}))


def events(path: Path, name: str = "events", repetitions=None, **options) -> Store:
    with StoreWriter(path, manifest("event", name, repetitions=repetitions or {})) as writer:
        fill_events(writer, **options)
    return Store(path)
