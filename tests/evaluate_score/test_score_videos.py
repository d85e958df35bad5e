"""Scores of arrays against the metric functions themselves, planted differences, and symmetries."""

from __future__ import annotations

import numpy as np
import pytest

import brainreel.metrics as metrics
from brainreel.errors import SourceError, UsageError
from brainreel.evaluate import score_flows, score_measures, score_pass
from brainreel.evaluate.score import score_sources, score_videos
from brainreel.evaluate.score_nulls import thumbnails
from brainreel.evaluate.score_pass import Plan
from brainreel.evaluate.score_sources import ArrayClips
from brainreel.evaluate.score_tables import per_clip
from brainreel.metrics.bootstrap import crossed_bootstrap
from brainreel.metrics.motion import flow_scores, optical_flow
from brainreel.metrics.motion_energy import motion_energy_statistics
from brainreel.metrics.videos import blurred, mean_clip, nearest_training_clip

from .clips import moving, noisy, rows_of

KEYS = {
    *("metric", "stage", "strategy", "dataset", "subject", "split", "definition", "value", "ci95", "bootstrap"),
    *("chance", "constant", "mismatched", "shuffled", "ceiling", "direction", "n", "unit", "circular"),
}


@pytest.fixture(scope="module")
def truth():
    return moving(6)


@pytest.fixture(scope="module")
def train():
    return moving(4, seed=5)


@pytest.fixture(scope="module")
def recons(truth):
    return {
        "same": truth,
        "close": noisy(truth, 15),
        "far": noisy(truth, 50, seed=2),
        "still": np.repeat(truth[:, :1], truth.shape[1], axis=1),
        "backwards": truth[:, ::-1],
    }


@pytest.fixture(scope="module")
def document(truth, recons, train):
    return score_videos(truth, recons, fps=16, train=train, wrong_pairs=1)


def test_identity_is_perfect(document):
    rows = rows_of(document, "same")
    for key in (
        *(("ssim", definition) for definition in metrics.DEFINITIONS["ssim"]),
        ("pixel_correlation", "clip"),
        ("hue_correlation", "chroma-weighted"),
        ("direction_agreement", "mean-flow"),
        ("motion_energy_correlation", "pymoten-96"),
    ):
        assert rows[key]["value"] == pytest.approx(1, abs=1e-6), key
    assert rows["mse", "clip"]["value"] == 0
    assert rows["endpoint_error", "relative"]["value"] == 0
    assert rows["psnr", "clip"]["value"] is None
    assert "infinite" in rows["psnr", "clip"]["note"]
    assert rows["psnr", "published-capped"]["value"] == 100


def test_every_row_follows_the_schema(document):
    import json

    json.dumps(document, allow_nan=False)
    assert len(document["scores"]) == 5 * 17
    for row in document["scores"]:
        assert row.keys() >= KEYS | {"null_flat_grey", "null_mean_clip", "null_blurred_nearest", "undefined"}
        assert (row["stage"], row["dataset"], row["subject"], row["split"], row["n"]) == (
            "generate",
            None,
            None,
            "test",
            6,
        )
        assert row["published"] == row["definition"].startswith("published")
        # Which network would decide the gate of this one is not known.
        assert row["circular"] is (None if row["definition"] == "published-adjacent-gated" else False)


def test_values_are_those_of_the_metric_functions(document, truth, recons, train):
    recon, rows = recons["close"], rows_of(document, "close")
    for metric in ("ssim", "pixel_correlation", "hue_correlation"):
        for definition in metrics.DEFINITIONS[metric]:
            value = getattr(metrics, metric)(truth, recon, definition=definition).mean()
            assert rows[metric, definition]["value"] == pytest.approx(value, rel=1e-6), definition
    assert rows["psnr", "clip"]["value"] == pytest.approx(metrics.aggregate_psnr(metrics.psnr(truth, recon)))
    flow = flow_scores(truth, recon, fps=16)
    assert rows["endpoint_error", "relative"]["value"] == pytest.approx(metrics.aggregate_endpoint_error(flow))
    published = metrics.endpoint_error(truth, recon, definition="published-farneback")
    assert rows["endpoint_error", "published-farneback"]["value"] == pytest.approx(published.mean())
    assert rows["direction_agreement", "mean-flow"]["value"] == pytest.approx(flow.direction.mean())
    training = motion_energy_statistics(train, fps=16)
    energy = metrics.motion_energy_correlation(truth, recon, training=training, fps=16).mean()
    assert rows["motion_energy_correlation", "pymoten-96"]["value"] == pytest.approx(energy)


