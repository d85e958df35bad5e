"""The losses against loops that say what is meant, and the trials that must never repel each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brainreel.align import losses
from brainreel.align.losses import contrastive_loss, mse_loss

DIM = 5


def by_hand(embedding, target, clip, scale, weight=None, related=None) -> float:
    """The docstring of `contrastive_loss`, word by word, in plain Python."""
    embedding, target = np.asarray(embedding, float), np.asarray(target, float)
    clip = np.asarray(clip)
    weight = np.ones(len(clip)) if weight is None else np.asarray(weight, float)
    related = np.zeros((len(target),) * 2, bool) if related is None else np.asarray(related)

    def logit(trial, c):
        e, t = embedding[trial], target[c]
        return scale * e @ t / (np.linalg.norm(e) * np.linalg.norm(t))

    trials = [i for i in range(len(clip)) if clip[i] >= 0]
    per_clip = len(trials) / len(target)
    total, count = 0.0, 0.0
    for i in trials:
        own = clip[i]
        may = [c for c in range(len(target)) if c == own or not related[own, c]]
        to_clip = math.log(sum(math.exp(logit(i, c) - logit(i, own)) for c in may))
        others = [j for j in trials if clip[j] != own and not related[clip[j], own]]
        against = sum(math.exp(logit(j, own)) for j in others) / per_clip
        to_brain = math.log((math.exp(logit(i, own)) + against) / math.exp(logit(i, own)))
        total += weight[i] * (to_clip + to_brain) / 2
        count += weight[i]
    return total / count


def random_batch(seed: int, trials: int, clips: int, padding: bool):
    rng = np.random.default_rng(seed)
    embedding = torch.from_numpy(rng.normal(size=(trials, DIM)))
    target = torch.from_numpy(rng.normal(size=(clips, DIM)))
    clip = torch.from_numpy(rng.integers(-1 if padding else 0, clips, trials))
    clip[0] = 0  # Somebody is there.
    overlap = rng.random((clips, clips)) < 0.3
    related = torch.from_numpy(overlap | overlap.T | np.eye(clips, dtype=bool))
    weight = torch.from_numpy(rng.uniform(0.2, 3, trials))
    return embedding, target, clip, torch.tensor(rng.uniform(1, 20)), weight, related


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(2, 6), st.booleans(), st.booleans(), st.booleans())
def test_contrastive_loss_is_what_it_says(seed, trials, clips, padding, weighted, overlapping):
    embedding, target, clip, scale, weight, related = random_batch(seed, trials, clips, padding)
    weight, related = weight if weighted else None, related if overlapping else None
    found = contrastive_loss(embedding, target, clip, scale, weight, related)
    assert found.item() == pytest.approx(by_hand(embedding, target, clip, float(scale), weight, related), rel=1e-9)


def test_only_proportions_of_weights_matter():
    embedding, target, clip, scale, weight, related = random_batch(3, 12, 5, True)
    one, other = (contrastive_loss(embedding, target, clip, scale, w, related) for w in (weight, 7 * weight))
    assert one.item() == pytest.approx(other.item(), rel=1e-12)


def test_an_answer_that_knows_nothing_costs_the_logarithm_of_the_number_of_clips():
    """All similarities equal: each trial guesses among the clips, in both directions."""
    embedding = torch.ones(12, 3)
    target = torch.ones(6, 3)
    clip = torch.arange(12) % 6
    assert contrastive_loss(embedding, target, clip, torch.tensor(10.0)).item() == pytest.approx(math.log(6), rel=1e-5)


def test_the_true_targets_cost_nothing_and_the_wrong_ones_much():
    target = torch.eye(6)
    clip = torch.tensor([0, 0, 1, 2, 3, 4, 5, 5])
    scale = torch.tensor(50.0)
    assert contrastive_loss(target[clip], target, clip, scale).item() < 1e-6
    assert contrastive_loss(target[(clip + 1) % 6], target, clip, scale).item() > 40


@pytest.fixture
def similarity_gradient(monkeypatch):
    """∂loss / ∂(similarity of trial i and clip c), the similarities given as they are."""

    def gradient(clip, related=None):
        clips = int(clip.max()) + 1
        monkeypatch.setattr(losses, "normalize", lambda values, dim: values)
        similarity = torch.randn(len(clip), clips, generator=torch.Generator().manual_seed(0)).requires_grad_()
        loss = contrastive_loss(similarity, torch.eye(clips), clip, torch.tensor(4.0), None, related)
        return torch.autograd.grad(loss, similarity)[0]

    return gradient


def test_trials_of_the_same_clip_attract_and_others_repel(similarity_gradient):
    """A trial and its own clip: only ever pulled together, though four subjects and two repetitions saw it."""
    clip = torch.tensor([0, 1, 2, 3] * 4 + [0, 0])
    gradient = similarity_gradient(clip)
    own = torch.nn.functional.one_hot(clip).bool()
    assert (gradient[own] < 0).all()
    assert (gradient[~own] > 0).all()


def test_a_batch_of_one_clip_has_nothing_to_push_away():
    """Every trial is a positive of every other, so that there is nothing to learn and nothing breaks."""
    embedding = torch.randn(5, DIM, requires_grad=True)
    loss = contrastive_loss(embedding, torch.randn(1, DIM), torch.zeros(5, dtype=torch.int64), torch.tensor(10.0))
    (gradient,) = torch.autograd.grad(loss, embedding)
    assert loss.item() == 0
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_related_clips_neither_attract_nor_repel(similarity_gradient):
    clip = torch.tensor([0, 1, 2, 3, 0, 1])
    related = torch.eye(4, dtype=torch.bool)
    related[0, 1] = related[1, 0] = True
    gradient = similarity_gradient(clip, related)
    overlapping = related[clip] & ~torch.nn.functional.one_hot(clip).bool()
    assert overlapping.sum() == 4
    assert (gradient[overlapping] == 0).all()
    assert (gradient[~overlapping] != 0).all()


def test_padding_changes_neither_the_loss_nor_any_gradient():
    embedding, target, clip, scale, weight, related = random_batch(1, 8, 4, False)
    rubbish = torch.full((5, DIM), 1e3, dtype=torch.float64)
    plain = embedding.clone().requires_grad_()
    padded = torch.cat([embedding[:3], rubbish, embedding[3:]]).requires_grad_()
    nobody = torch.full((5,), -1)
    loss = contrastive_loss(plain, target, clip, scale, weight, related)
    again = contrastive_loss(
        padded,
        target,
        torch.cat([clip[:3], nobody, clip[3:]]),
        scale,
        torch.cat([weight[:3], 9.0 + 0 * weight[:5], weight[3:]]),
        related,
    )
    assert again.item() == pytest.approx(loss.item(), rel=1e-12)
    (one,), (other,) = torch.autograd.grad(loss, plain), torch.autograd.grad(again, padded)
    torch.testing.assert_close(torch.cat([other[:3], other[8:]]), one, rtol=1e-9, atol=1e-15)
    assert (other[3:8] == 0).all()


def test_order_of_trials_and_of_clips_does_not_matter():
    embedding, target, clip, scale, weight, related = random_batch(2, 10, 5, True)
    loss = contrastive_loss(embedding, target, clip, scale, weight, related)
    trials, clips = torch.randperm(10), torch.randperm(5)
    place = torch.argsort(clips)
    moved = torch.where(clip >= 0, place[clip.clamp(min=0)], -1)
    again = contrastive_loss(
        embedding[trials], target[clips], moved[trials], scale, weight[trials], related[clips][:, clips]
    )
    assert again.item() == pytest.approx(loss.item(), rel=1e-12)


def test_mse_loss_by_hand():
    embedding, target, clip, _, weight, _ = random_batch(4, 9, 4, True)
    there = clip.numpy() >= 0
    error = ((embedding.numpy() - target.numpy()[clip.numpy()]) ** 2).mean(1)
    unit = (target.numpy() ** 2).mean()
    assert mse_loss(embedding, target, clip).item() == pytest.approx(error[there].mean() / unit)
    w = weight.numpy() * there
    assert mse_loss(embedding, target, clip, weight).item() == pytest.approx((w * error).sum() / w.sum() / unit)


def test_mse_of_the_origin_is_one_and_of_the_truth_zero():
    target = torch.randn(6, DIM)
    clip = torch.arange(6)
    assert mse_loss(torch.zeros(6, DIM), target, clip).item() == pytest.approx(1)
    assert mse_loss(target, target, clip).item() == 0
