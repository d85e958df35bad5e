"""How much of their own a newcomer gave, and that nothing else of theirs is used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge

from brainreel.align.aligner import Aligner
from brainreel.align.newcomers import adapt, first_minutes
from brainreel.store import Store

from .planted import TR_S, config, manifest


def film_of(runs: list[str], starts: list[int], length: int = 10) -> Store:
    """A store of nothing but trials, which is all that `first_minutes` reads."""
    store = Store.__new__(Store)
    store.manifest = manifest("film", "continuous").model_copy(update={"tr_s": TR_S})
    store.trials = pd.DataFrame({"run": runs, "onset_s": TR_S * np.array(starts), "duration_s": TR_S * length})
    return store


def taken(store: Store, volumes: float) -> list[int]:
    return first_minutes(store, np.arange(len(store.trials)), volumes * TR_S / 60).tolist()


def test_a_window_needs_all_of_its_volumes_and_overlap_counts_once():
    store = film_of(["r"] * 4, [0, 2, 4, 20])
    assert taken(store, 9) == []
    assert taken(store, 10) == [0]
    assert taken(store, 13.9) == [0, 1]
    assert taken(store, 14) == [0, 1, 2]
    assert taken(store, 23) == [0, 1, 2], "volumes 14 to 19 belong to no training window and cost nothing"
    assert taken(store, 24) == [0, 1, 2, 3]


def test_runs_follow_each_other_as_they_were_recorded():
    store = film_of(["run-9", "run-9", "run-10"], [0, 10, 0])
    assert taken(store, 20) == [0, 1]
    assert taken(store, 30) == [0, 1, 2]


def test_nothing_given_is_nothing_taken(events, film):
    for store, _ in (events, film):
        assert len(first_minutes(store, np.zeros(0, int), 5.0)) == 0
        assert len(first_minutes(store, store.rows("s1"), 0.0)) == 0


def test_event_trials_add_up_their_durations(events):
    store, _ = events
    rows = store.rows("s2")
    assert first_minutes(store, rows, 1.0).tolist() == rows[:20].tolist()  # Clips of 3 s.
    np.testing.assert_array_equal(first_minutes(store, rows, 1000.0), rows)


def test_the_same_minutes_are_the_same_part_of_the_film_for_everybody(film):
    store, _ = film
    train = store.roles("blocks-of-4", 0) == "train"
    clips = [store.clip_index(first_minutes(store, store.rows(s, train), 2.0)).tolist() for s in ("s1", "odd")]
    assert clips[0] == clips[1] != []
    minutes = [len(first_minutes(store, store.rows("s1", train), m)) for m in (0.0, 1.0, 2.0, 5.0, 100.0)]
    assert minutes == sorted(minutes)
    assert minutes[-1] == len(store.rows("s1", train))


@pytest.fixture(scope="module")
def others(events):
    store, targets = events
    return Aligner(config(), device="cpu").fit([store], subjects=["s1", "s2", "s3"], targets=[targets])


def test_no_data_is_the_common_map_whoever_asks(events, others):
    store, _ = events
    recording = others.recording(store, "s6", store.rows("s6")[:12])
    found = adapt(others, None)(recording)
    np.testing.assert_array_equal(found, others.decoder_.embed_newcomer(recording.space, recording.responses))
    member = others.decoder_.members[0]
    scaled = others.decoder_.population(recording.space)(recording.responses)
    expected = member.trunk(member.adapter(recording.space).newcomer(torch.from_numpy(scaled)))
    expected = torch.nn.functional.normalize(expected, dim=-1)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_the_test_trials_own_statistics_are_not_used(events, others):
    """Inductive: an embedding depends on its own trial only, not on the company it is decoded in."""
    store, _ = events
    train = store.rows("s6", store.roles("official", 0) == "train")
    own = others.recording(store, "s6", train[:40])
    rows = store.rows("s6", store.roles("official", 0) == "test")
    for given in (None, own):
        embed = adapt(others, given)
        together = embed(others.recording(store, "s6", rows))
        np.testing.assert_allclose(embed(others.recording(store, "s6", rows[:3])), together[:3], atol=1e-5)


def test_few_shot_is_the_ridge_towards_the_mean_latent_with_the_common_map_as_prior(events, others):
    store, _ = events
    rows = store.rows("odd", store.roles("official", 0) == "train")[:30]
    own = others.recording(store, "odd", rows)
    decoder = others.decoder_
    member, latents = decoder.members[0], decoder.clip_latents[0].numpy()
    adapter = member.adapter(own.space)
    common, bias = adapter.common.numpy(), adapter.bias.mean(0).numpy()
    goal = latents[own.clip]
    penalty = others.config.contrastive.newcomer_penalty
    oracle = Ridge(alpha=penalty, fit_intercept=False).fit(own.standardised, goal - bias - own.standardised @ common)
    test = others.recording(store, "odd", store.rows("odd")[:9])
    latent = own.scaling(test.responses) @ (common + oracle.coef_.T) + bias
    expected = torch.nn.functional.normalize(member.trunk(torch.from_numpy(latent.astype(np.float32))), dim=-1)
    np.testing.assert_allclose(adapt(others, own)(test), expected.numpy(), atol=1e-3)


def test_a_newcomer_never_changes_the_model(events, others):
    store, _ = events
    before = {name: value.copy() for name, value in others.decoder_.tensors().items()}
    own = others.recording(store, "odd", store.rows("odd", store.roles("official", 0) == "train"))
    adapt(others, own)(own)
    for name, value in others.decoder_.tensors().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_newcomers_own_ridge_leaves_out_the_mean_text_of_their_minutes(events):
    """The film's mean target is the zero of every embedding; that of some minutes would pull all answers to it."""
    store, targets = events
    train = store.rows("s6", store.roles("official", 0) == "train")
    model = Aligner(config("ridge"), device="cpu").fit([store], subjects=["s1"], targets=[targets])
    own = model.recording(store, "s6", train[:30])
    average = replace(own, responses=own.scaling.mean[None], clip=own.clip[:1])
    np.testing.assert_allclose(adapt(model, own)(average), 0, atol=1e-6)
    assert np.abs(adapt(model, own)(own)).max() > 1e-3
