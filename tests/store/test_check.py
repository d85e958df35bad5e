import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr

from brainreel.errors import BrainreelError, StoreError
from brainreel.files import sha256, walk
from brainreel.store import Problem, Store, StoreWriter, check
from brainreel.store.targets import write_targets

from . import small


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return small.film(tmp_path_factory.mktemp("made") / "film").root


@pytest.fixture
def store(made, tmp_path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "film"))


def sign(store: Path) -> None:
    """Make the checksums agree with what is there, as if it had been written like this."""
    sums = {p.relative_to(store).as_posix(): sha256(p) for p in walk(store) if p.name != "checksums.json"}
    (store / "checksums.json").write_text(json.dumps(sums))


def codes(*stores: Path | Store) -> list[str]:
    found = check([s.root if isinstance(s, Store) else s for s in stores])
    for problem in found:
        assert problem.message.endswith(".")
        assert "\n" not in problem.message
        assert problem.json() == {"store": problem.store, "code": problem.code, "message": problem.message}
    return sorted({problem.code for problem in found})


def test_a_good_store_has_no_problems(store):
    assert check([store]) == []
    targets = Store(store)
    write_targets(targets, "e", {"embedding": np.ones((len(targets.clips), 2))}, {}, [])
    (store / ".DS_Store").write_text("")
    assert check([str(store)]) == []


