import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainreel.store.folds import block_roles, contiguous_blocks, inner_folds


@pytest.mark.parametrize(
    ("n", "sizes"), [(94, [24, 24, 23, 23]), (103, [26, 26, 26, 25]), (3, [1, 1, 1, 0]), (8, [2, 2, 2, 2])]
)
def test_blocks_have_the_sizes_of_the_protocol(n, sizes):
    assert [b - a for a, b in contiguous_blocks(n, 4)] == sizes


@given(st.integers(0, 300), st.integers(1, 12))
def test_blocks_cover_everything_once_in_order_and_evenly(n, count):
    blocks = contiguous_blocks(n, count)
    assert len(blocks) == count
    assert [k for a, b in blocks for k in range(a, b)] == list(range(n))
    assert max(b - a for a, b in blocks) - min(b - a for a, b in blocks) <= 1


@st.composite
def _films(draw):
    """Windows of a film in volumes, with the TR that turns them into seconds."""
    length, step = draw(st.integers(1, 10)), draw(st.integers(1, 4))
    onset = np.arange(0, draw(st.integers(20, 120)), step)
    return onset, length, draw(st.integers(0, 20)), draw(st.sampled_from([0.72, 1.49, 1.5, 2.0]))


@given(_films(), st.integers(1, 5))
def test_no_training_window_comes_near_its_test_block(film, count):
    onset, length, gap, tr_s = film
    testable = onset % length == 0
    grid = onset[testable]
    blocks = [(int(grid[a]), int(grid[b - 1]) + length) for a, b in contiguous_blocks(len(grid), count) if b > a]
    seconds = [(a * tr_s, b * tr_s) for a, b in blocks]
    roles = block_roles(onset * tr_s, (onset + length) * tr_s, testable, seconds, gap * tr_s)
    assert roles.shape == (len(onset), len(blocks))
    for fold, (a, b) in enumerate(blocks):
        for k, start in enumerate(onset):
            free = start >= b + gap or start + length <= a - gap
            inside = start >= a and start + length <= b and testable[k]
            assert roles[k, fold] == ("test" if inside else "train" if free else "gap")
    tested = (roles == "test").sum(axis=1)
    np.testing.assert_array_equal(tested, testable)


@given(_films(), st.integers(1, 6), st.data())
def test_inner_folds_validate_everything_once_and_train_beyond_the_gap(film, count, data):
    onset, length, gap, tr_s = film
    kept = np.array(data.draw(st.lists(st.sampled_from(onset.tolist()), min_size=1, max_size=40)))
    folds = inner_folds(kept * tr_s, (kept + length) * tr_s, count, gap * tr_s)
    assert len(folds) == min(count, len(set(kept.tolist())))
    assert sorted(np.concatenate([v for _, v in folds]).tolist()) == list(range(len(kept)))
    for train, validation in folds:
        first, last = kept[validation].min(), kept[validation].max() + length
        # Contiguous: whatever begins inside the block validates.
        assert not np.isin(np.flatnonzero((kept >= first) & (kept <= last - length)), validation, invert=True).any()
        expected = np.flatnonzero((kept + length <= first - gap) | (kept >= last + gap))
        np.testing.assert_array_equal(train, expected)


def test_no_trials_make_no_inner_folds():
    assert inner_folds(np.zeros(0), np.zeros(0), 5, 1.0) == []
