"""Which trials meet: every clip once per epoch, none with a clip that overlaps it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brainreel.align.batches import ClipBatches, distinct, gather, overlap_tensor, subject_weights
from brainreel.align.examples import Block
from brainreel.align.goals import Goals
from brainreel.training.randomness import generator

TR_S = 1.5


def goals_of(stimulus, onset, end) -> Goals:
    values = np.eye(len(stimulus), 3, dtype=np.float32)
    return Goals(values, np.zeros(3, np.float32), np.array(stimulus), np.array(onset, float), np.array(end, float))


def film(*volumes: int, length: int = 10, step: int = 2) -> Goals:
    """Windows of ``length`` TRs every ``step`` TRs, in one stimulus per number of volumes."""
    starts = [(k, s) for k, count in enumerate(volumes) for s in range(0, count - length + 1, step)]
    onset = [TR_S * s for _, s in starts]
    return goals_of([k for k, _ in starts], onset, [o + TR_S * length for o in onset])


EVENTS = goals_of(range(17), np.zeros(17), np.full(17, 3.0))


def test_windows_of_ten_trs_every_two_make_five_groups_of_equal_size():
    goals = film(100, 80)
    phases = goals.phases(np.arange(len(goals.values)))
    assert len(phases) == 5
    assert max(map(len, phases)) - min(map(len, phases)) <= 1
    for phase in phases:
        assert goals.overlap(phase).sum() == len(phase)


def test_event_clips_are_one_group():
    (phase,) = EVENTS.phases(np.arange(17))
    assert sorted(phase) == list(range(17))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_phases_are_a_partition_without_overlap_and_as_few_as_possible(data):
    count = data.draw(st.integers(1, 25))
    stimulus = data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    onset = np.array(data.draw(st.lists(st.integers(0, 20), min_size=count, max_size=count)), float)
    length = np.array(data.draw(st.lists(st.integers(1, 8), min_size=count, max_size=count)), float)
    goals = goals_of(stimulus, onset, onset + length)
    phases = goals.phases(np.arange(count))
    assert sorted(np.concatenate(phases).tolist()) == list(range(count))
    for phase in phases:
        assert goals.overlap(phase).sum() == len(phase)
    busiest = max(
        sum(s == k and o <= t < o + n for s, o, n in zip(stimulus, onset, length, strict=True))
        for k in range(3)
        for t in range(30)
    )
    assert len(phases) == busiest


def test_overlap_by_hand():
    goals = goals_of([0, 0, 0, 1], [0, 3, 4, 0], [4, 6, 9, 9])
    expected = np.eye(4, dtype=bool)
    expected[0, 1] = expected[1, 0] = expected[1, 2] = expected[2, 1] = True  # 0 and 2 only touch.
    np.testing.assert_array_equal(goals.overlap(np.arange(4)), expected)


@pytest.mark.parametrize("size", [7, 16, 1000])
@pytest.mark.parametrize("goals", [film(100, 80), EVENTS], ids=["film", "events"])
def test_an_epoch_shows_every_clip_once_in_batches_without_overlap(goals, size):
    clips = np.arange(len(goals.values))[1:]  # Some clips are never trained on.
    batches = ClipBatches(goals, clips, size, ("test",))
    steps = sum(-(-len(phase) // size) for phase in goals.phases(clips))
    epochs = [[batches(epoch * steps + step) for step in range(steps)] for epoch in range(3)]
    for epoch in epochs:
        assert sorted(np.concatenate(epoch).tolist()) == clips.tolist()
        for batch in epoch:
            assert len(batch) <= size
            assert (np.diff(batch) > 0).all()
            assert goals.overlap(batch).sum() == len(batch)
    if steps > 1:
        assert any((a != b).any() if len(a) == len(b) else True for a, b in zip(*epochs[:2], strict=True))


def test_any_step_can_be_drawn_again_without_those_before_it():
    goals = film(100, 80)
    clips = np.arange(len(goals.values))
    straight = ClipBatches(goals, clips, 9, ("a", 1))
    drawn = [straight(step) for step in range(40)]
    for step in (39, 3, 17, 0, 38):
        np.testing.assert_array_equal(ClipBatches(goals, clips, 9, ("a", 1))(step), drawn[step])
        np.testing.assert_array_equal(straight(step), drawn[step])
    other = ClipBatches(goals, clips, 9, ("a", 2))
    assert any(not np.array_equal(other(step), drawn[step]) for step in range(10))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_gather_finds_the_trials_of_the_clips_and_nothing_else(seed):
    rng = np.random.default_rng(seed)
    total = 12
    blocks = []
    for space, subjects, trials, features in (("a", 3, 9, 4), ("b", 2, 5, 6)):
        clip = torch.from_numpy(rng.integers(-1, total, (subjects, trials)))
        names = tuple(f"{space}{row}" for row in range(subjects))
        blocks.append(Block(space, names, torch.randn(subjects, trials, features), clip))
    clips = np.sort(rng.choice(total, rng.integers(1, total), replace=False))
    found = gather(blocks, torch.from_numpy(clips), total)
    assert len(found) == 2
    for block, (responses, where) in zip(blocks, found, strict=True):
        for row in range(len(block.subjects)):
            expected = [
                (int(c), block.responses[row, t]) for t, c in enumerate(block.clip[row]) if int(c) in clips.tolist()
            ]
            mine = [(int(clips[w]), responses[row, t]) for t, w in enumerate(where[row]) if w >= 0]
            assert [c for c, _ in mine] == [c for c, _ in expected]
            assert all(torch.equal(a, b) for (_, a), (_, b) in zip(mine, expected, strict=True))


def test_gather_is_no_wider_than_the_subject_with_most_trials_needs():
    clip = torch.tensor([[0, 1, 2, 3, 4, 5], [5, 5, -1, -1, -1, -1]])
    block = Block("a", ("s", "t"), torch.randn(2, 6, 3), clip)
    ((responses, where),) = gather([block], torch.tensor([1, 5]), 6)
    assert responses.shape == (2, 2, 3)
    assert where.tolist() == [[0, 1], [1, 1]]


def some_blocks(counts_per_block):
    out = []
    for index, counts in enumerate(counts_per_block):
        clip = torch.full((len(counts), max(counts)), -1)
        for row, count in enumerate(counts):
            clip[row, :count] = torch.arange(count)
        out.append(Block(str(index), tuple(map(str, counts)), torch.zeros(*clip.shape, 2), clip))
    return out


@pytest.mark.parametrize("balance", [0.0, 0.4, 1.0])
def test_weights_make_a_subject_count_as_a_power_of_its_trials(balance):
    counts = [[10, 40], [3, 7, 100]]
    blocks = some_blocks(counts)
    weights = subject_weights(blocks, balance)
    flat = np.concatenate([weight[:, 0].numpy() for weight in weights])
    trials = np.concatenate(counts).astype(float)
    totals = flat * trials
    np.testing.assert_allclose(totals / totals.sum(), trials**balance / (trials**balance).sum(), rtol=1e-5)
    assert totals.sum() == pytest.approx(trials.sum(), rel=1e-5), "weights are 1 on average over trials"


def test_distinct_leaves_padding_out():
    np.testing.assert_array_equal(distinct(some_blocks([[2, 5], [1]])), np.arange(5))


def test_overlap_tensor_is_nothing_where_nothing_overlaps():
    goals = film(60)
    device = torch.device("cpu")
    assert overlap_tensor(goals, goals.phases(np.arange(26))[0], device) is None
    related = overlap_tensor(goals, np.arange(26), device)
    assert related is not None
    np.testing.assert_array_equal(related.numpy(), goals.overlap(np.arange(26)))


@pytest.mark.parametrize(("goals", "gap_s"), [(film(100, 80), 9.0), (film(200), 45.0), (EVENTS, 45.0)])
def test_inner_folds_keep_the_gap_and_validate_every_trial_once(goals, gap_s):
    rng = np.random.default_rng(0)
    clip = rng.permutation(np.repeat(np.arange(len(goals.values)), 2))  # Two subjects, in any order.
    folds = goals.inner_folds(clip, 4, gap_s)
    assert len(folds) == 4
    validated = np.concatenate([validation for _, validation in folds])
    assert sorted(validated.tolist()) == list(range(len(clip)))
    for train, validation in folds:
        assert len(train) > 0
        for trial in validation:
            mine = clip[trial]
            same = goals.stimulus[clip[train]] == goals.stimulus[mine]
            apart = np.maximum(
                goals.onset_s[clip[train]] - goals.end_s[mine], goals.onset_s[mine] - goals.end_s[clip[train]]
            )
            assert (apart[same] >= gap_s - 1e-9).all()
        # Nothing is wasted: whatever is far enough from all validation clips trains.
        for trial in set(range(len(clip))) - set(train.tolist()) - set(validation.tolist()):
            mine = clip[trial]
            same = goals.stimulus[clip[validation]] == goals.stimulus[mine]
            apart = np.maximum(
                goals.onset_s[clip[validation]] - goals.end_s[mine],
                goals.onset_s[mine] - goals.end_s[clip[validation]],
            )
            assert same.any()
            assert apart[same].min() < gap_s + 1e-9


def test_event_clips_of_one_release_need_no_gap():
    folds = EVENTS.inner_folds(np.arange(17), 4, 45.0)
    assert all(len(train) + len(validation) == 17 for train, validation in folds)


def test_seeds_of_epochs_do_not_depend_on_the_global_state():
    torch.manual_seed(1)
    first = ClipBatches(EVENTS, np.arange(17), 4, ("p",))(0)
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002  the point is that it does not matter
    np.testing.assert_array_equal(ClipBatches(EVENTS, np.arange(17), 4, ("p",))(0), first)
    assert generator("p").initial_seed() != generator("q").initial_seed()
