import contextlib
import io
import json
import re
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from brainreel.datasets import DATASETS
from brainreel.datasets.sandbox_files import FOLDS, LAG_VOLUMES
from brainreel.datasets.sandbox_twin import SCALES, film_roles
from brainreel.errors import SourceError, UsageError
from brainreel.files import read_tsv, write_tsv
from brainreel.metrics import noise_ceiling
from brainreel.store import Store, check
from brainreel.video import even_times, look, nearest_frames, read_video
from brainreel.world.captions import parse_caption
from brainreel.world.cortex import seed_of
from brainreel.world.render import render
from brainreel.world.scenes import FACTORS, draw_scenes, held_out
from brainreel.world.viewers import PARCELS

PAGE = Path(__file__).parents[2] / "docs" / "sandbox.md"

NAMES = ("sandbox-event", "sandbox-movie", "sandbox-single")


@pytest.fixture(scope="session")
def releases(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("sandbox")
    for name in NAMES:
        DATASETS[name].twin(root / name, size="tiny", seed=0)
    return {name: root / name for name in NAMES}


@pytest.fixture(scope="session")
def stores(releases, ingest, tmp_path_factory) -> dict[str, Store]:
    root = tmp_path_factory.mktemp("sandbox-stores")
    return {name: ingest(name, source, root / name) for name, source in releases.items()}


def _combinations(store: Store, role: str) -> set[tuple[int, int, int]]:
    clips = store.clips.iloc[np.unique(store.clip_of_trial[store.roles(FOLDS, 0) == role])]
    told = [parse_caption(captions[0]) for captions in clips["captions"]]
    return {tuple(FACTORS[f].index(names[f]) for f in ("kind", "place", "motion")) for names in told}


def test_releases_become_sound_stores_that_do_not_leak_into_each_other(stores):
    assert check([store.root for store in stores.values()]) == []
    for name, store in stores.items():
        assert (store.name, store.manifest.kind) == (name, DATASETS[name].facts.kind)
        assert store.manifest.simulated
        assert store.manifest.folds == [FOLDS]
        assert store.manifest.repetitions == DATASETS[name].facts.repetitions


def test_the_full_facts_are_what_the_full_size_writes():
    for name in NAMES:
        facts, scale = DATASETS[name].facts, SCALES[DATASETS[name].layout]["full"]
        assert facts.subjects == scale.subjects
        clips = {
            "sandbox-event": scale.train + scale.test,
            "sandbox-movie": scale.films * (scale.train + scale.test),
            "sandbox-single": scale.shared + (scale.train - scale.shared) * scale.subjects + scale.test,
        }[name]
        assert facts.clips == clips
    tests = [SCALES[layout]["full"] for layout in SCALES]
    assert sum(scale.test * max(scale.films, 1) for scale in tests) >= 200


def test_no_training_clip_shows_what_a_test_clip_of_any_release_shows(stores):
    train = set().union(*(_combinations(store, role) for store in stores.values() for role in ("train", "gap")))
    test = set().union(*(_combinations(store, "test") for store in stores.values()))
    assert train
    assert test
    assert not train & test
    assert not held_out(*np.array(sorted(train)).T).any()
    assert held_out(*np.array(sorted(test)).T).all()


def test_repetitions_sizes_and_spaces(stores):
    event, movie, single = (stores[name] for name in NAMES)
    for store, role, count in ((event, "train", 3), (event, "test", 10), (movie, "test", 1), (single, "train", 1)):
        trials = store.trials[store.roles(FOLDS, 0) == role]
        assert (trials.groupby(["subject", "clip_id"]).size() == count).all()
    assert [len(store.subjects) for store in stores.values()] == [2, 2, 2]
    assert event.manifest.spaces["responses"]["sub-01"] == movie.manifest.spaces["bold"]["sub-02"] == "sandbox/surface"
    assert single.manifest.spaces["responses"] == dict.fromkeys(single.subjects, "sandbox/coarse")
    fine, coarse = event.space("responses", "sub-01"), single.space("responses", "sub-01")
    assert (len(fine), len(coarse)) == (902, 451)
    merged = coarse.merge(fine, on="vertex")
    assert (merged["parcel_x"] == merged["parcel_y"]).all()
    assert len(merged) == 451


def test_people_of_the_single_release_saw_mostly_other_clips(stores):
    store = stores["sandbox-single"]
    seen = [set(store.trials["clip_id"].iloc[store.rows(who)]) for who in store.subjects]
    shared = set.intersection(*seen)
    scale = SCALES["single"]["tiny"]
    assert len(shared) == scale.shared + scale.test
    assert [len(s) for s in seen] == [scale.train + scale.test] * 2


def test_responses_are_the_files_rows(stores, releases):
    store, source = stores["sandbox-event"], releases["sandbox-event"]
    train = np.load(source / "betas" / "sub-02_train.npy")
    rows = store.rows("sub-02", store.roles(FOLDS, 0) == "train")
    np.testing.assert_array_equal(store.responses("sub-02", rows), train.reshape(-1, 902))
    clip = store.trials["clip_id"].iloc[rows[4]]
    assert (clip, store.trials["repetition"].iloc[rows[4]]) == ("train-0001", 2)
    store, source = stores["sandbox-single"], releases["sandbox-single"]
    runs = [np.load(path) for path in sorted((source / "sub-01").glob("*_betas.npy"))]
    np.testing.assert_array_equal(store.responses("sub-01", store.rows("sub-01")), np.concatenate(runs))


def test_a_clip_of_the_film_is_paired_with_the_volume_four_seconds_later(stores, releases):
    store = stores["sandbox-movie"]
    bold = np.load(releases["sandbox-movie"] / "bold" / "sub-01" / "film-1.npy")
    rows = store.rows("sub-01")
    assert len(rows) == len(bold) - 5
    np.testing.assert_allclose(store.responses("sub-01", rows), bold[LAG_VOLUMES:][: len(rows)], rtol=1e-6)


def test_every_answer_follows_its_own_clip_and_no_other(stores):
    """A rotated assignment of clips to trials has no ceiling: betas are not out of order."""
    store = stores["sandbox-event"]
    rows = store.rows("sub-01", store.roles(FOLDS, 0) == "test")
    betas = store.responses("sub-01", rows).reshape(6, 10, -1)
    mixed = np.stack([np.roll(betas[:, k], k, axis=0) for k in range(10)], axis=1)
    driven = (store.space("responses", "sub-01")["parcel"] != "other").to_numpy()
    assert np.median(noise_ceiling(betas, n=1)[driven]) > 4 * np.median(noise_ceiling(mixed, n=1)[driven]) + 2


def test_ceilings_of_the_files_are_like_real_ones(releases):
    medians = []
    for who in ("sub-01", "sub-02"):
        train = np.load(releases["sandbox-event"] / "betas" / f"{who}_train.npy").astype(np.float32)
        medians.append(np.median(noise_ceiling(train)))
    assert 10 < np.mean(medians) < 30


def test_clip_paths_lead_to_the_pixels_that_were_rendered(stores):
    store = stores["sandbox-event"]
    scenes = draw_scenes(SCALES["repeated"]["tiny"].train, seed_of(seed_of(0, 1), 3))
    clips = store.clips.set_index("clip_id")
    video = read_video(Path(clips.loc["train-0007", "path"]))
    np.testing.assert_array_equal(video.frames, render(scenes[7:8])[0])
    assert video.duration_s == pytest.approx(clips.loc["train-0007", "duration_s"])
    assert clips.loc["train-0007", "captions"][0].split()[1] in FACTORS["size"]
    assert parse_caption(clips.loc["train-0007", "captions"][2]) == scenes.names(7)


def test_clips_of_the_film_begin_where_the_table_says(stores):
    store = stores["sandbox-movie"]
    path = Path(store.clips["path"].iloc[0])
    film = read_video(path, known=look(path))
    assert store.clips["path"].nunique() == 1
    assert film.times_s is not None
    for clip in (0, 31, 99):
        row = store.clips.iloc[clip]
        assert row["duration_s"] * row["fps"] == pytest.approx(17)
        shown = nearest_frames(film.times_s, row["onset_s"] + even_times(17, row["fps"]))
        np.testing.assert_array_equal(shown, 17 * clip + np.arange(17))
    cuts = np.abs(np.diff(film.frames[::17].astype(int), axis=0)).mean(axis=(1, 2, 3))
    assert (cuts > 1).all()


def test_films_test_in_blocks_with_gaps_around_them():
    roles = film_roles(156, 12, share=1 / 3)
    tests = np.flatnonzero(roles == "test")
    assert len(tests) == 12
    assert (np.diff(tests) == 1).all()
    assert set(roles[tests[0] - 12 : tests[0]]) == set(roles[tests[-1] + 1 : tests[-1] + 13]) == {"gap"}
    assert (roles == "train").sum() == 156 - 24


def test_the_seed_decides_and_releases_of_one_seed_differ(releases, tmp_path):
    name = "sandbox-single"
    for out, seed in (("again", 0), ("other", 1)):
        DATASETS[name].twin(tmp_path / out, size="tiny", seed=seed)
    files = [Path("sub-01/run-01_betas.npy"), Path("stimuli.tsv"), Path("stimuli/clip-00000.mp4"), Path("twin.json")]
    for file in files:
        before = (releases[name] / file).read_bytes()
        assert (tmp_path / "again" / file).read_bytes() == before
        assert (tmp_path / "other" / file).read_bytes() != before
    captions = [read_tsv(releases[n] / "stimuli.tsv", text=("captions",))["captions"] for n in NAMES[::2]]
    assert captions[0].iloc[0] != captions[1].iloc[0]


def test_fewer_people_and_clips_elsewhere(ingest, releases, tmp_path):
    source = Path(shutil.copytree(releases["sandbox-single"], tmp_path / "release"))
    (source / "stimuli").rename(tmp_path / "elsewhere")
    store = ingest("sandbox-single", source, tmp_path / "store", subjects=["sub-02"], stimuli=tmp_path / "elsewhere")
    assert store.subjects == ["sub-02"]
    assert Path(store.clips["path"].iloc[0]).parent == tmp_path / "elsewhere"
    assert check([store.root]) == []


def _drop_row(path: Path) -> None:
    text = [c for c in ("clip_id", "set", "captions", "subject", "parcel") if c in path.read_text().splitlines()[0]]
    write_tsv(path, read_tsv(path, optional=tuple(text)).iloc[1:])


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _nan(path: Path) -> None:
    values = np.load(path)
    values.flat[0] = np.nan
    np.save(path, values)


def _untold(path: Path) -> None:
    table = read_tsv(path, optional=("captions", "set", "clip_id"))
    table.loc[0, "captions"] = "no list"
    write_tsv(path, table)


BROKEN = [
    ("sandbox-event", "twin.json", Path.unlink, "brainreel twin sandbox-event"),
    ("sandbox-event", "participants.tsv", _drop_row, "1 people; expected 2"),
    ("sandbox-event", "surface.tsv", _drop_row, "901 rows; expected 902"),
    ("sandbox-event", "stimuli.tsv", _drop_row, "45 clips.*expected 46"),
    ("sandbox-event", "stimuli.tsv", _untold, "'no list' as captions"),
    ("sandbox-event", "betas/sub-01_train.npy", _cut, "sub-01_train.npy cannot be read"),
    ("sandbox-event", "betas/sub-01_test.npy", _nan, "1 values that are NaN"),
    ("sandbox-event", "betas/sub-02_test.npy", Path.unlink, "sub-02_test.npy is missing"),
    ("sandbox-event", "stimuli/test-0003.mp4", Path.unlink, "test-0003.mp4 is missing"),
    ("sandbox-movie", "bold/sub-01/film-1.npy", _nan, "1 values that are NaN"),
    ("sandbox-movie", "stimuli/film-1.mp4", Path.unlink, "film-1.mp4 is missing"),
    ("sandbox-movie", "stimuli/film-1.tsv", _drop_row, "lists 99 clips; expected 100"),
    ("sandbox-movie", "stimuli/film-1.tsv", _untold, "'no list' as captions"),
    ("sandbox-single", "sub-01/run-01_events.tsv", _drop_row, r"shape \(48, 451\).*expected \(47, 451\)"),
    ("sandbox-single", "sub-02/run-01_events.tsv", Path.unlink, "no run-01_events.tsv"),
]


@pytest.mark.parametrize(("name", "file", "damage", "message"), BROKEN)
def test_broken_files_are_one_sentence(name, file, damage, message, releases, ingest, tmp_path):
    # Links are enough: a damaged file is written anew.
    source = Path(shutil.copytree(releases[name], tmp_path / "release", copy_function=_link))
    copy = source / file
    content = copy.read_bytes()
    copy.unlink()
    copy.write_bytes(content)
    damage(copy)
    with pytest.raises(SourceError, match=message):
        ingest(name, source, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def _link(source: str, target: str) -> None:
    Path(target).symlink_to(source)


def test_unknown_clips_in_events_are_refused(releases, ingest, tmp_path):
    source = Path(shutil.copytree(releases["sandbox-single"], tmp_path / "release"))
    path = source / "sub-01" / "run-01_events.tsv"
    table = read_tsv(path, text=("clip_id",))
    table.loc[0, "clip_id"] = "clip-x"
    write_tsv(path, table)
    with pytest.raises(SourceError, match="'clip-x'"):
        ingest("sandbox-single", source, tmp_path / "store")


def test_wrong_options_are_refused(releases, ingest, tmp_path):
    with pytest.raises(UsageError, match="sandbox/surface"):
        ingest("sandbox-event", releases["sandbox-event"], tmp_path / "store", space="fsLR32k")
    with pytest.raises(UsageError, match="0 subjects"):
        DATASETS["sandbox-movie"].twin(tmp_path / "none", subjects=0)
    with pytest.raises(SourceError, match="twin of 'sandbox-event'"):
        ingest("sandbox-movie", releases["sandbox-event"], tmp_path / "store")


def test_no_two_releases_share_a_recording(releases):
    first = [np.load(path).ravel()[:50] for source in releases.values() for path in sorted(source.rglob("*.npy"))]
    assert not any(np.array_equal(a, b) for a, b in combinations(first, 2))
    cards = [json.loads((source / "twin.json").read_text()) for source in releases.values()]
    assert [card["dataset"] for card in cards] == list(NAMES)


def test_the_page_runs():
    text = PAGE.read_text()
    code, _ = re.findall(r"```python\n(.*?)```", text, re.S)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})
    assert out.getvalue().splitlines() == [line.split("#", 1)[1].strip() for line in code.splitlines() if "#" in line]
    for factor in ("kind", "motion", "colour"):
        assert all(name in text for name in FACTORS[factor])
    for name, parcel in PARCELS.items():
        assert f"| {name} | {parcel.rows * parcel.columns} |" in text
    assert all(name in text for name in NAMES)
