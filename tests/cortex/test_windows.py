import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from brainreel.cortex.windows import Context, timeline_weights, window_starts, windowed_means
from brainreel.errors import UsageError


def _naive_means(bold, starts, length, bins):
    """Every mean written down volume by volume."""
    out = []
    for start in starts:
        features = []
        for part in range(bins):
            volumes = range(start + part * length // bins, start + (part + 1) * length // bins)
            rows = [bold[min(max(v, 0), len(bold) - 1)].astype(np.float64) for v in volumes]
            features.append(np.mean(rows, axis=0))
        out.append(np.concatenate(features))
    return np.array(out)


@given(st.data())
def test_means_are_those_of_a_naive_loop_with_the_edges_repeated(data):
    volumes, vertices = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 4))
    bold = data.draw(arrays(np.float32, (volumes, vertices), elements=st.floats(-1e3, 1e3, width=32)))
    bins, part = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    starts = np.array(data.draw(st.lists(st.integers(-9, volumes + 5), min_size=1, max_size=6)))
    tr_s, lead = data.draw(st.sampled_from([0.72, 1.0, 1.5, 2.2])), data.draw(st.integers(-4, 4))
    context = Context(start_s=-lead * tr_s, stop_s=(bins * part - lead) * tr_s, bins=bins)
    found = windowed_means(bold, (starts + lead) * tr_s, np.full(len(starts), tr_s), tr_s, context)
    assert found.dtype == np.float32
    assert found.shape == (len(starts), bins * vertices)
    np.testing.assert_allclose(found, _naive_means(bold, starts, bins * part, bins), rtol=1e-6, atol=1e-4)


def test_bins_come_before_vertices_and_the_trial_ends_the_context():
    bold = np.arange(12, dtype=np.float32).reshape(6, 2)
    found = windowed_means(bold, np.array([1.5]), np.array([6.0]), 1.5, Context(bins=2))
    assert found.tolist() == [[3.0, 4.0, 7.0, 8.0]]


def test_a_late_volume_is_that_volume():
    bold = np.arange(10, dtype=np.float32)[:, None]
    found = windowed_means(bold, np.array([2.0, 6.0]), np.array([2.0, 2.0]), 2.0, Context(start_s=4, stop_s=6))
    assert found.ravel().tolist() == [3.0, 5.0]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.sampled_from([0.25, 0.5, 0.75]))
def test_onsets_off_the_grid_take_the_nearest_volume_and_windows_stay_equally_long(at, off):
    bold = np.arange(50, dtype=np.float32)[:, None]
    onset_s = (np.array(at) + off) * 2.0
    found = windowed_means(bold, onset_s, np.full(len(at), 6.0), 2.0, Context())
    nearest = np.array(at) + (0 if off < 0.5 else 1)
    np.testing.assert_array_equal(found.ravel(), nearest + 1)


def test_a_trial_does_not_depend_on_the_others_asked_for():
    bold = np.random.default_rng(0).normal(1e4, 1.0, (60, 7)).astype(np.float32)
    onset_s, duration_s = np.arange(0, 50.0, 2), np.full(25, 10.0)
    whole = windowed_means(bold, onset_s, duration_s, 1.0, Context(bins=2))
    some = windowed_means(bold, onset_s[[20, 3]], duration_s[:2], 1.0, Context(bins=2))
    np.testing.assert_array_equal(whole[[20, 3]], some)


def test_half_precision_is_averaged_in_full_precision():
    bold = np.full((2000, 1), 60000, np.float16)
    assert windowed_means(bold, np.array([0.0]), np.array([2000.0]), 1.0, Context())[0, 0] == bold[0, 0]


def test_no_trials_give_no_rows_of_the_right_width():
    none = np.zeros(0)
    assert windowed_means(np.zeros((5, 3), np.float32), none, none, 1.0, Context(bins=2)).shape == (0, 6)


@pytest.mark.parametrize(
    ("context", "duration_s"),
    [
        (Context(bins=3), [10.0, 10.0]),
        (Context(), [10.0, 12.0]),
        (Context(start_s=4, stop_s=4), [1.0, 1.0]),
        (Context(start_s=6, stop_s=4), [1.0, 1.0]),
    ],
)
def test_contexts_that_cannot_be_cut_are_refused_in_a_sentence(context, duration_s):
    with pytest.raises(UsageError, match=r"volumes in \d bins; expected .*; choose start_s"):
        windowed_means(np.zeros((30, 1), np.float32), np.array([0.0, 5.0]), np.array(duration_s), 1.0, context)


@pytest.mark.parametrize("wrong", [{"weight": 0}, {"bins": 0}, {"start_s": np.inf}, {"lag_s": 4}])
def test_contexts_that_mean_nothing_cannot_be_made(wrong):
    with pytest.raises(ValidationError):
        Context(**wrong)


@given(st.integers(0, 60), st.integers(1, 12), st.integers(1, 7))
def test_windows_lie_inside_the_run_and_none_is_forgotten(n, length, step):
    starts = window_starts(n, length, step).tolist()
    assert starts == [s for s in range(0, n, step) if s + length <= n]


@st.composite
def _timelines(draw):
    n = draw(st.integers(1, 20))
    span = st.tuples(st.integers(0, n), st.integers(0, n)).map(sorted)
    notes = np.array(draw(st.lists(span, min_size=1, max_size=6)), float)
    windows = np.array(draw(st.lists(span, min_size=1, max_size=6)), float)
    return n, notes, windows, draw(st.integers(-25, 25)), draw(st.sampled_from([0.8, 1.5, 2.0]))


@given(_timelines())
def test_annotations_count_as_in_a_naive_loop(timeline):
    n, notes, windows, shift, tr_s = timeline
    expected = np.zeros((len(windows), len(notes)))
    for w, (begin, end) in enumerate(windows):
        said = []
        for volume in range(int(begin), int(end)):
            # After a shift by k, volume v shows what volume v - k showed.
            came_from = (volume - shift) % n
            covering = [k for k, (a, b) in enumerate(notes) if a <= came_from < b]
            if covering:
                said.append(np.isin(np.arange(len(notes)), covering) / len(covering))
        if said:
            expected[w] = np.mean(said, axis=0)
    found = timeline_weights(notes * tr_s, windows * tr_s, tr_s, n, shift)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    sums = found.sum(axis=1)
    assert np.all(np.isclose(sums, 1) | (sums == 0))


@given(st.integers(-30, 30))
def test_a_shift_is_numpys_roll(shift):
    tr_s, n = 1.5, 12
    each = np.stack([np.arange(n), np.arange(n) + 1], axis=1) * tr_s
    found = timeline_weights(each, each, tr_s, n, shift)
    np.testing.assert_array_equal(found @ np.arange(n), np.roll(np.arange(n), shift))


def test_an_annotation_off_the_grid_keeps_its_length():
    found = timeline_weights(np.array([[0.5, 1.5], [1.5, 2.5]]), np.array([[1.0, 2.0], [2.0, 3.0]]), 1.0, 4)
    np.testing.assert_array_equal(found, np.eye(2))
