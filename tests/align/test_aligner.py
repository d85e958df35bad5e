"""From stores to embeddings: only training trials are read, the same seed gives the same model."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace

import numpy as np
import pytest
import zarr

from brainreel.align.aligner import Aligner, build_goals
from brainreel.align.config import AlignConfig
from brainreel.align.contrastive import fit_contrastive
from brainreel.cortex.windows import Context
from brainreel.errors import BrainreelError, FoldError, UsageError
from brainreel.store import Store
from brainreel.store.targets import write_targets

from .planted import SUBJECTS, TR_S, VERTICES, config, event_store

FEW = ["s1", "s2", "odd"]


def fit(store, targets, strategy="contrastive", fold=0, **settings) -> Aligner:
    settings = {"steps": 8, **settings}
    return Aligner(config(strategy, **settings), device="cpu").fit([store], fold=fold, subjects=FEW, targets=[targets])


def assert_same(one: Aligner, other: Aligner) -> None:
    first, second = one.decoder_.tensors(), other.decoder_.tensors()
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)
    for subject, scaling in one.decoder_.scalings.items():
        np.testing.assert_array_equal(scaling.mean, other.decoder_.scalings[subject].mean)
        np.testing.assert_array_equal(scaling.std, other.decoder_.scalings[subject].std)
    np.testing.assert_array_equal(one.goals_.centre, other.goals_.centre)


STRATEGIES = ["contrastive", "ridge", "pooled-ridge"]


def rewrite(array: zarr.Array, values: np.ndarray) -> None:
    """Change an array of a store with the checksum that readers compare."""
    array[:] = values
    array.attrs["sha256"] = hashlib.sha256(values.tobytes()).hexdigest()


def spoil_targets(store: Store, targets, fold: int):
    """Targets of every clip that does not train in this fold, replaced by rubbish."""
    roles = store.roles(store.manifest.folds[0], fold)
    trained = set(store.clip_index(np.flatnonzero(roles == "train")).tolist())
    values = targets.values.copy()
    others = [clip for clip in range(len(values)) if clip not in trained]
    values[others] = 1e4 * np.random.default_rng(0).normal(size=(len(others), values.shape[1]))
    return replace(targets, values=values)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_events_training_never_reads_test_responses_or_targets(events, tmp_path, strategy):
    store, targets = events
    spoilt = Store(shutil.copytree(store.root, tmp_path / "spoilt"))
    test = store.roles("official", 0) == "test"
    for subject in FEW:
        array = zarr.open_array(spoilt.root / "responses.zarr" / subject, mode="r+")
        values = np.asarray(array[:])
        values[test[store.rows(subject)]] = 1e5
        rewrite(array, values)
    assert not np.array_equal(spoilt.responses("s1", store.rows("s1")), store.responses("s1", store.rows("s1")))
    assert_same(fit(store, targets, strategy), fit(spoilt, spoil_targets(store, targets, 0), strategy))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_film_training_never_reads_the_test_block_or_its_gap(film, tmp_path, strategy):
    """Everything from 15 s before the block to 15 s after it is rubbish, except where training windows reach."""
    store, targets = film
    spoilt = Store(shutil.copytree(store.root, tmp_path / "spoilt"))
    roles = store.roles("blocks-of-4", 1)
    trials = store.trials[(store.trials["subject"] == "s1").to_numpy() & (roles == "train")]
    for run in ("run-1", "run-2"):
        used = np.zeros(240, bool)
        for onset in trials.loc[trials["run"] == run, "onset_s"]:
            first = round(onset / TR_S)
            used[first : first + 10] = True
        assert used.sum() < (120 if run == "run-1" else 240), (
            "the block is the end of run 1, its gap reaches into run 2"
        )
        for subject in FEW:
            array = zarr.open_array(spoilt.root / "bold.zarr" / subject / run, mode="r+")
            values = np.asarray(array[:])
            values[~used] = 1e5
            rewrite(array, values)
    assert_same(fit(store, targets, strategy, 1), fit(spoilt, spoil_targets(store, targets, 1), strategy, 1))


def test_training_responses_do_matter(events, tmp_path):
    """The test of the tests above: one changed training response changes the model."""
    store, targets = events
    changed = Store(shutil.copytree(store.root, tmp_path / "changed"))
    array = zarr.open_array(changed.root / "responses.zarr" / "s1", mode="r+")
    values = np.asarray(array[:])
    train = np.flatnonzero(store.roles("official", 0)[store.rows("s1")] == "train")
    values[train[0]] += 1
    rewrite(array, values)
    one, other = fit(store, targets), fit(changed, targets)
    with pytest.raises(AssertionError):
        assert_same(one, other)


def test_the_same_seed_gives_the_same_model_and_another_seed_another(events):
    store, targets = events
    assert_same(fit(store, targets), fit(store, targets))
    other = Aligner(config(steps=8), device="cpu", seed=1).fit([store], subjects=FEW, targets=[targets])
    with pytest.raises(AssertionError):
        assert_same(fit(store, targets), other)


def test_interrupted_training_ends_where_an_undisturbed_one_ends(events, tmp_path, monkeypatch):
    store, targets = events
    whole = fit(store, targets)

    class Killed(Exception):
        pass

    from brainreel.align import contrastive
    from brainreel.training import loop

    right_loss, right_train, calls = contrastive.contrastive_loss, contrastive.train, []

    def dies(*args, **kwargs):
        calls.append(None)
        if len(calls) == 6:
            raise Killed
        return right_loss(*args, **kwargs)

    monkeypatch.setattr(contrastive, "train", lambda *a, **k: loop.train(*a, **k, checkpoint_every_s=0.0))
    monkeypatch.setattr(contrastive, "contrastive_loss", dies)
    model = Aligner(config(steps=8), device="cpu")
    with pytest.raises(Killed):
        model.fit([store], subjects=FEW, targets=[targets], folder=tmp_path)
    model.fit([store], subjects=FEW, targets=[targets], folder=tmp_path)
    assert len(calls) == 9, "six calls before the death, the sixth and two more after it"
    assert right_train is loop.train
    assert_same(whole, model)
    assert len((tmp_path / "member-0" / "log.jsonl").read_text().splitlines()) == 8


def test_targets_may_lie_in_the_store_in_a_folder_or_be_given(events, tmp_path):
    store, targets = events
    write_targets(
        store, "planted", {"embedding": targets.values, "captions": targets.caption_values}, {"v": 1},
        targets.captions, tmp_path,
    )  # fmt: skip
    settings = config(steps=3).model_copy(update={"target": "planted"})
    given = Aligner(settings, device="cpu").fit([store], subjects=FEW, targets=[targets])
    read = Aligner(settings, device="cpu").fit([store.root], subjects=FEW, targets=tmp_path)
    assert_same(given, read)
    with pytest.raises(BrainreelError, match=r"no targets 'planted'.*brainreel encode"):
        Aligner(settings, device="cpu").fit([store], subjects=FEW)


def test_the_centre_is_the_mean_over_training_clips_each_counted_once(events):
    store, targets = events
    goals, offsets, (training,) = build_goals([store], [targets], "official", 0)
    np.testing.assert_allclose(goals.centre, targets.values[:90].mean(0), rtol=1e-5)
    np.testing.assert_allclose(goals.values, targets.values - goals.centre, atol=1e-6)
    assert offsets == [0]
    assert training.sum() == 90 * len(SUBJECTS)


def test_clips_of_two_releases_are_different_clips(events, film):
    stores, targets = [events[0], film[0]], [events[1], film[1]]
    goals, offsets, training = build_goals(stores, targets, None, 0)
    assert offsets == [0, len(events[0].clips)]
    assert len(goals.values) == len(events[0].clips) + len(film[0].clips)
    assert len(set(goals.stimulus.tolist())) == len(events[0].clips) + 1
    assert goals.overlap(np.arange(120)).sum() == 120
    assert goals.overlap(np.arange(120, 130)).sum() > 10
    trained = np.concatenate([t.values[np.unique(s.clip_index(np.flatnonzero(k)))]
                              for s, t, k in zip(stores, targets, training, strict=True)])  # fmt: skip
    np.testing.assert_allclose(goals.centre, trained.mean(0), rtol=1e-5)


def test_clips_without_a_known_length_are_still_clips_of_their_own(events, tmp_path):
    store = Store(shutil.copytree(events[0].root, tmp_path / "copy"))
    store.clips["duration_s"] = np.nan
    goals, _, _ = build_goals([store], [events[1]], "official", 0)
    (phase,) = goals.phases(np.arange(120))
    assert len(phase) == 120
    folds = goals.inner_folds(np.arange(120), 4, 45.0)
    assert all(len(train) + len(validation) == 120 for train, validation in folds)


def test_two_releases_train_together(events, film):
    stores, targets = [events[0], film[0]], [events[1], film[1]]
    for strategy in STRATEGIES:
        model = Aligner(config(strategy, steps=3), device="cpu").fit(
            stores, subjects=["events/s1", "events/s2", "film/s1"], targets=targets
        )
        assert model.subjects_ == ["events/s1", "events/s2", "film/s1"]
        for store, subject in ((stores[0], "s1"), (stores[1], "s1")):
            assert np.isfinite(model.embed(store, subject, role="test")).all()


def test_releases_that_call_different_vertices_by_one_name_are_refused(events, tmp_path):
    store, targets = event_store(tmp_path / "same", name="same", vertices=30, train=30, test=10)
    for path in store.root.glob("spaces/*"):
        path.rename(path.with_name("planted60.tsv"))
    spaces = {"responses": dict.fromkeys(SUBJECTS, "planted60")}
    store.manifest = store.manifest.model_copy(update={"spaces": spaces})
    for strategy in ("contrastive", "pooled-ridge"):
        with pytest.raises(UsageError, match=r"30 features in the space 'planted60x1', where .* has 60"):
            Aligner(config(strategy), device="cpu").fit([events[0], store], targets=[events[1], targets])


def test_contexts_and_their_weights_reach_the_decoder(film):
    """Two contexts of one group: the second's features are later, and a weight changes what is learned."""
    store, targets = film
    own = Context(group="bold")
    later = Context(group="bold", start_s=0.0, stop_s=10 * TR_S, bins=2, weight=2.0)

    def model(strategy, *contexts):
        settings = config(strategy, steps=3).model_copy(update={"contexts": contexts})
        return Aligner(settings, device="cpu").fit([store], subjects=["s1", "s2"], targets=[targets])

    both = model("contrastive", own, later)
    recording = both.recording(store, "s1", store.rows("s1")[:4])
    assert recording.responses.shape == (4, 3 * VERTICES)
    assert recording.space == "plantedx1+plantedx2"
    np.testing.assert_array_equal(recording.weight, [1.0] * VERTICES + [2.0] * 2 * VERTICES)
    np.testing.assert_allclose(
        recording.responses[:, VERTICES:].reshape(4, 2, VERTICES).mean(1),
        recording.responses[:, :VERTICES], atol=1e-4,
    )  # fmt: skip
    for strategy in STRATEGIES:
        one, other = (model(strategy, own, later.model_copy(update={"weight": w})) for w in (1.0, 4.0))
        assert not np.allclose(one.embed(store, "s1", role="test"), other.embed(store, "s1", role="test"), rtol=1e-3)


