import json

import numpy as np
import openpyxl
import pandas as pd
import pytest
from scipy.io import loadmat

from brainreel.cortex.windows import Context
from brainreel.datasets import DATASETS
from brainreel.datasets import sherlock_kit as kit_files
from brainreel.datasets.protocol import facts_of
from brainreel.datasets.sherlock import FACTS, film_windows, fold_roles
from brainreel.datasets.sherlock_twin import SCALES
from brainreel.errors import UsageError
from brainreel.store import check
from brainreel.world.story import ATTRIBUTES, design, tell

REAL_BLOCKS = [24, 24, 23, 23, 26, 26, 26, 25]


def _assert_protocol(windows: pd.DataFrame, roles: np.ndarray, volumes: list[int]) -> None:
    """The folds against the benchmark's protocol, written down volume by volume."""
    starts = windows["start"].to_numpy()
    scan_of = np.repeat(np.arange(len(volumes)), volumes)
    grid = [s for k, n in enumerate(volumes) for s in sum(volumes[:k]) + np.arange(0, n - 9, 10)]
    tested = np.concatenate([starts[roles[:, f] == "test"] for f in range(8)])
    assert tested.tolist() == grid
    for f in range(8):
        test, train = starts[roles[:, f] == "test"], starts[roles[:, f] == "train"]
        used = np.zeros(sum(volumes), bool)
        used[max(0, test.min() - 30) : test.max() + 10 + 30] = True
        assert len(set(scan_of[test])) == 1
        assert train.tolist() == [s for s in starts if not used[s : s + 10].any()]
        assert set(roles[:, f]) == {"train", "test", "gap"}


def test_folds_of_the_real_shape_are_those_of_the_protocol():
    windows = film_windows(FACTS)
    roles = fold_roles(FACTS, windows)
    assert [(roles[:, f] == "test").sum() for f in range(8)] == REAL_BLOCKS
    assert windows["clip_id"].is_unique
    assert len(windows) == 469 + 511
    _assert_protocol(windows, roles, [946, 1030])


def test_folds_of_a_twin_follow_the_same_rules(sherlock_twin):
    facts, simulated = facts_of(sherlock_twin, FACTS)
    assert simulated
    windows = film_windows(facts)
    _assert_protocol(windows, fold_roles(facts, windows), list(facts.run_volumes.values()))


def test_twin_has_exactly_the_kits_layout(sherlock_twin):
    found = {p.relative_to(sherlock_twin).as_posix() for p in sherlock_twin.rglob("*") if p.is_file()}
    regions = ["aud_early", "bilateral_hipp", "ddmn_mpfc", "early_visual", "pmc_nn", "post_parahipp"]
    assert found == {
        "twin.json",
        "subjects/Sherlock_Segments_1000_NN_2017.xlsx",
        *(f"subjects/s{n}/sherlock_movie/pmc_nn_sherlock_movie_s{n}.mat" for n in range(1, 5)),
        *(f"intersubj/roicorr/{r}_sherlock_movie_roicorr.mat" for r in regions),
        *(f"standard/{r}.nii" for r in regions),
    }
    one = loadmat(sherlock_twin / "subjects/s1/sherlock_movie/pmc_nn_sherlock_movie_s1.mat")
    assert one["rdata"].dtype == np.float32
    assert one["rdata"].shape == (60, 300)
    assert one["keptvox"].shape == (60, 1)
    for scan in (one["rdata"][:, :146], one["rdata"][:, 146:]):
        np.testing.assert_allclose(scan.mean(1), 0, atol=1e-5)
        np.testing.assert_allclose(scan.std(1, ddof=1), 1, atol=1e-5)
    course = loadmat(sherlock_twin / "intersubj/roicorr/aud_early_sherlock_movie_roicorr.mat")
    assert {"roitc", "uncropped_roitc", "meantc", "meancorr"} < set(course)
    assert course["roitc"].shape == (300, 4)
    rows = list(openpyxl.load_workbook(kit_files.sheet_path(sherlock_twin))["Segments"].iter_rows(values_only=True))
    assert rows[0][6] == "Scene Details - A Level "
    assert rows[0][-1] is None
    assert all(cell is None for cell in rows[-1])
    assert sum(row[3] is None for row in rows[1:-1]) == 2


def test_twin_of_full_size_declares_the_real_kits_shapes():
    full = SCALES["full"]
    assert full.subjects == FACTS.subjects
    assert full.segments == FACTS.segments
    assert list(full.volumes) == list(FACTS.run_volumes.values())
    assert full.voxels == FACTS.spaces["sherlock/pmc"]


def test_twin_of_one_person_is_a_kit_too(ingest, tmp_path):
    DATASETS["sherlock"].twin(tmp_path / "one", subjects=1)
    assert ingest("sherlock", tmp_path / "one", tmp_path / "store").subjects == ["s1"]


