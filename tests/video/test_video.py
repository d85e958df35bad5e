"""Reading, writing and resampling video against what was written."""

from __future__ import annotations

import struct
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from brainreel.errors import SourceError, UsageError
from brainreel.video import (
    Grid,
    even_times,
    look,
    nearest_frames,
    read_span,
    read_video,
    resample,
    resized,
    write_video,
)


def noise(frames: int = 6, height: int = 32, width: int = 48, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def encode(path: Path, frames: np.ndarray, codec: str, pixels: str, *, pts: list[int] | None = None, **more) -> None:
    """Write with PyAV directly, in any pixel format; times in hundredths of a second."""
    with av.open(str(path), "w", **more.pop("container", {})) as container:
        stream = container.add_stream(codec, rate=10, options=more.pop("options", {}))
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], pixels
        stream.codec_context.time_base = Fraction(1, 100)
        for index, each in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(each, format="rgb24")
            frame.pts, frame.time_base = (pts[index] if pts else 10 * index), Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_lossless_files_give_back_exactly_what_was_written(tmp_path):
    frames = noise()
    write_video(tmp_path / "a.mp4", frames, fps=29.97, lossless=True)
    video = read_video(tmp_path / "a.mp4")
    assert np.array_equal(video.frames, frames)
    assert video.times_s == pytest.approx(even_times(6, 29.97), abs=1e-4)
    assert video.source.fps == pytest.approx(29.97, rel=1e-3)
    assert video.duration_s == pytest.approx(6 / 29.97, rel=1e-3)


def test_lossy_files_are_close_and_leave_nothing_else(tmp_path):
    smooth = np.stack([resized(frame, 64, 64) for frame in noise(4, 4, 4)])
    write_video(tmp_path / "sub" / "a.mp4", smooth, fps=8)
    back = read_video(tmp_path / "sub" / "a.mp4").frames
    assert 0 < np.abs(back.astype(int) - smooth).mean() < 6
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["a.mp4"]


def test_odd_sides_are_refused_where_colour_is_halved(tmp_path):
    with pytest.raises(UsageError, match="even sides"):
        write_video(tmp_path / "a.mp4", noise(2, 31, 32), fps=8)
    write_video(tmp_path / "a.mp4", noise(2, 31, 32), fps=8, lossless=True)


def test_times_are_the_files_own_even_if_the_rate_varies(tmp_path):
    frames = noise(5)
    encode(tmp_path / "a.mkv", frames, "ffv1", "bgr0", pts=[0, 10, 15, 60, 70])
    video = read_video(tmp_path / "a.mkv")
    assert np.array_equal(video.frames, frames)
    assert video.times_s == pytest.approx([0, 0.1, 0.15, 0.6, 0.7], abs=1e-3)
    wanted = np.array([0.0, 0.125, 0.37, 0.38, 5.0])
    picked = read_video(tmp_path / "a.mkv", Grid(32, 48, wanted))
    # 0.125 s is as far from 0.1 s as from 0.15 s: the earlier one.
    assert np.array_equal(picked.frames, frames[[0, 1, 2, 3, 4]])
    assert picked.source == video.source


def test_a_file_that_starts_late_starts_at_zero(tmp_path):
    encode(tmp_path / "a.mkv", noise(3), "ffv1", "bgr0", pts=[300, 310, 320])
    format_, times = look(tmp_path / "a.mkv")
    assert times == pytest.approx([0, 0.1, 0.2], abs=1e-3)
    assert format_.duration_s == pytest.approx(0.3, abs=2e-3)


@settings(max_examples=60, deadline=None)
@given(
    have=st.lists(st.integers(0, 400), min_size=1, max_size=12, unique=True).map(sorted),
    wanted=st.lists(st.integers(-20, 450), min_size=1, max_size=12).map(sorted),
)
def test_nearest_frames_are_nearest_and_the_earlier_on_ties(have, wanted):
    times, asked = np.array(have) / 40, np.array(wanted) / 40
    expected = [int(np.argmin(np.abs(np.array(have) - each))) for each in wanted]
    assert nearest_frames(times, asked).tolist() == expected


def test_resampling_is_pillows_antialiased_bicubic_of_the_nearest_frames():
    frames = noise(5, 40, 60)
    out = resample(iter(frames), even_times(5, 5), Grid(20, 24, even_times(8, 8)))
    picked = [0, 1, 1, 2, 2, 3, 4, 4]
    for got, index in zip(out, picked, strict=True):
        expected = Image.fromarray(frames[index]).resize((24, 20), Image.Resampling.BICUBIC)
        assert np.array_equal(got, np.asarray(expected))
    # Without antialiasing, shrunken noise keeps its contrast.
    assert out.std() < 0.75 * frames.std()


