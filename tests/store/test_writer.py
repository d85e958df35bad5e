import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr

from brainreel.errors import BrainreelError, SourceError, StoreError
from brainreel.store import Store, StoreWriter, check
from brainreel.store import writer as writing

from . import small


def _add(
    writer, subject="s3", run="a", rows=24, width=5, group="bold", space="atlas/cortex", tr_s=small.TR_S, plant=None
):
    values = small.values(99, rows, width) if plant is None else plant
    writer.add_bold(subject, run, values, tr_s=tr_s, space=space, group=group)


def _nan():
    values = small.values(1, 24, 5)
    values[3, 2] = np.nan
    return values


def _trials(**columns) -> pd.DataFrame:
    """The film's trials with all cells of some columns replaced."""
    shown = small.windows().drop(columns="film_s")
    return pd.concat([shown.assign(subject=s) for s in ("s1", "s2")], ignore_index=True).assign(**columns)


COPY = small.values(small.seed_of("s1", "a", "bold"), 24, 5)
HUGE = np.full((24, 5), 1e300)
BROKEN = {
    "NaN": (lambda w: _add(w, plant=_nan()), "bold/s3/a has 1 values that are NaN"),
    "beyond float32": (lambda w: _add(w, plant=HUGE), "bold/s3/a has 120 values that are NaN or infinite"),
    "copy": (lambda w: _add(w, plant=COPY), "bold/s3/a is identical to bold/s1/a"),
    "too few vertices": (lambda w: _add(w, width=4), "s3 has 4 values per volume .* expected 5, as space"),
    "too few regions": (lambda w: _add(w, group="regions", width=2), "s3 has 2 values per volume"),
    "empty": (lambda w: _add(w, rows=0), r"shape \(0, 5\)"),
    "groups of other length": (
        lambda w: (_add(w), _add(w, group="regions", space="atlas/regions", width=2, rows=23)),
        "regions/s3/a has 23 volumes .* expected 24",
    ),
    "two spaces": (
        lambda w: (w.add_space("other", np.arange(5), ["P"] * 5), _add(w, "s1", "c", space="other")),
        "space 'other'; expected 'atlas/cortex'",
    ),
    "twice": (lambda w: _add(w, "s1", "a"), "bold/s1/a was added twice"),
    "two TRs": (lambda w: _add(w, tr_s=2.0), r"several TRs \[1.5, 2.0\]"),
    "no TR": (lambda w: _add(w, tr_s=0.0), "TR 0.0"),
    "unknown space": (lambda w: _add(w, space="moon"), "space 'moon' of s3 was not described"),
    "parcels": (lambda w: w.add_space("x", np.arange(3), ["P"]), "3 vertices and 1 parcels"),
    "other kind": (lambda w: w.add_responses("s3", small.values(1, 2, 5), space="atlas/cortex"), "call add_bold"),
    "subject escapes": (lambda w: _add(w, subject="../x"), r"'\.\./x' cannot be the name of a subject"),
    "subject up": (lambda w: _add(w, subject=".."), r"'\.\.' cannot be the name of a subject"),
    "subject nested": (lambda w: _add(w, subject="a/b"), "'a/b' cannot be the name of a subject"),
    "subject empty": (lambda w: _add(w, subject=""), "'' cannot be the name of a subject"),
    "subject unknown": (lambda w: _add(w, subject="n/a"), "cannot be the name of a subject"),
    "run escapes": (lambda w: _add(w, run="../../x"), "cannot be the name of a run"),
    "group escapes": (lambda w: _add(w, group="../bold"), "cannot be the name of a feature group"),
    "space escapes": (lambda w: w.add_space("../x", np.arange(1), ["P"]), "cannot be the name of a space"),
    "absolute space": (lambda w: w.add_space("/x", np.arange(1), ["P"]), "cannot be the name of a space"),
    "folds escape": (lambda w: w.write_folds("../x", pd.DataFrame()), "cannot be the name of a fold list"),
    "clip twice": (
        lambda w: w.write_clips(pd.DataFrame({"clip_id": ["c", "b", "c", "c"]})),
        "clip 'c' is listed 3 times",
    ),
    "clip without id": (lambda w: w.write_clips(pd.DataFrame({"clip_id": ["c", None]})), "empty cells"),
    "no clip ids": (lambda w: w.write_clips(pd.DataFrame({"clip": ["c"]})), "no column 'clip_id'"),
    "captions": (
        lambda w: w.write_clips(small.clips(small.windows(), captions="a dog")),
        "captions of .* holds 'a dog'; expected a JSON list",
    ),
    "unknown clip": (lambda w: w.write_trials(_trials(clip_id="w999")), "trials show the clip 'w999'"),
    "stranger": (lambda w: w.write_trials(_trials(subject="s9")), "'s9', of whom there are no responses"),
    "unknown run": (lambda w: w.write_trials(_trials(run="z")), "runs that were not recorded, 's1/z' first"),
    "after the run": (lambda w: w.write_trials(_trials(onset_s=33.0)), "not inside their run, row 0"),
    "before the run": (lambda w: w.write_trials(_trials(onset_s=-3.0)), "not inside their run"),
    "no onset": (lambda w: w.write_trials(_trials(onset_s=np.nan)), "not inside their run"),
    "no duration": (lambda w: w.write_trials(_trials(duration_s=0.0)), "not inside their run"),
    "text for seconds": (lambda w: w.write_trials(_trials(onset_s="soon")), "'onset_s' .* holds text"),
    "unknown role": (lambda w: w.write_folds("x", pd.DataFrame({"f": ["tset"]})), "uses the role 'tset'"),
    "short folds": (lambda w: w.write_folds("x", pd.DataFrame({"f": ["test"]})), "does not give every trial a role"),
    "folds twice": (lambda w: w.write_folds("by-run", pd.DataFrame({"f": ["test"]})), "'by-run' was written twice"),
}  # fmt: skip


