"""A clip's frames, from a file of its own and from a film."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from brainreel.errors import StoreError
from brainreel.store import Store
from brainreel.store.clips import clip_frames, need_videos
from brainreel.video import read_video, write_video

FRAMES = np.random.default_rng(0).integers(0, 256, (30, 16, 24, 3), dtype=np.uint8)


def listed(root: Path, rows: pd.DataFrame) -> Store:
    """A folder with just as much of a store as clips need."""
    root.mkdir()
    manifest = {"name": "shown", "title": "t", "licence": "l", "citation": "c", "kind": "event", "responses": "r"}
    (root / "dataset.json").write_text(json.dumps(manifest))
    (root / "checksums.json").write_text("{}")
    empty = dict.fromkeys(("stimulus", "captions", "caption_weights", "sha256", "phash"), "")
    rows.assign(**empty).to_csv(root / "clips.tsv", sep="\t", index=False, na_rep="n/a")
    return Store(root)


@pytest.fixture
def film(tmp_path) -> Path:
    write_video(tmp_path / "film.mkv", FRAMES, fps=10, lossless=True)
    return tmp_path / "film.mkv"


def test_a_clip_without_onset_is_its_whole_video(tmp_path, film):
    store = listed(
        tmp_path / "store", pd.DataFrame({"clip_id": ["a"], "path": [film], "onset_s": [np.nan], "duration_s": 9})
    )
    frames, fps = clip_frames(store, "a")
    assert np.array_equal(frames, FRAMES)
    assert fps == pytest.approx(10, rel=1e-3)
    need_videos(store)


def test_a_clip_with_an_onset_is_its_part_of_the_film(tmp_path, film):
    rows = pd.DataFrame({"clip_id": ["a", "b", "c"], "path": film, "onset_s": [0.0, 1.0, 2.0], "duration_s": 1.0})
    store = listed(tmp_path / "store", rows)
    for start, clip in ((20, "c"), (0, "a"), (10, "b")):
        frames, fps = clip_frames(store, clip)
        assert np.array_equal(frames, FRAMES[start : start + 10])
        assert fps == pytest.approx(10, rel=1e-3)


def test_a_path_may_be_relative_to_the_store(tmp_path, film):
    rows = pd.DataFrame({"clip_id": ["a"], "path": ["videos/film.mkv"], "onset_s": np.nan, "duration_s": 3.0})
    store = listed(tmp_path / "store", rows)
    (store.root / "videos").mkdir()
    shutil.copy(film, store.root / "videos")
    assert np.array_equal(clip_frames(store, "a")[0], FRAMES)


def test_what_is_not_there_is_named_with_what_to_do(tmp_path, film):
    gone = tmp_path / "gone.mp4"
    rows = pd.DataFrame(
        {
            "clip_id": ["a", "b", "c", "d"],
            "path": [film, gone, "", film],
            "onset_s": [np.nan] * 3 + [3.0],
            "duration_s": 3.0,
        }
    )
    store = listed(tmp_path / "store", rows)
    for clip, said in (
        ("b", f"the video of clip 'b' of store 'shown' is not there; expected it at {gone}; put it there, or ingest"),
        ("c", "expected a path in clips.tsv, which has none for it"),
        ("d", f"clip 'd' of store 'shown' begins at 3 s, when {film} has ended"),
        ("e", "has no clip 'e'"),
    ):
        with pytest.raises(StoreError) as caught:
            clip_frames(store, clip)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match=r"video of clip 'b' \(and 1 more\)"):
        need_videos(store)


def test_the_clips_of_a_simulated_film_are_its_parts_in_order(tmp_path):
    from brainreel.datasets import DATASETS
    from brainreel.store import StoreWriter

    dataset = DATASETS["sandbox-movie"]
    dataset.twin(tmp_path / "release", size="tiny", subjects=1)
    with StoreWriter(tmp_path / "store", dataset.manifest(tmp_path / "release")) as writer:
        dataset.ingest(tmp_path / "release", writer)
    store = Store(tmp_path / "store")
    whole = read_video(Path(store.clips["path"].iloc[0])).frames
    for row in (0, 1, 57, len(store.clips) - 1):
        frames, fps = clip_frames(store, store.clips["clip_id"].iloc[row])
        assert np.array_equal(frames, whole[17 * row : 17 * row + 17])
        assert fps == pytest.approx(8.5)
