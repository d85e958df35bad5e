"""Reconstructions of an experiment: what is planted comes out, controls stay below it, and rows say everything."""

from __future__ import annotations

import numpy as np
import pytest

from brainreel.errors import ExperimentError, SourceError
from brainreel.evaluate.score_nulls import NULLS
from brainreel.evaluate.video_clips import array_clips, generated_clips
from brainreel.evaluate.video_differences import Group, standard_differences, video_differences
from brainreel.evaluate.video_fold import CELL, blocks, score_fold
from brainreel.evaluate.video_scores import VideoScores, per_clip, video_rows
from brainreel.metrics import hue_correlation, pixel_correlation, psnr, ssim
from brainreel.metrics.nway import n_way_chance

from .clips import moving, noisy

CLIPS, FPS = 10, 8
KEYS = {
    *("metric", "stage", "strategy", "dataset", "subject", "split", "definition", "value", "ci95", "bootstrap"),
    *("chance", "constant", "mismatched", "shuffled", "ceiling", "direction", "n", "unit", "circular"),
    *("mean_response", *NULLS, "note", "undefined", "seeds"),
}


class ByColour:
    """A classifier of 16 classes that looks at nothing but a clip's mean colour, and knows the clips it was shown."""

    def __init__(self, videos: np.ndarray) -> None:
        self.identity = {"encoder": "by-colour"}
        self.means = videos.mean(axis=(1, 2, 3))

    def features(self, videos):
        return np.asarray(videos.mean(axis=(2, 3)), np.float32)

    def logits(self, videos):
        return -np.linalg.norm(videos.mean(axis=(1, 2, 3))[:, None, None] - self.means, axis=-1).astype(np.float32)


@pytest.fixture(scope="module")
def world():
    """True clips, training clips, and a classifier whose classes are these and a few others."""
    truth, train = moving(CLIPS, seed=3), moving(6, seed=9)
    return truth, train, ByColour(np.concatenate([truth, train]))


def named(videos: np.ndarray) -> dict[str, np.ndarray]:
    return {f"clip-{row:02d}": clip for row, clip in enumerate(videos)}


def scored(
    world, recons: dict[str, np.ndarray], *, method: str = "diffusion", oracle: np.ndarray | None = None, **more
):
    truth, train, classifier = world
    grey = np.full_like(truth, 128)
    return VideoScores.of(
        method,
        "toy",
        {
            (0, 0): score_fold(
                array_clips("truth", named(truth), FPS),
                {name: array_clips(name, named(videos), FPS) for name, videos in recons.items()},
                oracle=array_clips("oracle", named(truth if oracle is None else oracle), FPS),
                mean_response=array_clips("mean", named(grey), FPS),
                train=array_clips("train", {f"train-{i}": clip for i, clip in enumerate(train)}, FPS),
                networks={"video_classifier": classifier},
                **more,
            )
        },
    )


@pytest.fixture(scope="module")
def planted(world):
    """A perfect subject, a good one, one whose reconstructions are noise, and one that never moves."""
    truth = world[0]
    noise = np.random.default_rng(5).integers(0, 256, truth.shape, dtype=np.uint8)
    still = np.repeat(truth[:, :1], truth.shape[1], axis=1)
    return scored(world, {"perfect": truth, "good": noisy(truth, 40), "noise": noise, "still": still})


@pytest.fixture(scope="module")
def by_key(planted):
    return {
        (row["metric"], row["definition"], row.get("ways"), row["subject"]): row for row in video_rows(planted, seed=0)
    }


def row_of(by_key, metric: str, subject: str | None, definition: str | None = None, ways: int | None = None):
    (found,) = [
        row
        for key, row in by_key.items()
        if key[0] == metric and key[3] == subject and key[2] == ways and definition in (None, key[1])
    ]
    return found


def test_every_row_has_the_keys_of_the_contract(by_key):
    assert {key[3] for key in by_key} == {None, "perfect", "good", "noise", "still"}
    for row in by_key.values():
        assert set(row) >= KEYS
        assert row["stage"] == "generate"
        assert row["direction"] in ("higher", "lower")
        assert row["n"] == CLIPS * (4 if row["subject"] is None else 1)
        assert row["bootstrap"] == ("crossed" if row["subject"] is None else "units")
        if row["value"] is not None and row["ci95"] is not None:
            assert row["ci95"][0] <= row["value"] <= row["ci95"][1]