def test_a_still_image_is_caught_by_motion_and_not_by_pixels(document):
    still, close = rows_of(document, "still"), rows_of(document, "close")
    assert still["endpoint_error", "relative"]["value"] == pytest.approx(1, abs=1e-6)
    assert still["direction_agreement", "mean-flow"]["value"] == 0
    assert close["direction_agreement", "mean-flow"]["value"] > 0.9
    assert still["endpoint_error", "relative"]["zero_motion"] == pytest.approx(1, abs=1e-6)


def test_a_clip_played_backwards_is_caught_by_its_direction(document):
    rows = rows_of(document, "backwards")
    assert rows["direction_agreement", "mean-flow"]["value"] < -0.9
    assert rows["endpoint_error", "relative"]["value"] > 1.5


def test_null_videos_are_those_of_the_metrics(document, truth, train):
    nearest = blurred(train[nearest_training_clip(truth, train)])
    mean = np.broadcast_to(mean_clip(train), truth.shape)
    rows = rows_of(document, "far")
    ssim = rows["ssim", "gaussian-rgb"]
    assert ssim["null_flat_grey"] == pytest.approx(metrics.ssim(truth, np.full_like(truth, 128)).mean())
    assert ssim["null_mean_clip"] == ssim["constant"] == pytest.approx(metrics.ssim(truth, mean).mean())
    assert ssim["null_blurred_nearest"] == pytest.approx(metrics.ssim(truth, nearest).mean())
    flow = metrics.aggregate_endpoint_error(flow_scores(truth, mean, fps=16))
    assert rows["endpoint_error", "relative"]["null_mean_clip"] == pytest.approx(flow)
    assert rows["pixel_correlation", "clip"]["null_flat_grey"] is None


def test_thumbnails_find_the_clip_that_a_test_clip_was_made_of():
    train = moving(5, seed=3, size=40)
    small = np.stack([thumbnails(clip) for clip in train])
    wanted = np.stack([thumbnails(clip) for clip in noisy(train[[3, 0]], 20)])
    assert nearest_training_clip(wanted, small).tolist() == [3, 0]


def test_wrong_pairs_are_all_wrong_pairs_if_asked(truth, recons):
    found = score_videos(truth, {"far": recons["far"]}, wrong_pairs=100)
    row = rows_of(found, "far")["ssim", "gaussian-rgb"]
    n = len(truth)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    expected = [metrics.ssim(truth[[i]], recons["far"][[j]])[0] for i, j in pairs]
    assert row["mismatched"] == row["shuffled"] == pytest.approx(np.mean(expected), rel=1e-6)
    assert found["controls"]["shifts"] == 5
    assert row["mismatched"] < 0.5 * row["value"]


def test_the_number_of_shifts_is_what_gives_enough_pairs():
    assert [Plan.of(clips, 24).shifts for clips in (1, 2, 5, 8, 24, 1200)] == [0, 1, 4, 3, 1, 1]
    assert Plan.of(1200, 24) == Plan(shifts=1, wrong_clips=160, null_clips=80)
    assert Plan.of(1200, 2000) == Plan(shifts=2, wrong_clips=1200, null_clips=80)
    assert Plan.of(60, 24) == Plan(shifts=1, wrong_clips=60, null_clips=60)