def test_twin_says_in_the_store_that_it_is_simulated(sherlock_store):
    assert sherlock_store.manifest.simulated
    assert "Simulated" in sherlock_store.manifest.title
    assert "do not redistribute" not in sherlock_store.manifest.licence
    assert check([sherlock_store.root]) == []


def test_twin_is_its_seed(tmp_path, sherlock_twin):
    for seed, out in ((0, "again"), (1, "other")):
        DATASETS["sherlock"].twin(tmp_path / out, subjects=2, seed=seed)
    path = "subjects/s2/sherlock_movie/pmc_nn_sherlock_movie_s2.mat"
    again, other = (loadmat(tmp_path / out / path)["rdata"] for out in ("again", "other"))
    recorded = slice(0, 290)
    first = loadmat(sherlock_twin / path)["rdata"]
    np.testing.assert_array_equal(first[:, recorded], again[:, recorded])
    assert not np.allclose(first, other)
    with pytest.raises(UsageError, match="exists already"):
        DATASETS["sherlock"].twin(tmp_path / "other")
    with pytest.raises(UsageError, match="0 subjects"):
        DATASETS["sherlock"].twin(tmp_path / "none", subjects=0)


def test_store_holds_the_recordings_and_leaves_out_what_was_not_recorded(sherlock_store, sherlock_twin):
    store = sherlock_store
    assert store.subjects == ["s1", "s2", "s3", "s4"]
    assert (store.manifest.tr_s, store.manifest.stimulus_volumes) == (1.5, 300)
    assert store.manifest.groups == ["bold", "regions"]
    for subject, second in (("s1", 154), ("s4", 144)):
        path = kit_files.bold_path(sherlock_twin, subject)
        data = loadmat(path)["rdata"]
        np.testing.assert_array_equal(store.bold(subject, "scan-1"), data[:, :146].T)
        np.testing.assert_array_equal(store.bold(subject, "scan-2"), data[:, 146 : 146 + second].T)
        assert store.bold(subject, "scan-2", "regions").shape == (second, 6)
        assert path.relative_to(sherlock_twin).as_posix() in store.manifest.sources
    assert any("s4: the last 10 volumes" in n for n in store.manifest.notes)
    assert any("2 described segments" in n for n in store.manifest.notes)
    trials = store.trials
    late = trials["clip_id"].isin(["sherlock-0282", "sherlock-0286", "sherlock-0290"])
    assert set(trials[late]["subject"]) == {"s1", "s2", "s3"}
    assert set(trials["repetition"]) == {1}
    second = trials[(trials["subject"] == "s1") & (trials["clip_id"] == "sherlock-0150")].iloc[0]
    assert (second["run"], second["onset_s"], second["duration_s"]) == ("scan-2", 4 * 1.5, 15.0)


def test_space_lists_the_voxels_in_the_order_of_the_rows(sherlock_store, sherlock_twin):
    space = sherlock_store.space("bold", "s1")
    mask = kit_files.read_nifti(kit_files.mask_path(sherlock_twin, "pmc_nn"))
    x, y, z = np.unravel_index(space["vertex"].to_numpy(), mask.shape)
    assert mask[x, y, z].all()
    assert set(space["parcel"]) == {"PMC"}
    column_major = x + mask.shape[0] * (y + mask.shape[1] * z)
    assert (np.diff(column_major) > 0).all()


def test_regions_of_a_store_are_the_right_persons_columns(ingest, sherlock_twin, tmp_path):
    store = ingest("sherlock", sherlock_twin, tmp_path / "two", subjects=["s3", "s2"])
    assert store.subjects == ["s2", "s3"]
    assert any("2 of the release's 4" in n for n in store.manifest.notes)
    course = loadmat(kit_files.course_path(sherlock_twin, "early_visual"))["roitc"]
    names = store.space("regions", "s3")["parcel"].tolist()
    np.testing.assert_allclose(
        store.bold("s3", "scan-1", "regions")[:, names.index("early_visual")], course[:146, 2], rtol=1e-6
    )


def test_annotations_and_captions_are_those_of_the_film(sherlock_store):
    story = tell(300, n_shots=150, n_scenes=12, breaks=[146], seed=0)
    table = sherlock_store.annotations
    assert table["caption"].tolist() == [shot.text for shot in story.shots]
    assert table["onset_s"].tolist() == [shot.start * 1.5 for shot in story.shots]
    clip = sherlock_store.clips.set_index("clip_id").loc["sherlock-0150"]
    shown = [s for s in story.shots if s.start < 160 and s.stop > 150]
    assert clip["captions"][-len(shown) :] == [s.text for s in shown]
    assert sum(clip["caption_weights"]) == pytest.approx(1.0)
    assert len(clip["caption_weights"]) == len(clip["captions"])
    assert (clip["path"], clip["sha256"]) == ("", "")


