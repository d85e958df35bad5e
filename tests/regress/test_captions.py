"""What a brain may be read out in never contains the answer, across datasets too."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from brainreel.regress.captions import caption_pool
from brainreel.store import Manifest, Store, StoreWriter
from brainreel.store.targets import Targets


def tiny(path, name: str, train: list[list[str]], test: list[list[str]]) -> tuple[Store, Targets]:
    """One person who saw every clip once."""
    captions = train + test
    ids = [f"{name}-{index}" for index in range(len(captions))]
    facts = {"name": name, "title": name, "licence": "none", "citation": "none", "kind": "event"}
    with StoreWriter(path, Manifest.model_validate({**facts, "responses": "planted", "simulated": True})) as writer:
        writer.add_space("planted", np.arange(3), ["all"] * 3)
        writer.add_responses(
            "s1", np.random.default_rng(0).normal(size=(len(ids), 3)).astype(np.float32), space="planted"
        )
        writer.write_clips(
            pd.DataFrame({"clip_id": ids, "duration_s": 3.0, "fps": 8.0}).assign(
                captions=list(map(json.dumps, captions))
            )
        )
        trials = pd.DataFrame({"subject": "s1", "session": "1", "run": "1", "clip_id": ids})
        writer.write_trials(trials.assign(repetition=1, onset_s=4.0 * np.arange(len(ids)), duration_s=3.0))
        roles = ["train"] * len(train) + ["test"] * len(test)
        writer.write_folds("official", pd.DataFrame({"fold-0": roles}))
    said = sorted({caption for row in captions for caption in row})
    values = np.stack([np.random.default_rng(list(text.encode())).normal(size=4) for text in said]).astype(np.float32)
    return Store(path), Targets("words", np.zeros((len(ids), 4), np.float32), said, values)


@pytest.fixture
def two(tmp_path):
    first = tiny(tmp_path / "a", "a", [["a cat", "one"], ["a dog"]], [["a cow"]])
    second = tiny(tmp_path / "b", "b", [["a cow"], ["a hen"], ["a dog"]], [["one"]])
    return zip(*(first, second), strict=True)


def test_captions_of_test_clips_of_any_dataset_are_left_out(two):
    stores, targets = two
    pool = caption_pool(stores, targets, "official", 0, np.zeros(4, np.float32))
    assert pool.captions == ["a cat", "a dog", "a hen"]
    assert pool.values.shape == (3, 4)


def test_a_caption_is_found_by_its_own_vector(two):
    stores, targets = two
    centre = np.full(4, 0.1, np.float32)
    pool = caption_pool(stores, targets, "official", 0, centre)
    captions, cosine = pool.read(pool.values - centre)
    assert captions == pool.captions
    np.testing.assert_allclose(cosine, 1.0, atol=1e-6)


def test_targets_without_vectors_of_captions_say_nothing(two):
    stores, targets = two
    silent = [Targets(found.name, found.values) for found in targets]
    pool = caption_pool(stores, silent, "official", 0, np.zeros(4, np.float32))
    captions, cosine = pool.read(np.ones((2, 4), np.float32))
    assert captions == []
    assert np.isnan(cosine).all()