def test_in_large_test_sets_the_first_clips_of_the_drawn_order_give_the_controls(truth, recons, train, monkeypatch):
    whole = score_videos(truth, {"far": recons["far"]}, fps=16, train=train, wrong_pairs=1)
    monkeypatch.setattr(score_pass, "WRONG_CLIPS", 3)
    monkeypatch.setattr(score_pass, "NULL_CLIPS", 2)
    part = score_videos(truth, {"far": recons["far"]}, fps=16, train=train, wrong_pairs=1)
    order = score_pass.Pairs.of(
        ArrayClips(truth, "truth", fps=16), {"far": ArrayClips(recons["far"], "far", fps=16)}, seed=0
    ).order
    row, full = (rows_of(found, "far")["ssim", "gaussian-rgb"] for found in (part, whole))
    wrong = [metrics.ssim(truth[[order[p]]], recons["far"][[order[p + 1]]])[0] for p in range(3)]
    assert row["mismatched"] == pytest.approx(np.mean(wrong), rel=1e-6)
    assert row["null_flat_grey"] == pytest.approx(
        metrics.ssim(truth[order[:2]], np.full_like(truth[:2], 128)).mean(), rel=1e-6
    )
    assert (row["mismatched_pairs"], row["null_clips"]) == (3, 2)
    assert (full["mismatched_pairs"], full["null_clips"]) == (6, 6)
    assert "first 3 of 6 clips" in part["controls"]["wrong_pairs"]
    assert "first 2 of 6 clips" in part["controls"]["nulls"]
    # Scores are of all clips whatever the controls are of.
    for key, each in rows_of(whole, "far").items():
        same = rows_of(part, "far")[key]
        assert (same["value"], same["ci95"], same["n"]) == (each["value"], each["ci95"], each["n"])
    energy = rows_of(part, "far")["motion_energy_correlation", "pymoten-96"]
    assert energy["null_clips"] == 2
    assert energy["null_mean_clip"] is not None


def test_every_flow_is_computed_once(truth, recons, train, monkeypatch):
    caches = []

    class Counted(score_flows.KeptFlows):
        def __init__(self, without):
            super().__init__(without)
            caches.append(self)

    monkeypatch.setattr(score_pass, "KeptFlows", Counted)
    score_videos(truth, {"far": recons["far"]}, fps=16, train=train, wrong_pairs=1)
    # One for each reconstruction, for the mean clip, and for each training clip that is some truth's nearest.
    nearest = len(set(nearest_training_clip(truth, train).tolist()))
    assert [cache.computed for cache in caches] == [len(truth) + 1 + nearest]


def test_flows_that_were_forgotten_are_computed_again_and_are_the_same(truth, monkeypatch):
    monkeypatch.setattr(score_flows, "KEPT_BYTES", 0)
    kept = score_flows.KeptFlows(frozenset())
    first, again = (kept.of(truth[0], np.arange(4)) for _ in range(2))
    assert kept.computed == 2
    assert np.array_equal(first.relative, again.relative)
    assert np.array_equal(first.published, optical_flow(truth[:1], definition="published-farneback"))


def test_one_flat_colour_has_no_flow_at_all(truth):
    grey = np.full_like(truth[0], 128)
    for computed, known in zip(
        score_flows.flows_of(grey, np.arange(4), frozenset()),
        score_flows.still(truth[0], np.arange(4), frozenset()),
        strict=True,
    ):
        assert np.array_equal(computed, known)


def test_names_and_order_change_nothing(truth, recons, train):
    turn = np.array([2, 0, 3, 1])
    some = {name: recons[name][:4] for name in ("close", "far")}
    settings = {"train": train, "wrong_pairs": 1}
    one = score_videos(truth[:4], some, names=list("abcd"), **settings)
    turned = {name: videos[turn] for name, videos in some.items()}
    other = score_videos(truth[turn], turned, names=list("dcba"), **settings)
    assert one["scores"] == other["scores"]
    assert one["differences"] == other["differences"]
    other_pairs = {
        rows_of(score_videos(truth[:4], some, wrong_pairs=1, seed=seed), "far")["mse", "clip"]["mismatched"]
        for seed in range(4)
    }
    assert len(other_pairs) > 1


