from dataclasses import replace

import numpy as np
import pytest

from brainreel.metrics import noise_ceiling
from brainreel.metrics.ceilings import inter_subject_correlation
from brainreel.world.drives import CATEGORY, DRIVES, drives, layout
from brainreel.world.film import draw_film
from brainreel.world.render import render
from brainreel.world.scenes import KINDS, MOTIONS, draw_scenes
from brainreel.world.viewers import PARCELS, VERTICES, surface, viewer

CLIPS, REPETITIONS = 160, 3


@pytest.fixture(scope="module")
def scenes():
    return draw_scenes(CLIPS, seed=3)


@pytest.fixture(scope="module")
def shown(scenes):
    return drives(scenes, render(scenes))


def _repeated(shown, count):
    return {name: np.tile(drive, (count, 1)) for name, drive in shown.items()}


@pytest.fixture(scope="module")
def betas(shown):
    """Four people's single trials: (people, clips, repetitions, vertices)."""
    rng, out = np.random.default_rng(0), []
    for who in range(4):
        order = rng.permutation(CLIPS * REPETITIONS)
        trials = {name: drive[order] for name, drive in _repeated(shown, REPETITIONS).items()}
        found = viewer(who, surface=surface(), signal_share=0.10).betas(trials, seed=who)
        found = found[np.argsort(order)].reshape(REPETITIONS, CLIPS, -1)
        out.append(found.transpose(1, 0, 2))
    return np.stack(out)


def _in(parcel: str) -> np.ndarray:
    return np.array(surface().parcel) == parcel


def test_layout_is_what_is_drawn_where(scenes):
    videos = np.zeros((1, 2, 64, 64, 3), np.uint8)
    videos[0, 0, :8, 56:] = (255, 0, 0)
    videos[0, :, 56:, :8] = (255, 255, 0)
    cells = layout(scenes[:1], videos)[0]
    np.testing.assert_allclose(cells[0, 7], [1 / 6, 0.5, 0.25], atol=1e-6)
    np.testing.assert_allclose(cells[7, 0], [2 / 3, 0, 1], atol=1e-6)
    assert not cells[3:5, 3:5].any()


def test_every_drive_has_unit_power_over_many_scenes_and_the_weights_add_up(shown):
    for name, kinds in DRIVES.items():
        assert sum(kind.weight for kind in kinds) == pytest.approx(1)
        assert shown[name].var(axis=0).sum() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    ("factor", "indifferent"),
    [
        ("kind", {"scene"}),
        ("place", {"object"}),
        ("colour", {"scene", "object"}),
        ("light", {"object"}),
        ("facing", {"scene"}),
    ],
)
def test_a_factor_drives_what_it_should(scenes, factor, indifferent):
    some = scenes[:20]
    other = replace(some, **{factor: -some.facing if factor == "facing" else (getattr(some, factor) + 1) % 2})
    changed = getattr(some, factor) != getattr(other, factor)
    before, after = drives(some, render(some)), drives(other, render(other))
    for name in indifferent:
        np.testing.assert_array_equal(before[name], after[name])
    answers = {"kind": "object", "place": "scene", "colour": "colour", "light": "scene", "facing": "object"}[factor]
    assert (np.abs(before[answers] - after[answers]).max(axis=1) > 0.01)[changed].all()


def test_motion_energy_tells_the_direction(scenes):
    one = replace(scenes[:8], motion=np.arange(8), tilt=np.zeros(8))
    how = drives(one, render(one))["motion"][:, :8]
    along = {"right": 0, "down": 1, "grow": 2, "left": 4, "up": 5, "shrink": 6}
    for name, feature in along.items():
        assert how[:, feature].argmax() == MOTIONS.index(name)
    assert how[MOTIONS.index("spin"), [3, 7]].max() == how[:, [3, 7]].max()
    np.testing.assert_allclose(how[MOTIONS.index("still")], how.min(axis=0))


