"""A folder of videos: resumed clip by clip, and never a mixture."""

from __future__ import annotations

import numpy as np
import pytest

from brainreel.errors import ExperimentError, UsageError
from brainreel.generate.config import GenerateConfig, SomeSettings
from brainreel.generate.runs import read_generation, reconstruct
from brainreel.regress import Conditions

FAST = GenerateConfig(steps=3, strength=0.8, guidance=2.0)


class Counted:
    """A generator that notes which clips it was asked for, and can be stopped."""

    def __init__(self, inner, stop_after=None):
        self.inner, self.stop_after, self.asked = inner, stop_after, []
        self.takes, self.identity = inner.takes, inner.identity

    def together(self, conditions):
        return 2

    def generate(self, conditions, **settings):
        if len(self.asked) == self.stop_after:
            raise KeyboardInterrupt
        self.asked.append(conditions.clip_id)
        return self.inner.generate(conditions, **settings)


def contents(folder):
    return {path.name: np.load(path) for path in folder.glob("*.npy")}


def stamps(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npy")}


@pytest.fixture(scope="module")
def whole(wan, given, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    reconstruct(given, Counted(wan), folder, FAST)
    return folder


def test_a_file_per_clip_and_one_that_tells_about_all(whole, wan, given):
    found = contents(whole)
    assert list(found) != []
    assert sorted(found) == [f"{clip}.npy" for clip in given.clip_id]
    assert {(v.shape, v.dtype.name) for v in found.values()} == {((5, 32, 32, 3), "uint8")}
    told = read_generation(whole)
    assert (told["fps"], told["frames"], told["height"], told["width"]) == (8.0, 5, 32, 32)
    assert (told["steps"], told["strength"], told["guidance"], told["seed"]) == (3, 0.8, 2.0, 0)
    assert told["mode"] == "video-to-video"
    assert told["generator"]["generator"] == "wan"
    assert not list(whole.glob(".*"))


def test_only_what_is_missing_is_written_and_it_is_the_same(whole, wan, given, tmp_path):
    reconstruct(given, Counted(wan), tmp_path, FAST)
    before = stamps(tmp_path)
    for clip in ("clip-1", "clip-8"):
        (tmp_path / f"{clip}.npy").unlink()
    again = Counted(wan)
    paths = reconstruct(given, again, tmp_path, FAST)
    assert again.asked == [["clip-0", "clip-1"], ["clip-8"]]
    after = stamps(tmp_path)
    assert {name for name in after if after[name] != before[name]} == {"clip-1.npy", "clip-8.npy"}
    for path, (name, wanted) in zip(paths, sorted(contents(whole).items()), strict=True):
        assert path.name == name
        assert np.array_equal(np.load(path), wanted)
    idle = Counted(wan)
    reconstruct(given, idle, tmp_path, FAST)
    assert idle.asked == []


def test_interrupted_and_continued_equals_uninterrupted(whole, wan, given, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        reconstruct(given, Counted(wan, stop_after=2), tmp_path, FAST)
    assert len(contents(tmp_path)) == 4
    rest = Counted(wan)
    reconstruct(given, rest, tmp_path, FAST)
    assert len(rest.asked) == 3
    assert all(np.array_equal(v, contents(whole)[name]) for name, v in contents(tmp_path).items())


@pytest.mark.parametrize(
    ("config", "rows", "what"),
    [
        (FAST.model_copy(update={"seed": 1}), slice(None), "seed 0; expected 1"),
        (FAST.model_copy(update={"mode": "text-to-video"}), slice(None), "mode video-to-video; expected text"),
        (FAST, slice(4), "other conditions"),
    ],
)
def test_videos_of_something_else_are_not_mixed(whole, wan, given, config, rows, what):
    with pytest.raises(ExperimentError, match=what):
        reconstruct(given.take(rows), wan, whole, config)


def test_arrays_of_unknown_origin_are_not_mixed(wan, given, tmp_path):
    np.save(tmp_path / "clip-0.npy", np.zeros(3))
    with pytest.raises(ExperimentError, match="unknown origin"):
        reconstruct(given, wan, tmp_path, FAST)


def test_a_clip_cannot_leave_the_folder(wan, given, tmp_path):
    with pytest.raises(UsageError, match="cannot be a file's name"):
        reconstruct(Conditions(["../x"], {k: v[:1] for k, v in given.vectors.items()}), wan, tmp_path, FAST)


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "generation.json").write_text("{")
    with pytest.raises(ExperimentError, match=r"generation\.json cannot be read"):
        read_generation(tmp_path)


def test_captions_take_the_place_of_the_text_condition(wan, given, tmp_path):
    said = Conditions(given.clip_id, given.vectors, ["a small red cat moving left on a beach by day"] * 9)
    config = FAST.model_copy(update={"text": "captions"})
    spoken, silent = reconstruct(said, wan, tmp_path / "said", config), said.without("text")
    for path, same in zip(spoken, reconstruct(silent, wan, tmp_path / "silent", FAST), strict=True):
        np.testing.assert_array_equal(np.load(path), np.load(same))
    regressed = reconstruct(said, wan, tmp_path / "regressed", FAST)
    assert any((np.load(a) != np.load(b)).any() for a, b in zip(spoken, regressed, strict=True))
    assert read_generation(tmp_path / "said")["text"] == "captions"
    with pytest.raises(ExperimentError, match="text"):
        reconstruct(silent, wan, tmp_path / "said", FAST)


def test_without_captions_it_says_so(wan, given, tmp_path):
    with pytest.raises(UsageError, match="no captions were read"):
        reconstruct(given, wan, tmp_path, FAST.model_copy(update={"text": "captions"}))


def test_every_setting_can_be_asked_for_anew():
    assert SomeSettings.model_fields.keys() == GenerateConfig.model_fields.keys()
    before = GenerateConfig(steps=7, text="captions")
    assert SomeSettings().over(before) == before
    assert SomeSettings(steps=25, guidance=1.0).over(before) == GenerateConfig(steps=25, guidance=1.0, text="captions")
