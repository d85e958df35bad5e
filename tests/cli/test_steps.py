"""One step after the other on a simulated folder, as somebody with recordings of their own would go."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from brainreel.align.predictions import Predictions
from brainreel.store import Store

from .conftest import FEW, call, done, refused


def mean(scores, strategy, dataset=None):
    """The two-way score over subjects."""
    found = [
        row
        for row in scores["scores"]
        if (row["metric"], row["strategy"]) == ("two_way_identification", strategy)
        and row["subject"] is None
        and dataset in (None, row["dataset"])
        and "fold" not in row
    ]
    assert len(found) == 1
    return found[0]


def files(folder):
    """Every file with what tells whether it was touched."""
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_twin_ingest_check(tmp_path, read):
    said = done("twin", "folder", tmp_path / "mine", "--size", "tiny", "--subjects", "2", "--seed", "3")
    assert "brainreel ingest folder" in said.out
    said = done("ingest", "folder", tmp_path / "mine", "--store", tmp_path / "store", "--subjects", "sub-02")
    assert "1 people, 70 clips, 90 trials, folds official" in said.out
    assert Store(tmp_path / "store").subjects == ["sub-02"]
    said = done("check", tmp_path / "store", "--json", tmp_path / "check.json")
    assert "no problems found" in said.out
    assert read(tmp_path / "check.json")["problems"] == []
    assert "exists already" in refused(call("ingest", "folder", tmp_path / "mine", "--store", tmp_path / "store"))
    done("ingest", "folder", tmp_path / "mine", "--store", tmp_path / "store", "--replace")
    assert Store(tmp_path / "store").subjects == ["sub-01", "sub-02"]
    assert "exists already" in refused(call("twin", "folder", tmp_path / "mine"))


def test_check_names_every_problem_on_a_line_of_its_own(store, tmp_path, read):
    bad = shutil.copytree(store, tmp_path / "bad")
    (bad / "clips.tsv").write_text((bad / "clips.tsv").read_text() + "\n")
    (bad / "folds" / "official.tsv").unlink()
    said = call("check", bad, "--json", tmp_path / "check.json")
    assert said.code == 2
    assert len(said.err.splitlines()) == 2
    assert "clips.tsv is not what was written" in said.err
    assert "official.tsv is missing" in said.err
    assert {problem["code"] for problem in read(tmp_path / "check.json")["problems"]} == {
        "altered-file",
        "missing-file",
    }


def test_check_finds_copies_between_stores(store, own, tmp_path):
    copied = shutil.copytree(own, tmp_path / "copied")
    name = (copied / "dataset_description.json").read_text().replace("tiny 0", "other")
    (copied / "dataset_description.json").write_text(name)
    done("ingest", "folder", copied, "--store", tmp_path / "store")
    said = call("check", store, tmp_path / "store")
    assert said.code == 2
    assert "identical" in said.err


def test_facts_of_datasets(tmp_path, read):
    assert "folder" in done("datasets").out
    said = done("datasets", "sherlock", "--json", tmp_path / "facts.json")
    assert "Chen J, Leong YC" in said.out
    assert "do not redistribute" in said.out
    assert read(tmp_path / "facts.json")["sherlock"]["tr_s"] == 1.5
    assert "no dataset 'x'" in refused(call("datasets", "x"))


def test_align_without_targets_says_which_command_makes_them(own, tmp_path):
    done("ingest", "folder", own, "--store", tmp_path / "store")
    message = refused(call("align", tmp_path / "store", "--out", tmp_path / "run"))
    assert f"`brainreel encode {tmp_path / 'store'} --encoder text-minilm`" in message
    message = refused(call("align", tmp_path / "store", "--out", tmp_path / "run", "--targets", tmp_path / "else"))
    assert f"--targets {tmp_path / 'else'}`" in message
    assert not (tmp_path / "run").exists()


def test_targets_beside_a_read_only_store(store, own, words, tmp_path):
    done("ingest", "folder", own, "--store", tmp_path / "store")
    before = files(tmp_path / "store")
    done("encode", tmp_path / "store", "--weights", words, "--targets", tmp_path / "targets")
    again = done("encode", tmp_path / "store", "--weights", words, "--targets", tmp_path / "targets", "--dry-run")
    assert "up to date" in again.out
    run = tmp_path / "run"
    done("align", tmp_path / "store", "--out", run, "--targets", tmp_path / "targets", "--strategy", "ridge")
    done("evaluate", run)
    assert files(tmp_path / "store") == before


def test_dry_runs_change_nothing(store, own, words, tmp_path, read):
    before = files(store)
    said = done("align", store, "--out", tmp_path / "run", "--dry-run", "--json", tmp_path / "plan.json")
    assert "align/contrastive" in said.out
    assert "about" in said.out
    assert "estimates" in said.out
    assert [stage["state"] for stage in read(tmp_path / "plan.json")["stages"]] == ["run"]
    (tmp_path / "plan.json").unlink()
    assert "MB of disk" in done("ingest", "folder", own, "--store", tmp_path / "store", "--dry-run").out
    assert "up to date" in done("encode", store, "--weights", words, "--dry-run").out
    assert "twin" in done("demo", "--film", "--out", tmp_path / "demo", "--dry-run").out
    assert "exists already" in refused(call("ingest", "folder", own, "--store", store, "--dry-run"))
    assert files(store) == before
    assert not list(tmp_path.iterdir())


def test_strategies_are_compared_on_the_same_trials(trained, read):
    scores = read(trained / "metrics.json")
    assert scores["schema"] == 1
    assert mean(scores, "contrastive")["value"] > 0.55
    assert mean(scores, "ridge")["role"] == "rival"
    assert mean(scores, "ridge")["chance"] == 0.5
    assert [(row["first"], row["second"]) for row in scores["differences"]] == [
        ("contrastive", "ridge"),
        ("consensus", "ridge"),
        ("pooled-ridge", "ridge"),
    ]
    plan = read(trained / "plan.json")
    assert [method["name"] for method in plan["methods"]] == ["contrastive", "consensus", "pooled-ridge", "ridge"]


def test_report_of_clips_without_a_film(trained):
    said = done("report", trained)
    page = (trained / "report.html").read_text()
    assert str(trained / "report.html") in said.out
    assert "the right one of two clips" in page
    assert "clip-0060" in page
    assert "min tested" not in page


def test_a_second_align_has_nothing_to_do(trained, store):
    before = files(trained / "align")
    said = done("align", store, "--out", trained, "--subjects", "sub-01", "sub-02", *FEW)
    assert "nothing to do" in said.err
    assert files(trained / "align") == before


def test_another_seed_counts_with_the_first_only_if_nothing_else_changed(store, tmp_path, read):
    run, few = tmp_path / "run", ("--contrastive.steps", "2", "--contrastive.latent", "8")
    done("align", store, "--out", run, *few)
    done("align", store, "--out", run, *few, "--seed", "1")
    assert read(run / "plan.json")["methods"][0]["seeds"] == [0, 1]
    done("align", store, "--out", run, *few, "--seed", "1", "--contrastive.lr", "0.001")
    assert read(run / "plan.json")["methods"][0]["seeds"] == [1]
    done("evaluate", run)
    assert {tuple(row["seeds"]) for row in read(run / "metrics.json")["scores"]} == {(1,)}


def test_an_experiment_holds_one_comparison(trained, store, own, words, tmp_path):
    other = shutil.copytree(own, tmp_path / "other")
    (other / "dataset_description.json").write_text('{"Name": "other"}')
    done("ingest", "folder", other, "--store", tmp_path / "store")
    done("encode", tmp_path / "store", "--weights", words)
    message = refused(call("align", tmp_path / "store", "--out", trained, "--strategy", "ridge"))
    assert "holds an experiment with stores" in message


def test_two_datasets_in_one_training(store, kit, words, tmp_path, read):
    """A film with eight folds and clips with one: the clips take part in every fold."""
    film = tmp_path / "film"
    done("ingest", "sherlock", kit, "--store", film, "--subjects", "s1", "s2")
    done("encode", film, "--weights", words)
    run = tmp_path / "run"
    few = ("--contrastive.steps", "2", "--contrastive.latent", "8", "--workers", "1")
    done("align", film, store, "--out", run, "--subjects", "s1", "s2", "sub-01", "sub-02", *few)
    assert len(list(run.glob("align/contrastive/seed-0/fold-*"))) == 8
    said = done("evaluate", run)
    scores = read(run / "metrics.json")
    own = Store(store).name
    assert mean(scores, "contrastive", "sherlock")["resampled"] == "subjects × blocks"
    assert mean(scores, "contrastive", own)["resampled"] == "subjects × clips"
    assert mean(scores, "contrastive", own)["trained_subjects"] == 4
    assert own in said.out
    done("report", run)
    page = (run / "report.html").read_text()
    assert f"{own}: everybody together" in page
    predictions = Predictions.read(run / "align/contrastive/seed-0/fold-5/predictions/decoder.safetensors")
    assert predictions.facts["folds"] == {"sherlock": "blocks-of-8", own: "official"}
    assert set(predictions.embedding) == {"sherlock/s1", "sherlock/s2", f"{own}/sub-01", f"{own}/sub-02"}
    message = refused(call("align", film, store, "--out", tmp_path / "no", "--folds", "blocks-of-8"))
    assert f"store {own!r} has no folds 'blocks-of-8'" in message


def test_one_person_is_reported_too(store, tmp_path, read):
    run = tmp_path / "run"
    done("align", store, "--out", run, "--strategy", "ridge", "--subjects", "sub-01")
    assert "0.5" in done("evaluate", run).out
    assert {row["subject"] for row in read(run / "metrics.json")["scores"]} == {"sub-01"}
    done("report", run)
    assert "ridge on one person" in (run / "report.html").read_text()


def test_a_report_needs_scores(store, tmp_path):
    run = tmp_path / "run"
    done("align", store, "--out", run, "--strategy", "ridge")
    assert "run `brainreel evaluate`" in refused(call("report", run))


@pytest.mark.parametrize(
    ("amount", "given", "name"),
    [(["--minutes", "0"], 0, "zero-shot"), (["--trials", "40"], 40, "40-trials"), ([], 60, "all"),
     (["--minutes", "1"], 30, "1-min")],
)  # fmt: skip
def test_adapting_somebody_new(trained, store, tmp_path, read, amount, given, name):
    said = done("adapt", trained, store, "--subject", "sub-03", *amount, "--json", tmp_path / "scores.json")
    scores = read(tmp_path / "scores.json")
    folder = trained / "newcomers" / f"{Store(store).name}-sub-03-{name}"
    assert str(folder) in said.out
    assert read(folder / "metrics.json") == scores
    rows = [row for row in scores["scores"] if row["metric"] == "two_way_identification"]
    everything, one_fold = rows
    assert one_fold["fold"] == 0
    assert everything["trials_given"] == given
    assert everything["subject"] == "sub-03"
    assert everything["in_training"] is False
    assert everything["trained_subjects"] == 2
    assert everything["n"] == 30
    assert "warning" not in said.err


def test_somebody_who_was_in_training_is_no_newcomer(trained, store, tmp_path, read):
    said = done("adapt", trained, store, "--subject", "sub-01", "--minutes", "0", "--json", tmp_path / "f.json")
    assert "warning: sub-01 was among the people" in said.err
    assert all(row["in_training"] for row in read(tmp_path / "f.json")["scores"])


def test_every_strategy_adapts_in_its_own_way(trained, store):
    for strategy in ("pooled-ridge", "consensus"):
        done("adapt", trained, store, "--subject", "sub-03", "--minutes", "0", "--strategy", strategy)
    done("adapt", trained, store, "--subject", "sub-03", "--strategy", "consensus")
    done("adapt", trained, store, "--subject", "sub-03", "--strategy", "ridge")
    message = refused(call("adapt", trained, store, "--subject", "sub-03", "--minutes", "0", "--strategy", "ridge"))
    assert "knows nothing about people it was not trained on" in message


def test_own_data_change_the_predictions(trained, store):
    """Zero-shot and adapted predictions must differ, and the model's own test clips must be the same."""
    found = {}
    for name, amount in {"zero-shot": ["--minutes", "0"], "all": []}.items():
        done("adapt", trained, store, "--subject", "sub-03", *amount)
        folder = trained / "newcomers" / f"{Store(store).name}-sub-03-{name}"
        found[name] = Predictions.read(folder / "predictions/seed-0/fold-0.safetensors")
    key = f"{Store(store).name}/sub-03"
    assert np.array_equal(found["all"].row[key], found["zero-shot"].row[key])
    assert not np.allclose(found["all"].embedding[key], found["zero-shot"].embedding[key], atol=1e-3)


