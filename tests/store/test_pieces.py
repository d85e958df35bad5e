"""Responses in pieces are the responses, and what is damaged is still found."""

import hashlib

import numpy as np
import pytest
import zarr

from brainreel.cortex.standardise import Moments, fit_scaling
from brainreel.cortex.windows import Context
from brainreel.errors import StoreError, UsageError
from brainreel.store import check
from brainreel.store import writer as writing
from brainreel.store.arrays import array_pieces, read_array
from brainreel.store.pieces import response_pieces

from .small import events, film
from .test_check import sign


def joined(store, subject, rows, contexts=()):
    parts = list(response_pieces(store, subject, rows, contexts))
    position = np.concatenate([here for here, _ in parts])
    assert sorted(position.tolist()) == list(range(len(rows)))
    return np.concatenate([values for _, values in parts])[np.argsort(position)], len(parts)


@pytest.fixture
def chunked(tmp_path, monkeypatch):
    """An event store with two trials in a chunk."""
    monkeypatch.setattr(writing, "_CHUNK_BYTES", 12)
    return events(tmp_path / "events")


def test_pieces_of_an_event_release_are_its_chunks(chunked):
    rows = chunked.rows("s1")[[5, 0, 3, 2]]
    found, count = joined(chunked, "s1", rows)
    np.testing.assert_array_equal(found, chunked.responses("s1", rows))
    assert count == 3
    assert not list(response_pieces(chunked, "s1", rows[:0]))


def test_pieces_of_a_film_are_its_runs(tmp_path):
    store = film(tmp_path / "film")
    contexts = (Context(group="bold", start_s=1.5, stop_s=4.5), Context(group="regions"))
    rows = store.rows("s2")[::-2]
    found, count = joined(store, "s2", rows, contexts)
    np.testing.assert_array_equal(found, store.responses("s2", rows, contexts))
    assert count == 2


def test_a_lost_chunk_is_found_at_the_end_and_foreign_rows_at_the_start(chunked):
    path = chunked.root / "responses.zarr" / "s1"
    whole = read_array(path)
    assert [len(piece) for piece in array_pieces(path, 4)] == [4, 2]
    np.testing.assert_array_equal(np.concatenate(list(array_pieces(path, 4))), whole)
    with pytest.raises(UsageError, match="not trials of 's1'"):
        next(response_pieces(chunked, "s1", chunked.rows("s2")))
    (path / "c" / "1" / "0").unlink()
    with pytest.raises(StoreError, match="is not what was written"):
        joined(chunked, "s1", chunked.rows("s1"))


@pytest.mark.parametrize(
    ("column", "codes"),
    {
        "constant": ([5, 5, 5, 5, 5, 5], ["constant-vertices"]),
        "constant in every chunk": ([1, 1, 2, 2, 3, 3], []),
        "not a number at the end": ([1, 2, 3, 4, 5, np.nan], ["non-finite"]),
    }.values(),
)
def test_a_check_in_pieces_sees_what_chunks_have_in_common(chunked, column, codes):
    root = chunked.root
    array = zarr.open_array(root / "responses.zarr" / "s1", mode="r+")
    assert array.chunks == (2, array.shape[1])
    values = array[:]
    values[:, 1] = column
    array[:] = values
    array.attrs["sha256"] = hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()
    sign(root)
    assert [problem.code for problem in check([root])] == codes


def test_moments_of_pieces_are_the_statistics_of_the_whole():
    rng = np.random.default_rng(0)
    values = (1000 + rng.normal(size=(57, 9)) * rng.uniform(0.1, 30, 9)).astype(np.float32)
    values[:, 4] = 3.0
    moments = Moments()
    for part in np.split(values, [0, 1, 20, 21, 57]):
        moments.add(part)
    for found, expected in zip(moments.scaling(), fit_scaling(values), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    with pytest.raises(UsageError, match="no trial to standardise with"):
        Moments().scaling()