def test_every_flipped_byte_is_found(store):
    for path in walk(store):
        if path.name == "checksums.json":
            continue
        content = path.read_bytes()
        for at in (0, len(content) // 2, len(content) - 1):
            path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            assert codes(store) in (["altered-file"], ["unfinished"]), path
        path.write_bytes(content)
    assert check([store]) == []


def test_every_deleted_and_every_added_file_is_found(store):
    for path in walk(store):
        path.rename(store.parent / "aside")
        assert codes(store) in (["missing-file"], ["unfinished"]), path
        (store.parent / "aside").rename(path)
    shutil.copy(store / "bold.zarr/s1/a/c/0/0", store / "bold.zarr/s1/a/c/1")
    assert codes(store) == ["foreign-file"]


def _rewrite(store: Path, name: str, change, hashed: bool = True) -> None:
    array = zarr.open_array(store / name, mode="r+")
    array[:] = change(np.array(array[:]))
    if hashed:
        array.attrs["sha256"] = hashlib.sha256(np.asarray(array[:]).tobytes()).hexdigest()
    sign(store)


def _with(values: np.ndarray, where, value) -> np.ndarray:
    values[where] = value
    return values


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_values_are_found(store, value):
    _rewrite(store, "regions.zarr/s2/b", lambda v: _with(v, (3, 1), value))
    problem = check([store])[0]
    assert problem == Problem("film", "non-finite", "regions/s2/b holds NaN or infinite values; mask them at ingest.")


def test_constant_vertices_are_found_and_counted(store):
    _rewrite(store, "bold.zarr/s2/b", lambda v: _with(v, (slice(None), [1, 4]), 3.5))
    assert codes(store) == ["constant-vertices"]
    assert "bold/s2/b has 2 vertices" in check([store])[0].message


def test_values_that_were_not_written_are_found_though_the_files_are_signed(store):
    _rewrite(store, "bold.zarr/s2/b", lambda v: v + 1, hashed=False)
    assert codes(store) == ["unreadable"]
    with pytest.raises(StoreError, match=r"bold\.zarr/s2/b is not what was written"):
        Store(store).bold("s2", "b")


def test_a_chunk_that_is_gone_is_not_read_as_zeros(store):
    (store / "bold.zarr/s2/b/c/0/0").unlink()
    with pytest.raises(StoreError, match="is not what was written"):
        Store(store).bold("s2", "b")


def _table(store: Path, name: str, change) -> None:
    path = store / name
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    change(table).to_csv(path, sep="\t", index=False)
    sign(store)


TABLES = {
    "clip gone": ("clips.tsv", lambda t: t.iloc[1:], "unknown-clips"),
    "clip twice": ("clips.tsv", lambda t: pd.concat([t, t[:1]]), "unreadable"),
    "captions": ("clips.tsv", lambda t: t.assign(captions="[1"), "unreadable"),
    "weights": ("clips.tsv", lambda t: t.assign(caption_weights='["a"]'), "unreadable"),
    "no captions": ("clips.tsv", lambda t: t.drop(columns="captions"), "unreadable"),
    "trial of nobody": ("trials.tsv", lambda t: t.assign(subject="s9"), "unknown-subjects"),
    "trial of no run": ("trials.tsv", lambda t: t.assign(run="z"), "unknown-runs"),
    "trial outside": ("trials.tsv", lambda t: t.assign(onset_s="44"), "trial-outside"),
    "trial missing": ("trials.tsv", lambda t: t.iloc[:-1], "fold-rows"),
    "trial reordered": ("trials.tsv", lambda t: t.iloc[::-1], "trial-rows"),
    "no subjects": ("trials.tsv", lambda t: t.drop(columns="subject"), "unreadable"),
    "annotations": ("annotations.tsv", lambda t: t.assign(onset_s="n/a"), "annotation-times"),
    "words for seconds": ("trials.tsv", lambda t: t.assign(onset_s="late"), "unreadable"),
    "role": ("folds/by-run.tsv", lambda t: t.assign(a="exam"), "fold-rows"),
    "no rows": ("folds/by-run.tsv", lambda t: t.drop(columns="row"), "fold-rows"),
    "vertices": ("spaces/atlas/cortex.tsv", lambda t: t.iloc[1:], "unreadable"),
}


@pytest.mark.parametrize("wrong", TABLES)
def test_tables_that_do_not_fit_are_found(store, wrong):
    name, change, code = TABLES[wrong]
    _table(store, name, change)
    assert code in codes(store)


def test_rows_of_events_are_counted(tmp_path):
    store = small.events(tmp_path / "e").root
    _table(store, "trials.tsv", lambda t: t.iloc[:-1])
    _table(store, "folds/official.tsv", lambda t: t.iloc[:-1])
    assert codes(store) == ["trial-count"]


def test_groups_of_other_length_are_found(store):
    group = zarr.open_group(store / "regions.zarr", mode="a")
    short = np.array(group["s1/a"][:-1])
    del group["s1/a"]
    group.create_array("s1/a", data=short)
    sign(store)
    assert "group-volumes" in codes(store)


BROKEN = [b"", b"[]", b"{", b"\xff\xfe\x00", b'{"name": 3}', b'a\tb\n1\t2\t3\n"']


def _reading(store: Path) -> BrainreelError | None:
    """The error that reading everything of a store ends in, if any."""
    try:
        opened = Store(store)
        _ = opened.clips, opened.trials, opened.annotations, opened.roles("by-run", 0)
        opened.responses("s1", opened.rows("s1"))
    except BrainreelError as error:
        return error
    return None


@pytest.mark.parametrize(("junk", "signed"), [*((junk, True) for junk in BROKEN), (BROKEN[3], False)], ids=str)
def test_junk_in_any_file_is_a_problem_and_never_a_traceback(store, junk, signed):
    for path in [
        *(store / n for n in ("dataset.json", "clips.tsv", "trials.tsv", "annotations.tsv", "folds/by-run.tsv")),
        *(store / n for n in ("spaces/atlas/cortex.tsv", "bold.zarr/zarr.json", "bold.zarr/s1/a/zarr.json")),
        *(store / n for n in ("bold.zarr/s1/a/c/0/0", "checksums.json")),
    ]:
        content, sums = path.read_bytes(), (store / "checksums.json").read_bytes()
        path.write_bytes(junk)
        if signed and path.name != "checksums.json":
            sign(store)
        # A group has no metadata that anything depends on.
        if not (signed and path.parent.name == "bold.zarr"):
            assert codes(store), path
        error = _reading(store)
        assert error is None or ("\n" not in str(error) and (error.do or error.expected))
        path.write_bytes(content)
        (store / "checksums.json").write_bytes(sums)
    assert check([store]) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "dream"}, "kind: Input should be"),
        ({"name": "../film"}, "is no name"),
        ({"schema_version": 2}, "schema 2, made by brainreel .*; expected schema 1; ingest"),
        ({"colour": 1}, "colour: Extra inputs"),
    ],
)
def test_other_manifests_are_refused_by_what_is_wrong(store, change, message):
    facts = json.loads((store / "dataset.json").read_text())
    (store / "dataset.json").write_text(json.dumps({**facts, **change}))
    with pytest.raises(StoreError, match=message):
        Store(store)
    assert codes(store) == ["unfinished"]


def test_unfinished_stores_are_problems(tmp_path, store):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    found = check([tmp_path / "nothing", tmp_path / "file", tmp_path / "empty", store])
    assert [p.code for p in found] == ["unfinished"] * 3
    assert [p.store for p in found] == [str(tmp_path / n) for n in ("nothing", "file", "empty")]


def _film(path: Path, fold: np.ndarray, more=None, name: str = "film", seed: int = 0) -> Store:
    """A film of one person with one fold."""
    with StoreWriter(path, small.manifest(name=name)) as writer:
        small.fill_film(writer, subjects=("s1",), seed=seed, more=more)
        writer.write_folds("own", pd.DataFrame({"f": fold}))
    return Store(path)


