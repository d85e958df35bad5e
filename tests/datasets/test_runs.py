"""Runs are read the same whichever way a file keeps them."""

import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.cifti2 import cifti2_axes

from brainreel.datasets.runs import CiftiRuns, SurfaceRuns, VolumeRuns
from brainreel.errors import SourceError

VOLUMES, SIDE = 21, 30
EVERYWHERE = np.arange(2 * SIDE)


@pytest.fixture
def values() -> np.ndarray:
    series = np.random.default_rng(0).normal(1000, 10, size=(2 * SIDE, VOLUMES)).astype(np.float32)
    series[7] = 5
    # Changes, but not within volumes 3 to 15.
    series[11, 3:16] = 8
    # Changes, but is the same at the beginning, in the middle and at the end.
    series[13, [0, 3, 9, 10, 15, 20]] = 1000
    return series


def _cifti(path: Path, series: np.ndarray, kind=np.float32) -> Path:
    half = len(series) // 2
    brain = [
        cifti2_axes.BrainModelAxis.from_surface(np.arange(half), half, name=f"cortex_{s}") for s in ("left", "right")
    ]
    header = (cifti2_axes.SeriesAxis(0, 2, series.shape[1], "SECOND"), brain[0] + brain[1])
    image = nibabel.Cifti2Image(series.T, header=header)
    image.set_data_dtype(kind)
    nibabel.save(image, path)
    return path


def _volumes(path: Path, series: np.ndarray) -> Path:
    nibabel.save(nibabel.Nifti1Image(series.reshape(3, 4, 5, -1), np.eye(4)), path)
    return path


def _surface(folder: Path, series: np.ndarray) -> Path:
    for half, side in zip(np.split(series, 2), "LR", strict=True):
        arrays = [nibabel.gifti.GiftiDataArray(np.ascontiguousarray(volume), datatype=16) for volume in half.T]
        nibabel.save(nibabel.GiftiImage(darrays=arrays), folder / f"run-01_hemi-{side}_bold.func.gii")
    return folder / "run-01_hemi-L_bold.func.gii"


def _all(folder, values):
    volume = _volumes(folder / "run.nii.gz", values)
    surface = _surface(folder, values)
    return [
        (CiftiRuns(2 * SIDE), _cifti(folder / "run.dtseries.nii", values)),
        (VolumeRuns.like(volume), volume),
        (SurfaceRuns.like(surface), surface),
    ]


@pytest.mark.parametrize("kind", [0, 1, 2], ids=["cifti", "volumes", "gifti"])
def test_every_kind_of_file_gives_the_same_series(values, tmp_path, kind):
    reader, path = _all(tmp_path, values)[kind]
    assert reader.places == 2 * SIDE
    some = np.array([2, 11, 44])
    for _ in range(2):
        np.testing.assert_array_equal(reader.read(path, VOLUMES, some), values[some])
    still = reader.still(path, VOLUMES, slice(3, 16), EVERYWHERE)
    assert np.flatnonzero(still).tolist() == [7, 11]
    assert np.flatnonzero(reader.still(path, VOLUMES, slice(0, VOLUMES), EVERYWHERE)).tolist() == [7]
    assert reader.still(path, VOLUMES, slice(3, 16), some).tolist() == [False, True, False]
    with pytest.raises(SourceError, match=rf"{path.name} has the shape .*{VOLUMES}.*expected .*20"):
        reader.read(path, 20, some)


def test_whole_numbers_are_scaled_as_the_header_says(values, tmp_path):
    path = _cifti(tmp_path / "run.dtseries.nii", values, np.int16)
    expected = nibabel.load(path).get_fdata().T
    assert np.abs(expected - values).max() < 1
    found = CiftiRuns(2 * SIDE).read(path, VOLUMES, EVERYWHERE)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_files_of_other_headers_are_told_apart(values, tmp_path):
    """Headers are parsed once and recognised again, by their content."""
    reader = CiftiRuns(2 * SIDE)
    long = _cifti(tmp_path / "long.dtseries.nii", values)
    short = _cifti(tmp_path / "short.dtseries.nii", values[:, :-1])
    again = _cifti(tmp_path / "again.dtseries.nii", values[::-1])
    reader.read(long, VOLUMES, EVERYWHERE)
    np.testing.assert_array_equal(reader.read(short, VOLUMES - 1, EVERYWHERE), values[:, :-1])
    np.testing.assert_array_equal(reader.read(again, VOLUMES, EVERYWHERE), values[::-1])
    with pytest.raises(SourceError, match="short"):
        reader.read(short, VOLUMES, EVERYWHERE)


def test_only_the_chosen_places_are_in_memory(tmp_path):
    """5 of 20,000 places of a file of 16 MB."""
    series = np.random.default_rng(0).normal(size=(20_000, 200)).astype(np.float32)
    path, reader = _cifti(tmp_path / "run.dtseries.nii", series), CiftiRuns(20_000)
    few = np.arange(5)
    reader.read(path, 200, few)
    tracemalloc.start()
    np.testing.assert_array_equal(reader.read(path, 200, few), series[:5])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6


def test_a_hemisphere_that_is_missing_or_shorter(values, tmp_path):
    path = _surface(tmp_path, values)
    other = tmp_path / "run-01_hemi-R_bold.func.gii"
    reader = SurfaceRuns.like(path)
    image = nibabel.load(other)
    nibabel.save(nibabel.GiftiImage(darrays=image.darrays[:-1]), other)
    with pytest.raises(SourceError, match=r"hemi-R_bold\.func\.gii has the shape \(30, 20\); expected \(30, 21\)"):
        reader.read(path, VOLUMES, EVERYWHERE)
    other.unlink()
    with pytest.raises(SourceError, match=r"hemi-R_bold\.func\.gii is missing"):
        reader.read(path, VOLUMES, EVERYWHERE)
    nibabel.save(nibabel.GiftiImage(), path)
    with pytest.raises(SourceError, match="holds no arrays"):
        SurfaceRuns.like(path)
