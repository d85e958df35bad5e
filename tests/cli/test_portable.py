"""Exported models: what is in them, what is not, and what a damaged or forged one does."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from brainreel.align.aligner import Aligner
from brainreel.store import Store

from .conftest import FEW, call, done, refused

DECODER = "decoders/seed-0/fold-0.safetensors"


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("exports") / "model.brainreel"
    done("export", trained, file)
    return file


def members(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, content: dict[str, bytes], *, sums: bool = True, method: int = zipfile.ZIP_STORED) -> Path:
    """A zip of ``content`` whose checksums are right, whatever else is wrong with it."""
    if sums:
        kept = {name: value for name, value in content.items() if name != "checksums.json"}
        told = json.dumps({name: hashlib.sha256(value).hexdigest() for name, value in kept.items()})
        content = {**kept, "checksums.json": told.encode()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, value in content.items():
            archive.writestr(name, value)
    return path


def test_an_imported_model_serves_newcomers_like_the_original(trained, exported, store, tmp_path, read):
    said = done("import", exported, "--out", tmp_path / "run")
    assert "trained on 2 people" in said.out
    for amount in (["--minutes", "0"], ["--trials", "40"], []):
        scores = []
        for run in (trained, tmp_path / "run"):
            done("adapt", run, store, "--subject", "sub-03", *amount, "--json", tmp_path / "scores.json")
            scores.append([row["value"] for row in read(tmp_path / "scores.json")["scores"]])
        np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)
    again = done("adapt", tmp_path / "run", store, "--subject", "sub-01", "--minutes", "0")
    assert "warning: sub-01 was among the people" in again.err


def test_no_single_person_is_in_the_file(trained, exported):
    """Neither a scaling, nor an adapter, nor anything equal to one, whatever it is called."""
    model = Aligner.load(trained / "align/contrastive/seed-0/fold-0/decoder.safetensors")
    tensors = load(members(exported)[DECODER])
    private = [array for scaling in model.decoder_.scalings.values() for array in scaling]
    adapter = model.decoder_.members[0].adapters[0]
    private += [*adapter.delta.numpy(), *adapter.bias.numpy()]
    for name, array in tensors.items():
        assert "sub-0" not in name
        for rows in (array, *array):
            assert not any(rows.shape == own.shape and np.array_equal(rows, own) for own in private), name
    assert np.array_equal(tensors["member/0/adapters.0.common"], adapter.common.numpy())
    assert not tensors["member/0/adapters.0.delta"].any()


def test_clips_that_one_person_saw_are_left_out(store, tmp_path):
    """Their mean latent would be that person's alone."""
    run = tmp_path / "run"
    done("align", store, "--out", run, *FEW, "--subjects", "sub-01", "sub-02")
    path = run / "align/contrastive/seed-0/fold-0/decoder.safetensors"
    model = Aligner.load(path)
    viewers = list(model.origin_.viewers)
    assert viewers == [2] * 60 + [0] * 10
    viewers[7] = 1
    model.origin_ = model.origin_.model_copy(update={"viewers": tuple(viewers)})
    model.save(path)
    done("export", run, tmp_path / "file")
    latents = load(members(tmp_path / "file")[DECODER])["clips/0"]
    assert np.flatnonzero(np.isnan(latents).all(1)).tolist() == [7, *range(60, 70)]


def test_the_card_says_what_it_is(exported, trained, read):
    card = members(exported)["MODEL_CARD.md"].decode()
    score = next(row["value"] for row in read(trained / "metrics.json")["scores"] if row["subject"] is None)
    for text in ("simulated, nobody's data", "2 people", f"{score:.3f}", "brainreel adapt", "| chance |", "0.500"):
        assert text in card
    assert "Nobody's alone" in card
    facts = json.loads(members(exported)["model.json"])
    assert facts["with_subjects"] is False
    assert facts["settings"]["contrastive"]["steps"] == 20
    assert not any(row["subject"] for row in facts["scores"])


def test_with_subjects_says_so(trained, exported, tmp_path):
    done("export", trained, tmp_path / "file", "--with-subjects")
    assert "Parameters of single people are in it" in members(tmp_path / "file")["MODEL_CARD.md"].decode()
    assert len(members(tmp_path / "file")[DECODER]) > len(members(exported)[DECODER])
    done("import", tmp_path / "file", "--out", tmp_path / "run")
    model = Aligner.load(tmp_path / "run/align/contrastive/seed-0/fold-0/decoder.safetensors")
    assert sorted(model.decoder_.scalings) == sorted(model.origin_.subjects)


