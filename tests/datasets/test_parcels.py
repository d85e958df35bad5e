"""Spaces of fsLR32k and the files that say where its areas lie."""

import numpy as np
import pytest

from brainreel.datasets import parcels
from brainreel.datasets.cifti import open_cifti, read_cifti
from brainreel.datasets.parcels import CORTEX, GRAYORDINATES, GROUP41, LEFT, read_parcellation, read_space
from brainreel.datasets.twin_cortex import AREAS, MAP_FILE, TwinCortex
from brainreel.errors import SourceError, UsageError


@pytest.fixture(scope="module")
def cortex():
    return TwinCortex.grow("tiny")


@pytest.fixture
def folder(cortex, tmp_path):
    cortex.write_map(tmp_path)
    return tmp_path


def test_group41_is_the_published_choice_of_grayordinates(tmp_path):
    space = read_space(None, tmp_path)
    assert (space.name, len(space), len(set(space.parcel))) == ("fsLR32k/group41", 13_156, 41)
    assert set(space.parcel) == set(GROUP41)
    assert (np.diff(space.vertex) > 0).all()
    assert space.vertex[-1] < CORTEX
    assert {p for p, v in zip(space.parcel, space.vertex, strict=True) if v < LEFT} == set(GROUP41)
    np.testing.assert_array_equal(read_space(None, tmp_path, CORTEX).vertex, space.vertex)


def test_whole_cortex_everything_and_a_list_of_areas(tmp_path):
    assert {name: len(read_space(name, tmp_path)) for name in parcels.FACTS} == parcels.FACTS
    two = read_space("fsLR32k/V1+MT", tmp_path)
    assert set(two.parcel) == {"V1", "MT"}
    assert two.name == "fsLR32k/V1+MT"
    everything = read_space("fsLR32k", tmp_path)
    assert everything.parcel[-1] == "thalamus_right"
    assert "" not in everything.parcel
    assert len(set(everything.parcel[:CORTEX])) == 180
    long = read_space("fsLR32k/" + "+".join(GROUP41), tmp_path)
    assert long.name.startswith("fsLR32k/41-areas-")
    np.testing.assert_array_equal(long.vertex, read_space(None, tmp_path).vertex)


def test_the_release_may_bring_its_own_map(cortex, folder):
    found = read_parcellation(folder, len(cortex))
    assert found.source == str(folder / MAP_FILE)
    assert found.parcel.tolist() == cortex.parcel.tolist()
    assert found.cortex == cortex.cortex
    assert len(read_space("fsLR32k/cortex", folder, cortex.cortex)) == cortex.cortex


@pytest.mark.parametrize("name", ["MNI152", "fsLR32k/", "fsaverage/V1", "fsLR32k/V1+V99", "fsLR32k/V1,V2"])
def test_unknown_spaces(name, tmp_path):
    with pytest.raises(UsageError, match=r"expected fsLR32k/group41|no area"):
        read_space(name, tmp_path)


def test_cortex_alone_has_no_other_grayordinates(tmp_path):
    with pytest.raises(UsageError, match="cortex alone"):
        read_space("fsLR32k", tmp_path, CORTEX)


def test_a_map_of_the_cortex_alone_serves_files_of_all_grayordinates(monkeypatch, tmp_path):
    whole = read_parcellation(None)
    alone = parcels.Parcellation(whole.parcel[:CORTEX], CORTEX, "cortex.dlabel.nii")
    (tmp_path / "cortex.dlabel.nii").touch()
    monkeypatch.setattr(parcels, "_from_dlabel", lambda path: alone)
    found = read_parcellation(tmp_path)
    assert (len(found.parcel), found.parcel[CORTEX - 1], found.parcel[CORTEX]) == (
        GRAYORDINATES,
        whole.parcel[CORTEX - 1],
        "subcortex",
    )
    medial = np.concatenate([alone.parcel, np.repeat("", 64_984 - CORTEX)])
    alone = parcels.Parcellation(medial, 64_984, "medial-wall.dlabel.nii")
    with pytest.raises(SourceError, match="areas of 64984 grayordinates; expected 91282"):
        read_parcellation(tmp_path)


