"""Training on responses that are read while training is training on the same responses in memory."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from brainreel.align import budget, pools, spool
from brainreel.align.aligner import Aligner, build_goals
from brainreel.align.contrastive import mean_latents, refit
from brainreel.align.examples import DiskBlock, blocks
from brainreel.align.network import AlignNetwork
from brainreel.align.refit_pieces import ridge_in_pieces
from brainreel.align.supply import Streamed, supply
from brainreel.errors import StoreError, UsageError
from brainreel.training.randomness import generator

from .planted import config, event_store, identified

# Responses of the planted event store are 7 subjects × 90 trials × 60 vertices in float32, 151 KB, and training in
# memory holds them twice. A batch of 8 clips is 13.4 KB.
BUDGET = "42KB"
PLACE = ("test", 0)


@pytest.fixture(params=["events", "film"])
def both(request):
    """(goals, blocks in memory, blocks on disk) of the same trials, spooled under a budget of about a third."""
    store, targets = request.getfixturevalue(request.param)
    folds = {"events": "official", "film": "blocks-of-4"}[request.param]
    yield from opened(store, targets, folds, {"events": "42KB", "film": "60KB"}[request.param])


def opened(store, targets, folds, memory_budget):
    model = Aligner(config().model_copy(update={"memory_budget": memory_budget}))
    model.goals_, _, (train,) = build_goals([store], [targets], folds, 0)
    people = [model._asked(store, who, store.rows(who, train), 0) for who in store.subjects]
    in_memory = blocks([model.recording(store, who, store.rows(who, train)) for who in store.subjects])
    with model._trials(people, None) as recordings:
        yield model.goals_, in_memory, blocks(recordings)


def rows_of(batch):
    """Every trial of a batch as (subject, clip, response), in an order of its own."""
    clips, trials = batch
    found = []
    for responses, where in trials:
        for subject, trial in zip(*torch.nonzero(where >= 0, as_tuple=True), strict=True):
            clip = int(clips[where[subject, trial]])
            found.append((int(subject), clip, tuple(np.round(responses[subject, trial].numpy(), 3).tolist())))
    return sorted(found)


def test_streamed_batches_hold_what_memory_holds_of_their_clips(both):
    goals, memory, disk = both
    assert isinstance(disk[0], DiskBlock)
    seen = []
    with (
        supply(memory, goals, 10**6, 1.0, PLACE) as (everything, _),
        supply(disk, goals, 8, 1.0, PLACE) as (streamed, _),
    ):
        whole = {}
        for step in range(len(goals.phases(np.unique(memory[0].clip[memory[0].clip >= 0].numpy())))):
            for subject, clip, response in rows_of(everything(step)):
                whole.setdefault((subject, clip), []).append(response)
        assert isinstance(streamed, Streamed)
        for step in range(streamed.batches.steps):
            clips = streamed(step)[0]
            assert goals.overlap(clips).sum() == len(clips)
            seen += rows_of(streamed(step))
    expected = sorted((s, c, r) for (s, c), found in whole.items() for r in found)
    assert [row[:2] for row in sorted(seen)] == [row[:2] for row in expected]
    for (_, _, one), (_, _, other) in zip(sorted(seen), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)


def test_any_streamed_step_can_be_drawn_again_and_no_more_than_the_budget_is_held(both):
    goals, _, disk = both
    held = []
    with supply(disk, goals, 8, 1.0, PLACE) as (streamed, _):
        assert isinstance(streamed, Streamed)
        drawn = []
        for step in range(3 * streamed.batches.steps):
            drawn.append(rows_of(streamed(step)))
            kept = [future.result() for future in streamed._pools.values()]
            held.append(sum(pool.responses.nbytes for found in kept for pool in found))
    assert max(held) <= disk[0].members[0].layout.budget
    for step in (len(drawn) - 1, 2, 0):
        with supply(disk, goals, 8, 1.0, PLACE) as (again, _):
            assert rows_of(again(step)) == drawn[step]
    with supply(disk, goals, 8, 1.0, ("test", 1)) as (other, _):
        assert any(rows_of(other(step)) != drawn[step] for step in range(3))


def network(disk, goals):
    spaces = {block.space: (len(block.subjects), block.features) for block in disk}
    made = AlignNetwork(spaces, 6, goals.dim, 0, 0.0, 0.0, generator("network"))
    for adapter in made.adapters:
        torch.nn.init.normal_(adapter.delta, std=0.1, generator=generator("delta"))
        torch.nn.init.normal_(adapter.bias, std=0.1, generator=generator("bias"))
    return made.requires_grad_(False)


def compare_refits(goals, memory, disk):
    start, total = network(disk, goals), len(goals.values)
    settings = config(refit_rounds=2, latent=6).contrastive
    torch.testing.assert_close(
        mean_latents(start, disk, total), mean_latents(start, memory, total), equal_nan=True, atol=1e-4, rtol=1e-4
    )
    before = copy.deepcopy(start.state_dict())
    one, other = refit(start, disk, total, settings), refit(start, memory, total, settings)
    torch.testing.assert_close(start.state_dict(), before)
    assert not torch.equal(one.adapter(disk[0].space).delta, start.adapter(disk[0].space).delta)
    torch.testing.assert_close(one.state_dict(), other.state_dict(), atol=2e-4, rtol=2e-3)


def test_the_refit_in_pieces_is_the_refit(both):
    compare_refits(*both)


def test_the_refit_in_pieces_is_the_refit_where_features_outnumber_trials(tmp_path):
    store, targets = event_store(tmp_path / "wide", vertices=130)
    for goals, memory, disk in opened(store, targets, "official", "140KB"):
        assert disk[0].features > disk[0].clip.shape[1]
        compare_refits(goals, memory, disk)
        member = disk[0].members[0]
        small = replace(member, layout=replace(member.layout, budget=60_000))
        with pytest.raises(UsageError, match=r"Gram matrix of events/s1 \(90 × 90\)"):
            ridge_in_pieces(small, torch.zeros(90, 2), torch.ones(90), 1.0)


def fitted(store, targets, folder=None, **settings):
    chosen = config(**{"clips_per_batch": 8, "steps": 110, **settings.pop("contrastive", {})})
    model = Aligner(chosen, **settings)
    return model.fit([store], folds="official", targets=[targets], folder=folder)


def last_epoch(folder) -> float:
    lines = (folder / "member-0" / "log.jsonl").read_text().splitlines()
    return float(np.mean([json.loads(line)["loss"] for line in lines[-12:]]))


def test_streamed_and_in_memory_training_end_alike(events, tmp_path, monkeypatch):
    store, targets = events
    # Every batch is two blocks of four neighbours: as coarse as it gets.
    monkeypatch.setattr(pools, "BLOCKS", 2)
    losses, scores = {}, {}
    for name, options in {"memory": {}, "stream": {"memory_budget": BUDGET}}.items():
        for seed in range(4):
            model = fitted(store, targets, tmp_path / name / str(seed), seed=seed, **options)
            losses.setdefault(name, []).append(last_epoch(tmp_path / name / str(seed)))
            scores.setdefault(name, []).append(
                identified(
                    store,
                    targets,
                    "s1",
                    lambda rows, model=model: model.embed(store, "s1", rows=rows),
                    model.goals_.centre,
                    "official",
                )
            )
    for found in (losses, scores):
        memory, stream = np.array(found["memory"]), np.array(found["stream"])
        # Seeds spread over about three standard deviations of each other.
        spread = max(memory.std(ddof=1), stream.std(ddof=1), 0.01)
        assert abs(memory.mean() - stream.mean()) < 3 * spread, found
    assert min(losses["stream"]) < np.log(8)
    assert not list(tmp_path.glob("**/spool"))


def test_a_streamed_training_is_repeated_bit_for_bit(events, tmp_path):
    store, targets = events
    short = {"contrastive": {"steps": 14}, "memory_budget": BUDGET}
    one = fitted(store, targets, tmp_path / "a", **short)
    (tmp_path / "b" / "spool").mkdir(parents=True)
    (tmp_path / "b" / "spool" / "0.f32").write_bytes(b"left by a training that was killed")
    assert fitted(store, targets, tmp_path / "b", **short).dump() == one.dump()
    assert fitted(store, targets, **short).dump() == one.dump()


def test_ridge_takes_one_subject_at_a_time(events):
    store, targets = events
    settings = {"strategy": "ridge"}
    whole = fitted(store, targets, **settings)
    streamed = fitted(store, targets, **settings, memory_budget="140KB")
    rows = store.rows("s2")[:20]
    np.testing.assert_allclose(
        streamed.embed(store, "s2", rows=rows), whole.embed(store, "s2", rows=rows), atol=1e-3, rtol=1e-2
    )
    with pytest.raises(UsageError, match=r"the ridge of events/s1 needs 129\.6 KB at once"):
        fitted(store, targets, **settings, memory_budget="100KB")


def test_what_does_not_stream_says_so(events, monkeypatch):
    store, targets = events
    with pytest.raises(UsageError, match=r"'consensus' needs all training responses in memory, 302.4 KB"):
        fitted(store, targets, strategy="consensus", memory_budget=BUDGET)
    with pytest.raises(UsageError, match=r"too much for the memory budget; expected --memory-budget 40\.4KB"):
        fitted(store, targets, memory_budget="40KB")
    monkeypatch.setattr(budget, "physical_memory", lambda: 200_000)
    with pytest.raises(UsageError, match="this machine has 200 KB; expected a budget; give --memory-budget 50KB"):
        fitted(store, targets)


def test_datasets_are_balanced_in_memory_only(events, tmp_path):
    store, targets = events
    other, others = event_store(tmp_path / "other", name="other", train=20, test=4)
    balanced = {"dataset_balance": 0.5, "steps": 3, "clips_per_batch": 8}

    def of_two(memory_budget, **contrastive):
        model = Aligner(config(**{**balanced, **contrastive}), memory_budget=memory_budget)
        return model.fit([store, other], folds="official", targets=[targets, others], folder=tmp_path / "run").dump()

    with pytest.raises(
        UsageError, match=r"--contrastive\.dataset-balance 0\.5 of events and other needs all responses"
    ):
        of_two("60KB")
    # Refused before anything was copied.
    assert not (tmp_path / "run").exists()
    # All fits, or nothing is shared among datasets.
    assert of_two("1MB")
    assert of_two("60KB", dataset_balance=1.0, steps=4)
    one = fitted(store, targets, contrastive=balanced, memory_budget=BUDGET)
    assert len(one.subjects_) == 7


def test_a_balance_that_was_not_refused_before_is_not_left_out(events):
    goals, _, disk = next(opened(*events, "official", BUDGET))
    alien = replace(disk[0], members=(*disk[0].members[1:], replace(disk[0].members[0], subject="other/s1")))
    with (
        pytest.raises(UsageError, match="dataset-balance 0 of events and other"),
        supply([alien], goals, 8, 0.0, PLACE),
    ):
        pass


def test_a_full_disk_is_a_sentence(events, monkeypatch):
    store, targets = events
    monkeypatch.setattr(spool.shutil, "disk_usage", lambda root: type("Disk", (), {"free": 10}))
    with pytest.raises(StoreError, match="training responses that exceed the memory budget are copied there"):
        fitted(store, targets, memory_budget=BUDGET)


def test_amounts_of_memory():
    amounts = ("2GB", "500 MiB", "1e6", "1.5kb", "7")
    assert [budget.parse_bytes(text) for text in amounts] == [2 * 10**9, 500 * 2**20, 10**6, 1500, 7]
    for wrong in ("", "GB", "0", "1.2.3", "2 parsecs", "-1GB", "1ib"):
        with pytest.raises(ValueError, match="no amount of memory"):
            budget.parse_bytes(wrong)
    assert [budget.size(count) for count in (1, 40_300_000, 2 * 10**9)] == ["0.1 KB", "40.3 MB", "2 GB"]
    assert "memory_budget" not in config().affecting()
    assert config().model_copy(update={"memory_budget": "1GB"}).affecting()["memory_budget"] == "1GB"