def _write(path: Path, act, kind: str = "continuous") -> None:
    with StoreWriter(path, small.manifest(kind)) as writer:
        (small.fill_film if kind == "continuous" else small.fill_events)(writer)
        act(writer)


@pytest.mark.parametrize("wrong", BROKEN)
def test_what_does_not_fit_is_refused_in_one_sentence_and_leaves_nothing(tmp_path, wrong):
    act, message = BROKEN[wrong]
    with pytest.raises(BrainreelError, match=message) as caught:
        _write(tmp_path / "deep" / "store", act)
    assert isinstance(caught.value, SourceError | StoreError)
    assert caught.value.expected or caught.value.do
    assert "\n" not in str(caught.value)
    assert list(tmp_path.rglob("*")) == [tmp_path / "deep"]


def test_events_must_have_a_row_per_trial(tmp_path):
    def add(writer):
        writer.add_responses("s3", small.values(1, 6, 3), space="own")

    with pytest.raises(SourceError, match=r"responses/s3 has 6 rows; trials\.tsv lists 0"):
        _write(tmp_path / "s", add, "event")


def test_nothing_added_is_no_store(tmp_path):
    with (
        pytest.raises(StoreError, match="got no responses, clips or trials"),
        StoreWriter(tmp_path / "s", small.manifest()),
    ):
        pass
    assert not (tmp_path / "s").exists()


def test_an_error_inside_leaves_nothing_and_goes_on_as_it_is(tmp_path):
    planted = RuntimeError("from the reader")

    def fail(_):
        raise planted

    with pytest.raises(RuntimeError) as caught:
        _write(tmp_path / "s", fail)
    assert caught.value is planted
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["array", "checksums"])
def test_a_full_disk_is_a_sentence(tmp_path, monkeypatch, where):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if where == "array":
        monkeypatch.setattr(zarr.Array, "__setitem__", full)
    else:
        monkeypatch.setattr(writing, "write_json", full)
    with pytest.raises(StoreError, match=r"disk is full while writing .*; free space"):
        small.film(tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StoreError, match=r"cannot be written .*choose another --store"),
        StoreWriter(tmp_path / "file" / "s", small.manifest()),
    ):
        pass


def test_existing_folders_are_kept_unless_they_are_stores_to_replace(tmp_path):
    first = small.film(tmp_path / "s").fingerprint
    with pytest.raises(StoreError, match="exists already; expected a new folder"):
        StoreWriter(tmp_path / "s", small.manifest())
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("x")
    with pytest.raises(StoreError, match="is no store"):
        StoreWriter(tmp_path / "thesis", small.manifest(), replace=True)
    assert (tmp_path / "thesis" / "chapter").read_text() == "x"
    with pytest.raises(SourceError), StoreWriter(tmp_path / "s", small.manifest(), replace=True) as writer:
        _add(writer, subject="..")
    assert Store(tmp_path / "s").fingerprint == first
    with StoreWriter(tmp_path / "s", small.manifest(), replace=True) as writer:
        small.fill_film(writer, seed=1)
    assert Store(tmp_path / "s").fingerprint != first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s", "thesis"]


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.store import small
from brainreel.store import StoreWriter, writer as writing
moment = sys.argv[2]
def die(*_):
    if moment == "wait":
        print("there", flush=True)
        signal.pause()
    os.kill(os.getpid(), signal.SIGKILL)
if moment == "publish":
    writing.replace_folder = die
with StoreWriter(Path(sys.argv[1]), small.manifest()) as writer:
    small.fill_film(writer)
    if moment != "publish":
        die()
"""


def _start(store: Path, moment: str) -> subprocess.Popen:
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, str(store), moment],
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("moment", ["middle", "publish"])
def test_a_killed_writer_leaves_no_store_and_is_no_hindrance(tmp_path, moment):
    with _start(tmp_path / "s", moment) as process:
        assert process.wait() == -signal.SIGKILL
    assert any(tmp_path.iterdir())
    assert not (tmp_path / "s").exists()
    assert [p.code for p in check([tmp_path / "s"])] == ["unfinished"]
    expected = small.film(tmp_path / "elsewhere").fingerprint
    assert small.film(tmp_path / "s").fingerprint == expected
    assert check([tmp_path / "s"]) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["elsewhere", "s"]


def test_two_processes_do_not_write_one_store(tmp_path):
    with _start(tmp_path / "s", "wait") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        with pytest.raises(StoreError, match="another process is writing"):
            small.film(tmp_path / "s")
        assert (tmp_path / ".s.partial" / "trials.tsv").exists()
        process.kill()
    assert check([small.film(tmp_path / "s").root]) == []