def test_broken_maps(cortex, folder, monkeypatch):
    with pytest.raises(SourceError, match=r"906 grayordinates; expected 91282"):
        read_parcellation(folder, GRAYORDINATES)
    content = (folder / MAP_FILE).read_bytes()
    (folder / "other.dlabel.nii").write_bytes(content)
    with pytest.raises(SourceError, match="2 maps of areas"):
        read_parcellation(folder, len(cortex))
    (folder / "other.dlabel.nii").unlink()
    (folder / MAP_FILE).write_bytes(content[:2000])
    with pytest.raises(SourceError, match="cannot be read"):
        read_parcellation(folder, len(cortex))
    parcels._from_wheel.cache_clear()
    monkeypatch.setattr(parcels, "_WHEEL", "no-such-package")
    with pytest.raises(SourceError, match="pip install"):
        read_parcellation(None)
    monkeypatch.undo()
    monkeypatch.setattr(parcels, "_SHA256", "0" * 64)
    with pytest.raises(SourceError, match="not the map of areas that was published"):
        read_parcellation(None)


def _series(cortex, path, rows=4, *, change=None, cortex_only=False):
    import nibabel
    from nibabel.cifti2 import cifti2_axes

    axis = cortex.brain_models(cortex_only=cortex_only)
    values = np.random.default_rng(0).normal(size=(rows, len(axis))).astype(np.float32)
    if change:
        change(values)
    nibabel.save(nibabel.Cifti2Image(values, header=(cifti2_axes.SeriesAxis(0, 2, rows), axis)), path)
    return values


def test_cifti_columns_are_the_files_own(cortex, tmp_path):
    path = tmp_path / "run.dtseries.nii"
    values = _series(cortex, path)
    np.testing.assert_array_equal(
        read_cifti(path, values.shape, "volumes, grayordinates", np.array([3, 7])), values[:, [3, 7]]
    )
    assert open_cifti(path)[1] == (len(cortex), cortex.cortex)
    with pytest.raises(SourceError, match=r"\(4, 906\); expected \(5, 906\) \(volumes, grayordinates\)"):
        read_cifti(path, (5, 906), "volumes, grayordinates")
    _series(cortex, path, change=lambda v: v.__setitem__((2, 9), np.inf))
    assert read_cifti(path, values.shape, "volumes, grayordinates", np.array([8])).shape == (4, 1)
    with pytest.raises(SourceError, match="1 values that are NaN"):
        read_cifti(path, values.shape, "volumes, grayordinates")


def test_files_that_are_no_dense_cifti(cortex, tmp_path):
    import nibabel

    path = tmp_path / "volume.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 3), np.float32), np.eye(4)), path)
    with pytest.raises(SourceError, match="is no CIFTI file"):
        open_cifti(path)
    with pytest.raises(SourceError, match="is missing"):
        open_cifti(tmp_path / "none.nii")
    swapped = cortex.brain_models(cortex_only=True)
    swapped = swapped[cortex.left :] + swapped[: cortex.left]
    path = tmp_path / "swapped.dscalar.nii"
    from nibabel.cifti2 import cifti2_axes

    image = nibabel.Cifti2Image(np.zeros((1, len(swapped)), np.float32), (cifti2_axes.ScalarAxis(["x"]), swapped))
    nibabel.save(image, path)
    with pytest.raises(SourceError, match="begins with cortex_right, cortex_left"):
        open_cifti(path)


def test_simulated_parcels_lie_in_their_areas(cortex):
    where = cortex.parcel[cortex.place]
    parcel_of = {area: name for name, areas in AREAS.items() for area in areas}
    assert [parcel_of[area] for area in where.tolist()] == list(cortex.surface.parcel)
    assert len(np.unique(cortex.place)) == len(cortex.place)
    assert len(set(cortex.parcel[: cortex.cortex].tolist())) == 180
