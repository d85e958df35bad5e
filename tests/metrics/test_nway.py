"""n-way accuracy against scipy, Monte Carlo, and the chance levels it states."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import hypergeom

from brainreel.errors import UsageError
from brainreel.metrics import nway
from brainreel.metrics.nway import (
    Ranks,
    accuracy_from_ranks,
    class_distribution,
    n_way_accuracy,
    n_way_accuracy_of_frames,
    n_way_chance,
    n_way_constant,
    n_way_ties,
    rank_truth,
    sampling_sd,
)

DEFINITIONS = ("exact", "published-top3")


def logits(clips: int, classes: int, seed: int = 0, levels: int | None = None) -> np.ndarray:
    """Random logits; with `levels` few distinct values, so that many classes tie."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(clips, classes)) if levels is None else rng.integers(0, levels, (clips, classes))
    return values.astype(np.float32)


def monte_carlo(truth, recon, *, n, k, definition, trials, seed=0):
    """A trial as it is told: distractors drawn, all ranked, ties broken as the definition says."""
    rng = np.random.default_rng(seed)
    won = np.zeros((len(truth), trials))
    for clip, (t, r) in enumerate(zip(truth, recon, strict=True)):
        order = np.argsort(-t, kind="stable")
        mine = order[: nway.TRUTH_CLASSES[definition]]
        others = np.setdiff1d(np.arange(t.size), mine)
        score = r if definition == "exact" else softmax(r)
        best = score[mine].max()
        for trial in range(trials):
            drawn = score[rng.permutation(others)[: n - 1]]
            if definition == "exact":
                ahead = (drawn > best).sum() + rng.integers(0, (drawn == best).sum() + 1)
            else:
                ahead = (drawn >= best).sum()
            won[clip, trial] = ahead < k
    return won.mean(axis=1)


@pytest.mark.parametrize(("classes", "tolerance"), [(2, 1e-11), (1000, 1e-11), (20_000, 1e-9)])
@pytest.mark.parametrize("k", [1, 5])
def test_without_ties_it_is_the_hypergeometric_distribution(classes, tolerance, k):
    drawable = classes - 1
    beating = np.unique(np.linspace(0, drawable, 200).astype(int))
    for n in (1, 2, 10, 50):
        if n > classes:
            continue
        got = accuracy_from_ranks(Ranks(drawable, beating, np.zeros_like(beating)), n=n, k=k)
        expected = hypergeom(drawable, beating, n - 1).cdf(min(k, n) - 1) if k < n else np.ones(beating.size)
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize("levels", [None, 6])
@pytest.mark.parametrize("n", [2, 10, 50])
@pytest.mark.parametrize("k", [1, 5])
def test_closed_form_is_the_mean_of_the_trials_it_describes(definition, levels, n, k):
    truth, recon = logits(4, 60, 1), logits(4, 60, 2, levels)
    exact = n_way_accuracy(truth, recon, n=n, k=k, definition=definition)
    sampled = monte_carlo(truth, recon, n=n, k=k, definition=definition, trials=800)
    sd = np.sqrt(exact * (1 - exact) / 800)
    assert (np.abs(sampled - exact) <= 4.5 * sd + 1e-12).all()
    assert (n_way_ties(truth, recon, definition=definition) > 0).any() == (levels is not None)


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize(("n", "k"), [(2, 1), (10, 1), (10, 5), (50, 1), (50, 5)])
def test_exchangeable_scores_get_the_stated_chance(definition, n, k):
    values = n_way_accuracy(logits(4000, 100, 3), logits(4000, 100, 4), n=n, k=k, definition=definition)
    assert abs(values.mean() - n_way_chance(n, k, definition)) < 3 * values.std() / np.sqrt(len(values))


def test_chance_levels_of_the_published_protocol():
    stated = {(2, 1): 0.75, (10, 1): 0.25, (50, 1): 0.0577, (10, 5): 0.841, (50, 5): 0.266}
    for (n, k), chance in stated.items():
        assert n_way_chance(n, k, "published-top3") == pytest.approx(chance, abs=5e-4)
    assert n_way_chance(50, 5) == 0.1
    assert n_way_chance(3, 5) == 1


