"""Embeddings of training trials that know nothing of their own clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from brainreel.align.config import AlignConfig
from brainreel.align.examples import Recording
from brainreel.cortex.standardise import fit_scaling
from brainreel.regress import crossfit as module
from brainreel.regress.crossfit import crossfit
from brainreel.regress.examples import apart

CLIPS, DIM, FEATURES = 40, 5, 12
CONFIG = AlignConfig(strategy="ridge", gap_s=0.0)
CPU = torch.device("cpu")


def given():
    """Two people who saw every clip, one twice; a third who saw two clips of one part."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(CLIPS, DIM)).astype(np.float32)
    recordings = []
    for name, clip in (("a", np.arange(CLIPS)), ("b", np.repeat(np.arange(CLIPS), 2)), ("c", np.array([4, 8]))):
        responses = values[clip] @ rng.normal(size=(DIM, FEATURES)) + 0.3 * rng.normal(size=(len(clip), FEATURES))
        responses = responses.astype(np.float32)
        weight = np.ones(FEATURES, np.float32)
        recordings.append(Recording(f"d/{name}", "s", responses, clip, fit_scaling(responses), weight))
    return recordings, replace(apart(CLIPS), values=values, centre=np.zeros(DIM, np.float32))


def test_own_targets_do_not_matter_and_others_do(tmp_path):
    recordings, goals = given()
    found = crossfit(recordings[:2], goals, CONFIG, 4, tmp_path / "one", CPU)
    other = goals.values.copy()
    # Clips without neighbours in time go to the parts in turn.
    other[::4] = other[::4][::-1]
    changed = crossfit(recordings[:2], replace(goals, values=other), CONFIG, 4, tmp_path / "other", CPU)
    for recording, one, two in zip(recordings, found, changed, strict=False):
        own = recording.clip % 4 == 0
        np.testing.assert_array_equal(one[own], two[own])
        assert not np.allclose(one[~own], two[~own], atol=1e-3)
        # They still say what was seen.
        assert np.corrcoef(one.ravel(), goals.values[recording.clip].ravel())[0, 1] > 0.7


def test_who_has_no_other_trials_is_left_out(tmp_path):
    recordings, goals = given()
    found = crossfit(recordings, goals, AlignConfig(strategy="pooled-ridge", gap_s=0.0), 4, tmp_path, CPU)
    assert [np.isnan(values).all() for values in found] == [False, False, True]
    assert not np.isnan(np.concatenate(found[:2])).any()


def test_finished_parts_are_not_computed_again(tmp_path, monkeypatch):
    recordings, goals = given()
    found = crossfit(recordings[:2], goals, CONFIG, 4, tmp_path, CPU)
    last = tmp_path / "part-3.safetensors"
    last.unlink()
    asked = []
    strategy = module.STRATEGIES["ridge"]
    monkeypatch.setitem(module.STRATEGIES, "ridge", lambda training: asked.append(1) or strategy(training))
    again = crossfit(recordings[:2], goals, CONFIG, 4, tmp_path, CPU)
    assert len(asked) == 1
    for one, two in zip(found, again, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("parts", [2, 5])
def test_every_trial_has_its_embedding(tmp_path, parts):
    recordings, goals = given()
    found = crossfit(recordings[:2], goals, CONFIG, parts, tmp_path, CPU)
    assert [len(values) for values in found] == [CLIPS, 2 * CLIPS]
    assert all(np.isfinite(values).all() for values in found)
