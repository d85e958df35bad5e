"""One fold's training with its predictions: resumed by group, newcomers unseen."""

from __future__ import annotations

import numpy as np
import pytest

from brainreel.align import jobs
from brainreel.align.aligner import Aligner
from brainreel.align.jobs import AlignJob, Group, run_job, whose
from brainreel.align.predictions import Predictions
from brainreel.errors import UsageError

from .planted import SUBJECTS, config

PEOPLE = tuple(f"events/{name}" for name in SUBJECTS[:4])


def job_of(*groups: Group, **more) -> AlignJob:
    return AlignJob(name="many", config=config(steps=3), folds="official", fold=0, groups=groups, **more)


def run(job, world, folder):
    store, targets = world
    run_job(job, [store], [targets], "cpu", folder)
    return {path.stem: Predictions.read(path) for path in (folder / "predictions").iterdir()}


def test_predictions_are_those_of_the_model_for_every_test_trial(events, tmp_path):
    store, targets = events
    found = run(job_of(Group(train=PEOPLE)), events, tmp_path)
    assert set(found) == {"decoder", "trained"}
    model = Aligner(config(steps=3), device="cpu").fit([store], subjects=PEOPLE, targets=[targets])
    for subject in PEOPLE:
        name = subject.split("/")[1]
        rows = store.rows(name, store.roles("official", 0) == "test")
        for label, decoder in (("decoder", None), ("trained", model.also_["trained"])):
            np.testing.assert_array_equal(found[label].row[subject], rows)
            np.testing.assert_array_equal(
                found[label].embedding[subject], model.embed(store, name, rows=rows, decoder=decoder)
            )
    facts = found["decoder"].facts
    assert (facts["fold"], facts["folds"], facts["trained_subjects"], facts["shift"]) == (0, "official", 4, 0)
    np.testing.assert_array_equal(found["decoder"].centre, model.goals_.centre)
    loaded = Aligner.load(tmp_path / "decoder.safetensors")
    np.testing.assert_array_equal(loaded.embed(store, "s1", role="test"), model.embed(store, "s1", role="test"))


def test_groups_are_separate_trainings_merged_into_one_file(events, tmp_path):
    apart = [Group(train=(subject,)) for subject in PEOPLE[:2]]
    found = run(job_of(*apart), events, tmp_path / "both")
    for index, subject in enumerate(PEOPLE[:2]):
        alone = run(job_of(apart[index]), events, tmp_path / str(index))
        np.testing.assert_array_equal(found["decoder"].embedding[subject], alone["decoder"].embedding[subject])
    assert list(found["decoder"].embedding) == list(PEOPLE[:2])


def test_finished_groups_are_not_trained_again(events, tmp_path, monkeypatch):
    groups = [Group(train=(subject,)) for subject in PEOPLE[:3]]
    whole = run(job_of(*groups), events, tmp_path / "whole")
    right, trained = jobs._run_group, []

    def dies(job, group, *rest):
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(group)
        right(job, group, *rest)

    monkeypatch.setattr(jobs, "_run_group", dies)
    with pytest.raises(KeyboardInterrupt):
        run(job_of(*groups), events, tmp_path / "broken")
    monkeypatch.setattr(jobs, "_run_group", lambda job, group, *rest: (trained.append(group), right(job, group, *rest)))
    again = run(job_of(*groups), events, tmp_path / "broken")
    assert trained == groups
    for subject in PEOPLE[:3]:
        np.testing.assert_array_equal(again["decoder"].embedding[subject], whole["decoder"].embedding[subject])


def test_newcomers_are_predicted_by_minutes_and_their_unlabelled_data_make_it_transductive(events, tmp_path):
    group = Group(train=PEOPLE, newcomers=("events/odd", "events/s6"))
    found = run(job_of(group, minutes=(0.0, 1.0, float("inf"))), events, tmp_path / "a")
    assert set(found) == {"minutes-0", "minutes-1", "minutes-inf", "transductive"}
    for minutes in (0.0, 1.0, float("inf")):
        predictions = found[f"minutes-{minutes:g}"]
        assert list(predictions.embedding) == ["events/odd", "events/s6"]
        assert predictions.facts["minutes"] == minutes
    unlike = {label: one.embedding["events/odd"] for label, one in found.items()}
    assert not np.allclose(unlike["minutes-0"], unlike["minutes-1"])
    assert not np.allclose(unlike["minutes-0"], unlike["transductive"])


def test_a_shifted_job_is_trained_on_shifted_text(film, tmp_path):
    group = Group(train=("film/s1", "film/s2"))
    job = AlignJob(name="null", config=config(steps=2), folds="blocks-of-4", fold=1, groups=(group,))
    right = run(job, film, tmp_path / "right")
    null = run(job.model_copy(update={"shift": 100}), film, tmp_path / "null")
    assert null["decoder"].facts["shift"] == 100
    assert not np.allclose(null["decoder"].embedding["film/s1"], right["decoder"].embedding["film/s1"])
    assert not np.allclose(null["decoder"].centre, right["decoder"].centre)


def test_stages_of_seeds_and_folds_have_folders_of_their_own():
    job = job_of(Group(train=PEOPLE))
    assert job.stage == "align/many/seed-0/fold-0"
    other = job.model_copy(update={"fold": 3, "config": job.config.model_copy(update={"seed": 2})})
    assert other.stage == "align/many/seed-2/fold-3"


def test_a_dataset_that_no_store_has_is_named(events):
    assert whose("events/s1", [events[0]]) == (events[0], "s1")
    with pytest.raises(UsageError, match=r"no store is called 'film'; expected one of events"):
        whose("film/s1", [events[0]])
