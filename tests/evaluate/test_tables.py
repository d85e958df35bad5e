"""Tables to quote from say what metrics.json and per_clip.tsv say."""

from __future__ import annotations

import pandas as pd

from brainreel.evaluate.tables import by_blocks, markdown_tables

ROW = {
    "metric": "two_way_identification",
    "dataset": "d",
    "subject": None,
    "chance": 0.5,
    "shuffled": 0.4981,
    "constant": 0.5,
}
SCORES = [
    {**ROW, "strategy": "many", "value": 0.7491, "ci95": [0.7181, 0.7822], "seed_values": [0.7497, 0.7485]},
    {**ROW, "strategy": "many", "metric": "retrieval_top5", "value": 0.52, "ci95": None},
    {**ROW, "strategy": "many", "subject": "s1", "value": 0.9, "ci95": None},
    {**ROW, "strategy": "none", "value": 0.511, "ci95": [0.5, 0.52], "seed_values": [0.475, 0.533], "null": "shifted"},
]
DIFFERENCE = {"dataset": "d", "first": "many", "second": "none", "value": -0.0312, "ci95": [-0.05, 0.01],
              "subjects_above": 2, "subjects": 3, "p_sign_flip": 0.0078}  # fmt: skip
# Subject s2 has three clips in fold 0, s1 one: subjects count equally, and so do folds.
CLIPS = pd.DataFrame(
    [("many", 0, 0, "d", "s1", 1.0), *[("many", 0, 0, "d", "s2", 0.0)] * 3, ("many", 0, 1, "d", "s1", 0.75)],
    columns=["strategy", "seed", "fold", "dataset", "subject", "two_way"],
)


def test_scores_with_their_controls_and_the_final_folds_apart():
    lines = markdown_tables({"scores": SCORES, "differences": [DIFFERENCE]}, CLIPS, final=(1,)).splitlines()
    assert lines[2] == "| many | 2 | .749 [.718, .782] | .500 / .750 | .520 | .500 | .498 | .500 |"
    assert lines[3] == "| none | 2 | .511 (.475 to .533) |  |  | .500 | .498 | .500 |", "a null shows its refits"
    assert lines[-1] == "| many − none | −.031 [−.050, +.010] | 2 of 3 | p = 0.008 |"
    assert len(lines) == 8


def test_a_difference_without_an_interval_shows_none():
    alone = {**DIFFERENCE, "ci95": None, "p_sign_flip": None}
    lines = markdown_tables({"scores": SCORES, "differences": [alone]}, CLIPS).splitlines()
    assert lines[-1] == "| many − none | −.031 | 2 of 3 |  |"


def test_without_final_folds_there_is_no_such_column():
    lines = markdown_tables({"scores": SCORES, "differences": []}, CLIPS).splitlines()
    assert {line.count("|") for line in lines} == {8}
    assert lines[2].startswith("| many | 2 | .749 [.718, .782] | .520 |")


def test_trainings_are_averaged_before_subjects_and_folds():
    twice = pd.concat([CLIPS, CLIPS.loc[CLIPS["subject"] == "s1"].assign(seed=1, two_way=0.5)])
    assert by_blocks(twice, final=(1,)) == (0.375, 0.625)
