"""What is saved is what was trained: identical embeddings, and a plain refusal of anything else."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from brainreel.align.aligner import Aligner
from brainreel.align.decoders import LinearDecoder, load_decoder
from brainreel.align.predictions import Predictions
from brainreel.cortex.standardise import Scaling
from brainreel.errors import ExperimentError, UsageError

from .planted import SUBJECTS, config, event_store

KINDS = {
    "contrastive": config(depth=1, steps=3),
    "members": config(members=2, steps=3),
    "no refit": config(refit=False, steps=3),
    "ridge": config("ridge"),
    "pooled-ridge": config("pooled-ridge"),
}


@pytest.fixture(scope="module")
def two_spaces(events, tmp_path_factory):
    """Two releases whose people have different vertices; clips are their own in each."""
    other = event_store(tmp_path_factory.mktemp("wide") / "wide", name="wide", vertices=35, train=50, test=20)
    return [events[0], other[0]], [events[1], other[1]]


@pytest.fixture(scope="module", params=KINDS)
def model(request, two_spaces):
    stores, targets = two_spaces
    subjects = [f"{store.name}/{name}" for store in stores for name in SUBJECTS[:3]]
    return Aligner(KINDS[request.param], device="cpu").fit(stores, subjects=subjects, targets=targets)


def test_round_trip_gives_identical_embeddings_for_everybody(model, two_spaces, tmp_path):
    path = tmp_path / "decoder.safetensors"
    model.save(path)
    loaded = Aligner.load(path)
    assert loaded.config == model.config
    assert loaded.subjects_ == model.subjects_ == list(dict.fromkeys(model.subjects_))
    for store in two_spaces[0]:
        for subject in SUBJECTS[:3]:
            before, after = (m.embed(store, subject, role="test") for m in (model, loaded))
            assert before.shape[0] > 0
            assert np.isfinite(before).all()
            np.testing.assert_array_equal(before, after)


def test_round_trip_gives_identical_embeddings_for_newcomers(model, two_spaces, tmp_path):
    if model.config.strategy == "ridge":
        pytest.skip("ridge per subject has nothing for newcomers")
    path = tmp_path / "decoder.safetensors"
    model.save(path)
    loaded, _ = load_decoder(path)
    for store in two_spaces[0]:
        recording = model.recording(store, "s6", store.rows("s6")[:9])
        before, after = (d.embed_newcomer(recording.space, recording.responses) for d in (model.decoder_, loaded))
        np.testing.assert_array_equal(before, after)


def test_a_saved_decoder_holds_no_responses_targets_or_trials(model, tmp_path):
    path = tmp_path / "decoder.safetensors"
    model.save(path)
    _, facts = load_decoder(path)
    values = sum(array.size for array in model.decoder_.tensors().values())
    scalings = sum(2 * scaling.mean.size for scaling in model.decoder_.scalings.values())
    assert path.stat().st_size < 4 * (values + scalings) + 20_000
    np.testing.assert_allclose(facts["centre"], model.goals_.centre)


def test_a_newcomer_is_scaled_by_the_people_of_the_same_space_only():
    """Another space's people may have other numbers of vertices, and their statistics mean nothing here."""

    def scaling(mean, width):
        return Scaling(np.full(width, mean, np.float32), np.ones(width, np.float32))

    maps = {"a": np.ones((3, 1), np.float32), "b": np.ones((5, 1), np.float32)}
    people = {"x": scaling(1, 2), "y": scaling(3, 2), "z": scaling(100, 4)}
    spaces = {"x": "a", "y": "a", "z": "b"}
    decoder = LinearDecoder(people, spaces, {subject: maps[space] for subject, space in spaces.items()}, maps)
    # Mean of the population of «a» is 2, so that 2 is zero after standardising and only the intercept is left.
    assert decoder.embed_newcomer("a", np.full((1, 2), 2, np.float32)).tolist() == [[1.0]]
    assert decoder.embed_newcomer("b", np.full((1, 4), 100, np.float32)).tolist() == [[1.0]]


@pytest.mark.parametrize("content", [b"", b"not a decoder", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_file_that_is_not_a_decoder_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "decoder.safetensors"
    path.write_bytes(content)
    for read in (load_decoder, Aligner.load, Predictions.read):
        with pytest.raises(ExperimentError, match=r"brainreel align") as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_missing_file_and_somebody_elses_weights_are_refused_too(tmp_path):
    with pytest.raises(ExperimentError, match="nowhere"):
        load_decoder(tmp_path / "nowhere.safetensors")
    other = tmp_path / "other.safetensors"
    save_file({"x": np.zeros(3, np.float32)}, other)
    with pytest.raises(ExperimentError, match="not a decoder"):
        load_decoder(other)
    save_file({"x": np.zeros(3, np.float32)}, other, {"brainreel": json.dumps({"decoder": {"kind": "network"}})})
    with pytest.raises(ExperimentError, match="not a decoder"):
        load_decoder(other)


def test_predictions_are_not_a_decoder_nor_the_reverse(model, tmp_path):
    model.save(tmp_path / "decoder.safetensors")
    with pytest.raises(ExperimentError, match="holds no predictions"):
        Predictions.read(tmp_path / "decoder.safetensors")
    made = Predictions({"d/s": np.ones((2, 3), np.float32)}, {"d/s": np.arange(2)}, np.zeros(3, np.float32), {})
    made.write(tmp_path / "predictions.safetensors")
    with pytest.raises(ExperimentError, match="not a decoder"):
        load_decoder(tmp_path / "predictions.safetensors")


def test_predictions_round_trip_without_loss(tmp_path):
    rng = np.random.default_rng(0)
    made = Predictions(
        {"d/s1": rng.normal(size=(4, 3)).astype(np.float32), "d/s2": rng.normal(size=(2, 3)).astype(np.float32)},
        {"d/s1": np.array([5, 1, 2, 9]), "d/s2": np.array([7, 8])},
        rng.normal(size=3).astype(np.float32),
        {"fold": 3, "folds": "blocks-of-8", "shift": 0, "target": "t"},
    )
    made.write(tmp_path / "p.safetensors")
    read = Predictions.read(tmp_path / "p.safetensors")
    assert read.facts == made.facts
    assert list(read.embedding) == list(made.embedding)
    for subject in made.embedding:
        np.testing.assert_array_equal(read.embedding[subject], made.embedding[subject])
        np.testing.assert_array_equal(read.row[subject], made.row[subject])
    np.testing.assert_array_equal(read.centre, made.centre)


def test_strangers_are_a_usage_error_that_names_the_known(model):
    with pytest.raises(UsageError, match=r"'events/s9'.*events/s1.*brainreel adapt"):
        model.decoder_.embed("events/s9", np.zeros((1, 60), np.float32))
    if model.config.strategy != "ridge":
        with pytest.raises(UsageError, match="'elsewhere'"):
            model.decoder_.embed_newcomer("elsewhere", np.zeros((1, 60), np.float32))


def test_ridge_per_subject_says_that_it_has_nothing_for_newcomers(events):
    store, targets = events
    model = Aligner(config("ridge"), device="cpu").fit([store], subjects=["s1"], targets=[targets])
    with pytest.raises(UsageError, match=r"pooled-ridge or contrastive"):
        model.decoder_.embed_newcomer("planted60x1", np.zeros((1, 60), np.float32))
