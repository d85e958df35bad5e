import json
import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from brainreel import files
from brainreel.errors import BrainreelError, StoreError, UsageError, alternatives

# Whatever a release may write in a cell; «n/a» is how BIDS spells nothing.
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8).filter(lambda s: s != "n/a")


@settings(max_examples=50)
@given(rows=st.lists(st.tuples(CELLS, st.floats(allow_infinity=False), st.integers(-(2**53), 2**53)), max_size=6))
@example(rows=[("a\rb", 0.1, 0), ("\r", 1 / 3, 1)])
def test_tables_come_back_to_the_last_bit(rows, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "table.tsv"
    table = pd.DataFrame(rows, columns=["text", "float", "int"])
    files.write_tsv(path, table)
    found = files.read_tsv(path, text=("text",), numbers=("float", "int"))
    assert found["text"].tolist() == table["text"].tolist()
    np.testing.assert_array_equal(found["float"].to_numpy(float), table["float"].to_numpy(float))
    assert found["int"].tolist() == table["int"].tolist()


def test_text_stays_text_and_nothing_is_n_a(tmp_path):
    table = pd.DataFrame({"id": ["0012", "NA", "", "1e5", None], "x": [1.5, None, 2, 3, 4]})
    files.write_tsv(tmp_path / "t.tsv", table)
    assert (tmp_path / "t.tsv").read_text().splitlines()[2] == "NA\tn/a"
    found = files.read_tsv(tmp_path / "t.tsv", text=("id",))
    assert found["id"].tolist() == ["0012", "NA", "", "1e5", ""]
    assert found["x"].isna().tolist() == [False, True, False, False, False]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"id\tx\n1\t2\t3\n1\t2\n1\t2\t3\t4\n", "cannot be read"),
        (b"\xff\xfe\x00\n", "cannot be read"),
        (b'id\tx\n"1\t2\n', "cannot be read|has no column|holds text"),
        (b"x\n1\n", "has no column 'id'; expected id, x"),
        (b"id\ty\na\t1\n", "has no column 'x'"),
        (b"id\tx\na\tsoon\nb\t3\n", "the column 'x' of .* holds text; expected numbers"),
    ],
)
def test_broken_tables_are_sentences(tmp_path, content, message):
    (tmp_path / "t.tsv").write_bytes(content)
    with pytest.raises(StoreError, match=message) as caught:
        files.read_tsv(tmp_path / "t.tsv", text=("id",), numbers=("x",))
    assert str(tmp_path / "t.tsv") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_not_there_is_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.read_tsv(tmp_path / "none.tsv")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    files.write_text(tmp_path / "deep" / "f", "old")

    def full(_):
        raise OSError("full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        files.write_text(tmp_path / "deep" / "f", "new")
    assert (tmp_path / "deep" / "f").read_text() == "old"
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["f"]


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "x.json", {"a": float("nan")})
    files.write_json(tmp_path / "x.json", {"a": "ü"})
    assert (tmp_path / "x.json").read_text() == '{\n "a": "ü"\n}\n'
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": "ü"}


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    def half(folder):
        (folder / "a").write_text("new")
        raise RuntimeError

    files.write_folder(tmp_path / "f", lambda folder: (folder / "a").write_text("old") and None)
    with pytest.raises(RuntimeError):
        files.write_folder(tmp_path / "f", half)
    assert [p.relative_to(tmp_path).as_posix() for p in files.walk(tmp_path)] == ["f/a"]
    assert (tmp_path / "f" / "a").read_text() == "old"
    files.write_folder(tmp_path / "f", lambda folder: (folder / "b").write_text("new") and None)
    assert [p.name for p in (tmp_path / "f").iterdir()] == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_the_only_copy_survives_until_the_new_one_is_in_place(tmp_path):
    # A process that was killed between the two moves leaves the old folder under its other name only.
    for name in (".f.old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name.strip(".f")).write_text("x")

    class Stuck(type(tmp_path)):
        def rename(self, target):
            raise OSError("stuck")

    with pytest.raises(OSError, match="stuck"):
        files.replace_folder(Stuck(tmp_path / "new"), tmp_path / "f")
    assert (tmp_path / ".f.old").is_dir()
    files.replace_folder(tmp_path / "new", tmp_path / "f")
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_hashes_do_not_depend_on_order_but_on_content():
    assert files.sha256_json({"a": 1, "b": [1, 2]}) == files.sha256_json({"b": (1, 2), "a": 1})
    assert files.sha256_json({"a": 1}) != files.sha256_json({"a": 2})
    assert files.sha256_json([1, 2]) != files.sha256_json([2, 1])


def test_sha256_is_the_standard_one(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert files.sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("name", ["s1", "sub-01", "NSD 1", "Jürgen", "a.b", "n=3"])
def test_plain_names_stay(name):
    assert files.is_plain(name)


@pytest.mark.parametrize("name", ["", ".", "..", ".x", "a/b", "../x", "/x", "a\\b", "a\nb", "a\tb", "a\0"])
def test_other_names_do_not(name):
    assert not files.is_plain(name)


def test_an_error_is_one_sentence_of_got_expected_and_do():
    error = UsageError("got this.", expected="that", do="do so")
    assert str(error) == "got this; expected that; do so."
    assert isinstance(error, BrainreelError)
    assert alternatives("x", []) == "'x' (known: none)"
    assert alternatives("x", {"a": 1, "b": 2}) == "'x' (known: a, b)"
