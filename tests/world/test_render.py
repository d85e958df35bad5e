from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation
from skimage.color import rgb2hsv

from brainreel.world.backdrops import backdrops
from brainreel.world.render import backdrop, masks, paths, render
from brainreel.world.scenes import COLOURS, FACTORS, KINDS, MOTIONS, Scenes, draw_scenes
from brainreel.world.shapes import SAMPLES, silhouettes


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return draw_scenes(160, seed=0, combos="all")


@pytest.fixture(scope="module")
def videos(scenes):
    return render(scenes)


@pytest.fixture(scope="module")
def objects(scenes):
    return masks(scenes)


def test_videos_are_17_frames_of_64_pixels_and_do_not_depend_on_the_batch(scenes, videos):
    assert videos.shape == (160, 17, 64, 64, 3)
    assert videos.dtype == np.uint8
    np.testing.assert_array_equal(render(scenes[[7, 123]]), videos[[7, 123]])
    np.testing.assert_array_equal(render(scenes[5:6]), videos[5:6])


def test_the_mask_is_where_the_object_hides_the_backdrop(scenes, videos, objects):
    videos, objects = videos[:40], objects[:40]
    differs = np.abs(videos.astype(np.int16) - backdrop(scenes[:40])[:, None]).max(axis=-1)
    around = binary_dilation(objects, np.ones((1, 1, 3, 3)), iterations=3)
    assert not differs[~around].any()
    assert (differs[around & ~objects] > 0).mean() < 0.5
    # Some pixel of an object happens to have the backdrop's colour.
    assert (differs[objects] > 20).mean() > 0.95


def test_the_object_is_where_and_as_large_as_the_scene_says(scenes, objects):
    path = paths(scenes)
    rows, columns = np.indices((64, 64)) + 0.5
    area = objects.sum(axis=(2, 3))
    x, y = ((objects * axis).sum(axis=(2, 3)) / area for axis in (columns, rows))
    # The middle of a box is not the centre of mass, but the two stay together.
    assert np.abs(x - path.x).max() < 0.25 * path.side.max()
    assert np.abs(y - path.y).max() < 0.25 * path.side.max()
    for kind in range(len(KINDS)):
        ratio = area[scenes.kind == kind] / path.side[scenes.kind == kind] ** 2
        assert ratio.std() / ratio.mean() < 0.06


def test_the_object_has_its_colour_by_day_and_by_night(scenes, videos, objects):
    hues = rgb2hsv(np.array(list(COLOURS.values()))[None] / 255.0)[0, :, 0]
    for light in (0, 1):
        right = 0
        chosen = np.flatnonzero(scenes.light == light)
        for clip in chosen:
            hsv = rgb2hsv(videos[clip, 8][objects[clip, 8]][None])[0]
            hsv = hsv[(hsv[:, 1] > 0.5) & (hsv[:, 2] > 0.5)]
            away = np.abs(hsv[:, :1] - hues)
            votes = np.bincount(np.minimum(away, 1 - away).argmin(axis=1), minlength=len(hues))
            right += votes.argmax() == scenes.colour[clip]
        assert right / len(chosen) > 0.95


def test_motions_can_be_told_from_the_object_alone(scenes, objects):
    rows, columns = np.indices((64, 64))
    area = objects.sum(axis=(2, 3))
    x, y = ((objects * axis).sum(axis=(2, 3)) / area for axis in (columns, rows))
    told = []
    for clip in range(len(scenes)):
        across, along, grown = x[clip, -1] - x[clip, 0], y[clip, -1] - y[clip, 0], area[clip, -1] / area[clip, 0]
        turned = (objects[clip, 4] ^ objects[clip, 0]).sum() / area[clip, 0]
        rules = [
            ("grow", grown > 1.6), ("shrink", grown < 0.6), ("left", across < -12), ("right", across > 12),
            ("up", along < -12), ("down", along > 12), ("still", turned == 0),
        ]  # fmt: skip
        told.append(next((name for name, holds in rules if holds), "spin"))
    right = np.array([MOTIONS.index(name) for name in told]) == scenes.motion
    assert right.mean() > 0.97


def test_spinning_can_be_seen_of_every_kind():
    one = draw_scenes(1, seed=0)
    for kind in range(len(KINDS)):
        video = render(replace(one, kind=np.array([kind]), motion=np.array([MOTIONS.index("spin")])))[0]
        assert (np.abs(video[4].astype(int) - video[0]).max(axis=-1) > 40).sum() > 60


def test_kinds_can_be_told_from_the_outline(scenes, objects):
    """Nearest silhouette: each object is turned upright, scaled and compared with all kinds."""
    path = paths(scenes)
    templates = silhouettes()[..., 0] > 128
    axis = np.linspace(-0.5, 0.5, 24)
    right, frame = 0, 8
    for clip in range(len(scenes)):
        cos, sin = np.cos(path.angle[clip, frame]), np.sin(path.angle[clip, frame])
        u, v = np.meshgrid(axis * scenes.facing[clip], axis)
        side = path.side[clip, frame]
        column = np.clip(path.x[clip, frame] + side * (cos * u - sin * v), 0, 63).astype(int)
        row = np.clip(path.y[clip, frame] + side * (sin * u + cos * v), 0, 63).astype(int)
        seen = objects[clip, frame][row, column]
        grid = np.rint((axis / 1.5 + 0.5) * (SAMPLES - 1)).astype(int)
        agree = (templates[:, grid][:, :, grid] == seen).mean(axis=(1, 2))
        right += agree.argmax() == scenes.kind[clip]
    assert right / len(scenes) > 0.95


def test_places_and_lights_can_be_told_from_the_backdrop():
    """Nearest mean training picture, in coarse pixels."""
    train, test = draw_scenes(240, seed=1), draw_scenes(60, seed=2)
    coarse = [
        v[:, 0].reshape(-1, 8, 8, 8, 8, 3).mean(axis=(2, 4)).reshape(len(v), -1) for v in map(render, (train, test))
    ]
    label = [s.place * 2 + s.light for s in (train, test)]
    means = np.stack([coarse[0][label[0] == k].mean(axis=0) for k in range(16)])
    found = ((coarse[1][:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (found == label[1]).mean() > 0.9


def test_nights_are_dark_and_blue():
    day, night = backdrops()[:, 0].mean(axis=(1, 2)), backdrops()[:, 1].mean(axis=(1, 2))
    assert (night.mean(axis=1) < 0.6 * day.mean(axis=1)).all()
    # A kitchen's wood stays a little red.
    assert (night[:, 2] > 0.95 * night[:, 0]).all()


def test_every_factor_changes_the_picture(scenes):
    one = scenes[:1]
    for factor, options in FACTORS.items():
        other = replace(one, **{factor: (getattr(one, factor) + 1) % len(options)})
        assert (render(one) != render(other)).any(), factor
