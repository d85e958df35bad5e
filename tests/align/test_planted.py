"""A signal that was put there must be found, more of it with more people, and none where none was put."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from brainreel.align.aligner import Aligner
from brainreel.align.newcomers import adapt
from brainreel.store.targets import shifted

from .planted import SUBJECTS, config, identified

PEOPLE = SUBJECTS[:-1]
FOLDS = {"events": ("official", [0]), "film": ("blocks-of-4", [0, 1, 2, 3])}


def fit(world, strategy="contrastive", subjects=PEOPLE, fold=0, targets=None, **settings) -> Aligner:
    store, own = world
    model = Aligner(config(strategy, **settings), device="cpu")
    return model.fit([store], fold=fold, subjects=list(subjects), targets=[targets or own])


def score(model, world, subjects=PEOPLE, fold=0, decoder=None, targets=None) -> np.ndarray:
    store, own = world

    def embed(subject):
        return lambda rows: model.embed(store, subject, rows=rows, decoder=decoder)

    folds = store.manifest.folds[0]
    truth = targets or own
    return np.array([identified(store, truth, s, embed(s), model.goals_.centre, folds, fold) for s in subjects])


@pytest.fixture(scope="module", params=["events", "film"])
def world(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def trained(world):
    """The joint model of every fold, trained once."""
    return {fold: fit(world, fold=fold) for fold in FOLDS[world[0].name][1]}


def everywhere(world, strategy) -> np.ndarray:
    return np.mean([score(fit(world, strategy, fold=k), world, fold=k) for k in FOLDS[world[0].name][1]], axis=0)


def test_people_trained_together_are_read_better_than_alone_and_than_chance(world, trained):
    many = np.mean([score(model, world, fold=fold) for fold, model in trained.items()], axis=0)
    alone = np.mean(
        [[score(fit(world, subjects=[s], fold=k), world, [s], fold=k)[0] for s in PEOPLE] for k in trained], axis=0
    )
    assert alone.mean() > 0.65
    assert many.mean() > alone.mean() + 0.02, (many, alone)
    assert (many > alone).sum() >= 4, (many, alone)


def test_the_refit_does_not_hurt(world, trained):
    differences = [
        score(model, world, fold=fold) - score(model, world, fold=fold, decoder=model.also_["trained"])
        for fold, model in trained.items()
    ]
    assert np.mean(differences) > -0.03


def test_polishing_starts_from_the_solved_adapters(events):
    solved, polished = fit(events), fit(events, polish_steps=2, polish_lr=1e-4)
    one, two = (model.decoder_.members[0].adapters[0].delta for model in (solved, polished))
    trained = solved.also_["trained"].members[0].adapters[0].delta
    moved = (two - one).abs().mean()
    assert 0 < moved < 0.1 * (one - trained).abs().mean(), "two small steps stay close to where they began"
    assert torch.equal(trained, polished.also_["trained"].members[0].adapters[0].delta)


def test_one_person_is_polished_too_without_others_to_be_solved_towards(events):
    model = fit(events, subjects=["s1"], polish_steps=3, polish_lr=1e-3)
    before, after = (d.members[0].adapters[0].delta for d in (model.also_["trained"], model.decoder_))
    assert not torch.equal(before, after)
    assert fit(events, subjects=["s1"]).also_ == {}


@pytest.mark.parametrize("strategy", ["ridge", "pooled-ridge"])
def test_ridges_recover_the_signal_too(world, strategy):
    assert everywhere(world, strategy).mean() > 0.7


def test_members_averaged_are_no_worse_than_one(events):
    one, three = fit(events), fit(events, members=3)
    assert score(three, events).mean() > score(one, events).mean() - 0.01
    norms = np.linalg.norm(three.embed(events[0], "s1", role="test"), axis=1)
    assert (norms < 1).all(), "the mean of unlike unit vectors is shorter than they are"


def test_mse_beside_the_contrastive_loss_is_used(events):
    plain, mixed = fit(events), fit(events, mse=1.0)
    assert not np.allclose(plain.embed(events[0], "s1", role="test"), mixed.embed(events[0], "s1", role="test"))
    assert score(mixed, events).mean() > 0.65


@pytest.mark.parametrize("strategy", ["contrastive", "ridge", "pooled-ridge"])
def test_without_a_signal_every_strategy_is_at_chance(events, strategy):
    """Targets of other clips, everything trained again: the mean over draws has a standard error of about .01."""
    _, targets = events
    found = []
    for seed in range(6):
        order = np.random.default_rng(seed).permutation(len(targets.values))
        wrong = replace(targets, values=targets.values[order])
        found.append(score(fit(events, strategy, targets=wrong), events, targets=wrong).mean())
    assert 0.45 < np.mean(found) < 0.55, found


def test_text_shifted_along_the_film_is_at_chance(film):
    store, targets = film
    found = []
    for shift in (90, 210, 330):
        wrong = shifted(store, targets, shift)
        found += [score(fit(film, "pooled-ridge", fold=k, targets=wrong), film, fold=k, targets=wrong) for k in (0, 2)]
    assert 0.4 < np.mean(found) < 0.6, found


def newcomer(world, strategy, who, share, fold=0) -> float:
    """A newcomer's score after a share of their own training trials; 0: zero-shot."""
    store, targets = world
    model = fit(world, strategy, [s for s in PEOPLE if s != who], fold)
    folds = store.manifest.folds[0]
    mine = store.rows(who, store.roles(folds, fold) == "train")
    own = model.recording(store, who, mine[: int(share * len(mine))]) if share else None
    embed = adapt(model, own)
    return identified(
        store, targets, who, lambda rows: embed(model.recording(store, who, rows)), model.goals_.centre, folds, fold
    )


@pytest.mark.parametrize("strategy", ["contrastive", "pooled-ridge"])
def test_a_newcomer_who_resembles_the_others_is_read_at_once(events, strategy):
    found = [newcomer(events, strategy, who, 0) for who in ("s1", "s3", "s6")]
    assert np.mean(found) > 0.65, found


def test_a_newcomer_of_a_film_is_read_at_once(film):
    found = [newcomer(film, "contrastive", "s6", 0, fold) for fold in range(4)]
    assert np.mean(found) > 0.65, found


def test_own_data_help_a_newcomer_whose_topography_differs(events):
    nothing, everything = (newcomer(events, "contrastive", "odd", share) for share in (0, 1))
    assert nothing < 0.6
    assert everything > nothing + 0.08


def test_own_data_do_not_hurt_a_newcomer_who_resembles_the_others(events):
    nothing, some, everything = (
        np.mean([newcomer(events, "contrastive", who, share) for who in ("s1", "s3", "s6")]) for share in (0, 0.3, 1)
    )
    assert some > nothing - 0.03
    assert everything > nothing