def test_the_interval_is_the_bootstrap_over_clips(document, truth, recons):
    values = metrics.ssim(truth, recons["far"])[None]
    expected = crossed_bootstrap(values, seed=1)
    row = rows_of(document, "far")["ssim", "gaussian-rgb"]
    assert row["ci95"] == pytest.approx([expected.low, expected.high], abs=0.15 * (expected.high - expected.low))
    low, high = rows_of(document, "far")["psnr", "clip"]["ci95"]
    assert low < rows_of(document, "far")["psnr", "clip"]["value"] < high


def test_the_better_method_is_found_and_the_tests_are_counted(document):
    def find(metric: str, definition: str) -> dict:
        return next(
            row
            for row in document["differences"]
            if (row["metric"], row["definition"], row["first"], row["second"]) == (metric, definition, "close", "far")
        )

    ssim, mse, psnr = find("ssim", "gaussian-rgb"), find("mse", "clip"), find("psnr", "clip")
    # Six clips that all agree: 2 of 2^6 sign patterns are as extreme.
    assert ssim["p_sign_flip"] == mse["p_sign_flip"] == psnr["p_sign_flip"] == 2 / 64
    assert ssim["exact"]
    assert (ssim["first_better"], mse["first_better"], psnr["first_better"]) == (6, 6, 6)
    assert ssim["value"] > 0 > mse["value"]
    assert ssim["ci95"][0] > 0
    assert psnr["tested_as"] == "mse"
    assert psnr["p_adjusted"] == mse["p_adjusted"] >= mse["p_sign_flip"]
    tested = [r for r in document["differences"] if r["p_sign_flip"] is not None and "tested_as" not in r]
    assert {row["tests_in_family"] for row in document["differences"]} == {len(tested)}
    assert len(document["differences"]) == 10 * 17


def test_two_equal_methods_do_not_differ(truth, recons):
    found = score_videos(truth, {"one": recons["close"], "other": recons["close"].copy()}, wrong_pairs=1)
    row = next(r for r in found["differences"] if r["definition"] == "gaussian-rgb")
    assert (row["value"], row["p_sign_flip"], row["first_better"]) == (0, 1, 0)


def test_what_is_undefined_is_counted_and_a_still_truth_costs(truth, recons):
    shown = truth.copy()
    shown[2] = shown[2][:1]
    rows = rows_of(score_videos(shown, {"close": recons["close"]}, fps=16, wrong_pairs=1), "close")
    assert rows["direction_agreement", "mean-flow"]["undefined"] == 1
    assert "undefined in 1 of 6 clips" in rows["direction_agreement", "mean-flow"]["note"]
    # Motion that was made up where nothing moved counts in the error.
    flow = flow_scores(shown, recons["close"], fps=16)
    expected = flow.error.sum() / flow.motion.sum()
    assert rows["endpoint_error", "relative"]["value"] == pytest.approx(expected)


def test_without_a_rate_what_needs_one_is_null_and_says_so(truth, recons):
    rows = rows_of(score_videos(truth, {"close": recons["close"]}), "close")
    for key in (("endpoint_error", "relative"), ("direction_agreement", "mean-flow")):
        assert rows[key]["value"] is None
        assert "--fps" in rows[key]["note"]
    assert rows["endpoint_error", "published-farneback"]["value"] > 0
    with_rate = rows_of(score_videos(truth[:1], {"close": recons["close"][:1]}, fps=16), "close")
    assert "--train" in with_rate["motion_energy_correlation", "pymoten-96"]["note"]


def test_a_single_clip_has_a_value_but_no_interval_and_no_wrong_pair(truth, recons):
    row = rows_of(score_videos(truth[:1], {"far": recons["far"][:1]}), "far")["ssim", "gaussian-rgb"]
    assert row["value"] is not None
    assert row["ci95"] is row["mismatched"] is row["shuffled"] is None