def test_values_are_those_of_the_metrics(world, by_key):
    truth = world[0]
    recon = noisy(truth, 40)
    for metric in (ssim, pixel_correlation, hue_correlation):
        assert row_of(by_key, metric.__name__, "good")["value"] == pytest.approx(metric(truth, recon).mean(), rel=1e-6)
    error = 10 ** (-psnr(truth, recon) / 10)
    assert row_of(by_key, "psnr", "good")["value"] == pytest.approx(-10 * np.log10(error.mean()), rel=1e-6)


@pytest.mark.parametrize("metric", ["ssim", "pixel_correlation", "hue_correlation", "mse"])
def test_the_perfect_subject_scores_the_ceiling_and_no_null_reaches_it(by_key, metric):
    row = row_of(by_key, metric, "perfect")
    assert row["value"] == pytest.approx(row["ceiling"])
    sign = 1 if row["direction"] == "higher" else -1
    for control in ("shuffled", "mismatched", "mean_response", "constant", *NULLS):
        assert row[control] is None or sign * row[control] < sign * row["value"] - 0.02, control


def test_classes_of_the_perfect_subject_are_right_and_of_noise_at_chance(by_key):
    for definition in ("exact", "published-top3"):
        row = row_of(by_key, "n_way_accuracy", "perfect", definition, 2)
        assert row["value"] == row["ceiling"] == 1
        assert row["chance"] == n_way_chance(2, 1, definition)
        assert row["constant"] < 1
    noise = row_of(by_key, "n_way_accuracy", "noise", "exact", 2)
    assert abs(noise["value"] - noise["shuffled"]) < 0.1
    assert abs(row_of(by_key, "n_way_accuracy", "perfect", "exact", 2)["shuffled"] - 0.5) < 0.2
    assert row_of(by_key, "n_way_accuracy", "perfect", "exact", 10)["value"] == 1


def test_noise_is_no_better_than_noise_for_other_clips(by_key):
    for metric in ("ssim", "pixel_correlation", "mse"):
        row = row_of(by_key, metric, "noise")
        assert row["value"] == pytest.approx(row["shuffled"], rel=0.05, abs=0.02)


def test_a_still_image_is_caught_by_the_motion_metrics(by_key):
    pytest.importorskip("cv2")
    still, perfect = (row_of(by_key, "endpoint_error", who) for who in ("still", "perfect"))
    assert still["value"] == pytest.approx(1)
    assert still["zero_motion"] == pytest.approx(1)
    assert perfect["value"] == pytest.approx(0, abs=1e-6)
    assert row_of(by_key, "direction_agreement", "still")["value"] == 0
    assert row_of(by_key, "direction_agreement", "perfect")["value"] == pytest.approx(1)


def test_shuffled_uses_other_clips_only_and_is_the_same_again(world, planted):
    again = scored(world, {"perfect": world[0]})
    other = scored(world, {"perfect": world[0]}, seed=1)
    mine = planted.parts[planted.subjects.index("perfect")]
    np.testing.assert_array_equal(again.parts[0], mine)
    assert not np.array_equal(other.parts[0, :, CELL["shuffled"]], mine[:, CELL["shuffled"]], equal_nan=True)
    place = [one.key for one in planted.asked].index("mse/clip")
    # The right clip would have an error of 0, so one of it among a hundred would show in the least of the wrong ones.
    wrong = [
        [np.mean((a.astype(float) - b) ** 2) for b in np.delete(world[0], i, axis=0)] for i, a in enumerate(world[0])
    ]
    shuffled = mine[:, CELL["shuffled"], place, 0]
    assert (shuffled >= np.min(wrong, axis=1)).all()
    np.testing.assert_allclose(mine[:, CELL["mismatched"], place, 0], np.mean(wrong, axis=1), rtol=1e-9)


def test_blocks_hold_every_clip_once():
    found = blocks(np.zeros(103, int), 0)
    assert sorted(np.concatenate(found)) == list(range(103))
    assert {len(block) for block in found} <= {25, 26}
    assert len(blocks(np.zeros(1, int), 0)) == 1


