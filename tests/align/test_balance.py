import numpy as np
import pytest
import torch

from brainreel.align.balance import DatasetBatches, batches_for, clips_by_dataset
from brainreel.align.batches import ClipBatches, gather, subject_weights
from brainreel.align.examples import Block
from brainreel.align.goals import Goals
from brainreel.align.supply import supply

LARGE, SMALL, FILM = 900, 40, 60


def goals() -> Goals:
    """Two event datasets and a film with windows of four, two apart."""
    n = LARGE + SMALL + FILM
    stimulus = np.concatenate([np.arange(LARGE + SMALL), np.full(FILM, n)])
    onset = np.concatenate([np.zeros(LARGE + SMALL), 2.0 * np.arange(FILM)])
    return Goals(np.zeros((n, 3), np.float32), np.zeros(3, np.float32), stimulus, onset, onset + 4)


def blocks() -> list[Block]:
    """One person who saw every large clip once, two who saw each small clip three times, one who saw the film."""
    large = torch.arange(LARGE)[None]
    small = LARGE + torch.arange(SMALL).repeat(3)[None].expand(2, -1)
    film = LARGE + SMALL + torch.arange(FILM)[None]
    shown = (("a", ("large/s1",), large), ("b", ("small/s1", "small/s2"), small), ("c", ("film/s1",), film))
    return [Block(space, who, torch.zeros(*clip.shape, 2), clip) for space, who, clip in shown]


def drawn(balance: float, steps: int = 400, size: int = 100) -> tuple[dict[str, float], dict[str, float]]:
    """The share of the clips, and of the loss, that each dataset has over many steps."""
    data = blocks()
    batches, factors = batches_for(goals(), data, size, balance, ("t",))
    weights = [w * f for w, f in zip(subject_weights(data, 1.0), factors, strict=True)]
    clips, loss = {"large": 0.0, "small": 0.0, "film": 0.0}, {"large": 0.0, "small": 0.0, "film": 0.0}
    for step in range(steps):
        chosen = torch.from_numpy(batches(step))
        for block, weight, (_, where) in zip(data, weights, gather(data, chosen, 1000), strict=True):
            name = block.subjects[0].split("/")[0]
            loss[name] += float((weight * (where >= 0)).sum())
        for name, mine in clips_by_dataset(data).items():
            clips[name] += np.isin(chosen.numpy(), mine).sum()
    return tuple({name: value / sum(found.values()) for name, value in found.items()} for found in (clips, loss))


@pytest.mark.parametrize("balance", [0.0, 0.5, 0.99])
def test_a_dataset_counts_as_a_power_of_its_size(balance):
    clips, loss = drawn(balance)
    counts = {"large": LARGE, "small": SMALL, "film": FILM}
    trials = {"large": LARGE, "small": 6 * SMALL, "film": FILM}
    for name in counts:
        wanted = counts[name] ** balance / sum(n**balance for n in counts.values())
        assert clips[name] == pytest.approx(wanted, abs=0.1)
        wanted = trials[name] ** balance / sum(n**balance for n in trials.values())
        assert loss[name] == pytest.approx(wanted, rel=0.03)


def test_a_balance_of_one_or_a_single_dataset_changes_nothing():
    data = blocks()
    for some, balance in ((data, 1.0), (data[1:2], 0.0)):
        batches, factors = batches_for(goals(), some, 50, balance, ("t", 1))
        assert isinstance(batches, ClipBatches)
        assert all(bool((factor == 1).all()) for factor in factors)


def test_the_supply_of_a_training_in_memory_is_balanced():
    with supply(blocks(), goals(), 100, 0.5, ("t",)) as (batch, factors):
        batches, wanted = batches_for(goals(), blocks(), 100, 0.5, ("t",))
        for step in (0, 7):
            clips, trials = batch(step)
            np.testing.assert_array_equal(clips, batches(step))
            assert [len(where) for _, where in trials] == [1, 2, 1]
        torch.testing.assert_close(factors, wanted)
        assert len({float(factor[0]) for factor in factors}) == 3


def test_every_clip_of_every_dataset_comes_up_and_windows_that_overlap_do_not_meet():
    everything, seen = goals(), set()
    batches = DatasetBatches(everything, clips_by_dataset(blocks()), 100, 0.3, ("t",))
    for step in range(60):
        clips = batches(step)
        assert len(np.unique(clips)) == len(clips) <= 103
        assert everything.overlap(clips).sum() == len(clips)
        seen |= set(clips.tolist())
    assert len(seen) == LARGE + SMALL + FILM
    again = DatasetBatches(everything, clips_by_dataset(blocks()), 100, 0.3, ("t",))
    np.testing.assert_array_equal(again(17), batches(17))
    # A batch that could hold everything holds each dataset's share, never more than there is.
    assert DatasetBatches(everything, clips_by_dataset(blocks()), 5000, 0.0, ("t",)).quota["small"] == SMALL
