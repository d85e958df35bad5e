"""The nearest training clip is the one whose vector was planted."""

from __future__ import annotations

import numpy as np

from brainreel.pipeline.nearest_clips import CONDITION, _nearest
from brainreel.regress import Conditions


def test_the_nearest_training_clip_is_found_around_their_mean():
    rng = np.random.default_rng(0)
    # A mean that is large beside what tells clips apart, as in CLIP's space.
    values = (20 + rng.normal(size=(12, 8))).astype(np.float32)
    centre = values.mean(axis=0)
    planted = {"a": 7, "b": 2, "c": 11}
    # Regressed vectors are shrunk towards the mean.
    regressed = centre + 0.1 * (values[list(planted.values())] - centre)
    conditions = Conditions(list(planted), {CONDITION: regressed.astype(np.float32)})
    found = _nearest(conditions, values, [f"train-{row}" for row in range(12)])
    assert found == {clip: f"train-{row}" for clip, row in planted.items()}
