"""The plan of the film benchmark asks for nothing that its trainings do not leave."""

from __future__ import annotations

import pytest

from brainreel.pipeline.film_config import FilmConfig
from brainreel.pipeline.film_recipe import Film, film_jobs, film_plan, label_of

FILM = Film("film", tuple(f"s{i}" for i in range(1, 6)), folds=4, volumes=400)
LEFT_BY = {"contrastive": {"decoder", "trained"}, "consensus": {"decoder", "alone"}, "ridge": {"decoder"}}


@pytest.mark.parametrize("full", [False, True])
def test_every_method_has_its_predictions_and_every_difference_its_methods(full):
    config = FilmConfig(full=full)
    jobs, plan = film_jobs(config, FILM), film_plan(config, FILM, ("store",), "targets")
    left: dict[str, set[str]] = {}
    for job in jobs:
        for group in job.groups:
            names = LEFT_BY.get(job.config.strategy, {"decoder"})
            if group.newcomers:
                names = {label_of(minutes) for minutes in job.minutes}
                names |= {"transductive"} if 0.0 in job.minutes else set()
            left.setdefault(job.name, set()).update(names)
    for method in plan.methods:
        assert method.label in left[method.job], method
    assert {method.job for method in plan.methods} == set(left), "a training that nothing is read from"
    names = {method.name for method in plan.methods}
    assert all(one in names and other in names and one != other for one, other in plan.differences)
    assert len(plan.differences) == len(set(plan.differences))


def test_everybody_is_a_newcomer_once_and_nobody_to_a_training_they_were_in():
    for job in film_jobs(FilmConfig(full=True), FILM):
        for group in job.groups:
            assert not set(group.train) & set(group.newcomers)
            assert group.train
        newcomers = [who for group in job.groups for who in group.newcomers]
        if newcomers:
            assert sorted(newcomers) == [f"film/{subject}" for subject in FILM.subjects]


def test_every_fold_and_seed_is_a_stage_of_its_own():
    jobs = film_jobs(FilmConfig(full=True), FILM)
    assert len({job.stage for job in jobs}) == len(jobs)
    assert {job.fold for job in jobs} == set(range(FILM.folds))
    nulls = {job.shift for job in jobs if job.name == "null-ridge"}
    assert len(nulls) == 20
    assert 0 not in nulls
