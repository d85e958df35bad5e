"""Scores of trials against a loop, and the answers whose score is known beforehand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from brainreel.align.predictions import Predictions
from brainreel.errors import UsageError
from brainreel.evaluate.identification import cell_table, mean_viewer, score_trials, shuffle_given
from brainreel.evaluate.methods import Method, find

from .conftest import FOLDS, PER_FOLD, SUBJECTS


def scored(world, found, **options) -> pd.DataFrame:
    return score_trials({"events": world.store}, {"events": world.targets}, found, **options)


def noisy(truth, subject, fold, seed):
    rng = np.random.default_rng([fold, seed, *subject.encode()])
    return truth + 1.5 * rng.normal(size=truth.shape)


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_every_trial_is_scored_inside_its_folds_gallery_as_a_loop_would(world):
    found = world.predict("model", noisy)
    table = scored(world, found)
    assert len(table) == FOLDS * len(SUBJECTS) * 2 * PER_FOLD
    assert set(table["gallery"]) == {PER_FOLD}
    for fold, path in found.files[0].items():
        predictions = Predictions.read(path)
        gallery = range(fold * PER_FOLD, (fold + 1) * PER_FOLD)
        for subject in SUBJECTS:
            embedding = predictions.embedding[f"events/{subject}"]
            for row, vector in zip(predictions.row[f"events/{subject}"], embedding, strict=True):
                own = int(world.store.clip_index(np.array([row]))[0])
                alike = {c: cosine(vector, world.targets.values[c] - predictions.centre) for c in gallery}
                better = sum(alike[c] > alike[own] for c in gallery)
                (line,) = table[(table["row"] == row) & (table["fold"] == fold)].to_dict("records")
                assert line["clip_id"] == world.store.clips["clip_id"][own]
                assert line["subject"] == subject
                assert line["rank"] == better + 1
                assert line["two_way"] == pytest.approx(1 - better / (PER_FOLD - 1))
                assert (line["top1"], line["top5"]) == (better == 0, better < 5)


def test_the_truth_is_always_found_and_its_opposite_never(world):
    right = scored(world, world.predict("right", lambda truth, *_: 3 * truth))
    assert (right[["two_way", "top1", "top5", "rank"]] == 1).all().all()
    wrong = scored(world, world.predict("wrong", lambda truth, *_: -truth))
    assert (wrong["two_way"] == 0).all()


def test_a_constant_answer_at_the_training_mean_scores_exactly_chance(world):
    table = scored(world, world.predict("constant", lambda truth, *_: 0 * truth))
    assert (table["two_way"] == 0.5).all()
    np.testing.assert_allclose(table["top1"], 1 / PER_FOLD)
    np.testing.assert_allclose(table["top5"], 5 / PER_FOLD)
    assert (table["shuffled"] == 0.5).all()
    assert (table["mismatched"] == 0.5).all()


def test_shuffled_and_mismatched_of_a_good_model_are_at_chance(world):
    table = scored(world, world.predict("right", lambda truth, *_: truth, seeds=(0,)))
    assert table["two_way"].mean() == 1
    assert table["shuffled"].mean() == pytest.approx(0.5, abs=0.06)
    assert table["mismatched"].mean() == pytest.approx(0.5, abs=0.06)


def test_mismatched_is_the_mean_over_the_subjects_own_predictions_for_other_clips(world):
    found = world.predict("model", noisy)
    table = scored(world, found)
    predictions = {fold: Predictions.read(path) for fold, path in found.files[0].items()}
    everything = np.concatenate([p.embedding["events/s2"] for p in predictions.values()])
    clips = np.concatenate([world.store.clip_index(p.row["events/s2"]) for p in predictions.values()])
    for line in table[table["subject"] == "s2"].to_dict("records")[::5]:
        own = int(world.store.clip_index(np.array([line["row"]]))[0])
        gallery = range(line["fold"] * PER_FOLD, (line["fold"] + 1) * PER_FOLD)
        centre = predictions[line["fold"]].centre
        answers = []
        for vector, clip in zip(everything, clips, strict=True):
            if clip != own:
                alike = [cosine(vector, world.targets.values[c] - centre) for c in gallery]
                mine = cosine(vector, world.targets.values[own] - centre)
                answers.append(sum(mine > other for other in alike) / (PER_FOLD - 1))
        assert line["mismatched"] == pytest.approx(np.mean(answers))


def test_shuffling_never_gives_a_trial_its_own_clip(world):
    rows = world.rows("s1", 0)
    clips = world.store.clip_index(rows)
    assert (clips[shuffle_given(world.store, rows)] != clips).all()


def test_the_mean_viewer_averages_unit_vectors_over_everybody(world):
    found = world.predict("model", noisy)
    predictions = Predictions.read(found.files[0][1])
    viewer = mean_viewer(predictions, {"events": world.store})
    assert list(viewer.embedding) == ["events/viewers"]
    clips = world.store.clip_index(viewer.row["events/viewers"])
    assert sorted(clips) == list(range(PER_FOLD, 2 * PER_FOLD))
    for clip, vector in zip(clips, viewer.embedding["events/viewers"], strict=True):
        seen = []
        for subject, embedding in predictions.embedding.items():
            mine = world.store.clip_index(predictions.row[subject]) == clip
            seen += [v / np.linalg.norm(v) for v in embedding[mine]]
        assert len(seen) == 2 * len(SUBJECTS)
        np.testing.assert_allclose(vector, np.mean(seen, axis=0), atol=1e-6)


def test_the_mean_viewer_knows_more_than_its_viewers(world):
    found = world.predict("model", noisy)
    single, together = scored(world, found), scored(world, found, viewers=True)
    assert set(together["subject"]) == {"viewers"}
    assert len(together) == FOLDS * PER_FOLD
    assert together["two_way"].mean() > single["two_way"].mean() + 0.1


def test_seeds_and_folds_are_kept_apart(world):
    found = world.predict("model", noisy, seeds=(0, 3))
    assert {seed: list(files) for seed, files in found.files.items()} == {0: [0, 1, 2], 3: [0, 1, 2]}
    table = scored(world, found)
    assert sorted(set(table["seed"])) == [0, 3]
    assert table.groupby(["seed", "fold", "subject"]).size().unique().tolist() == [2 * PER_FOLD]


def test_a_method_without_predictions_says_what_to_run(world):
    nothing = find(world.root, Method(name="nobody's", job="nothing"))
    with pytest.raises(UsageError, match=r"no predictions of .nobody's.; run `brainreel align`"):
        scored(world, nothing)


def test_cell_table_averages_seeds_and_trials_and_leaves_gaps_open():
    trials = pd.DataFrame(
        [("a", 0, 1.0), ("a", 0, 0.0), ("a", 2, 0.25), ("b", 2, 1.0), ("b", 5, np.nan)],
        columns=["subject", "fold", "two_way"],
    )
    found = cell_table(trials, "two_way", "fold", ["b", "a", "c"])
    expected = [[np.nan, 1, np.nan], [0.5, 0.25, np.nan], [np.nan] * 3]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(cell_table(trials, "two_way", "fold", ["a"], [2, 3, 0]), [[0.25, np.nan, 0.5]])