def test_differences_are_paired_and_signed(world, planted):
    rows = video_differences(standard_differences([planted]), seed=0)
    found = {(row["first"], row["second"], row["metric"]): row for row in rows}
    better = found["diffusion, oracle", "diffusion", "ssim"]
    assert better["value"] > 0
    assert better["subjects"] == 4
    # The perfect subject equals the oracle.
    assert better["subjects_above"] == 3
    assert found["diffusion", "diffusion, shuffled", "ssim"]["value"] > 0
    assert found["diffusion, oracle", "diffusion", "mse"]["value"] < 0
    assert all(row["tests_in_family"] >= len(found) / 2 for row in rows)
    other = scored(world, {"good": noisy(world[0], 80), "perfect": world[0]}, method="worse")
    rows = video_differences([(Group(planted), Group(other))], seed=0)
    (row,) = [row for row in rows if row["metric"] == "ssim"]
    assert row["subjects"] == 2
    assert row["value"] > 0
    assert row["n"] == 2 * CLIPS


def test_seeds_are_averaged_and_clips_of_folds_joined(world):
    truth = world[0]
    half = CLIPS // 2

    def fold(rows: slice, sd: float):
        shown, made = (dict(list(named(videos).items())[rows]) for videos in (truth, noisy(truth, sd)))
        return score_fold(array_clips("truth", shown, FPS), {"s": array_clips("s", made, FPS)})

    halves = slice(half), slice(half, None)
    both = VideoScores.of(
        "m", "toy", {(seed, k): fold(rows, 20 + 20 * seed) for seed in (0, 1) for k, rows in enumerate(halves)}
    )
    (row,) = [row for row in video_rows(both) if row["metric"] == "ssim"]
    expected = np.mean([ssim(truth, noisy(truth, sd)).mean() for sd in (20, 40)])
    assert row["seeds"] == [0, 1]
    assert row["n"] == CLIPS
    assert row["subject"] == "s"
    assert row["ceiling"] is None
    assert expected - 0.05 < row["value"] < expected + 0.05
    table = per_clip(both)
    assert len(table) == CLIPS * len(both.asked)
    assert set(table["fold"]) == {0, 1}


def test_sizes_and_rates_are_brought_to_the_truths(world):
    truth = world[0]
    small = truth[:, ::2, ::2, ::2]
    found = score_fold(array_clips("truth", named(truth), FPS), {"s": array_clips("s", named(small), FPS / 2)})
    assert any("pixels" in note for note in found.notes)
    assert any("frames" in note for note in found.notes)


def test_what_does_not_fit_is_refused(world, tmp_path):
    truth = world[0]
    source = array_clips("truth", named(truth), FPS)
    with pytest.raises(SourceError, match="not among"):
        score_fold(source, {"s": array_clips("s", {"another": truth[0]}, FPS)})
    with pytest.raises(SourceError, match="one of the clips"):
        score_fold(source, {"s": source}, train=source)
    with pytest.raises(ExperimentError, match="no videos"):
        generated_clips(tmp_path)
    np.save(tmp_path / "clip-00.npy", truth[0].astype(float))
    with pytest.raises(ExperimentError, match=r"no generation\.json"):
        generated_clips(tmp_path)
    (tmp_path / "generation.json").write_text('{"fps": 8}')
    with pytest.raises(ExperimentError, match="float64"):
        generated_clips(tmp_path).read(0)
    np.save(tmp_path / "clip-00.npy", truth[0])
    # A single video stands for every clip.
    assert generated_clips(tmp_path, ["a", "b"]).names == ("a", "b")


def test_clips_whose_classes_tie_are_counted(world):
    truth = world[0]

    class Undecided(ByColour):
        def logits(self, videos):
            found = super().logits(videos)
            # Of a grey clip it thinks nothing.
            return np.where(np.ptp(videos, axis=(1, 2, 3, 4))[:, None, None] == 0, np.float32(0), found)

    recon = truth.copy()
    recon[:3] = 128
    network = Undecided(np.concatenate([truth, world[1]]))
    fold = score_fold(
        array_clips("truth", named(truth), FPS),
        {"s": array_clips("s", named(recon), FPS)},
        networks={"video_classifier": network},
    )
    rows = [row for row in video_rows(VideoScores.of("m", "toy", {(0, 0): fold})) if row["metric"] == "n_way_accuracy"]
    assert {row["ties"] for row in rows} == {3}
