"""What stands for a method in a difference: its answers shuffled, and chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from brainreel.evaluate.experiment import side_of
from brainreel.evaluate.identification import SHUFFLES
from brainreel.evaluate.scores import difference_row
from brainreel.metrics.controls import derangements

CLIPS = 200


@pytest.fixture(scope="module")
def scored() -> dict[str, pd.DataFrame]:
    """Three people whose answers know something; shuffled as `score_trials` does."""
    rng = np.random.default_rng(0)
    truth, names = rng.normal(size=(CLIPS, 8)), [f"clip-{k:03d}" for k in range(CLIPS)]
    parts = []
    for subject in ("s1", "s2", "s3"):
        answers = truth + rng.normal(scale=2, size=truth.shape)
        alike = answers @ truth.T / np.outer(np.linalg.norm(answers, axis=1), np.linalg.norm(truth, axis=1))
        # [i, j]: the score of truth i answered with j.
        two_way = ((rankdata(alike, axis=1) - 1) / (CLIPS - 1)).T
        given = derangements(CLIPS, SHUFFLES, 0)
        shuffled = two_way[np.arange(CLIPS), given].mean(0)
        own = {"two_way": np.diag(two_way), "shuffled": shuffled, "clip_id": names, "fold": 0, "gallery": CLIPS}
        parts.append(pd.DataFrame(own).assign(subject=subject, dataset="d", seed=0))
    return {"model": pd.concat(parts, ignore_index=True)}


def difference(scored, first, second):
    sides = (side_of(scored, name) for name in (first, second))
    (row,) = difference_row(*sides, (first, second), continuous=False, seed=0)
    return row


def test_answers_beat_their_shuffle_and_the_shuffle_is_chance(scored):
    assert SHUFFLES >= 100
    row = difference(scored, "model", "model, shuffled")
    assert row["ci95"][0] > 0.05
    assert row["value"] == pytest.approx((scored["model"]["two_way"] - scored["model"]["shuffled"]).mean(), abs=1e-6)
    nothing = difference(scored, "model, shuffled", "model, chance")
    assert nothing["ci95"][0] < 0 < nothing["ci95"][1]
    # The right pairs are missing from the shuffle, and all pairs together score exactly one half.
    own, shuffled = (scored["model"][column].mean() for column in ("two_way", "shuffled"))
    assert nothing["value"] == pytest.approx(shuffled - 0.5 + (own - 0.5) / (CLIPS - 1), abs=1e-6)
    assert abs(nothing["value"]) < 5e-3
    assert (nothing["bootstrap"], nothing["subjects"], nothing["n_units"]) == ("crossed", 3, CLIPS)


def test_a_method_is_itself_and_another_control_is_none(scored):
    assert side_of(scored, "model")["two_way"].equals(scored["model"]["two_way"])
    with pytest.raises(KeyError):
        side_of(scored, "model, oracle")
