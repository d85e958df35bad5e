"""The audit of a film's experiment, from a store and predictions whose cheats are known."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from brainreel.align.predictions import Predictions
from brainreel.datasets import DATASETS
from brainreel.evaluate.audit_experiment import QUESTIONS, audit_experiment, clip_categories
from brainreel.evaluate.brain_to_brain import brain_to_brain_rows
from brainreel.evaluate.identification import score_trials
from brainreel.evaluate.methods import Method, find
from brainreel.pipeline.audit_report import audit_sections
from brainreel.report import Report, render
from brainreel.store import Store, StoreWriter
from brainreel.store.targets import Targets

FOLDS = "blocks-of-8"
METHODS = (
    Method(name="honest", job="honest"),
    Method(name="copier", job="copier", facts={"role": "rival"}),
    Method(name="other", job="honest"),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    root = tmp_path_factory.mktemp("film")
    dataset = DATASETS["sherlock"]
    dataset.twin(root / "kit", subjects=3, size="tiny", seed=0)
    with StoreWriter(root / "store", dataset.manifest(root / "kit")) as writer:
        dataset.ingest(root / "kit", writer)
    return Store(root / "store")


def clips_in(store: Store, role: str, fold: int) -> np.ndarray:
    return np.unique(store.clip_index(np.flatnonzero(store.roles(FOLDS, fold) == role)))


@pytest.fixture(scope="module")
def audit(store, tmp_path_factory) -> dict:
    """Random targets, one of fold 1's test clips told again in training; an honest decoder and a copier."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(len(store.clips), 16))
    test, train = clips_in(store, "test", 1), clips_in(store, "train", 1)
    values[train[4]] = values[test[0]]
    targets = Targets("planted", values)
    root = tmp_path_factory.mktemp("experiment")
    for fold in range(8):
        known = clips_in(store, "train", fold)
        centre = values[known].mean(0)
        answers: dict[str, dict[str, np.ndarray]] = {"honest": {}, "copier": {}}
        rows = {}
        for subject in store.subjects:
            mine = store.rows(subject, store.roles(FOLDS, fold) == "test")
            truth = values[store.clip_index(mine)] - centre
            noise = 0.5 * rng.normal(size=truth.shape)
            rows[f"sherlock/{subject}"] = mine
            answers["honest"][f"sherlock/{subject}"] = truth + noise
            picked = rng.integers(len(known), size=len(mine))
            answers["copier"][f"sherlock/{subject}"] = values[known[picked]] - centre
        for job, embedding in answers.items():
            facts = {"folds": FOLDS, "fold": fold}
            path = root / "align" / job / "seed-0" / f"fold-{fold}" / "predictions" / "decoder.safetensors"
            Predictions(embedding, rows, centre, facts).write(path)
    scored = {m.name: score_trials({"sherlock": store}, {"sherlock": targets}, find(root, m)) for m in METHODS}
    found = audit_experiment(root, [store], [targets], METHODS, scored, seed=0)
    return {"audit": found, "test": test, "train": train, "scored": scored}


def scores(audit: dict, strategy: str) -> dict[str, dict]:
    return {row["question"]: row for row in audit["audit"]["scores"] if row["strategy"] == strategy}


def test_the_model_and_its_rivals_are_audited_and_their_score_is_the_reported_one(audit):
    assert {row["strategy"] for row in audit["audit"]["scores"]} == {"honest", "copier"}
    reported = audit["scored"]["honest"].pivot_table(index="subject", columns="fold", values="two_way").to_numpy()
    assert scores(audit, "honest")["model"]["value"] == pytest.approx(np.nanmean(np.nanmean(reported, 1)), abs=1e-6)
    assert set(scores(audit, "honest")) == set(QUESTIONS)
    json.dumps(audit["audit"], allow_nan=False)


