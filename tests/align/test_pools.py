"""Block-shuffled order: every clip once an epoch, and batches nearly as mixed as by uniform shuffling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainreel.align.pools import BLOCKS, PooledBatches
from brainreel.errors import UsageError

CLIPS, SIZE, ROOM = 4096, 32, 512
EPOCHS = 12


def epochs_of(batches: PooledBatches, count: int) -> list[list[np.ndarray]]:
    return [[batches(epoch * batches.steps + step).places for step in range(batches.steps)] for epoch in range(count)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=4), st.integers(1, 20), st.integers(0, 40))
def test_every_clip_once_an_epoch_in_batches_that_lie_in_one_pool_and_one_phase(phases, size, more):
    room = size + more
    batches = PooledBatches(phases, size, room, ("test",))
    assert batches.steps == sum(-(-count // size) for count in phases)
    ends = np.cumsum(phases)
    pool = (0, 0)
    for step in range(3 * batches.steps):
        batch = batches(step)
        here = (batch.epoch, batch.pool)
        assert here in (pool, batches.after(*pool))
        pool = here
        inside = batches.pool(*here)
        assert len(inside) <= room
        assert np.isin(batch.places, inside).all()
        assert 1 <= len(batch.places) <= size
        assert len(set(np.searchsorted(ends, batch.places, side="right").tolist())) == 1
    for epoch in epochs_of(batches, 3):
        assert sorted(np.concatenate(epoch).tolist()) == list(range(sum(phases)))


def test_any_step_can_be_drawn_again_and_epochs_and_seeds_differ():
    drawn = [PooledBatches([100, 90], 8, 24, ("a", 1))(step).places for step in range(60)]
    again = PooledBatches([100, 90], 8, 24, ("a", 1))
    for step in (59, 0, 30, 31, 7):
        np.testing.assert_array_equal(again(step).places, drawn[step])
    other = PooledBatches([100, 90], 8, 24, ("a", 2))
    assert any(not np.array_equal(other(step).places, drawn[step]) for step in range(5))
    assert any(not np.array_equal(drawn[step], drawn[step + again.steps]) for step in range(5))


def distinct_blocks(places: np.ndarray, block: int) -> int:
    return len(np.unique(places // block))


def test_batches_are_spread_over_blocks_as_by_uniform_shuffling_of_a_pool():
    batches = PooledBatches([CLIPS], SIZE, ROOM, ("spread",))
    block = ROOM // BLOCKS
    drawn = [places for epoch in epochs_of(batches, EPOCHS) for places in epoch]
    rng = np.random.default_rng(0)
    pool = [distinct_blocks(rng.permutation(ROOM)[:SIZE], block) for _ in range(len(drawn))]
    everything = [distinct_blocks(rng.permutation(CLIPS)[:SIZE], block) for _ in range(len(drawn))]
    found = [distinct_blocks(places, block) for places in drawn]
    error = np.std(pool) / len(drawn) ** 0.5
    assert abs(np.mean(found) - np.mean(pool)) < 5 * error
    # Reading in order would touch 2 blocks of 16; uniform shuffling of all clips touches 30 of 32.
    assert np.mean(found) > 0.65 * np.mean(everything)


def test_clips_of_a_batch_lie_as_far_apart_as_by_uniform_shuffling():
    batches = PooledBatches([CLIPS], SIZE, ROOM, ("far",))
    drawn = np.array([places for epoch in epochs_of(batches, EPOCHS) for places in epoch])
    # Two places drawn uniformly are a third of the whole apart.
    distance = np.abs(drawn[:, :, None] - drawn[:, None]).sum() / (drawn.size * (SIZE - 1) * CLIPS)
    assert distance == pytest.approx(1 / 3, abs=0.01)


def test_who_meets_a_clip_changes_from_epoch_to_epoch():
    batches = PooledBatches([512], 16, 64, ("meet",))
    met = [set() for _ in range(512)]
    for epoch in epochs_of(batches, 40):
        for places in epoch:
            for place in places.tolist():
                met[place].update(places.tolist())
    # Uniform shuffling lets a clip meet 1 - (1 - 15/511)^40 = 70 % of the others in 40 epochs.
    assert np.mean([len(others) / 512 for others in met]) > 0.6


def test_a_pool_smaller_than_a_batch_is_refused():
    with pytest.raises(UsageError, match="7 clips fit in memory; expected a batch of 8"):
        PooledBatches([64], 8, 7, ("test",))
