import numpy as np
import pytest

from brainreel.regress.averaging import certainty_of, conditions_of, mean_over
from brainreel.regress.captions import CaptionPool


def test_predictions_are_averaged_per_clip_in_order_of_appearance(data, fitted):
    embedding = data.embedding[:5]
    found = conditions_of(embedding, ["b", "a", "b", "c", "a"], fitted, facts={"subject": "s1"})
    single = fitted.predict(embedding)["latent"]
    assert found.clip_id == ["b", "a", "c"]
    expected = np.stack([single[[0, 2]].mean(0), single[[1, 4]].mean(0), single[3]])
    np.testing.assert_allclose(found.vectors["latent"], expected, atol=1e-4)
    assert found.facts == {"subject": "s1"}
    assert found.captions == []


def test_caption_is_the_nearest_to_the_mean_embedding(data, fitted):
    embedding = np.zeros((3, 20), np.float32)
    embedding[0, 0], embedding[1, 1], embedding[2, 0] = 1.0, 1.0, 3.0
    pool = CaptionPool(["first", "second"], np.eye(20, dtype=np.float32)[:2], np.zeros(20, np.float32))
    assert conditions_of(embedding, ["a", "b", "a"], fitted, pool=pool).captions == ["first", "second"]
    assert certainty_of(embedding, ["a", "b", "a"], fitted, pool=pool)["caption_cosine"].tolist() == [1.0, 1.0]


def test_spread_over_repetitions(data, fitted):
    embedding = data.embedding[[0, 0, 1, 2, 3]]
    table = certainty_of(embedding, ["same", "same", "once", "two", "two"], fitted)
    assert table["repetitions"].tolist() == [2, 1, 2]
    assert table["spread_text"][0] == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(table["spread_text"][1])
    found = fitted.predict_components(embedding[3:])["text"]
    assert table["spread_text"][2] == pytest.approx(np.sqrt(found.var(0, ddof=1).mean()), rel=1e-4)


def test_mean_over():
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(mean_over(values, np.array([1, 0, 1])), [[2, 3], [2, 3]])
