import numpy as np
import pandas as pd
import pytest

from brainreel.cortex.windows import Context
from brainreel.errors import FoldError, StoreError, UsageError
from brainreel.store import Store, StoreWriter, check
from brainreel.store import reader as reading

from . import small


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Store:
    return small.film(tmp_path_factory.mktemp("film") / "film")


@pytest.fixture(scope="module")
def events(tmp_path_factory) -> Store:
    return small.events(tmp_path_factory.mktemp("events") / "events")


def _planted(store: Store, row: int, context: Context, width: int) -> np.ndarray:
    trial = store.trials.iloc[row]
    run = small.values(
        small.seed_of(trial["subject"], trial["run"], context.group), small.RUNS[trial["run"]], width
    ).astype(float)
    first = round(trial["onset_s"] / small.TR_S) + round(context.start_s / small.TR_S)
    length = 4 if context.stop_s is None else round((context.stop_s - context.start_s) / small.TR_S)
    volumes = np.clip(np.arange(first, first + length), 0, len(run) - 1)
    return np.concatenate([run[part].mean(axis=0) for part in np.split(volumes, context.bins)])


def test_responses_of_a_film_are_the_planted_windows_of_every_group(film):
    contexts = (Context(), Context(group="regions", start_s=-3.0, stop_s=9.0, bins=4, weight=2))
    for subject in film.subjects:
        rows = film.rows(subject)[[21, 0, 7]]
        found = film.responses(subject, rows, contexts)
        planted = [
            np.concatenate([_planted(film, r, c, w) for c, w in zip(contexts, (5, 2), strict=True)]) for r in rows
        ]
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, planted, rtol=1e-5, atol=1e-6)
        assert found.shape[1] == sum(film.width(subject, c) for c in contexts) == 5 + 8
    np.testing.assert_array_equal(
        film.responses("s1", film.rows("s1")[:3]), film.responses("s1", film.rows("s1")[:3], contexts[:1])
    )
    assert film.responses("s1", np.zeros(0, int), contexts).shape == (0, 13)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_events_keep_their_order_though_subjects_lie_between_each_other(tmp_path, dtype):
    store = small.events(tmp_path / "store", dtype=dtype)
    for subject in store.subjects:
        rows = store.rows(subject)
        planted = small.values(small.seed_of(subject), 6, 3).astype(dtype).astype(np.float32)
        np.testing.assert_array_equal(store.responses(subject, rows), planted)
        np.testing.assert_array_equal(store.responses(subject, rows[[4, 1]]), planted[[4, 1]])
        assert set(store.trials["subject"].iloc[rows]) == {subject}
        assert (np.diff(rows) == 2).all()


def test_manifest_says_what_was_added(film):
    found = film.manifest
    assert (found.subjects, found.groups, found.folds) == (["s1", "s2"], ["bold", "regions"], ["by-run"])
    assert (found.tr_s, found.stimulus_volumes) == (small.TR_S, 54)
    assert found.spaces["regions"] == {"s1": "atlas/regions", "s2": "atlas/regions"}
    space = film.space("bold", "s2")
    assert space["vertex"].tolist() == [0, 7, 14, 21, 28]
    assert space["parcel"].tolist() == ["V1", "V1", "V2", "V2", "NA"]
    assert check([film.root]) == []


def test_tables_come_back_as_they_were(film):
    table = small.windows()
    assert film.clips["clip_id"].tolist() == table["clip_id"].tolist()
    assert film.clips["captions"].tolist() == [[f"scene {k}"] for k in range(len(table))]
    assert film.clips["caption_weights"].tolist() == [[]] * len(table)
    assert film.clips["sha256"].tolist() == [""] * len(table)
    np.testing.assert_array_equal(film.clips["onset_s"], table["film_s"])
    assert film.trials["session"].tolist() == ["01"] * 2 * len(table)
    assert film.trials["row"].tolist() == list(range(2 * len(table)))
    np.testing.assert_array_equal(film.clip_index(film.rows("s2")), np.arange(len(table)))
    for fold in (0, 1):
        np.testing.assert_array_equal(film.roles("by-run", fold), np.tile(small.roles(table)[:, fold], 2))


def test_ids_that_look_like_numbers_or_nothing_stay_text(tmp_path):
    with StoreWriter(tmp_path / "s", small.manifest("event")) as writer:
        writer.add_space("1", np.arange(2), ["007", ""])
        writer.add_responses("01", small.values(0, 2, 2), space="1")
        writer.write_clips(pd.DataFrame({"clip_id": ["0012", "NA"], "duration_s": 1.0}))
        writer.write_trials(pd.DataFrame({"subject": "01", "session": 1, "clip_id": ["NA", "0012"]}))
    store = Store(tmp_path / "s")
    assert store.subjects == ["01"]
    assert store.space("responses", "01")["parcel"].tolist() == ["007", ""]
    assert store.clip_index(store.rows("01")).tolist() == [1, 0]


def test_what_is_not_there_is_refused_with_what_is(film, events):
    for call, error, message in [
        (lambda: film.rows("s3"), UsageError, r"no subject 's3' \(known: s1, s2\)"),
        (lambda: film.folds("official"), FoldError, r"no folds 'official' \(known: by-run, last-N-runs\)"),
        (lambda: film.roles("by-run", 2), FoldError, "fold 2 .* expected 0 to 1"),
        (lambda: film.roles("by-run", -1), FoldError, "fold -1"),
        (lambda: film.responses("s1", film.rows("s1"), [Context(group="eyes")]), UsageError, "known: bold, regions"),
        (lambda: film.responses("s1", film.rows("s2")), UsageError, "not trials of 's1'"),
        (lambda: events.responses("s1", events.rows("s2")), UsageError, "not trials of 's1'"),
        (
            lambda: events.responses("s1", events.rows("s1"), [Context(group="responses", bins=2)]),
            UsageError,
            "only group",
        ),
        (lambda: film.bold("s1", "c"), StoreError, "bold.zarr/s1/c is missing"),
        (lambda: Store(film.root / "none"), StoreError, "there is no store at"),
        (lambda: Store(film.root / "folds"), StoreError, "not a finished store"),
    ]:
        with pytest.raises(error, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_memory_for_arrays_is_bounded_and_changes_nothing(film, monkeypatch):
    monkeypatch.setattr(reading, "_KEEP_BYTES", 24 * 5 * 4)
    small_memory, rows = Store(film.root), film.rows("s1")
    for _ in range(2):
        np.testing.assert_array_equal(small_memory.responses("s1", rows), film.responses("s1", rows))
        assert len(small_memory._arrays) == 1
    with pytest.raises(ValueError, match="read-only"):
        film.bold("s1", "a")[:] = 0


def test_same_content_has_the_same_fingerprint_and_other_content_another(tmp_path):
    one, same, other = (small.film(tmp_path / name, seed=seed) for name, seed in (("1", 0), ("2", 0), ("3", 1)))
    assert one.fingerprint == same.fingerprint != other.fingerprint