def test_kinds_of_one_category_are_alike_to_the_cortex():
    one = draw_scenes(1, seed=0)[np.zeros(len(KINDS), int)]
    one = replace(one, kind=np.arange(len(KINDS)))
    alike = np.corrcoef(drives(one, render(one))["object"])
    same = np.equal.outer(one.kind // CATEGORY, one.kind // CATEGORY) & ~np.eye(len(KINDS), dtype=bool)
    other = ~same & ~np.eye(len(KINDS), dtype=bool)
    assert alike[same].mean() > alike[other].mean() + 0.2


def test_v1_is_a_map_of_the_visual_field():
    """One bright cell excites or inhibits its own place on the surface and leaves distant ones alone."""
    cortex = viewer(0, surface=surface(), signal_share=0.1).cortices["V1"]
    cells = np.zeros((8, 8, 3))
    cells[1, 6, 0] = 1
    design = np.concatenate([cells[..., 0].ravel(), cells[..., 1:].ravel()])
    answer = np.abs(cortex.shared(cortex.position) @ design)
    where = (cortex.position + 0.5) / 16 - (np.array([1, 6]) + 0.5) / 8
    distance = np.hypot(*where.T)
    assert answer[distance < 0.1].mean() > 0.5
    assert answer[distance > 0.5].max() < 1e-3


def test_noise_ceilings_are_like_real_ones(betas):
    """Ceiling of three averaged repetitions, all vertices, those that nothing drives included."""
    median = [np.median(noise_ceiling(person)) for person in betas]
    assert 10 < np.mean(median) < 30
    assert min(median) > 7
    assert max(median) < 35
    ceiling = np.stack([noise_ceiling(person) for person in betas])
    assert np.median(ceiling[:, _in("other")]) < 3
    assert all(np.median(ceiling[:, _in(name)]) > 8 for name in PARCELS if name != "other")
    assert ceiling.max() < 90


def test_ceilings_of_films_too():
    film = draw_film(np.zeros(150, bool), seed=1)
    shown, medians, first = drives(film, render(film)), [], []
    for who in range(4):
        person = viewer(who, surface=surface(), signal_share=0.20)
        runs = np.stack([person.bold(shown, tr_s=2.0, seed=10 * who + k) for k in range(3)], axis=1)
        medians.append(np.median(noise_ceiling(runs, n=1)))
        first.append(runs[:, 0])
    assert 10 < np.mean(medians) < 30
    alike = np.median(inter_subject_correlation(np.stack(first)), axis=0)
    assert 0.1 < np.median(alike) < 0.4
    assert abs(np.median(alike[_in("other")])) < 0.05


def test_people_are_alike_but_not_the_same(betas):
    mean = betas.mean(axis=2)
    mean = (mean - mean.mean(axis=1, keepdims=True)) / mean.std(axis=1, keepdims=True)
    driven = ~_in("other")
    alike = (mean[0] * mean[1]).mean(axis=0)[driven].mean()
    half = (betas[0, :, 0] - betas[0, :, 0].mean(0)) * (betas[0, :, 1] - betas[0, :, 1].mean(0))
    own = (half.mean(axis=0) / betas[0, :, 0].var(axis=0))[driven].mean()
    assert alike > 0.05
    # Three averaged repetitions of two people agree less than they would if their signal were the same.
    assert alike < 0.8 * own * 3 / (1 + 2 * own)


def test_the_kind_is_decoded_above_chance_and_not_perfectly(betas, scenes):
    """Nearest class mean in LOC on averaged repetitions of left-out clips."""
    for person in betas[:2]:
        mean = person.mean(axis=1)[:, _in("LOC")]
        mean = (mean - mean.mean(axis=0)) / mean.std(axis=0)
        train = np.arange(CLIPS) % 4 > 0
        centres = np.stack([mean[train & (scenes.kind == k)].mean(axis=0) for k in range(len(KINDS))])
        found = np.corrcoef(mean[~train], centres)[: (~train).sum(), (~train).sum() :].argmax(axis=1)
        right = (found == scenes.kind[~train]).mean()
        assert 2 / len(KINDS) < right < 0.9


def test_seeds_decide_people_and_noise(shown):
    some = {name: drive[:20] for name, drive in shown.items()}
    one = viewer(1, surface=surface(), signal_share=0.1)
    np.testing.assert_array_equal(
        one.betas(some, seed=0), viewer(1, surface=surface(), signal_share=0.1).betas(some, seed=0)
    )
    assert not np.array_equal(one.betas(some, seed=0), one.betas(some, seed=1))
    other = viewer(2, surface=surface(), signal_share=0.1)
    assert not np.array_equal(one.betas(some, seed=0), other.betas(some, seed=0))


def test_the_coarse_surface_is_a_part_of_the_common_one():
    fine, coarse = surface(), surface(coarse=True)
    assert (len(fine), len(coarse)) == (VERTICES, VERTICES // 2)
    np.testing.assert_array_equal(fine.position[coarse.vertex], coarse.position)
    assert [fine.parcel[v] for v in coarse.vertex] == list(coarse.parcel)
    # The organisation is the same at the vertices that both have.
    one, two = (viewer(0, surface=s, signal_share=0.1) for s in (fine, coarse))
    for name in ("V1", "LOC"):
        at_fine = one.cortices[name].tuning(one.people[name])
        kept = np.isin(np.flatnonzero(_in(name)), coarse.vertex)
        np.testing.assert_allclose(at_fine[:, kept], two.cortices[name].tuning(two.people[name]))