def test_newcomers_a_model_cannot_serve(trained, store, own, words, kit, tmp_path):
    assert "no subject 'sub-09'" in refused(call("adapt", trained, store, "--subject", "sub-09"))
    message = refused(call("adapt", trained, store, "--subject", "sub-03", "--minutes", "0.01"))
    assert "no whole trial" in message
    assert "no strategy 'x'" in refused(call("adapt", trained, store, "--subject", "sub-03", "--strategy", "x"))
    film = tmp_path / "film"
    done("ingest", "sherlock", kit, "--store", film, "--subjects", "s1")
    assert "brainreel encode" in refused(call("adapt", trained, film, "--subject", "s1"))
    done("encode", film, "--weights", words)
    message = refused(call("adapt", trained, film, "--subject", "s1"))
    assert "lies in the space 'sherlock/pmc" in message
    assert not list((trained / "newcomers").glob("sherlock*"))


def test_test_clips_that_trained_the_model_are_refused(trained, own, words, tmp_path):
    """The same recordings with other folds: the model has seen half of what these would test."""
    mixed = shutil.copytree(own, tmp_path / "mixed")
    shutil.rmtree(mixed / "folds")
    done("ingest", "folder", mixed, "--store", tmp_path / "store")
    done("encode", tmp_path / "store", "--weights", words)
    message = refused(call("adapt", trained, tmp_path / "store", "--subject", "sub-03", "--minutes", "0"))
    assert "clips that the model was trained on" in message


def test_targets_of_other_weights_are_refused(trained, own, words, tmp_path):
    from safetensors.torch import load_file, save_file

    other = shutil.copytree(words, tmp_path / "bert") / "model.safetensors"
    save_file({name: value + 0.1 for name, value in load_file(other).items()}, other, {"format": "pt"})
    done("ingest", "folder", own, "--store", tmp_path / "store")
    done("encode", tmp_path / "store", "--weights", other.parent)
    message = refused(call("adapt", trained, tmp_path / "store", "--subject", "sub-03"))
    assert "made by other weights" in message
