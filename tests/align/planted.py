"""Small stores with a known answer: subjects share a latent code of what was shown, each in their own way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter1d

from brainreel.align.config import AlignConfig
from brainreel.metrics.identification import two_way_identification
from brainreel.store import Manifest, Store, StoreWriter
from brainreel.store.folds import block_roles
from brainreel.store.targets import Targets, shifted

TR_S = 1.5
LATENT, DIM, VERTICES = 8, 12, 60
SUBJECTS = ("s1", "s2", "s3", "s4", "s5", "s6", "odd")
"""``odd`` has another topography than the rest: what is common to them fits it badly."""


def config(strategy: str = "contrastive", **contrastive) -> AlignConfig:
    """Small settings, written out so that the defaults may change."""
    network = {"latent": 24, "steps": 40, "lr": 1e-2, "weight_decay": 0.3, "dropout_in": 0.3, "dropout_hidden": 0.1}
    return AlignConfig.model_validate(
        {
            "strategy": strategy,
            "gap_s": 15.0,
            "contrastive": {**network, "refit_penalty": 300.0, "newcomer_penalty": 30.0, **contrastive},
            "ridge": {"penalties": (10.0, 100.0, 1000.0), "inner_folds": 3},
        }
    )


def maps(rng: np.random.Generator, vertices: int = VERTICES) -> dict[str, np.ndarray]:
    """latent → vertices for everybody: a common part and a personal one, which is larger for ``odd``."""
    common = rng.normal(size=(LATENT, vertices))
    return {
        subject: common * (0.0 if subject == "odd" else 1.0)
        + rng.normal(size=common.shape) * (1.0 if subject == "odd" else 0.4)
        for subject in SUBJECTS
    }


def manifest(name: str, kind: str) -> Manifest:
    return Manifest.model_validate(
        {"name": name, "title": name, "licence": "none", "citation": "none", "kind": kind, "responses": "planted"}
        | {"simulated": True}
    )


def event_store(
    path: Path, *, name: str = "events", train: int = 90, test: int = 30, noise: float = 11.0, vertices: int = VERTICES
) -> tuple[Store, Targets]:
    """Everybody sees every training clip once and every test clip twice, in an order of their own."""
    rng = np.random.default_rng(7)
    total = train + test
    code = rng.normal(size=(total, LATENT))
    subject_maps = maps(rng, vertices)
    clip_ids = np.array([f"clip-{index:03d}" for index in range(total)])
    shown = np.concatenate([np.arange(total), np.arange(train, total)])
    repetition = np.concatenate([np.ones(total, int), np.full(test, 2)])
    tables = []
    with StoreWriter(path, manifest(name, "event")) as writer:
        writer.add_space(f"planted{vertices}", np.arange(vertices), ["all"] * vertices)
        for subject in SUBJECTS:
            order = rng.permutation(len(shown))
            responses = code[shown[order]] @ subject_maps[subject] + noise * rng.normal(size=(len(order), vertices))
            responses = 3 + responses * rng.uniform(0.5, 2, vertices)
            writer.add_responses(subject, responses.astype(np.float32), space=f"planted{vertices}")
            tables.append(
                pd.DataFrame(
                    {"subject": subject, "session": "1", "run": "1", "clip_id": clip_ids[shown[order]]}
                ).assign(repetition=repetition[order], onset_s=4.0 * np.arange(len(order)), duration_s=3.0)
            )
        trials = pd.concat(tables, ignore_index=True)
        writer.write_clips(
            pd.DataFrame({"clip_id": clip_ids, "duration_s": 3.0, "fps": 8.0}).assign(
                captions=[json.dumps([f"caption {index}", f"also {index}"]) for index in range(total)]
            )
        )
        writer.write_trials(trials)
        is_test = np.isin(trials["clip_id"].to_numpy(dtype=str), clip_ids[train:])
        writer.write_folds("official", pd.DataFrame({"fold-0": np.where(is_test, "test", "train")}))
    values = code @ np.random.default_rng(8).normal(size=(LATENT, DIM)) + 2.0
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    captions = [text for index in range(total) for text in (f"caption {index}", f"also {index}")]
    targets = Targets("planted", values.astype(np.float32), captions, np.repeat(values, 2, 0).astype(np.float32))
    return Store(path), targets


def film_store(path: Path, *, name: str = "film", volumes: int = 240, noise: float = 22.0) -> tuple[Store, Targets]:
    """Two runs of a film, windows of 10 TRs every 2, four contiguous blocks to test; what is said changes every 5."""
    rng = np.random.default_rng(5)
    runs = {"run-1": 0, "run-2": volumes}
    code = 4 * gaussian_filter1d(rng.normal(size=(2 * volumes, LATENT)), 4, axis=0)
    subject_maps = maps(rng)
    starts = [(run, first) for run in runs for first in range(0, volumes - 9, 2)]
    clips = pd.DataFrame(
        {
            "clip_id": [f"{run}-{first:03d}" for run, first in starts],
            "stimulus": "film",
            "onset_s": [TR_S * (runs[run] + first) for run, first in starts],
            "duration_s": 10 * TR_S,
        }
    )
    notes = pd.DataFrame({"stimulus": "film", "onset_s": TR_S * np.arange(0, 2 * volumes, 5), "duration_s": 5 * TR_S})
    notes["caption"] = [f"scene {index}" for index in range(len(notes))]
    heard = [
        notes["caption"][(notes["onset_s"] < o + 10 * TR_S) & (notes["onset_s"] + 5 * TR_S > o)].tolist()
        for o in clips["onset_s"]
    ]
    block = volumes // 2
    with StoreWriter(path, manifest(name, "continuous")) as writer:
        writer.add_space("planted", np.arange(VERTICES), ["all"] * VERTICES)
        for subject in SUBJECTS:
            bold = code @ subject_maps[subject] + noise * rng.normal(size=(len(code), VERTICES))
            for run, first in runs.items():
                values = bold[first : first + volumes].astype(np.float32)
                writer.add_bold(subject, run, values, tr_s=TR_S, space="planted")
        writer.write_clips(clips.assign(captions=[json.dumps(row) for row in heard]))
        trials = pd.concat(
            [
                pd.DataFrame({"subject": subject, "session": "1", "run": [run for run, _ in starts]})
                .assign(clip_id=clips["clip_id"], repetition=1, duration_s=10 * TR_S)
                .assign(onset_s=[TR_S * first for _, first in starts])
                for subject in SUBJECTS
            ],
            ignore_index=True,
        )
        writer.write_trials(trials)
        writer.write_annotations(notes, stimulus_volumes=2 * volumes)
        onset = np.tile(clips["onset_s"].to_numpy(float), len(SUBJECTS))
        first = np.array([first for _, first in starts] * len(SUBJECTS))
        blocks_s = [(TR_S * block * k, TR_S * block * (k + 1)) for k in range(4)]
        roles = block_roles(onset, onset + 10 * TR_S, first % 10 == 0, blocks_s, 15.0)
        writer.write_folds("blocks-of-4", pd.DataFrame(roles, columns=pd.Index([f"fold-{k}" for k in range(4)])))
    store = Store(path)
    scenes = code.reshape(-1, 5, LATENT).mean(1) @ np.random.default_rng(6).normal(size=(LATENT, DIM)) + 2.0
    scenes = (scenes / np.linalg.norm(scenes, axis=1, keepdims=True)).astype(np.float32)
    empty = Targets("planted", np.zeros((len(clips), DIM), np.float32), notes["caption"].tolist(), scenes)
    return store, Targets("planted", shifted(store, empty, 0).values, empty.captions, scenes)


def identified(
    store: Store, targets: Targets, subject: str, embed, centre: np.ndarray, folds: str, fold: int = 0
) -> float:
    """Mean two-way identification of a subject's test trials; ``embed`` maps their rows to embeddings."""
    rows = store.rows(subject, store.roles(folds, fold) == "test")
    clips = store.clip_index(rows)
    return float(two_way_identification(embed(rows), targets.values[clips], clip_id=clips, centre=centre).mean())