def test_the_honest_decoder_is_above_its_controls_and_the_copier_is_not(audit):
    honest, copier = scores(audit, "honest"), scores(audit, "copier")
    assert honest["model"]["value"] > 0.9
    assert abs(honest["shuffled"]["given_away"]) < 0.15
    assert honest["copied"]["value"] == pytest.approx(0, abs=0.03)
    assert copier["copied"]["value"] == 1
    assert copier["model"]["value"] == pytest.approx(copier["copying"]["value"], abs=1e-6)
    gaps = {row["strategy"]: row for row in audit["audit"]["differences"]}
    assert gaps["honest"]["value"] > 0.01
    assert gaps["honest"]["subjects_above"] == 3
    assert gaps["copier"]["value"] == pytest.approx(0, abs=1e-6)


def test_the_clip_that_was_told_twice_is_named(audit, store):
    leaks = {leak["fold"]: leak for leak in audit["audit"]["leakage"]}
    ids = store.clips["clip_id"].to_numpy()
    pairs = [(pair["test"], pair["train"]) for pair in leaks[1]["pairs"]]
    assert (str(ids[audit["test"][0]]), f"sherlock/{ids[audit['train'][4]]}") in pairs
    assert all(leak["shared_clips"] == 0 for leak in leaks.values())
    with_leak, without = scores(audit, "honest")["leaks-only"], scores(audit, "honest")["without-leaks"]
    assert with_leak["clips"] == sum(leak["nearly_identical"] for leak in leaks.values()) > 0
    assert with_leak["clips"] + without["clips"] == scores(audit, "honest")["model"]["clips"]


def test_a_window_is_where_most_of_it_plays(store):
    notes = store.annotations
    kinds = clip_categories(store)
    assert set(kinds) <= set(notes["location"].dropna()) | {""}
    tr_s = store.manifest.tr_s
    for index in range(0, len(kinds), 7):
        clip = store.clips.iloc[index]
        time: dict[str, float] = {}
        for volume in range(round(clip["onset_s"] / tr_s), round((clip["onset_s"] + clip["duration_s"]) / tr_s)):
            middle = (volume + 0.5) * tr_s
            here = notes[(notes["onset_s"] <= middle) & (middle < notes["onset_s"] + notes["duration_s"])]
            for place in here["location"]:
                time[place] = time.get(place, 0) + 1 / len(here)
        assert time[kinds[index]] == pytest.approx(max(time.values()))
    assert set(clip_categories(store, "nothing")) == {""}


def test_the_report_shows_every_row_and_every_leak(audit):
    sections = audit_sections(audit["audit"], str.upper)
    page = render(Report(title="Audit", sections=tuple(sections)))
    table, leaks = sections
    assert len(table.rows) == len(audit["audit"]["scores"])
    assert "HONEST: within the category" in page
    assert len(leaks.points) == sum(leak["nearly_identical"] for leak in audit["audit"]["leakage"])
    assert audit_sections({**audit["audit"], "scores": []}, str) == []


def test_viewers_tell_each_others_windows(store):
    rows = brain_to_brain_rows(store, FOLDS, seed=0)
    assert [row["subject"] for row in rows] == [None, *store.subjects]
    assert rows[0]["value"] == pytest.approx(np.mean([row["value"] for row in rows[1:]]), abs=1e-5)
    assert rows[0]["value"] > 0.55
    assert rows[0]["stage"] == "responses"
    assert rows[0]["ceiling"] is None
    tested = dict.fromkeys(store.subjects, 0)
    for fold in range(8):
        for subject in tested:
            tested[subject] += len(store.rows(subject, store.roles(FOLDS, fold) == "test"))
    assert [row["n"] for row in rows[1:]] == list(tested.values())


def test_viewers_who_share_nothing_tell_nothing(store, monkeypatch):
    """The same film with every viewer's time shuffled is at chance."""
    responses = Store.responses
    rng = np.random.default_rng(1)

    def shuffled(self, subject, rows, contexts=()):
        found = responses(self, subject, rows, contexts)
        return found[rng.permutation(len(found))]

    monkeypatch.setattr(Store, "responses", shuffled)
    assert brain_to_brain_rows(store, FOLDS, seed=0)[0]["value"] == pytest.approx(0.5, abs=0.12)


def test_tables_keep_their_order(audit):
    frame = pd.DataFrame(audit["audit"]["scores"])
    assert (frame.groupby("strategy")["question"].apply(list) == [list(QUESTIONS)] * 2).all()
