"""Embeddings and targets that share a latent code of the clips, so that the answer is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from brainreel.metrics.identification import two_way_identification
from brainreel.regress.config import RegressConfig

CODE, DIM = 6, 20
SHAPES = {"text": (4, 8), "latent": (2, 3, 4, 4)}


class Planted(NamedTuple):
    """``repetitions`` trials of every clip; the last ``test`` clips are not trained on."""

    embedding: np.ndarray
    clip: np.ndarray
    targets: dict[str, np.ndarray]
    is_test: np.ndarray

    @property
    def training(self):
        """Arguments of `Regressor.fit`."""
        return self.embedding[~self.is_test], self.clip[~self.is_test], self.targets


def planted(train: int = 120, test: int = 30, repetitions: int = 3, noise: float = 0.7, seed: int = 0) -> Planted:
    rng = np.random.default_rng(seed)
    code = rng.normal(size=(train + test, CODE))
    clip = np.repeat(np.arange(train + test), repetitions)
    embedding = code[clip] @ rng.normal(size=(CODE, DIM)) / np.sqrt(CODE) + noise * rng.normal(size=(len(clip), DIM))
    targets = {}
    for name, shape in SHAPES.items():
        flat = code @ rng.normal(size=(CODE, int(np.prod(shape)))) + 5.0
        targets[name] = flat.reshape(-1, *shape).astype(np.float32)
    return Planted(embedding.astype(np.float32), clip, targets, clip >= train)


def config(**settings) -> RegressConfig:
    """Small settings, written out so that the defaults may change."""
    small = {"components": 16, "width": 64, "depth": 1, "steps": 150, "lr": 3e-3, "weight_decay": 0.1}
    drop = {"dropout_in": 0.1, "dropout_hidden": 0.1, "mse": 1.0, "contrastive": 0.1, "clips_per_batch": 64}
    ridge = {"penalties": (1.0, 10.0, 100.0, 1000.0), "inner_folds": 3, "gap_s": 0.0}
    return RegressConfig.model_validate({**small, **drop, "ridge": ridge, **settings})


def identified(predicted: np.ndarray, truth: np.ndarray, centre: np.ndarray) -> float:
    flat = predicted.reshape(len(predicted), -1) - centre.reshape(-1)
    return float(
        two_way_identification(flat, truth.reshape(len(truth), -1), centre=centre.reshape(-1).astype(np.float32)).mean()
    )
