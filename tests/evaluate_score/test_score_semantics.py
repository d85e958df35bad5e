"""Scores through networks, with small linear ones whose answers can be worked out."""

from __future__ import annotations

import numpy as np
import pytest

import brainreel.metrics as metrics
from brainreel.evaluate.score import score_videos
from brainreel.metrics.consistency import frame_consistency
from brainreel.metrics.distribution import kid
from brainreel.metrics.nway import n_way_accuracy, n_way_accuracy_of_frames, n_way_constant

from .clips import moving, noisy

CLASSES = 60


class Linear:
    """Thumbnails times fixed random weights: per frame, or of the clip's mean."""

    def __init__(self, *, per_clip: bool = False) -> None:
        self.identity = {"name": "linear", "per_clip": per_clip}
        self.weights = np.random.default_rng(0).normal(size=(8 * 8 * 3, CLASSES)).astype(np.float32)
        self.per_clip = per_clip

    def features(self, videos: np.ndarray) -> np.ndarray:
        small = videos[:, :, ::4, ::4].reshape(*videos.shape[:2], -1).astype(np.float32) / 255 - 0.5
        answers = small @ self.weights
        return answers.mean(axis=1, keepdims=True) if self.per_clip else answers

    logits = features


@pytest.fixture(scope="module")
def truth():
    return moving(6)


@pytest.fixture(scope="module")
def train():
    return moving(5, seed=4)


@pytest.fixture(scope="module")
def recons(truth):
    return {"same": truth, "close": noisy(truth, 40), "still": np.repeat(truth[:, :1], 4, axis=1)}


@pytest.fixture(scope="module")
def document(truth, recons, train):
    networks = {"clip": Linear(), "video_classifier": Linear(per_clip=True)}
    return score_videos(truth, recons, train=train, networks=networks, wrong_pairs=1)


@pytest.fixture(scope="module")
def of_frames(truth, recons):
    made = {name: recons[name][:3] for name in ("same", "close")}
    return score_videos(truth[:3], made, networks={"image_classifier": Linear()}, wrong_pairs=1)


def find(document: dict, strategy: str, metric: str, definition: str, **more: object) -> dict:
    wanted = {"strategy": strategy, "metric": metric, "definition": definition, **more}
    (row,) = [row for row in document["scores"] if all(row.get(key) == value for key, value in wanted.items())]
    return row


def test_rows_name_their_network_and_leave_open_whether_they_are_circular(document):
    rows = [row for row in document["scores"] if "encoder" in row]
    assert len(rows) == 3 * (1 + 3 + 2 + 6)
    assert all(row["circular"] is None and row["encoder"]["name"] == "linear" for row in rows)


def test_no_network_no_row(truth, recons):
    found = score_videos(truth[:1], {"close": recons["close"][:1]})
    assert not {row["metric"] for row in found["scores"]} & {"clip_similarity", "n_way_accuracy", "kid"}
    (row,) = [row for row in found["scores"] if row["metric"] == "frame_consistency"]
    assert (row["definition"], row["value"], row["undefined"]) == ("published-adjacent-gated", None, 1)
    assert "--clip" in row["note"]


def test_the_gate_is_the_similarity_that_the_row_names(document, truth, recons):
    net = Linear()
    shown = net.features(truth)
    for name in ("same", "close", "still"):
        made = net.features(recons[name])
        similarity = metrics.clip_similarity(shown, made)
        row = find(document, name, "frame_consistency", "published-adjacent-gated")
        expected = frame_consistency(shown, made, definition="published-adjacent-gated", similarity=similarity)
        assert row["value"] == pytest.approx(expected.mean())
        assert row["gate"] == {
            "metric": "clip_similarity",
            "definition": "frame-mean",
            "encoder": net.identity,
            "above": 0.6,
        }
        assert row["gate_open"] == (similarity > 0.6).sum()
        assert row["published"] is True
    wrong = find(document, "same", "frame_consistency", "published-adjacent-gated")["mismatched"]
    # Random features of other clips are not similar, so that the gate is shut for nearly all wrong pairs.
    assert wrong < find(document, "same", "frame_consistency", "published-adjacent-gated")["value"]