@pytest.mark.parametrize("k", [1, 5])
def test_an_answer_without_opinion_gets_chance_when_ties_count_half_and_nothing_when_they_lose(k):
    truth, undecided = logits(5, 200), np.zeros((5, 200), dtype=np.float32)
    np.testing.assert_allclose(n_way_accuracy(truth, undecided, n=50, k=k), k / 50, atol=1e-11)
    published = n_way_accuracy(truth, undecided, n=50, k=k, definition="published-top3")
    np.testing.assert_allclose(published, 0, atol=1e-11)
    assert (n_way_ties(truth, undecided) == 199).all()
    assert (n_way_ties(truth, undecided, definition="published-top3") == 197).all()


def test_two_way_is_the_share_of_classes_that_do_not_beat_it():
    truth, recon = logits(20, 30, 5), logits(20, 30, 6)
    top = truth.argmax(axis=1)
    beating = (recon > recon[np.arange(20), top][:, None]).sum(axis=1)
    np.testing.assert_allclose(n_way_accuracy(truth, recon, n=2, k=1), 1 - beating / 29, atol=1e-12)


def test_the_lowest_index_is_the_truth_when_the_truth_ties():
    truth = np.array([[1.0, 3.0, 3.0, 0.0, 3.0, 3.0]])
    recon = np.array([[0.0, 5.0, 9.0, 1.0, 2.0, 3.0]])
    assert rank_truth(truth, recon).beating == 1
    top3 = rank_truth(truth, np.array([[6.0, 1.0, 2.0, 5.0, 4.0, 9.0]]), definition="published-top3")
    assert (top3.beating, top3.drawable) == (3, 3)  # the set is 1, 2, 4; with 5 in it none would beat it


def test_a_label_replaces_the_truths_top_class():
    truth, recon = logits(6, 40, 7), logits(6, 40, 8)
    label = np.array([3, 0, 39, 7, 7, 1])
    forced = truth.copy()
    forced[np.arange(6), label] = 100
    np.testing.assert_array_equal(
        n_way_accuracy(truth, recon, n=10, k=1, label=label), n_way_accuracy(forced, recon, n=10, k=1)
    )


def test_the_sampled_variant_repeats_published_runs_draw_by_draw():
    truth, recon = logits(7, 30, 9), logits(7, 30, 10, levels=9)
    draws = np.random.RandomState(5)
    expected = []
    for t, r in zip(truth, recon, strict=True):
        mine = np.argsort(-softmax(t), kind="stable")[:3]
        p = softmax(r)
        others = [c for c in range(30) if c not in mine]
        wins = 0
        for _ in range(100):
            drawn = [others[i] for i in draws.permutation(27)[:9]]
            wins += sum(p[c] >= p[mine].max() for c in drawn) < 2
        expected.append(wins / 100)
    got = n_way_accuracy(truth, recon, n=10, k=2, definition="published-top3", seed=5)
    np.testing.assert_array_equal(got, expected)


def test_a_run_of_the_published_code_scatters_as_stated():
    truth, recon = logits(30, 50, 11), logits(30, 50, 12)
    options = {"n": 10, "k": 1, "definition": "published-top3"}
    exact = n_way_accuracy(truth, recon, **options)
    runs = [n_way_accuracy(truth, recon, **options, seed=s, trials=20).mean() for s in range(100)]
    assert np.std(runs) == pytest.approx(sampling_sd(exact, 20), rel=0.25)
    assert np.mean(runs) == pytest.approx(exact.mean(), abs=4 * sampling_sd(exact, 20) / 10)