def test_what_one_person_alone_taught_is_not_exported_by_mistake(trained, store, tmp_path):
    assert "one map per person" in refused(call("export", trained, tmp_path / "file", "--strategy", "ridge"))
    done("align", store, "--out", tmp_path / "run", *FEW, "--subjects", "sub-01")
    assert "no two people share a space" in refused(call("export", tmp_path / "run", tmp_path / "file"))
    assert not (tmp_path / "file").exists()
    done("export", trained, tmp_path / "file", "--strategy", "pooled-ridge")
    done("import", tmp_path / "file", "--out", tmp_path / "pooled")
    done("adapt", tmp_path / "pooled", store, "--subject", "sub-03", "--minutes", "0")


def test_the_same_model_is_the_same_file(trained, exported, tmp_path):
    done("export", trained, tmp_path / "model.brainreel")
    assert (tmp_path / "model.brainreel").read_bytes() == exported.read_bytes()


def _forged(**facts):
    """The decoder with another description of itself."""

    def change(content):
        from safetensors import safe_open

        path = Path(facts["folder"]) / "d.safetensors"
        path.write_bytes(content[DECODER])
        with safe_open(path, framework="numpy") as file:
            told = json.loads(file.metadata()["brainreel"])
        told["decoder"]["shape"]["latent"] = 1 << 40
        content[DECODER] = save(load(content[DECODER]), {"brainreel": json.dumps(told)})

    return change


def _set(name, value):
    return lambda content: content.__setitem__(name, value)


def _drop(name):
    return lambda content: content.pop(name)


DAMAGE = {
    "not a zip": (None, "not an intact export"),
    "another zip": (lambda c: (c.clear(), c.update({"a.txt": b"x"})), "it holds 'a.txt'"),
    "outside the folder": (_set("../evil.safetensors", b"x"), "it holds '../evil.safetensors'"),
    "an absolute path": (_set("/etc/evil", b"x"), "it holds '/etc/evil'"),
    "a pickle": (_set("decoders/seed-0/fold-1.pkl", b"x"), "fold-1.pkl"),
    "no model.json": (_drop("model.json"), "it lacks model.json"),
    "no decoders": (_drop(DECODER), "it lacks decoders"),
    "another format": (_set("model.json", b'{"format": "x"}'), "model.json"),
    "JSON that is none": (_set("model.json", b"{"), "model.json"),
    "a decoder that is none": (_set(DECODER, b"\x00" * 64), "is not a decoder of brainreel"),
    "an empty decoder": (_set(DECODER, save({"a": np.zeros(1)})), "is not a decoder of brainreel"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_forged_files_are_refused(exported, tmp_path, name):
    change, message = DAMAGE[name]
    if change is None:
        (tmp_path / "file").write_bytes(b"PK" + b"nothing" * 99)
    else:
        content = members(exported)
        change(content)
        pack(tmp_path / "file", content)
    assert message in refused(call("import", tmp_path / "file", "--out", tmp_path / "run"))
    assert {path.name for path in tmp_path.iterdir()} <= {"file", ".run.partial"}


def test_a_description_that_its_arrays_belie_takes_no_memory(exported, tmp_path):
    content = members(exported)
    (tmp_path / "scratch").mkdir()
    _forged(folder=tmp_path / "scratch")(content)
    pack(tmp_path / "file", content)
    assert "its description says" in refused(call("import", tmp_path / "file", "--out", tmp_path / "run"))


def test_altered_content_is_refused(exported, tmp_path):
    content = members(exported)
    content["MODEL_CARD.md"] += b" Trained on a thousand people."
    pack(tmp_path / "file", content, sums=False)
    assert "checksums" in refused(call("import", tmp_path / "file", "--out", tmp_path / "run"))


def test_compressed_members_are_refused(exported, tmp_path):
    pack(tmp_path / "file", members(exported), method=zipfile.ZIP_DEFLATED)
    assert "compressed" in refused(call("import", tmp_path / "file", "--out", tmp_path / "run"))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_truncated_files_are_refused(exported, tmp_path, share):
    whole = exported.read_bytes()
    (tmp_path / "file").write_bytes(whole[: int(share * len(whole))])
    assert "not an intact export" in refused(call("import", tmp_path / "file", "--out", tmp_path / "run"))


def test_every_flipped_byte_is_noticed(exported, tmp_path):
    """Anywhere but in the zip's own bookkeeping of dates and attributes."""
    whole = bytearray(exported.read_bytes())
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        places = [entry.header_offset + 200 for entry in archive.infolist()]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        (tmp_path / "file").write_bytes(damaged)
        refused(call("import", tmp_path / "file", "--out", tmp_path / "run"))


def test_nothing_is_overwritten(trained, exported, tmp_path):
    assert "exists already" in refused(call("import", exported, "--out", trained))
    assert "is a folder" in refused(call("export", trained, tmp_path))
    assert "cannot be used (no such file" in refused(call("import", tmp_path / "none", "--out", tmp_path / "run"))


def test_an_imported_model_has_no_predictions_to_score(exported, tmp_path):
    done("import", exported, "--out", tmp_path / "run")
    assert "no predictions" in refused(call("evaluate", tmp_path / "run"))
    assert Store  # the store's class stays importable beside the command line
