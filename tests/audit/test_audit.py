"""The audit finds what was planted: a classifier, a copier, a leak, a category that training never had."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainreel.errors import UsageError
from brainreel.evaluate.audit import audit_embeddings, given_away, nearest_training

KINDS = 5


def world(test: int = 40, train: int = 200, dim: int = 24, seed: int = 0):
    """Targets of clips: a centre for the category, and a part of their own; the training mean is not zero."""
    rng = np.random.default_rng(seed)
    centres = 3 * rng.normal(size=(KINDS, dim))
    kinds, train_kinds = np.arange(test) % KINDS, np.arange(train) % KINDS
    gallery = 2 + centres[kinds] + rng.normal(size=(test, dim))
    trained = 2 + centres[train_kinds] + rng.normal(size=(train, dim))
    return gallery, trained, trained.mean(0), centres, kinds, train_kinds


def audited(prediction, made, **more):
    gallery, train, centre, _, kinds, train_kinds = made
    return audit_embeddings(
        prediction, np.arange(len(gallery)), gallery, train,
        centre=centre, category=kinds.astype(str), train_category=train_kinds.astype(str), **more,
    )  # fmt: skip


def test_a_classifier_of_categories_is_found_out():
    made = world()
    gallery, _, centre, centres, kinds, _ = made
    guess = 2 + centres[kinds] - centre + 0.05 * np.random.default_rng(3).normal(size=gallery.shape)
    found = audited(guess, made)
    assert found.two_way.mean() > 0.8
    assert found.across.mean() > 0.97
    assert found.within.mean() == pytest.approx(0.5, abs=0.12)
    # Predictions for other clips of the category do as well as its own.
    assert given_away(found.two_way.mean(), found.category_only.mean(), 0.5) == pytest.approx(1, abs=0.15)


def test_a_reconstruction_beats_its_category_and_its_memory():
    made = world()
    gallery, _, centre, *_ = made
    found = audited(gallery - centre + 0.3 * np.random.default_rng(4).normal(size=gallery.shape), made)
    assert found.within.mean() > 0.95
    assert found.category_only.mean() < 0.95
    assert found.against_training.mean() > 0.98
    assert found.beaten_by_training.mean() < 0.3
    assert found.copied.sum() == 0
    assert found.two_way.mean() > found.copying.mean() + 0.01


def test_a_copier_of_training_clips_is_found_out():
    made = world()
    gallery, train, centre, *_ = made
    row, cosine = nearest_training(gallery, train, centre=centre)
    found = audited(train[row] - centre, made)
    np.testing.assert_allclose(found.copying, found.two_way)
    assert found.copied.all()
    assert found.beaten_by_training.all()
    assert cosine == pytest.approx(found.twin)


def test_leaks_are_counted_whatever_the_fold_says():
    gallery, train, centre, centres, kinds, train_kinds = world()
    train[17] = gallery[3]
    train[90] = gallery[8] + 0.01
    made = gallery, train, centre, centres, kinds, train_kinds
    found = audited(gallery - centre, made)
    assert np.flatnonzero(found.leaked).tolist() == [3, 8]
    assert found.twin[3] == pytest.approx(1)
    assert nearest_training(gallery, train, centre=centre)[0][[3, 8]].tolist() == [17, 90]
    assert not audited(gallery - centre, made, nearly_identical=1.0).leaked[8]


def test_categories_that_training_never_had():
    gallery, train, centre, _, kinds, train_kinds = world()
    kept = train_kinds != 2
    labels = np.where(kinds == 4, "", kinds.astype(str))
    found = audit_embeddings(
        gallery - centre, np.arange(len(gallery)), gallery, train[kept],
        centre=centre, category=labels, train_category=train_kinds[kept].astype(str),
    )  # fmt: skip
    assert (found.unseen == (kinds == 2)).all()
    # What is unknown is no category of its own.
    for column in (found.within, found.across, found.category_only):
        assert (np.isnan(column) == (kinds == 4)).all()


def test_without_categories_only_what_needs_them_is_missing():
    gallery, train, centre, *_ = world()
    found = audit_embeddings(gallery - centre, np.arange(40), gallery, train, centre=centre)
    assert np.isnan(found.within).all()
    assert np.isnan(found.category_only).all()
    assert found.unseen.sum() == 0
    assert np.isfinite(found.copying).all()


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_within_and_across_are_the_parts_of_the_whole(seed):
    made = world(test=13, train=20, seed=seed)
    prediction = np.random.default_rng(seed).normal(size=made[0].shape)
    found = audited(prediction, made)
    kinds = made[4]
    same = np.array([(kinds == kind).sum() - 1 for kind in kinds])
    whole = (found.within * same + found.across * (12 - same)) / 12
    np.testing.assert_allclose(whole, found.two_way)


def test_category_only_is_its_definition():
    made = world(test=12, train=20, seed=5)
    gallery, _, centre, _, kinds, _ = made
    prediction = np.random.default_rng(6).normal(size=gallery.shape)
    prediction[7] = np.nan
    found = audited(prediction, made)

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    for i in range(12):
        scores = []
        for j in range(12):
            if j == i or j == 7 or kinds[j] != kinds[i]:
                continue
            truth = cosine(prediction[j], gallery[i] - centre)
            rest = [cosine(prediction[j], gallery[c] - centre) for c in range(12) if c not in (i, j)]
            scores.append(np.mean(np.array(rest) < truth))
        expected = np.mean(scores) if scores else np.nan
        assert found.category_only[i] == pytest.approx(expected, nan_ok=True)
    for column in (found.two_way, found.copying, found.against_training, found.constant, found.copied):
        assert np.flatnonzero(np.isnan(column)).tolist() == [7]


def test_noise_is_at_chance_everywhere():
    rng = np.random.default_rng(7)
    columns = {name: [] for name in ("two_way", "within", "across", "category_only", "constant", "copying", "against_training", "beaten_by_training")}  # fmt: skip
    for _ in range(60):
        targets = rng.normal(size=(12 + 30, 10))
        kinds = np.arange(42) % 3
        found = audit_embeddings(
            rng.normal(size=(12, 10)), np.arange(12), targets[:12], targets[12:],
            centre=np.zeros(10), category=kinds[:12].astype(str), train_category=kinds[12:].astype(str),
        )  # fmt: skip
        for name, values in columns.items():
            values.append(getattr(found, name).mean())
    for name, values in columns.items():
        chance = 30 / 31 if name == "beaten_by_training" else 0.5
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        assert abs(np.mean(values) - chance) < max(3 * error, 1e-9), name
    assert found.chance_beaten == pytest.approx(30 / 31)


def test_the_share_given_away():
    assert given_away(0.7, 0.6, 0.5) == pytest.approx(0.5)
    assert given_away(0.7, 0.5, 0.5) == 0
    assert np.isnan(given_away(0.5, 0.6, 0.5))


def test_what_does_not_fit_is_refused():
    gallery, train, centre, *_ = world()
    common = {"own": np.arange(40), "gallery": gallery, "centre": centre}
    with pytest.raises(UsageError, match="no training clips"):
        audit_embeddings(gallery, train=train[:0], **common)
    with pytest.raises(UsageError, match="one for each of 40 test clips"):
        audit_embeddings(gallery, train=train, category=["a"], **common)
    with pytest.raises(UsageError, match="a cosine above 0"):
        audit_embeddings(gallery, train=train, nearly_identical=1.5, **common)
