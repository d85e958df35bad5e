"""Identification and retrieval against naive loops, exact ties, and everything that has no answer."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from brainreel.errors import UsageError
from brainreel.metrics import identification
from brainreel.metrics.identification import (
    DEFINITIONS,
    SIMILARITIES,
    chance_median_rank,
    chance_top_k,
    chance_two_way,
    rank_own,
    retrieval,
    similarity,
    two_way_identification,
)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    return float(stats.pearsonr(a, b)[0])


def naive_two_way(prediction, target, clip_id, centre, measure):
    """The definition, one comparison at a time."""
    targets = {clip: target[i] - centre for i, clip in reversed(list(enumerate(clip_id)))}
    values = []
    for answer, clip in zip(prediction, clip_id, strict=True):
        own = measure(answer, targets[clip])
        others = [measure(answer, vector) for other, vector in targets.items() if other != clip]
        values.append(np.mean([(own > other) + 0.5 * (own == other) for other in others]))
    return np.array(values)


@pytest.mark.parametrize(("definition", "measure"), [("centred-cosine", cosine), ("correlation", pearson)])
def test_two_way_is_the_definition_with_repeated_clips(definition, measure):
    rng = np.random.default_rng(0)
    clip_id = np.array(["b", "a", "b", "c", "d", "a", "e", "b"])
    per_clip = dict(zip("abcde", rng.normal(3, 1, (5, 7)), strict=True))
    target = np.stack([per_clip[clip] for clip in clip_id])
    centre = rng.normal(3, 1, 7)
    prediction = target - centre + rng.normal(0, 2, target.shape)
    value = two_way_identification(prediction, target, clip_id=clip_id, centre=centre, definition=definition)
    assert value == pytest.approx(naive_two_way(prediction, target, clip_id, centre, measure), abs=1e-12)


def test_centre_is_subtracted_from_targets_only():
    rng = np.random.default_rng(1)
    target, centre = rng.normal(5, 1, (30, 6)), np.full(6, 5.0)
    centred_answers = target - centre
    assert two_way_identification(centred_answers, target, centre=centre).tolist() == [1.0] * 30
    assert two_way_identification(target, target, centre=centre).mean() < 1
    assert (
        two_way_identification(centred_answers, target, centre=centre)
        == two_way_identification(centred_answers, target - centre)
    ).all()


def test_a_separate_gallery_gives_what_repeated_targets_give():
    rng = np.random.default_rng(2)
    gallery, own = rng.normal(size=(9, 5)), np.concatenate([np.arange(9)] * 3)
    prediction = gallery[own] + rng.normal(0, 1.5, (27, 5))
    apart = two_way_identification(prediction, gallery, own=own)
    repeated = two_way_identification(prediction, gallery[own], clip_id=own)
    assert (apart == repeated).all()
    assert 0.5 < apart.mean() < 1


def test_distractors_without_trials_stay_in_a_separate_gallery():
    gallery = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [1.0, 1.0]])
    value = two_way_identification(np.array([[1.0, 0.2]]), gallery, own=np.array([0]))
    assert value.tolist() == [1.0]
    assert retrieval(np.array([[1.0, 0.2]]), gallery, own=np.array([0])).gallery.tolist() == [4]


def test_blocks_limit_the_candidates():
    rng = np.random.default_rng(3)
    target = rng.normal(size=(12, 4))
    prediction = target + rng.normal(0, 2, target.shape)
    block = np.repeat([7, 1, 4], [5, 4, 3])
    whole = retrieval(prediction, target, block=block)
    for label in np.unique(block):
        rows = block == label
        alone = retrieval(prediction[rows], target[rows])
        assert whole.rank[rows].tolist() == alone.rank.tolist()
        assert (whole.gallery[rows] == rows.sum()).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("definition", list(SIMILARITIES))
def test_identical_targets_tie_exactly(definition, dtype):
    """Matrix products round columns differently; two clips with one caption must still tie."""
    rng = np.random.default_rng(4)
    for clips in (3, 5, 13):
        base = rng.normal(size=(clips, 384)).astype(dtype)
        target, centre = np.concatenate([base, base]), base.mean(axis=0)
        for row in range(2 * clips):
            found = retrieval(
                rng.normal(size=(1, 384)).astype(dtype),
                target,
                own=np.array([row]),
                centre=centre,
                definition=definition,
            )
            assert found.tied == 1
            assert found.above % 2 == 0


def test_all_targets_identical_is_exactly_chance():
    target = np.ones((6, 3))
    prediction = np.random.default_rng(5).normal(size=(6, 3))
    found = retrieval(prediction, target)
    assert found.two_way.tolist() == [0.5] * 6
    assert found.top_k(2) == pytest.approx(np.full(6, 2 / 6), abs=1e-15)


@pytest.mark.parametrize("definition", list(SIMILARITIES))
def test_an_answer_without_direction_is_exactly_chance_in_every_trial(definition):
    target = np.random.default_rng(6).normal(size=(11, 10))
    prediction = np.zeros((11, 10)) if definition == "centred-cosine" else np.full((11, 10), 0.3)
    assert prediction[0].mean() != 0.3
    found = retrieval(prediction, target, definition=definition)
    assert found.two_way.tolist() == [chance_two_way()] * 11
    assert found.rank.tolist() == [chance_median_rank(11)] * 11
    assert found.top_k(3) == pytest.approx(np.full(11, chance_top_k(3, 11)))


@given(st.integers(2, 40), st.integers(0, 10_000), st.sampled_from(list(SIMILARITIES)))
@settings(max_examples=40, deadline=None)
def test_any_constant_answer_averages_exactly_chance(clips, seed, definition):
    rng = np.random.default_rng(seed)
    target = rng.integers(-2, 3, size=(clips, 3)).astype(float)
    prediction = np.repeat(rng.normal(size=(1, 3)), clips, axis=0)
    found = retrieval(prediction, target, definition=definition)
    assert found.two_way.mean() == pytest.approx(0.5, abs=1e-12)
    assert found.top_k(2).mean() == pytest.approx(2 / clips, abs=1e-12)
    assert found.rank.mean() == pytest.approx((clips + 1) / 2, abs=1e-12)


@given(st.integers(2, 12), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_top_k_is_the_mean_over_random_tie_orders(clips, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 3, size=(1, clips)).astype(float)
    found = rank_own(values, np.array([0]))
    ranks = []
    for _ in range(600):
        order = np.lexsort((rng.random(clips), -values[0]))
        ranks.append(1 + int(np.flatnonzero(order == 0)[0]))
    for k in (1, 2, clips):
        assert found.top_k(k)[0] == pytest.approx(np.mean(np.array(ranks) <= k), abs=0.12)
    assert found.rank[0] == stats.rankdata(-values[0])[0]
    assert found.two_way[0] == pytest.approx((clips - found.rank[0]) / (clips - 1), abs=1e-12)


def test_top_k_grows_to_one_and_sums_to_one_over_places():
    found = rank_own(np.array([[1.0, 1.0, 2.0, 1.0, 0.0]]), np.array([0]))
    assert [found.top_k(k)[0] for k in range(1, 6)] == pytest.approx([0, 1 / 3, 2 / 3, 1, 1])
    assert found.rank.tolist() == [3.0]
    assert found.chance(2) == pytest.approx(2 / 5)


def test_similarity_is_the_measure():
    rng = np.random.default_rng(7)
    a, b, centre = rng.normal(size=(4, 6)), rng.normal(size=(5, 6)), rng.normal(size=6)
    cosines = [[cosine(x, y - centre) for y in b] for x in a]
    assert similarity(a, b, centre=centre) == pytest.approx(np.array(cosines), abs=1e-12)
    assert similarity(1e-200 * a, 1e200 * b) == pytest.approx(similarity(a, b), abs=1e-12)
    pearsons = [[pearson(x, y) for y in b] for x in a]
    assert similarity(a, b, definition="correlation") == pytest.approx(np.array(pearsons), abs=1e-12)


def test_float32_gives_the_answer_of_float64():
    rng = np.random.default_rng(8)
    target = rng.normal(size=(50, 20)).astype(np.float32)
    prediction = (target + rng.normal(0, 2, target.shape)).astype(np.float32)
    wide = two_way_identification(prediction.astype(np.float64), target.astype(np.float64))
    assert (two_way_identification(prediction, target) == wide).all()


def test_chunks_do_not_show(monkeypatch):
    rng = np.random.default_rng(9)
    target = rng.normal(size=(23, 5))
    prediction = target + rng.normal(0, 2, target.shape)
    whole = retrieval(prediction, target).rank
    monkeypatch.setattr(identification, "TRIALS_AT_ONCE", 4)
    assert (retrieval(prediction, target).rank == whole).all()


def test_the_undefined_is_nan_and_counted():
    rng = np.random.default_rng(10)
    target = rng.normal(size=(6, 4))
    prediction = target.copy()
    prediction[1, 2] = np.nan
    prediction[2, 0] = np.inf
    target[4, 0] = np.nan
    found = retrieval(prediction, target)
    undefined = [False, True, True, False, True, False]
    assert np.isnan(found.two_way).tolist() == undefined
    assert np.isnan(found.rank).tolist() == undefined
    assert np.isnan(found.top_k(1)).tolist() == undefined
    assert found.defined == 3
    assert found.gallery.tolist() == [5, 0, 0, 5, 0, 5]
    assert found.median_rank == 1
    assert found.chance(1) == pytest.approx(1 / 5)


def test_a_single_clip_has_no_distractor():
    found = retrieval(np.ones((3, 2)), np.ones((3, 2)), clip_id=["a"] * 3)
    assert np.isnan(found.two_way).all()
    assert found.rank.tolist() == [1, 1, 1]
    assert found.top_k(1).tolist() == [1, 1, 1]
    assert found.chance(5) == 1


def test_no_defined_trial_has_no_median():
    found = retrieval(np.full((2, 3), np.nan), np.ones((2, 3)))
    assert np.isnan(found.median_rank)
    assert np.isnan(found.chance(1))
    assert found.defined == 0


def test_no_trials_at_all():
    found = retrieval(np.empty((0, 3)), np.ones((4, 3)), own=np.empty(0, dtype=np.int64))
    assert found.two_way.shape == (0,)
    assert np.isnan(found.median_rank)


def test_chances():
    assert chance_two_way() == 0.5
    assert chance_top_k(5, 102) == pytest.approx(5 / 102)
    assert chance_top_k(5, 3) == 1
    assert chance_median_rank(102) == 51.5
    with pytest.raises(UsageError, match="at least 1"):
        chance_top_k(0, 5)


def test_random_answers_score_chance():
    rng = np.random.default_rng(11)
    gallery, own = rng.normal(size=(20, 16)), np.tile(np.arange(20), 200)
    found = retrieval(rng.normal(size=(4000, 16)), gallery, own=own)
    assert found.two_way.mean() == pytest.approx(0.5, abs=0.02)
    assert found.top_k(5).mean() == pytest.approx(found.chance(5), abs=0.025)
    assert found.median_rank == pytest.approx(chance_median_rank(20), abs=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"definition": "cosine"}, r"'cosine' \(known: centred-cosine, correlation\)"),
        ({"prediction": np.ones((3, 2))}, "equal widths"),
        ({"prediction": np.ones((2, 4))}, "2 predictions and 3 targets"),
        ({"clip_id": ["a", "b", "a"]}, "clip 'a' has two different targets"),
        ({"clip_id": ["a", "b"]}, "one label for each of 3 rows"),
        ({"own": np.array([0, 1, 3])}, "gallery of 3 clips"),
        ({"own": np.array([0, 1, -1])}, "gallery of 3 clips"),
        ({"own": np.array([0, 1, 2]), "clip_id": ["a", "b", "c"]}, "one of them"),
        ({"target": np.ones((3, 4)), "clip_id": ["a", "b", "a"], "block": [0, 0, 1]}, "lies in two blocks"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(change, message):
    arguments = {"prediction": np.ones((3, 4)), "target": np.arange(12.0).reshape(3, 4)} | change
    with pytest.raises(UsageError, match=message):
        retrieval(**arguments)


def test_k_must_be_a_place():
    with pytest.raises(UsageError, match="k = 0"):
        rank_own(np.ones((1, 2)), np.array([0])).top_k(0)


def test_every_definition_is_one_sentence():
    for definitions in DEFINITIONS.values():
        assert next(iter(definitions)) == "centred-cosine"
        assert all(text.endswith(".") and text.count(". ") == 0 for text in definitions.values())


def test_the_example_in_the_docstring_runs():
    assert doctest.testmod(identification).failed == 0
