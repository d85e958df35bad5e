import itertools

import numpy as np
import pytest
import torch

import brainreel as br
from brainreel.errors import ExperimentError, UsageError
from brainreel.regress.averaging import conditions_of
from brainreel.regress.regressor import MODELS, Regressor
from brainreel.training import loop

from .planted import SHAPES, config, identified


def same(one, other):
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])


def arrays_of(regressor):
    return {name: value.numpy() for name, value in regressor.network_.state_dict().items()}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("condition", SHAPES)
def test_planted_signal_is_recovered(data, fitted, model, condition):
    rows = data.is_test
    found = conditions_of(data.embedding[rows], data.clip[rows].astype(str), fitted, model=model)
    test = np.unique(data.clip[rows])
    truth = data.targets[condition][test]
    assert found.vectors[condition].shape == truth.shape
    mean = data.targets[condition][: test[0]].mean(0)
    r2 = 1 - np.square(found.vectors[condition] - truth).sum() / np.square(mean - truth).sum()
    # Averaging three repetitions leaves a tenth of the code's variance as noise.
    assert r2 > 0.7
    assert identified(found.vectors[condition], truth, mean) > 0.95


def test_repetitions_help(data, fitted):
    rows = data.is_test
    truth = data.targets["text"]
    single = fitted.predict(data.embedding[rows])["text"]
    averaged = conditions_of(data.embedding[rows], data.clip[rows].astype(str), fitted).vectors["text"]
    one = np.square(single - truth[data.clip[rows]]).mean()
    assert np.square(averaged - truth[np.unique(data.clip[rows])]).mean() < 0.8 * one


@pytest.mark.parametrize("model", MODELS)
def test_shuffled_embeddings_say_nothing(data, model):
    embedding, clip, targets = data.training
    wrong = np.random.default_rng(1).permutation(len(clip))
    regressor = Regressor(config(steps=20), device="cpu").fit(embedding[wrong], clip, targets)
    rows = data.is_test
    answer = regressor.predict(data.embedding[rows], model)["text"]
    # All trials of all clips as one gallery: chance is 0.5.
    truth = data.targets["text"][data.clip[rows]]
    assert identified(answer[::3], truth[::3], regressor.components_["text"].mean) < 0.75


def test_test_targets_are_never_read(data, fitted):
    embedding, clip, targets = data.training
    test = np.unique(data.clip[data.is_test])
    other = {name: values.copy() for name, values in targets.items()}
    for values in other.values():
        values[test] = np.nan
    again = Regressor(config(), device="cpu").fit(embedding, clip, other)
    same(arrays_of(fitted), arrays_of(again))
    for name in SHAPES:
        same(fitted.components_[name].tensors(), again.components_[name].tensors())
        same(fitted.ridge_[name].tensors(), again.ridge_[name].tensors())


def test_same_seed_same_model_other_seed_another(data):
    first, again, other = (
        Regressor(config(steps=5), device="cpu", seed=seed).fit(*data.training) for seed in (1, 1, 2)
    )
    same(arrays_of(first), arrays_of(again))
    assert not np.array_equal(arrays_of(first)["enter"], arrays_of(other)["enter"])


def test_killed_and_resumed_equals_uninterrupted(data, tmp_path, monkeypatch):
    settings = config(steps=12)
    whole = Regressor(settings, device="cpu").fit(*data.training, folder=tmp_path / "whole")

    class Killed(BaseException):
        pass

    # A clock that advances a minute whenever it is asked saves a checkpoint after every step.
    ticks = itertools.count(step=60)
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(ticks)))
    saved = itertools.count(1)
    write = loop.save_checkpoint

    def until_killed(*arguments):
        write(*arguments)
        if next(saved) == 7:
            raise Killed

    monkeypatch.setattr(loop, "save_checkpoint", until_killed)
    with pytest.raises(Killed):
        Regressor(settings, device="cpu").fit(*data.training, folder=tmp_path / "killed")
    monkeypatch.undo()
    assert (tmp_path / "killed" / "checkpoint.safetensors").is_file()
    resumed = Regressor(settings, device="cpu").fit(*data.training, folder=tmp_path / "killed")
    same(arrays_of(whole), arrays_of(resumed))
    assert (tmp_path / "killed" / "log.jsonl").read_text() == (tmp_path / "whole" / "log.jsonl").read_text()


@pytest.mark.parametrize("model", MODELS)
def test_saved_and_loaded(data, fitted, tmp_path, model):
    fitted.save(tmp_path / "regressor.safetensors")
    again = Regressor.load(tmp_path / "regressor.safetensors")
    same(fitted.predict(data.embedding[:5], model), again.predict(data.embedding[:5], model))
    assert again.config == fitted.config


def test_anything_else_is_no_regressor(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(ExperimentError, match="is not a regressor"):
        Regressor.load(tmp_path / "x.safetensors")


def test_config_chooses_the_model(data, fitted):
    chosen = Regressor(config(model="ridge", steps=1), device="cpu").fit(*data.training)
    same(chosen.predict(data.embedding[:5]), fitted.predict(data.embedding[:5], "ridge"))


def test_wrong_arguments(data, fitted):
    embedding, clip, targets = data.training
    with pytest.raises(UsageError, match="no model 'lasso'"):
        fitted.predict(embedding, "lasso")
    with pytest.raises(UsageError, match="embeddings of 3 dimensions"):
        fitted.predict(embedding[:, :3])
    with pytest.raises(UsageError, match="no targets"):
        Regressor(config()).fit(embedding, clip, {})
    with pytest.raises(UsageError, match="rows of the 5 targets of 'text'"):
        Regressor(config()).fit(embedding, clip, {"text": targets["text"][:5]})
    with pytest.raises(UsageError, match="no trial"):
        Regressor(config()).fit(embedding[:0], clip[:0], targets)
    with pytest.raises(UsageError, match="all 1 training clips are the same"):
        Regressor(config()).fit(embedding[:4], np.array([1, 1, 1, 1]), targets)


def test_the_package_exports_it():
    assert br.Regressor is Regressor
    assert br.Regressor(seed=3, components=5).config.components == 5
    assert torch.is_grad_enabled()
