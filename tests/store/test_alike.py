import json

import numpy as np
import pytest

from brainreel.cli.main import main
from brainreel.store import Store, check, inspect
from brainreel.store import writer as writing
from brainreel.store.look_cache import cache_path, looks_of

from .releases import picture, release, resized


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Two releases that share two clips under other names: one encoded anew, one mirrored; and a clean third."""
    folder = tmp_path_factory.mktemp("twins")
    one = release(folder, "one", {f"a{k}": picture(k) for k in range(6)}, ["a5"], seed=1)
    shown = {f"b{k}": picture(20 + k) for k in range(4)}
    shown |= {"again": resized(picture(5), 96, 96), "mirror": picture(0)[:, :, ::-1]}
    two = release(folder, "two", shown, ["b0"], seed=2)
    three = release(folder, "three", {f"c{k}": picture(40 + k) for k in range(4)}, ["c3"], seed=3)
    return one, two, three


def test_a_test_clip_that_trains_elsewhere_under_another_name_leaks(twins):
    one, two, three = twins
    assert check([one.root, three.root]) == []
    assert check([two.root]) == []
    found = inspect([one.root, two.root, three.root])
    assert [(p.store, p.code) for p in found.problems] == [("one", "leak-across")]
    assert "1 test clips of" in found.problems[0].message
    assert "'a5' first" in found.problems[0].message
    # The other shared clip trains in both, which is worth knowing and not wrong.
    pairs = {(pair.clip, pair.other_clip, pair.how) for pair in found.alike.pairs}
    assert pairs == {("a5", "again", "looks alike"), ("a0", "mirror", "mirrored")}
    assert check([one.root, two.root], videos=False) == []


def test_the_same_clip_under_two_names_leaks_inside_a_store(tmp_path):
    shown = {f"a{k}": picture(k) for k in range(4)} | {"copy": resized(picture(1), 64, 64)}
    assert [p.code for p in check([release(tmp_path, "bad", shown, ["copy"]).root])] == ["leak-content"]
    both = release(tmp_path, "fine", shown, ["a1", "copy"])
    found = inspect([both.root])
    assert found.problems == []
    assert [(pair.clip, pair.other_clip) for pair in found.alike.pairs] == [("a1", "copy")]


def test_what_was_looked_at_is_not_read_again(tmp_path, monkeypatch):
    store = release(tmp_path, "s", {f"a{k}": picture(k) for k in range(3)}, ["a2"])
    first = looks_of(store)
    assert (first.computed, first.seen.all()) == (3, True)
    monkeypatch.setattr("brainreel.store.look_cache.thumbnails", lambda *_: pytest.fail("read again"))
    again = looks_of(Store(store.root))
    assert again.computed == 0
    np.testing.assert_array_equal(again.thumbs, first.thumbs)
    # Known content needs no video.
    for path in (tmp_path / "s-videos").iterdir():
        path.unlink()
    assert looks_of(Store(store.root)).seen.all()


def test_a_broken_cache_is_made_anew(tmp_path):
    store = release(tmp_path, "s", {"a": picture(0), "b": picture(1)}, ["b"])
    looks_of(store)
    cache_path(store).write_bytes(b"junk")
    assert looks_of(store).computed == 2
    assert looks_of(store).computed == 0


def test_a_video_that_changed_or_broke_is_a_problem(tmp_path):
    store = release(tmp_path, "s", {"a": picture(0), "b": picture(1)}, ["b"])
    path = tmp_path / "s-videos" / "a.mp4"
    path.write_bytes((tmp_path / "s-videos" / "b.mp4").read_bytes())
    (problem,) = check([store.root])
    assert problem.code == "damaged-clip"
    assert "a.mp4 is not the video that was ingested" in problem.message


def _people(folder, name, responses, **more):
    clips = {f"{name}{k}": picture(60 + k) for k in range(len(next(iter(responses.values()))))}
    return release(folder, name, clips, [f"{name}0"], responses=responses, **more)


@pytest.mark.parametrize("chunk_bytes", [None, 3 * 64 * 2])
def test_a_person_who_is_another_at_other_precision_scale_and_order_is_found(tmp_path, monkeypatch, chunk_bytes):
    if chunk_bytes:
        # Arrays of one to three trials a chunk: signatures are put together from pieces.
        monkeypatch.setattr(writing, "_CHUNK_BYTES", chunk_bytes)
    rng = np.random.default_rng(4)
    real, other = rng.normal(size=(8, 64)), rng.normal(size=(8, 64))
    copy = (real[::-1] * 3 + 1).astype(np.float16)
    store = _people(tmp_path, "s", {"sub-01": real, "sub-02": other, "sub-05": copy})
    (problem,) = check([store.root], videos=False)
    assert problem.code == "identical-subjects"
    assert "sub-05 has the responses of s: sub-01" in problem.message
    across = _people(tmp_path, "t", {"x": other.astype(np.float16), "y": rng.normal(size=(8, 64))}, space="else/cortex")
    found = [p for p in check([store.root, across.root], videos=False) if p.store == "t"]
    assert [p.code for p in found] == ["identical-subjects"]
    assert "t: x has the responses of s: sub-02" in found[0].message


def test_people_who_share_much_are_not_the_same(tmp_path):
    rng = np.random.default_rng(4)
    common = rng.normal(size=(8, 64))
    noisy = {f"s{k}": common + 0.5 * rng.normal(size=common.shape) for k in range(3)}
    assert check([_people(tmp_path, "s", noisy).root], videos=False) == []


def test_a_part_of_the_cortex_is_found_in_all_of_it(tmp_path):
    rng = np.random.default_rng(5)
    whole, places = rng.normal(size=(4, 4000)), np.sort(rng.choice(4000, 900, replace=False))
    one = _people(tmp_path, "all", {"a": whole, "b": rng.normal(size=(4, 4000))}, space="fs/all")
    # Somebody else in the same places is no copy, and values without places in common say nothing.
    some = {"x": whole[:, places] * 2, "y": rng.normal(size=(4, 900))}
    other = _people(tmp_path, "some", some, space="fs/some", vertex=places)
    found = check([one.root, other.root], videos=False)
    assert [(p.store, p.code) for p in found] == [("some", "identical-subjects")]
    assert "some: x has the responses of all: a" in found[0].message
    elsewhere = _people(tmp_path, "else", {"x": whole[:, places]}, space="mni/some", vertex=places)
    assert check([one.root, elsewhere.root], videos=False) == []


def test_the_command_says_what_is_there_and_what_is_wrong(twins, tmp_path, capsys):
    one, two, three = twins
    assert main(["check", str(one.root), str(two.root), "--json", str(tmp_path / "c.json")]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("one: leak-across: ")
    assert "again" in said.out
    assert "mirrored" in said.out
    result = json.loads((tmp_path / "c.json").read_text())
    assert [p["code"] for p in result["problems"]] == ["leak-across"]
    assert {row["how"] for row in result["alike"]} == {"looks alike", "mirrored"}
    first = result["summary"][0]
    assert (first["subjects"], first["clips"], first["videos"], first["trials"]) == (2, 6, 6, 12)
    assert first["held_out"] == [
        {"name": "official", "folds": 1, "train_clips": 5, "test_clips": 1, "test_repetitions": [1, 1]}
    ]
    assert first["hours"] == pytest.approx(12 * 10 / 8 / 3600, abs=0.006)
    assert main(["check", str(three.root)]) == 0
    said = capsys.readouterr()
    assert "4 of 4 clips were looked at" in said.out
    assert "no two show the same" in said.out
    assert "no problems found" in said.out
    assert main(["check", str(three.root), "--no-videos"]) == 0
