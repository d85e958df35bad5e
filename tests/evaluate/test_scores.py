"""Rows of metrics.json: all keys of the contract, chance that a constant meets exactly, differences over same cells."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from brainreel.evaluate.experiment import evaluate_methods
from brainreel.evaluate.film import median_subject
from brainreel.evaluate.methods import Method
from brainreel.evaluate.scores import difference_row, document, score_rows
from brainreel.metrics.paired import paired_difference
from brainreel.regress.captions import nearest_captions, training_captions

from .conftest import FOLDS, PER_FOLD, SUBJECTS
from .test_identification import noisy, scored

CONTRACT = {
    "metric", "stage", "strategy", "target", "dataset", "subject", "split", "definition", "value", "ci95", "bootstrap",
    "chance", "constant", "mismatched", "shuffled", "ceiling", "direction", "n", "unit", "circular",
}  # fmt: skip


def rows_of(table, name="model", continuous=False, **facts):
    return score_rows(table, Method(name=name, job=name, facts=facts), target="t", continuous=continuous, seed=0)


def test_rows_carry_every_key_of_the_contract_and_are_json(world):
    rows = rows_of(scored(world, world.predict("model", noisy)), minutes=5)
    assert len(rows) == 3 * (1 + len(SUBJECTS))
    for row in rows:
        assert row.keys() >= CONTRACT
        assert row["minutes"] == 5
        low, high = row["ci95"]
        assert 0 <= low <= row["value"] <= high <= 1
    content = document(rows, [], 0)
    assert content.keys() >= {"schema", "brainreel", "seed", "scores"}
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert {row["subject"] for row in rows} == {None, *SUBJECTS}
    assert {row["metric"] for row in rows} == {"two_way_identification", "retrieval_top5", "retrieval_top1"}
    assert {row["bootstrap"] for row in rows if row["subject"] is None} == {"crossed"}


@pytest.mark.parametrize("continuous", [True, False])
def test_the_mean_row_is_the_mean_over_subjects(world, continuous):
    rows = rows_of(scored(world, world.predict("model", noisy)), continuous=continuous)
    for metric in {row["metric"] for row in rows}:
        (mean,) = [row["value"] for row in rows if row["metric"] == metric and row["subject"] is None]
        each = [row["value"] for row in rows if row["metric"] == metric and row["subject"] is not None]
        assert mean == pytest.approx(np.mean(each), abs=2e-6)


def test_what_is_resampled_depends_on_the_kind_of_stimulus(world):
    table = scored(world, world.predict("model", noisy))
    film, events = rows_of(table, continuous=True)[0], rows_of(table, continuous=False)[0]
    assert (film["n_units"], film["resampled"]) == (FOLDS, "subjects × blocks")
    assert (events["n_units"], events["resampled"]) == (FOLDS * PER_FOLD, "subjects × clips")
    assert film["note"], "three blocks are too few to say nothing about it"


@pytest.mark.parametrize("continuous", [True, False])
def test_a_constant_answer_scores_chance_to_the_last_digit_even_with_galleries_of_unequal_size(world, continuous):
    table = scored(world, world.predict("constant", lambda truth, *_: 0 * truth))
    # Somebody missed half of a fold, and one fold's gallery is smaller than the others'.
    table = table[~((table["subject"] == "s1") & (table["fold"] == 0) & (table["row"] % 2 == 0))]
    smaller = table["fold"] == 2
    table.loc[smaller, ["gallery", "top1", "top5"]] = [4, 0.25, 1.0]
    for row in rows_of(table, continuous=continuous):
        assert row["value"] == row["chance"] == row["constant"]
        if row["metric"] == "two_way_identification":
            assert row["value"] == row["shuffled"] == row["mismatched"] == 0.5


def test_one_subject_has_one_row_under_its_own_name_and_viewers_under_none(world):
    found = world.predict("model", noisy, subjects=["s3"])
    rows = rows_of(scored(world, found))
    assert [row["subject"] for row in rows] == ["s3"] * 3
    assert {row["bootstrap"] for row in rows} == {"units"}
    both = scored(world, world.predict("both", noisy), viewers=True)
    assert [row["subject"] for row in rows_of(both, viewers=True)] == [None] * 3


def test_n_counts_trials_once_however_many_seeds(world):
    one, three = (
        rows_of(scored(world, world.predict(f"seeds{len(seeds)}", noisy, seeds=seeds))) for seeds in ((0,), (0, 1, 2))
    )
    assert one[0]["n"] == three[0]["n"] == FOLDS * len(SUBJECTS) * 2 * PER_FOLD
    assert three[0]["seeds"] == [0, 1, 2]


def test_difference_rows_are_paired_over_cells(world):
    one, other = scored(world, world.predict("one", noisy)), scored(world, world.predict("other", lambda t, *_: 0 * t))
    (row,) = difference_row(one, other, ("one", "other"), continuous=False, seed=0)
    values = [row["value"] for row in (rows_of(one)[0], rows_of(other)[0])]
    assert row["value"] == pytest.approx(values[0] - values[1], abs=2e-6)
    assert (row["first"], row["second"], row["subjects"]) == ("one", "other", len(SUBJECTS))
    assert row["ci95"][0] > 0
    assert row["subjects_above"] == len(SUBJECTS)
    (reverse,) = difference_row(other, one, ("other", "one"), continuous=False, seed=0)
    assert reverse["value"] == -row["value"]
    (nothing,) = difference_row(one, one, ("one", "one"), continuous=True, seed=0)
    assert (nothing["value"], nothing["ci95"], nothing["subjects_above"]) == (0, [0, 0], 0)


def test_differences_compare_only_cells_that_both_methods_have(world):
    """Another method lacks the first fold and a subject: what is left must meet its own counterpart."""
    one = scored(world, world.predict("one", noisy))
    other = scored(world, world.predict("other", lambda t, *_: 0 * t, folds=(1, 2), subjects=("s1", "s2", "s4")))
    for continuous in (True, False):
        (row,) = difference_row(one, other, ("one", "other"), continuous=continuous, seed=0)
        both = one[(one["fold"] > 0) & (one["subject"] != "s3")]
        expected = both.groupby("subject")["two_way"].mean().mean() - 0.5
        assert row["value"] == pytest.approx(expected, abs=2e-6)
        assert row["subjects"] == 3
        assert row["n_units"] == (2 if continuous else 2 * PER_FOLD)
        (reverse,) = difference_row(other, one, ("other", "one"), continuous=continuous, seed=0)
        assert reverse["value"] == pytest.approx(-row["value"], abs=2e-6)
        assert reverse["subjects"] == 3


def test_a_dataset_that_only_one_method_has_makes_no_difference_row(world):
    table = scored(world, world.predict("one", noisy))
    assert difference_row(table, table.assign(dataset="elsewhere"), ("a", "b"), continuous=False, seed=0) == []


def test_the_interval_is_that_of_the_metrics_module(world):
    one, other = scored(world, world.predict("one", noisy)), scored(world, world.predict("other", lambda t, *_: 0 * t))
    (row,) = difference_row(one, other, ("one", "other"), continuous=True, seed=4)
    cells = [t.pivot_table(index="subject", columns="fold", values="two_way").to_numpy() for t in (one, other)]
    interval = paired_difference(cells[0], cells[1], seed=4).interval
    assert row["ci95"] == pytest.approx([interval.low, interval.high], abs=1e-6)


def test_captions_are_those_of_training_clips_and_never_of_a_test_clip(world):
    for fold in range(FOLDS):
        allowed = {world.targets.captions[i] for i in training_captions(world.store, world.targets, "thirds", fold)}
        tested = set(world.store.clips["captions"][fold * PER_FOLD : (fold + 1) * PER_FOLD].explode())
        everything = set(world.store.clips["captions"].explode())
        assert allowed == everything - tested
        assert "everywhere" not in allowed, "said of a training clip and of a test clip"


def test_nearest_captions_are_the_nearest_allowed_in_order(world):
    allowed = training_captions(world.store, world.targets, "thirds", 0)
    centre = np.full(world.targets.values.shape[1], 0.3, np.float32)
    wanted = allowed[[4, 0]]
    embedding = world.targets.caption_values[wanted] - centre
    readings = nearest_captions(embedding, world.targets, allowed, centre, count=4)
    assert [reading[0] for reading in readings] == [(world.targets.captions[i], 1.0) for i in wanted]
    for reading, vector in zip(readings, embedding, strict=True):
        values = [value for _, value in reading]
        assert values == sorted(values, reverse=True)
        everything = world.targets.caption_values[allowed] - centre
        alike = everything @ vector / np.linalg.norm(everything, axis=1) / np.linalg.norm(vector)
        assert values == pytest.approx(sorted(alike, reverse=True)[:4], abs=1e-4)


def test_the_typical_subject_is_the_median_one():
    table = pd.DataFrame({"subject": list("abcd"), "two_way": [0.9, 0.6, 0.7, 0.8]})
    assert median_subject(table) == "c"
    assert median_subject(table[:3]) == "c"
    assert median_subject(table[:1]) == "a"


def test_an_experiment_is_scored_whole(world, tmp_path):
    world.predict("model", noisy)
    world.predict("rival", lambda t, *_: 0 * t)
    methods = [Method(name="model", job="model"), Method(name="rival", job="rival", facts={"role": "rival"})]
    out = tmp_path / "out"
    out.mkdir()
    evaluate_methods(world.root, [world.store], [world.targets], methods, [("model", "rival")], "t", 0, out)
    metrics = json.loads((out / "metrics.json").read_text())
    assert {row["strategy"] for row in metrics["scores"]} == {"model", "rival"}
    assert [(row["first"], row["second"]) for row in metrics["differences"]] == [("model", "rival")]
    per_clip = pd.read_csv(out / "per_clip.tsv", sep="\t")
    for row in metrics["scores"]:
        if row["metric"] == "two_way_identification" and row["subject"] is not None:
            mine = per_clip[(per_clip["strategy"] == row["strategy"]) & (per_clip["subject"] == row["subject"])]
            by_clip = mine.groupby("clip_id")["two_way"].mean().mean()
            assert row["value"] == pytest.approx(by_clip, abs=1e-5), "per_clip.tsv holds what each value averages"
    captions = pd.read_csv(out / "captions.tsv", sep="\t")
    truths = world.store.clips.set_index("clip_id")["captions"]
    for line in captions.to_dict("records"):
        assert line["caption"] not in truths[line["clip_id"]], "a test clip's own caption was offered"
    assert set(captions["clip_id"]) == set(world.store.clips["clip_id"][: FOLDS * PER_FOLD])