def test_rotation_is_honoured_as_a_player_would(tmp_path):
    frames = noise(2, 32, 48)
    write_video(tmp_path / "a.mp4", frames, fps=8, lossless=True)
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    # tkhd's matrix of a version-0 box: 40 bytes after the box's flags.
    matrix = data.index(b"tkhd") + 4 + 40
    one = 1 << 16
    assert struct.unpack(">9i", data[matrix : matrix + 36]) == (one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    # x' = −y, y' = x: a quarter clockwise, as phones write it.
    data[matrix : matrix + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    (tmp_path / "a.mp4").write_bytes(data)
    video = read_video(tmp_path / "a.mp4")
    assert np.array_equal(video.frames, np.rot90(frames, -1, axes=(1, 2)))
    assert video.source[:3] == (2, 48, 32)


def test_the_colour_matrix_that_the_file_states_is_used(tmp_path):
    flat = np.broadcast_to(np.array([200, 40, 90], np.uint8), (2, 32, 32, 3))
    red, green, blue = (200, 40, 90)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    planes = [16 + luma * 219 / 255, 128 + (blue - luma) / 1.8556 * 224 / 255, 128 + (red - luma) / 1.5748 * 224 / 255]
    yuv = np.stack([np.full((32, 32), round(plane), np.uint8) for plane in planes])
    _encode_yuv(tmp_path / "a.mkv", yuv)
    assert np.abs(read_video(tmp_path / "a.mkv").frames.astype(int) - flat).max() <= 3


def _encode_yuv(path: Path, planes: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = planes.shape[1], planes.shape[2], "yuv444p"
        stream.codec_context.colorspace = 1
        for index in range(2):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv444p")
            frame.colorspace, frame.color_range, frame.pts = 1, 1, index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_cut_off_and_damaged_files_are_refused(tmp_path):
    # The index at the front, so that a file cut off still opens.
    path, options = tmp_path / "a.mp4", {"container": {"options": {"movflags": "faststart"}}}
    encode(path, noise(20), "libx264", "yuv420p", **options)
    whole = path.read_bytes()
    for name, content in {
        "half": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"no video" * 50,
        "holes": whole[: len(whole) // 3] + bytes(4000) + whole[len(whole) // 3 + 4000 :],
    }.items():
        (tmp_path / f"{name}.mp4").write_bytes(content)
        with pytest.raises(SourceError, match=f"{name}.mp4 cannot be read as video"):
            look(tmp_path / f"{name}.mp4")
    assert look(path)[0].frames == 20


def test_grey_alpha_palette_and_sound_are_refused(tmp_path):
    encode(tmp_path / "grey.mkv", noise(), "ffv1", "gray")
    encode(tmp_path / "alpha.mkv", noise(), "ffv1", "bgra")
    images = [Image.fromarray(frame) for frame in noise(3)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:])
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    for name, said in {
        "grey.mkv": "is grey",
        "alpha.mkv": "with an alpha channel",
        "a.gif": "with an alpha channel",
        "sound.wav": "no video stream",
    }.items():
        with pytest.raises(SourceError, match=said):
            look(tmp_path / name)


@pytest.mark.shared
def test_real_clips_have_the_frames_that_their_containers_count():
    import os

    root = Path(os.environ.get("BRAINREEL_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    files = sorted((root / "data" / "clips" / "bmd").glob("*.mp4"))[:3]
    if not files:
        pytest.skip(f"no real clips under {root}; set BRAINREEL_SHARED to the folder that holds data/clips")
    for file in files:
        video = read_video(file)
        with av.open(str(file)) as container:
            stream = container.streams.video[0]
            assert len(video.frames) == stream.frames
            assert video.duration_s == pytest.approx(float(stream.duration * stream.time_base), abs=0.002)
        assert video.frames.shape[1:] == (268, 268, 3)
        small = read_video(file, Grid(64, 64, even_times(24, 8)))
        expected = np.stack(
            [resized(video.frames[i], 64, 64) for i in nearest_frames(video.times_s, even_times(24, 8))]
        )
        assert np.array_equal(small.frames, expected)


@pytest.mark.parametrize(("suffix", "fps"), [(".mp4", 25), (".mp4", 29.97), (".mkv", 8.5), (".ts", 25)])
def test_spans_that_follow_one_another_share_no_frame_and_miss_none(tmp_path, suffix, fps):
    smooth = np.stack([resized(frame, 32, 48) for frame in noise(60, 4, 6)])
    path = tmp_path / f"film{suffix}"
    # A key frame every 7 frames and frames that refer to later ones, so that seeking has something to get wrong.
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=Fraction(fps).limit_denominator(65535), options={"g": "7", "bf": "2"}
        )
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        for frame in smooth:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    whole = read_video(path).frames
    edges = [0, 0.3, 0.31, 1, 1.5, 60 / fps]
    parts = [read_span(path, start, stop) for start, stop in pairwise(edges)]
    assert sum(len(part.frames) for part in parts) == 60
    assert np.array_equal(np.concatenate([part.frames for part in parts if len(part.frames)]), whole)
    assert parts[3].times_s == pytest.approx(even_times(len(parts[3].frames), fps), abs=2e-3)
    assert parts[3].source.fps == pytest.approx(fps, rel=0.02)


def test_a_span_after_the_end_is_empty_and_a_film_may_begin_late(tmp_path):
    frames = noise(6)
    encode(
        tmp_path / "late.mkv", frames, "libx264rgb", "rgb24", pts=[500 + 10 * k for k in range(6)], options={"crf": "0"}
    )
    assert np.array_equal(read_span(tmp_path / "late.mkv", 0.2, 0.4).frames, frames[2:4])
    assert len(read_span(tmp_path / "late.mkv", 0.6, 2).frames) == 0
    with pytest.raises(SourceError):
        read_span(tmp_path / "nowhere.mkv", 0, 1)
