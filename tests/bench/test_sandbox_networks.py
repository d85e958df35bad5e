"""The measure of the sandbox's networks tells a classifier that sees from one that guesses."""

from __future__ import annotations

import numpy as np

from brainreel.bench.sandbox_networks import agreement
from brainreel.world.scenes import KINDS, MOTIONS, draw_scenes


def test_agreement_of_a_classifier_that_sees_kinds_and_not_motions():
    scenes = draw_scenes(400, 5, combos="held-out")
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(400, len(KINDS), len(MOTIONS)))
    logits[np.arange(400), scenes.kind] += 8
    found = agreement(logits.reshape(400, -1), scenes)
    assert found["kind"]["agreement"] == 1
    assert found["kind"]["chance"] == 1 / len(KINDS)
    low, high = found["motion"]["ci95"]
    assert low < 1 / 8 < high, "motions are guessed"
    assert high - low < 0.1