def test_frame_level_is_the_mean_over_a_clips_frames():
    truth, recon = logits(12, 20, 13).reshape(4, 3, 20), logits(12, 20, 14).reshape(4, 3, 20)
    label = np.array([1, 2, 3, 4])
    got = n_way_accuracy_of_frames(truth, recon, n=5, k=1, label=label)
    expected = [n_way_accuracy(truth[i], recon[i], n=5, k=1, label=np.full(3, label[i])).mean() for i in range(4)]
    np.testing.assert_allclose(got, expected)


def test_a_constant_answer_beats_chance_where_few_classes_occur():
    rng = np.random.default_rng(15)
    share = 0.93 ** np.arange(40)
    labels = rng.choice(40, 3000, p=share / share.sum())
    truth = np.eye(1000)[labels]
    prior = class_distribution(labels, 1000)
    two = n_way_constant(truth, prior, n=2, k=1).mean()
    fifty = n_way_constant(truth, prior, n=50, k=1).mean()
    assert 0.985 < two < 0.992
    assert 0.55 < fifty < 0.68
    # By hand: the class of rank j loses exactly to the j more frequent ones.
    rank = np.argsort(np.argsort(-prior[:40], kind="stable"))[labels]
    if len(set(prior[:40])) == 40:
        assert two == pytest.approx((1 - rank / 999).mean())


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    classes=st.integers(6, 40),
    levels=st.sampled_from([None, 3]),
    n=st.integers(2, 30),
    k=st.integers(1, 6),
    definition=st.sampled_from(DEFINITIONS),
)
def test_properties(seed, classes, levels, n, k, definition):
    n = min(n, classes - 3)
    truth, recon = logits(5, classes, seed, levels), logits(5, classes, seed + 1, levels)
    options = {"n": n, "k": k, "definition": definition}
    values = n_way_accuracy(truth, recon, **options)
    assert ((values >= 0) & (values <= 1)).all()
    order = np.random.default_rng(seed).permutation(5)
    np.testing.assert_array_equal(n_way_accuracy(truth[order], recon[order], **options), values[order])
    apart = np.concatenate([n_way_accuracy(truth[i : i + 1], recon[i : i + 1], **options) for i in range(5)])
    np.testing.assert_allclose(apart, values, atol=1e-13)
    more = n_way_accuracy(truth, recon, n=n, k=k + 1, definition=definition)
    assert (more >= values - 1e-12).all()
    if levels is None:
        np.testing.assert_allclose(n_way_accuracy(truth, truth, **options), 1)
    # Only the order of the logits counts, so any increasing function of them changes nothing.
    np.testing.assert_array_equal(
        n_way_accuracy(truth, 3 * recon + 1, n=n, k=k), n_way_accuracy(truth, recon, n=n, k=k)
    )


def test_chunks_of_ranks_do_not_change_the_result(monkeypatch):
    truth, recon = logits(50, 60, 16), logits(50, 60, 17, levels=5)
    whole = n_way_accuracy(truth, recon, n=20, k=3)
    monkeypatch.setattr(nway, "CELLS_AT_ONCE", 1)
    np.testing.assert_allclose(n_way_accuracy(truth, recon, n=20, k=3), whole, atol=1e-13)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n": 9, "k": 1}, "n from 1 to 8"),
        ({"n": 2, "k": 0}, "k ≥ 1"),
        ({"definition": "top5"}, "known: exact, published-top3"),
        ({"label": np.array([0, 1])}, "one label per clip"),
        ({"label": np.array([0, 1, 8])}, "0 to 7"),
        ({"label": np.array([0, 1, 2]), "definition": "published-top3"}, "definition='exact'"),
        ({"seed": 0}, "published-top3"),
        ({"recon_logits": np.zeros((3, 7))}, "both (clips, classes)"),
        ({"recon_logits": np.full((3, 8), np.nan)}, "not finite"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(change, words):
    arguments = {"truth_logits": logits(3, 8), "recon_logits": logits(3, 8, 1), "n": 2, "k": 1} | change
    truth, recon = arguments.pop("truth_logits"), arguments.pop("recon_logits")
    with pytest.raises(UsageError) as caught:
        n_way_accuracy(truth, recon, **arguments)
    assert words in str(caught.value)