def test_ridge_with_a_weight_is_ridge_on_weighted_features(film):
    """The decoder takes responses that are only standardised, so the weight has to be inside its map."""
    store, targets = film
    settings = config("ridge").model_copy(update={"contexts": (Context(group="bold", weight=3.0),)})
    weighted = Aligner(settings, device="cpu").fit([store], subjects=["s1"], targets=[targets])
    penalties = {"penalties": tuple(p / 9 for p in settings.ridge.penalties), "inner_folds": 3}
    scaled = AlignConfig.model_validate({**config("ridge").model_dump(), "ridge": penalties})
    plain = Aligner(scaled, device="cpu").fit([store], subjects=["s1"], targets=[targets])
    one, other = (m.embed(store, "s1", role="test") for m in (weighted, plain))
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_usage_errors(events, film):
    store, targets = events

    def run(**options):
        return Aligner(config(steps=1), device="cpu").fit([store], targets=[targets], **options)

    with pytest.raises(UsageError, match=r"'s9' \(known: s1"):
        run(subjects=["s1", "s9"])
    with pytest.raises(FoldError, match="official"):
        run(folds="nope")
    with pytest.raises(FoldError, match="fold 7"):
        run(fold=7)
    elsewhere = config(steps=1).model_copy(update={"contexts": (Context(group="regions"),)})
    with pytest.raises(UsageError, match="feature group 'regions'"):
        Aligner(elsewhere, device="cpu").fit([film[0]], targets=[film[1]], subjects=["s1"])


