"""Two small stores with folds, and predictions whose scores are known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from brainreel.align.predictions import Predictions
from brainreel.evaluate.methods import Found, Method, find
from brainreel.store import Manifest, Store, StoreWriter
from brainreel.store.targets import Targets

FOLDS, PER_FOLD, TRAIN, DIM = 3, 7, 12, 6
SUBJECTS = ("s1", "s2", "s3", "s4")


@dataclass
class World:
    """A store whose fold k tests the clips k·PER_FOLD …; each subject saw test clips twice, in another order."""

    store: Store
    targets: Targets
    root: Path

    def rows(self, subject: str, fold: int) -> np.ndarray:
        return self.store.rows(subject, self.store.roles("thirds", fold) == "test")

    def predict(
        self, job: str, how, seeds=(0,), folds=range(FOLDS), subjects=SUBJECTS, name="events", **facts
    ) -> Found:
        """Write predictions ``how(truth, subject, fold, seed)`` where truth is the trials' centred targets."""
        for seed in seeds:
            for fold in folds:
                centre = self.centre(fold)
                embedding, row = {}, {}
                for subject in subjects:
                    rows = self.rows(subject, fold)
                    truth = self.targets.values[self.store.clip_index(rows)] - centre
                    embedding[f"{name}/{subject}"] = np.asarray(how(truth, subject, fold, seed), np.float32)
                    row[f"{name}/{subject}"] = rows
                path = self.root / f"align/{job}/seed-{seed}/fold-{fold}/predictions/decoder.safetensors"
                all_facts = {"folds": "thirds", "fold": fold, "shift": 0, **facts}
                Predictions(embedding, row, centre, all_facts).write(path)
        return find(self.root, Method(name=job, job=job))

    def centre(self, fold: int) -> np.ndarray:
        clips = self.store.clip_index(np.flatnonzero(self.store.roles("thirds", fold) == "train"))
        return self.targets.values[np.unique(clips)].mean(0)


@pytest.fixture
def world(tmp_path) -> World:
    rng = np.random.default_rng(0)
    tested = FOLDS * PER_FOLD
    total = tested + TRAIN
    clip_ids = [f"clip-{index:02d}" for index in rng.permutation(total)]  # Names are not in the order of folds.
    clips = pd.DataFrame({"clip_id": clip_ids, "duration_s": 2.0})
    captions = [[f"only {name}", "everywhere", f"pair {index // 2}"] for index, name in enumerate(clip_ids)]
    clips["captions"] = [json.dumps(row) for row in captions]
    manifest = Manifest(name="events", title="t", licence="l", citation="c", kind="event", responses="r")
    shown = np.concatenate([np.arange(total), np.arange(tested)])
    parts = []
    with StoreWriter(tmp_path / "store", manifest) as writer:
        writer.add_space("space", np.arange(3), ["p"] * 3)
        for subject in SUBJECTS:
            order = rng.permutation(len(shown))
            writer.add_responses(subject, rng.normal(size=(len(order), 3)).astype(np.float32), space="space")
            parts.append(
                pd.DataFrame(
                    {"subject": subject, "session": "1", "run": "1", "clip_id": np.array(clip_ids)[shown[order]]}
                )
            )
        trials = pd.concat(parts, ignore_index=True).assign(repetition=1, onset_s=0.0, duration_s=2.0)
        writer.write_clips(clips)
        writer.write_trials(trials)
        place = pd.Index(clip_ids).get_indexer(pd.Index(trials["clip_id"]))
        roles = {
            f"fold-{fold}": np.where(place >= tested, "train", np.where(place // PER_FOLD == fold, "test", "train"))
            for fold in range(FOLDS)
        }
        writer.write_folds("thirds", pd.DataFrame(roles))
    values = (rng.normal(size=(total, DIM)) + 1).astype(np.float32)
    names = list(dict.fromkeys(text for row in captions for text in row))
    vectors = rng.normal(size=(len(names), DIM)).astype(np.float32)
    return World(Store(tmp_path / "store"), Targets("t", values, names, vectors), tmp_path / "run")
