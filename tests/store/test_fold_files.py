import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from brainreel.errors import FoldError, UsageError
from brainreel.store import Store, StoreWriter
from brainreel.store.fold_files import attach_lists, keep_lists, read_fold_list
from brainreel.store.several import agreed_folds, named_folds, roles_in

from . import small


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """c1-c3, each seen twice by two people; film windows w000 …, two runs."""
    folder = tmp_path_factory.mktemp("stores")
    return small.events(folder / "events").root, small.film(folder / "film").root


@pytest.fixture
def events(stores) -> Store:
    return Store(stores[0])


@pytest.fixture
def film(stores) -> Store:
    return Store(stores[1])


def by_clip(store: Store, folds, fold: int = 0) -> dict[str, str]:
    roles = pd.Series(roles_in(store, folds, fold)).groupby(store.trials["clip_id"].to_numpy()).unique()
    assert all(len(found) == 1 for found in roles)
    return {str(clip): found[0] for clip, found in roles.items()}


def write(path: Path, content) -> str:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


GIVEN = {
    "the rest trains": ("l.json", {"test": ["c1"]}, {"c1": "test", "c2": "train", "c3": "train"}),
    "the rest is gap": ("l.json", {"test": ["c1"], "train": ["c3"]}, {"c1": "test", "c2": "gap", "c3": "train"}),
    "a list of folds": ("l.json", [{"test": ["c2"]}], {"c1": "train", "c2": "test", "c3": "train"}),
    "named folds": ("l.json", {"mine": {"test": ["c2"], "gap": ["c3"]}}, {"c1": "train", "c2": "test", "c3": "gap"}),
    "a table": (
        "l.tsv",
        "clip_id\tmine\nc1\ttest\nc2\tvalidation\n",
        {"c1": "test", "c2": "validation", "c3": "train"},
    ),
    "of a dataset": ("l.tsv", "dataset\tclip_id\tf\nevents\tc3\ttest\n", {"c1": "train", "c2": "train", "c3": "test"}),
}


@pytest.mark.parametrize("how", GIVEN)
def test_lists_of_clips_give_every_trial_a_role(events, tmp_path, how):
    name, content, expected = GIVEN[how]
    folds, count, lists = agreed_folds([events], write(tmp_path / name, content))
    assert count == 1
    assert by_clip(events, folds) == expected
    assert str(folds).startswith("l-")
    # Whoever opens the experiment later finds the same folds by the same name.
    keep_lists(lists, tmp_path / "run")
    later = Store(events.root)
    attach_lists([later], tmp_path / "run")
    assert by_clip(later, folds) == expected


def test_the_name_of_a_list_tells_its_content(tmp_path):
    one = read_fold_list(Path(write(tmp_path / "l.json", {"test": ["c1"], "train": ["c2"]})))
    same = read_fold_list(Path(write(tmp_path / "l.tsv", "clip_id\tfold-1\nc2\ttrain\nc1\ttest\n")))
    other = read_fold_list(Path(write(tmp_path / "l.json", {"test": ["c2"], "train": ["c1"]})))
    assert one.name == same.name != other.name


def test_rows_and_subjects_can_be_listed(events, tmp_path):
    rows = "row\tf\n" + "".join(
        f"{k}\t{'test' if c == 'c1' else 'train'}\n" for k, c in enumerate(events.trials["clip_id"])
    )
    folds, _, _ = agreed_folds([events], write(tmp_path / "rows.tsv", rows))
    assert by_clip(events, folds) == {"c1": "test", "c2": "train", "c3": "train"}
    only = "clip_id\tsubject\tf\nc1\ts1\ttest\nc1\ts2\tgap\nc2\t\ttrain\n"
    folds, _, _ = agreed_folds([events], write(tmp_path / "who.tsv", only))
    roles = pd.Series(roles_in(events, folds, 0))
    clip, who = events.trials["clip_id"], events.trials["subject"]
    assert set(roles[(clip == "c1") & (who == "s1")]) == {"test"}
    assert set(roles[(clip == "c1") & (who == "s2")]) == {"gap"}
    assert set(roles[clip == "c2"]) == {"train"}