def test_settings_by_name_override_a_config():
    model = Aligner(config(), device="cpu", seed=5, strategy="ridge")
    assert (model.config.seed, model.config.strategy) == (5, "ridge")
    assert model.config.contrastive == config().contrastive
    with pytest.raises(ValueError, match="typo"):
        Aligner(typo=1)
    with pytest.raises(ValueError, match="strategy"):
        Aligner(strategy="srm2")


def test_one_person_is_not_refitted_and_leaves_no_second_decoder(events):
    store, targets = events
    model = Aligner(config(steps=2), device="cpu").fit([store], subjects=["s1"], targets=[targets])
    assert model.also_ == {}
    many = fit(store, targets, steps=2)
    assert list(many.also_) == ["trained"]
    assert fit(store, targets, steps=2, refit=False).also_ == {}


def test_the_refit_leaves_the_network_before_it_as_it_was_trained(events):
    store, targets = events
    with_refit, without = fit(store, targets), fit(store, targets, refit=False)
    for name, value in with_refit.also_["trained"].tensors().items():
        np.testing.assert_array_equal(value, without.decoder_.tensors()[name], err_msg=name)


def test_clip_latents_know_only_what_was_trained_on(events):
    store, targets = events
    goals, offsets, (training,) = build_goals([store], [targets], "official", 0)
    model = Aligner(config(steps=2), device="cpu")
    recordings = [model.recording(store, s, store.rows(s, training), offsets[0]) for s in FEW]
    decoder, _ = fit_contrastive(recordings, goals, model.config)
    (latents,) = decoder.clip_latents
    assert latents.isfinite().all(1).tolist() == [True] * 90 + [False] * 30


def test_every_step_of_every_member_has_dropout_of_its_own(events, monkeypatch):
    from brainreel.align import contrastive

    places, right = [], contrastive.generator

    def watched(*place, **options):
        places.append(place)
        return right(*place, **options)

    monkeypatch.setattr(contrastive, "generator", watched)
    store, targets = events
    fit(store, targets, members=2, steps=3)
    assert len(places) == len(set(places)) == 2 * (1 + 3), "weights once, and noise at every step"
    assert {place[:2] for place in places} == {("align", 0)}