def _roles(**at) -> np.ndarray:
    roles = np.full(len(small.windows()), "gap", dtype="<U10")
    for role, rows in at.items():
        roles[list(rows)] = role
    return roles


@pytest.mark.parametrize("role", ["train", "validation"])
def test_windows_that_share_time_leak_and_neighbours_do_not(tmp_path, role):
    # Windows are 4 volumes long and 2 apart: 5 overlaps 4 and 6, and touches 3 and 7.
    assert codes(_film(tmp_path / "touch", _roles(test=[5], **{role: [3, 7]}))) == []
    assert codes(_film(tmp_path / "leak", _roles(test=[5, 9], **{role: [3, 6]}))) == ["leak-overlap"]
    assert "fold 0 of 'own': 1 test clips overlap" in check([tmp_path / "leak"])[0].message


def test_windows_of_other_films_do_not_overlap(tmp_path):
    films = ["other" if k == 6 else "film" for k in range(len(small.windows()))]
    assert codes(_film(tmp_path / "s", _roles(test=[5], train=[6]), {"stimulus": films})) == []


@pytest.mark.parametrize("column", ["sha256", "phash"])
def test_the_same_content_under_two_names_leaks(tmp_path, column):
    marks = [f"{k}" for k in range(len(small.windows()))]
    assert codes(_film(tmp_path / "ok", _roles(test=[5], train=[15]), {column: marks})) == []
    marks[15] = marks[5]
    assert codes(_film(tmp_path / "leak", _roles(test=[5], train=[15]), {column: marks})) == ["leak-content"]
    assert codes(_film(tmp_path / "empty", _roles(test=[5], train=[15]), {column: ""})) == []


def test_a_clip_that_trains_one_person_and_tests_another_leaks(tmp_path):
    # s2 and s1 alternate and see the same clips: c1 trains for one and tests for the other.
    roles = np.where(np.arange(12) % 6 < 1, "test", "train")
    store = small.events(tmp_path / "s", table=roles)
    assert codes(store) == ["leak-clip"]
    assert codes(small.events(tmp_path / "fine")) == []


def test_repetitions_other_than_declared_are_found(tmp_path):
    assert codes(small.events(tmp_path / "ok", repetitions={"train": 2, "test": 2})) == []
    store = small.events(tmp_path / "bad", repetitions={"train": 2, "test": 3})
    assert codes(store) == ["repetitions"]
    assert (
        "test clips of 'official' are shown 2 times to a subject; the release declares 3"
        in check([store.root])[0].message
    )


def test_identical_recordings_in_two_stores_are_found(tmp_path):
    one, copy = small.events(tmp_path / "1", "one"), small.events(tmp_path / "2", "two")
    other = small.events(tmp_path / "3", "three", seed=5)
    found = check([one.root, copy.root, other.root])
    assert {(p.store, p.code) for p in found} == {("two", "identical-recordings")}
    assert len(found) == 2
    assert "two: responses/s1 is identical to one: responses/s1" in found[0].message


def test_leaks_across_stores_are_found(tmp_path):
    marks = {"sha256": [f"{k}" for k in range(len(small.windows()))]}
    bare = {"sha256": ""}
    train5 = _film(tmp_path / "a", _roles(train=[5], test=[20]), marks, "a", 1)
    test5 = _film(tmp_path / "b", _roles(train=[12], test=[5]), marks, "b", 2)
    test8 = _film(tmp_path / "c", _roles(train=[12], test=[8]), marks, "c", 3)
    assert codes(train5, test8) == []
    found = check([train5.root, test5.root])
    assert [(p.store, p.code) for p in found] == [("b", "leak-across")]
    assert "1 test clips of" in found[0].message
    assert "'w005' first" in found[0].message
    # Without content marks, ids and film time mean something only inside one dataset.
    train6 = _film(tmp_path / "d", _roles(train=[6], test=[20]), bare, "d", 4)
    test_d5 = _film(tmp_path / "e", _roles(train=[12], test=[5]), bare, "d", 5)
    test_d6 = _film(tmp_path / "f", _roles(train=[12], test=[6]), bare, "d", 6)
    test_e5 = _film(tmp_path / "g", _roles(train=[12], test=[5]), bare, "e", 7)
    assert codes(train6, test_d5) == ["leak-across"]
    assert codes(train6, test_d6) == ["leak-across"]
    assert codes(train6, test_e5) == []


def test_the_same_folds_of_two_groups_of_people_do_not_leak(tmp_path):
    one = small.film(tmp_path / "1", subjects=("s1", "s2"))
    two = small.film(tmp_path / "2", subjects=("s3",))
    assert codes(one, two) == []