def test_episode_file_is_noted_where_the_user_has_it(ingest, sherlock_twin, tmp_path):
    episode = tmp_path / "episode.mkv"
    episode.write_bytes(b"film")
    store = ingest("sherlock", sherlock_twin, tmp_path / "s", stimuli=episode, subjects=["s1"])
    assert set(store.clips["path"]) == {str(episode)}
    with pytest.raises(UsageError, match="no file"):
        ingest("sherlock", sherlock_twin, tmp_path / "t", stimuli=tmp_path / "absent.mkv")


def test_film_is_decoded_from_the_twin_but_a_shifted_film_is_not(ingest, tmp_path):
    """Two-way identification of windows' attributes by ridge, per person, as in the benchmark."""
    source = tmp_path / "small"
    DATASETS["sherlock"].twin(source, size="small", subjects=4, seed=0)
    store = ingest("sherlock", source, tmp_path / "store")
    shown = design(tell(600, n_shots=300, n_scenes=20, breaks=[290], seed=0))
    shown = shown[:, [not name.startswith("cut") for name in ATTRIBUTES]]
    start = store.clips["clip_id"].str[-4:].astype(int).to_numpy()
    contexts = [Context(), Context(group="regions", start_s=-7.5, stop_s=22.5, bins=4)]

    films = [np.roll(shown, k, axis=0) for k in (0, 150, 300, 450)]
    targets = np.stack([[film[t : t + 10].mean(0) for t in start] for film in films])
    scores = np.mean([_two_way(store, s, targets, contexts) for s in store.subjects], axis=0)
    assert 0.60 < scores[0] < 0.9
    assert scores[1:].mean() == pytest.approx(0.5, abs=0.05)
    assert scores[0] > scores[1:].max() + 0.05


def _two_way(store, subject, targets, contexts) -> np.ndarray:
    """One score for each of the targets (kinds, clips, dim), which are decoded together."""
    rows = store.rows(subject)
    x, scores = store.responses(subject, rows, contexts), []
    y = targets[:, store.clip_index(rows)]
    for fold in range(8):
        role = store.roles("blocks-of-8", fold)[rows]
        train, test = role == "train", role == "test"
        mean, std = x[train].mean(0), x[train].std(0)
        a, b, centre = (x[train] - mean) / std, (x[test] - mean) / std, y[:, train].mean(1, keepdims=True)
        weights = a.T @ np.linalg.solve(a @ a.T + 20 * a.shape[1] * np.eye(len(a)), y[:, train] - centre)
        guess, truth = b @ weights, y[:, test] - centre
        guess, truth = (v / np.linalg.norm(v, axis=2, keepdims=True) for v in (guess, truth))
        alike = guess @ truth.transpose(0, 2, 1)
        right = np.diagonal(alike, axis1=1, axis2=2)[:, :, None] > alike
        scores.append(right.sum((1, 2)) / (right.shape[1] * (right.shape[1] - 1)))
    return np.mean(scores, axis=0)


@pytest.mark.shared
def test_real_kit_becomes_the_store_that_the_protocol_describes(ingest, real_kit, tmp_path):
    store = ingest("sherlock", real_kit, tmp_path / "real")
    assert not store.manifest.simulated
    assert store.subjects == [f"s{n}" for n in range(1, 14)]
    assert store.bold("s1", "scan-1").shape == (946, 481)
    assert store.bold("s1", "scan-2").shape == (1030, 481)
    assert store.bold("s5", "scan-2").shape == (980, 481)
    assert len(store.annotations) == 998
    first = store.annotations.iloc[0]
    assert (first["onset_s"], first["duration_s"], first["scene"]) == (0.0, 12.0, "1. Cartoon")
    assert first["caption"].startswith("People in popcorn, candy")
    assert store.annotations["onset_s"].iloc[480] == 946 * 1.5
    assert any("(481, 482)" in n for n in store.manifest.notes)
    s1, s5 = ((store.trials["subject"] == s).to_numpy() for s in ("s1", "s5"))
    tests = (store.folds("blocks-of-8") == "test").to_numpy()
    assert tests[s1].sum(0).tolist() == REAL_BLOCKS
    assert tests[s5].sum(0).tolist() == [*REAL_BLOCKS[:7], 20]
    assert json.loads((store.root / "dataset.json").read_text())["tr_s"] == 1.5
    assert check([store.root]) == []


@pytest.mark.shared
def test_real_kits_voxels_lie_where_the_space_says(real_kit):
    """Neighbours in the mask have more alike courses in this order than in numpy's: the rows are Matlab's."""
    mask = kit_files.read_mask(real_kit, FACTS)
    alike = np.corrcoef(kit_files.read_bold(real_kit, "s1", FACTS).T)

    def neighbours(index):
        place = np.stack(np.unravel_index(index, (61, 73, 61)), axis=1)
        return alike[((place[:, None] - place[None]) ** 2).sum(-1) == 1].mean()

    assert neighbours(mask) > 0.95 > neighbours(np.sort(mask))