def test_clips_of_one_frame_have_no_gated_consistency(truth, recons):
    found = score_videos(truth[:2, :1], {"close": recons["close"][:2, :1]}, networks={"clip": Linear()}, wrong_pairs=1)
    row = find(found, "close", "frame_consistency", "published-adjacent-gated")
    assert (row["value"], row["undefined"]) == (None, 2)
    assert "one frame" in row["note"]


def test_identity_is_perfect_and_a_still_image_is_not_consistent(document, of_frames):
    assert find(document, "same", "clip_similarity", "frame-mean")["value"] == pytest.approx(1)
    assert find(document, "same", "frame_consistency", "matched")["value"] == pytest.approx(1)
    assert find(document, "still", "frame_consistency", "matched")["value"] == pytest.approx(0, abs=1e-6)
    assert find(document, "still", "frame_consistency", "published-all-pairs")["value"] == pytest.approx(1)
    for level, found in (("frame", of_frames), ("clip", document)):
        row = find(found, "same", "n_way_accuracy", "exact", ways=50)
        assert (row["value"], row["level"], row["ties"], row["chance"]) == (1, level, 0, 0.02)


def test_values_are_those_of_the_metric_functions(document, of_frames, truth, recons):
    seen = {name: Linear().features(videos) for name, videos in {"truth": truth, **recons}.items()}
    row = find(of_frames, "close", "n_way_accuracy", "published-top3", ways=50)
    expected = n_way_accuracy_of_frames(seen["truth"][:3], seen["close"][:3], n=50, k=1, definition="published-top3")
    assert row["value"] == pytest.approx(expected.mean())
    assert row["chance"] == pytest.approx(1 - (49 / 52), abs=1e-6)
    whole = {name: Linear(per_clip=True).logits(videos)[:, 0] for name, videos in {"truth": truth, **recons}.items()}
    row = find(document, "close", "n_way_accuracy", "exact", ways=10, encoder_kind="video_classifier")
    assert row["value"] == pytest.approx(n_way_accuracy(whole["truth"], whole["close"], n=10, k=1).mean())
    row = find(document, "close", "frame_consistency", "matched")
    assert row["value"] == pytest.approx(frame_consistency(seen["truth"], seen["close"]).mean())


def test_controls_of_networks_are_exact_over_all_wrong_pairs(document, truth, recons, train):
    net = Linear(per_clip=True)
    shown, made = net.logits(truth)[:, 0], net.logits(recons["close"])[:, 0]
    n = len(truth)
    wrong = [n_way_accuracy(shown[[i]], made[[j]], n=10, k=1)[0] for i in range(n) for j in range(n) if i != j]
    row = find(document, "close", "n_way_accuracy", "exact", ways=10, encoder_kind="video_classifier")
    assert row["mismatched"] == pytest.approx(np.mean(wrong))
    assert row["shuffled"] == pytest.approx(np.mean(wrong), abs=0.1)
    prior = np.bincount(net.logits(train)[:, 0].argmax(axis=1), minlength=CLASSES) / len(train)
    assert row["constant"] == pytest.approx(n_way_constant(shown, prior, n=10, k=1).mean())
    grey = net.logits(np.full_like(truth, 128))[:, 0]
    assert row["null_flat_grey"] == pytest.approx(n_way_accuracy(shown, grey, n=10, k=1).mean())


def test_distances_between_few_clips_are_null_or_have_an_interval(document, truth, recons):
    row = find(document, "close", "frechet", "gaussian")
    assert row["value"] is None
    assert "at least 120" in row["note"]
    kernel = find(document, "close", "kid", "polynomial-3")
    sides = [Linear().features(videos).mean(axis=1).astype(float) for videos in (truth, recons["close"])]
    assert kernel["value"] == pytest.approx(float(kid(*sides, seed=0)), rel=1e-4)
    assert kernel["ci95"][0] < kernel["ci95"][1]


def test_networks_take_part_in_the_comparison_once_per_question(document):
    asked = {
        (row.get("ways"), row["definition"]) for row in document["differences"] if row["metric"] == "n_way_accuracy"
    }
    assert asked == {(ways, definition) for ways in (2, 10, 50) for definition in ("exact", "published-top3")}
    keys = [
        (r["metric"], r["definition"], r.get("ways"), str(r.get("encoder")), r["first"], r["second"])
        for r in document["differences"]
    ]
    assert len(keys) == len(set(keys))
