import numpy as np
import pytest

from brainreel.errors import SourceError
from brainreel.store.looks import ALIKE_HASH, ALIKE_PICTURES, difference, hashes, lookalikes, mirrored, structured
from brainreel.store.thumbnails import AT, SIDE, thumbnails
from brainreel.video import write_video

from .releases import picture, resized


def thumbs(tmp_path, video: np.ndarray, fps: float = 8.0) -> np.ndarray:
    write_video(tmp_path / "v.mp4", video, fps=fps)
    return thumbnails(tmp_path / "v.mp4")[0]


def test_thumbnails_are_the_frames_at_their_times(tmp_path):
    video = np.repeat(np.arange(10, dtype=np.uint8) * 20, 32 * 32 * 3).reshape(10, 32, 32, 3)
    write_video(tmp_path / "v.mp4", video, fps=5, lossless=True)
    whole = thumbnails(tmp_path / "v.mp4")
    assert whole.shape == (1, len(AT), SIDE, SIDE, 3)
    # At 0.1, 0.3 … of ten frames are frames 0 or 1, 2 or 3 …: borders are the earlier one's.
    assert (whole[0].mean(axis=(1, 2, 3)) // 20).tolist() == [0, 2, 4, 6, 8]
    parts = thumbnails(tmp_path / "v.mp4", [(1.0, 2.0), (0.0, 0.2), (1.0, 2.0)])
    assert (parts.mean(axis=(2, 3, 4)) // 20).astype(int).tolist() == [[5, 6, 7, 8, 9], [0] * 5, [5, 6, 7, 8, 9]]
    with pytest.raises(SourceError, match="ends before its clips begin"):
        thumbnails(tmp_path / "v.mp4", [(3.0, 4.0)])
    (tmp_path / "junk.mp4").write_bytes(b"no video at all")
    with pytest.raises(SourceError, match=r"junk\.mp4 cannot be read as video"):
        thumbnails(tmp_path / "junk.mp4")


CHANGED = {
    "other encoding": (lambda v: v, 8.0, False),
    "other size and shape": (lambda v: resized(v, 96, 128), 8.0, False),
    "smaller": (lambda v: resized(v, 24, 24), 8.0, False),
    "darker": (lambda v: (v * 0.7).astype(np.uint8), 8.0, False),
    "half the rate": (lambda v: v[::2], 4.0, False),
    "a higher rate": (lambda v: np.repeat(v, 3, axis=0), 24.0, False),
    "mirrored": (lambda v: v[:, :, ::-1], 8.0, True),
    "mirrored and small": (lambda v: resized(v, 32, 32)[:, :, ::-1], 8.0, True),
}


@pytest.mark.parametrize("how", CHANGED)
def test_a_changed_clip_is_found_among_others(tmp_path, how):
    change, fps, is_mirrored = CHANGED[how]
    shown = [thumbs(tmp_path, picture(seed)) for seed in range(6)]
    found = lookalikes(np.stack([*shown, thumbs(tmp_path, change(picture(2)), fps)]))
    assert [(pair.one, pair.other, pair.mirrored) for pair in found] == [(2, 6, is_mirrored)]
    assert found[0].distance < ALIKE_PICTURES


def test_unrelated_clips_and_other_objects_on_the_same_backdrop_are_not_alike():
    noise = np.stack([np.stack([picture(seed, 5, SIDE)])[0] for seed in range(300)])
    assert lookalikes(noise) == []
    backdrop = np.repeat(picture(1, 1, SIDE), 5, axis=0)
    one, other = backdrop.copy(), backdrop.copy()
    one[:, 2:6, 2:6] = (250, 20, 20)
    other[:, 9:13, 9:13] = (20, 20, 250)
    assert float((hashes(one[None]) * hashes(other[None])).sum()) < 1
    assert difference(one[None], other[None])[0] > ALIKE_PICTURES


def test_black_screens_are_not_alike():
    black = np.zeros((3, len(AT), SIDE, SIDE, 3), np.uint8)
    black[1] += 100
    assert not structured(black).any()
    assert lookalikes(black) == []


def test_the_mirrored_hash_is_the_hash_of_the_mirrored_clip():
    shown = np.stack([picture(seed, 5, SIDE) for seed in range(8)])
    np.testing.assert_allclose(mirrored(hashes(shown)), hashes(shown[:, :, :, ::-1]), atol=0.11)
    agree = (mirrored(hashes(shown)) * hashes(shown[:, :, :, ::-1])).sum(1)
    assert (agree > 0.99).all()
    assert ((mirrored(hashes(shown)) * hashes(shown)).sum(1) < ALIKE_HASH).all()


def test_parts_of_one_film_are_not_compared():
    same = np.stack([picture(1, 5, SIDE)] * 3)
    assert [(pair.one, pair.other) for pair in lookalikes(same, np.array([0, 0, 1]))] == [(0, 2), (1, 2)]