WRONG = {
    "unknown clip": (
        "l.json",
        {"test": ["c1", "c9", "c8"]},
        r"lists the clip 'c9' \(and 1 more\), which 'events' does not",
    ),
    "both": ("l.json", {"test": ["c1"], "train": ["c1", "c2"]}, r"makes 'c1' both test and train; expected one role"),
    "both by row": ("l.tsv", "row\tf\n0\ttest\n2\ttrain\n", "clip 'c1' of 'events' both trains and tests"),
    "role": ("l.tsv", "clip_id\tf\nc1\texam\n", r"has the role 'exam' \(known: train, validation, test, gap\)"),
    "no test": ("l.json", {"train": ["c1"]}, "leaves nothing to test on"),
    "no train": ("l.json", {"test": ["c1", "c2", "c3"]}, "leaves nothing to train on"),
    "no fold": ("l.tsv", "clip_id\nc1\n", "1 rows and 0 folds"),
    "no ids": ("l.tsv", "name\tf\nc1\ttest\n", "has the columns name, f; expected clip_id or row"),
    "no JSON": ("l.json", "{", "cannot be read"),
    "no lists": ("l.json", {"test": "c1"}, "does not hold folds"),
    "numbers": ("l.json", [3], "does not hold folds"),
    "nothing": ("l.tsv", "", "cannot be read"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_lists_are_refused_in_one_sentence(events, tmp_path, what):
    name, content, message = WRONG[what]
    if what == "both by row":
        # Somebody's first and second sight of the same clip.
        first, second = np.flatnonzero(events.trials["clip_id"] == "c1")[:2]
        content = f"row\tf\n{first}\ttest\n{second}\ttrain\n"
    with pytest.raises(FoldError, match=message) as caught:
        agreed_folds([events], write(tmp_path / name, content))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_an_unknown_name_are_refused(events, film, tmp_path):
    with pytest.raises(FoldError, match=r"there is no file .*none\.json"):
        agreed_folds([events], str(tmp_path / "none.json"))
    with pytest.raises(FoldError, match=r"no folds 'offical' \(known: official, last-N-runs\)"):
        agreed_folds([events], "offical")
    with pytest.raises(
        FoldError, match=r"'film' has no folds 'official'; .*\(events: official; film: by-run\).*STORE=NAME"
    ):
        agreed_folds([events, film], "official")
    with pytest.raises(UsageError, match=r"speaks of the store 'bmd' \(known: events, film\)"):
        agreed_folds([events, film], "bmd=official")
    with pytest.raises(UsageError, match="expected NAME, FILE, or STORE=NAME"):
        agreed_folds([events, film], "events=official,film")


def test_each_store_can_have_folds_of_its_own(events, film, tmp_path):
    assert agreed_folds([events, film], None)[:2] == ({"events": "official", "film": "by-run"}, 2)
    asked = f"events={write(tmp_path / 'l.json', {'test': ['c1']})},film=last-1-runs"
    names, count, lists = agreed_folds([events, film], asked)
    assert isinstance(names, dict)
    assert (names["film"], count, [found.name for found in lists]) == ("last-1-runs", 1, [names["events"]])
    # A list that speaks of one store leaves the other its own folds.
    names, _ = named_folds([events, film], write(tmp_path / "l.json", {"test": ["c1"]}))
    assert names["film"] == "by-run"


def test_windows_that_share_time_with_a_test_window_must_not_train(film, tmp_path):
    with pytest.raises(FoldError, match=r"1 test clips of 'film' share film time with training clips, 'w005' first"):
        agreed_folds([film], write(tmp_path / "l.json", {"test": ["w005"]}))
    fine = write(tmp_path / "l.json", {"test": ["w005"], "gap": ["w004", "w006"]})
    folds, _, _ = agreed_folds([film], fine)
    assert by_clip(film, folds)["w007"] == "train"


def test_the_last_runs_test_and_what_they_repeat_does_not_train(film, tmp_path):
    roles, run = film.roles("last-1-runs", 0), film.trials["run"].to_numpy()
    assert (roles == np.where(run == "b", "test", "train")).all()
    with pytest.raises(FoldError, match="s1 has 2 runs, so 'last-2-runs' leaves none to train on"):
        film.roles("last-2-runs", 0)
    with pytest.raises(FoldError, match=r"known: by-run, .*last-N-runs"):
        film.roles("last-0-runs", 0)
    shown = pd.DataFrame({"run": ["1", "1", "2", "2"], "clip_id": ["a", "b", "b", "c"], "subject": "s", "session": "1"})
    with StoreWriter(tmp_path / "again", small.manifest("event", "again")) as writer:
        writer.add_space("own", np.arange(3), ["P"] * 3)
        writer.add_responses("s", small.values(1, 4, 3), space="own")
        writer.write_clips(pd.DataFrame({"clip_id": ["a", "b", "c"]}))
        writer.write_trials(shown.assign(repetition=1))
    assert Store(tmp_path / "again").roles("last-1-runs", 0).tolist() == ["train", "gap", "test", "test"]
