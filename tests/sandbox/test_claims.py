"""The bench of the sandbox's claims: a tiny run gives every row, and planted differences are read as they are."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from brainreel.bench import sandbox as bench
from brainreel.bench.claims import (
    ALL,
    CLAIMS,
    CLIPS,
    FILMED,
    IDENTIFICATION,
    JUDGED,
    RIVALS,
    SEEDS,
    TRUE,
    markdown,
    read_claims,
    verdict,
)
from brainreel.errors import UsageError
from brainreel.sandbox.config import RELEASES
from brainreel.sandbox.outlook import sandbox_outlook
from brainreel.sandbox.recipe import apart, run_sandbox
from cli.conftest import call, done, refused

from .conftest import CONFIG
from .test_command import finished

EVENT = RELEASES[0]
TINY = CONFIG.model_copy(
    update={
        "clips": None, "people": 3, "left_out": 2, "test_clips": 3, "seeds": 1, "compare": True, "text_to_video": True,
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def claimed(made, tmp_path_factory):
    out = tmp_path_factory.mktemp("claims") / "run"
    return out, bench.run(out=out, weights=made / "weights", workers=1, config=TINY)


def test_a_tiny_run_gives_every_row(claimed):
    out, found = claimed
    assert [row["claim"] for row in found["claims"]] == [claim.says for claim in CLAIMS for _ in range(3)]
    for row in found["claims"]:
        if row["second"] == "one-dataset" and row["metric"] == "n_way_accuracy":
            assert row["verdict"] == "not measurable", "no videos of it are made"
            continue
        assert row["ci95"] is not None, row
        assert (row["clips"], row["seeds"]) == (3, 1)
        aligned_by_everybody = row["metric"] == IDENTIFICATION.metric and row["second"] in (TRUE, ALL)
        assert row["subjects"] in ((3,) if aligned_by_everybody else (2, 3))
        assert row["bootstrap"] == "crossed"
    assert not found["enough"]
    assert all(row["value"] is not None for row in found["rivals"] if row["metric"] in ("ssim", "n_way_accuracy"))
    assert json.loads((out / "claims.json").read_text()) == found
    told = (out / "claims.md").read_text()
    assert told == markdown(found)
    assert "decide nothing" in told
    assert {"config.json", "provenance.json"} <= {
        path.name for path in (out / "align/true-vectors/seed-0/fold-0").iterdir()
    }


def test_shuffled_minus_chance_is_what_the_scores_say(claimed):
    out, found = claimed
    scores = json.loads((out / "metrics.json").read_text())["scores"]
    for measure, strategy in ((IDENTIFICATION, "newcomer-zero-shot"), *((each, "newcomer") for each in FILMED)):
        (score,) = [
            row
            for row in scores
            if row["strategy"] == strategy and row["subject"] is None and measure.fits(row) and row["dataset"] == EVENT
        ]
        (row,) = [
            row for row in found["claims"] if row["measure"] == measure.label and "unseen subject, sh" in row["claim"]
        ]
        # Wrong pairs of a gallery of three, if nothing is known.
        left = (1.5 - score["value"]) / 2 if measure is IDENTIFICATION else score["chance"]
        assert row["value"] == pytest.approx(score["shuffled"] - left, abs=5e-6)
        assert score.get("shuffles", 100) >= 100


def test_only_the_people_left_out_have_videos_and_each_is_read_by_all(claimed):
    out, _ = claimed
    known, unseen = apart([f"{EVENT}/sub-0{n}" for n in (1, 2, 3)], 2)
    assert (known, unseen) == ((f"{EVENT}/sub-01",), (f"{EVENT}/sub-02", f"{EVENT}/sub-03"))
    made = {path.parent.relative_to(out / "generate").as_posix() for path in out.glob("generate/**/provenance.json")}
    for method in (ALL, "contrastive-alone", "newcomer", f"{ALL}+text-to-video"):
        where = f"{method}/seed-0/fold-0"
        mine = {name.removeprefix(f"{where}/") for name in made if name.startswith(f"{where}/")}
        assert mine - {f"{EVENT}/_truth", f"{EVENT}/_mean"} == set(unseen)
    groups = {
        path.parents[2].name: json.loads(path.read_text())["settings"]["groups"][0]["train"]
        for path in out.glob("align/*/seed-0/fold-0/config.json")
        if path.parents[2].name != TRUE
    }
    assert set(unseen) <= set(groups[ALL])
    assert not set(unseen) & set(groups["contrastive"])
    assert groups["one-dataset"] == [f"{EVENT}/sub-0{n}" for n in (1, 2, 3)]
    assert groups["alone-sandbox-event-sub-03"] == [f"{EVENT}/sub-03"]


def test_what_it_says_beforehand_is_what_it_runs_and_nothing_twice(claimed, made):
    out, _ = claimed
    outlook = sandbox_outlook(TINY, out, weights=made / "weights")
    assert {name for name, *_ in outlook.stages} == set(finished(out))
    assert outlook.idle
    assert run_sandbox(TINY, out, weights=made / "weights").stages == 0


def test_true_vectors_identify_themselves(claimed):
    rows = json.loads((claimed[0] / "metrics.json").read_text())["scores"]
    found = [row["value"] for row in rows if row["strategy"] == TRUE and row["metric"] == IDENTIFICATION.metric]
    assert found
    assert min(found) == 1


def test_the_command_says_what_it_would_cost(made, tmp_path):
    weights = made / "weights"
    said = done("bench", "sandbox", "--weights", weights, "--out", tmp_path / "run", "--dry-run")
    assert "stages to run: about" in said.out
    assert "generate/contrastive-all" in said.out
    assert not (tmp_path / "run").exists()
    assert "--out" in refused(call("bench", "metrics", "--out", tmp_path / "run"))
    assert "--dry-run" in refused(call("bench", "ingest", "--dry-run"))
    assert bench.CONFIG.test_clips == CLIPS
    assert bench.CONFIG.seeds == SEEDS


def test_nobody_left_to_train_on_is_refused():
    with pytest.raises(UsageError, match="2 of 2 people"):
        apart(["a/s1", "a/s2", "b/s1"], 2)


def planted() -> dict:
    """A document in which every claim holds by a hair, with as many clips and seeds as the claims want."""
    differences, scores = [], []
    for claim in CLAIMS:
        for measure, pair in ((IDENTIFICATION, claim.aligned), *((one, claim.filmed) for one in FILMED)):
            ends = [-0.001, 0.002] if claim.expected == "contains 0" else [0.001, 0.2]
            differences.append(_row(measure, pair, ends))
    for measure in JUDGED[2:]:
        differences += [_row(measure, pair, [0.01, 0.02]) for pair in RIVALS]
    for name in {name.partition(", ")[0] for row in differences for name in (row["first"], row["second"])}:
        for measure in (IDENTIFICATION, *FILMED, *JUDGED):
            scores.append(
                {"metric": measure.metric, "definition": measure.definition, "ways": measure.ways, "strategy": name,
                 "dataset": EVENT, "subject": None, "value": 0.9, "ceiling": 0.95, "direction": "higher",
                 "unit": "fraction", "seeds": [0, 1, 2]}
            )  # fmt: skip
    return {"scores": scores, "differences": differences}


def _row(measure, pair, ends):
    return {
        "metric": measure.metric, "definition": measure.definition, "ways": measure.ways, "dataset": EVENT,
        "first": pair[0], "second": pair[1], "value": float(np.mean(ends)), "ci95": ends, "bootstrap": "crossed",
        "subjects": 2, "n_units": CLIPS, "direction": "higher",
    }  # fmt: skip


def test_planted_claims_hold_and_each_can_fail():
    whole = planted()
    found = read_claims(whole, EVENT)
    assert {row["verdict"] for row in found["claims"]} == {"holds", "reported"}
    assert found["enough"]
    assert found["below"]["at_or_above"] == []
    assert "does not hold" not in markdown(found)
    count = 3 * len(CLAIMS)
    for place in range(count):
        broken = copy.deepcopy(whole)
        row = broken["differences"][place]
        row["ci95"] = [end + 0.01 for end in row["ci95"]] if row["ci95"][0] < 0 else [-0.001, 0.2]
        read = read_claims(broken, EVENT)["claims"]
        told = [row["verdict"] for row in read]
        expected = ["reported" if row["expected"] == "reported" else "holds" for row in read]
        if expected[place] == "holds":
            expected[place] = "does not hold"
        assert told == expected
        del broken["differences"][place]
        assert read_claims(broken, EVENT)["claims"][place]["verdict"] == "not measurable"


def test_a_difference_is_found_the_other_way_round():
    whole = planted()
    row = whole["differences"][3]
    row["first"], row["second"] = row["second"], row["first"]
    row["value"], row["ci95"] = -row["value"], [-0.2, -0.001]
    found = read_claims(whole, EVENT)["claims"][3]
    assert found["ci95"] == [0.001, 0.2]
    assert found["verdict"] == "holds"


def test_too_few_seeds_or_clips_and_too_high_scores_are_said():
    for change in ({"n_units": CLIPS - 1}, {"seeds": [0, 1]}):
        whole = planted()
        for row in (*whole["differences"], *whole["scores"]):
            row.update({key: value for key, value in change.items() if key in row})
        assert "decide nothing" in markdown(read_claims(whole, EVENT))
    whole = planted()
    whole["scores"][0].update(strategy=ALL, ceiling=0.985)
    found = read_claims(whole, EVENT)
    assert [one["value"] for one in found["below"]["at_or_above"]] == [0.985]
    assert "Not below 0.98" in markdown(found)


@pytest.mark.parametrize(
    ("ends", "expected", "told"),
    [
        (None, "above 0", "not measurable"),
        ([0.0, 0.1], "above 0", "does not hold"),
        ([0.0, 0.1], "contains 0", "holds"),
        ([0.01, 0.1], "contains 0", "does not hold"),
        ([-0.2, -0.1], "above 0", "does not hold"),
        ([-0.2, -0.1], "reported", "reported"),
    ],
)
def test_an_interval_decides(ends, expected, told):
    assert verdict(ends, expected) == told