def test_copies_of_a_clip_are_no_wrong_pairs(recons, truth):
    row = rows_of(score_videos(truth[[0, 0]], {"same": truth[[0, 0]]}), "same")["ssim", "gaussian-rgb"]
    assert row["mismatched"] is None


def test_a_training_clip_that_is_tested_is_refused(truth, recons, train):
    with pytest.raises(SourceError, match="one of the clips to be scored"):
        score_videos(truth, {"close": recons["close"]}, fps=16, train=np.concatenate([train, truth[3:4]]))


def test_reconstructions_of_other_size_and_rate_are_resampled_and_it_is_said(truth):
    small = truth[:, ::2, ::2, ::2]
    # Two frames in the time of four.
    found = score_videos(truth, {"small": small}, fps=16, recon_fps=8, wrong_pairs=1)
    (group,) = found["resampling"]
    assert group["clips"] == 6
    assert group["spatial"] == "Pillow BICUBIC with antialiasing, 16×16 → 32×32"
    assert "2 → 4 frames" in group["temporal"]
    from brainreel.video import resized

    full = np.stack([[resized(clip[index], 32, 32) for index in (0, 0, 1, 1)] for clip in small])
    rows = rows_of(found, "small")
    assert rows["ssim", "gaussian-rgb"]["value"] == pytest.approx(metrics.ssim(truth, full).mean(), rel=1e-6)


def test_long_flow_taken_in_stretches_is_the_same(truth, recons, monkeypatch):
    clip = np.concatenate([recons["close"][0], recons["close"][1]]), np.concatenate([truth[0], truth[1]])
    place = score_measures.PLACE["endpoint_error", "published-farneback"]
    whole = score_measures.Truth(clip[1], None, frozenset({("endpoint_error", "relative")})).measure(clip[0])[place]
    monkeypatch.setattr(score_flows, "LARGEST_FLOW_BYTES", 3 * 8 * 32 * 32)
    parts = score_measures.Truth(clip[1], None, frozenset({("endpoint_error", "relative")})).measure(clip[0])[place]
    assert parts == pytest.approx(whole, rel=1e-6)


def test_per_clip_values_average_to_the_rows(truth, recons):
    names = list("fbdace")
    shown, made = (ArrayClips(each, "array", fps=16, names=names) for each in (truth, recons["far"]))
    scored = score_sources(shown, {"far": made}, wrong_pairs=1)
    table = per_clip(scored.columns, scored.clips)
    ssim = table[table["definition"] == "gaussian-rgb"]
    assert ssim["clip_id"].tolist() == list("abcdef")
    direct = dict(zip("fbdace", metrics.ssim(truth, recons["far"]), strict=True))
    assert ssim["value"].tolist() == pytest.approx([direct[name] for name in "abcdef"])
    flow = table[table["definition"] == "relative"]
    row = rows_of(scored.document, "far")["endpoint_error", "relative"]
    assert flow["numerator"].sum() / flow["denominator"].sum() == pytest.approx(row["value"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v[:-1], "clips"),
        (lambda v: v[:, :-1], "frames"),
        (lambda v: v.astype(np.float32), "dtype float32"),
        (lambda v: np.where(v == 7, np.nan, v.astype(float)), "NaN"),
        (lambda v: v[..., :1], "grey"),
        (lambda v: np.concatenate([v, v[..., :1]], axis=-1), "alpha"),
        (lambda v: v[0], "leading axis"),
        (lambda v: v[:0], "shape"),
    ],
)
@pytest.mark.parametrize("fps", [None, 16])
def test_arrays_that_do_not_fit_are_refused(truth, change, said, fps):
    if fps and said == "frames":
        said = "lasts"
    with pytest.raises((UsageError, SourceError), match=said):
        score_videos(truth, {"bad": change(truth)}, fps=fps)
