"""A trained model as one file that holds nobody's brain data, and an experiment made of such a file."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from brainreel import __version__
from brainreel.align.aligner import Aligner
from brainreel.align.decoders import Decoder, LinearDecoder, NetworkDecoder
from brainreel.align.network import AlignNetwork
from brainreel.align.origin import Source
from brainreel.errors import ExperimentError, UsageError, alternatives
from brainreel.evaluate.methods import Method
from brainreel.experiment import Experiment
from brainreel.files import write_bytes, write_folder, write_json, write_text
from brainreel.pipeline.model_card import model_card
from brainreel.pipeline.newcomers import decoder_files
from brainreel.pipeline.plan import Plan, read_plan
from brainreel.training.randomness import generator

FORMAT = "brainreel-model"
MODEL, CARD, SUMS = "model.json", "MODEL_CARD.md", "checksums.json"
MEMBER = re.compile(r"decoders/seed-\d{1,9}/fold-\d{1,6}\.safetensors")
MOST_BYTES, MOST_MEMBERS, MOST_TEXT = 8 << 30, 10_000, 64 << 20
LEAST_PEOPLE = 2
POPULATION = "population"


class Card(BaseModel):
    """``model.json``: what the file is. Everything in it is text and numbers about the training, no data."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: str = FORMAT
    version: int = 1
    brainreel: str = __version__
    strategy: str
    target: str
    encoder: dict[str, Any]
    folds: str | dict[str, str]
    settings: dict[str, Any]
    sources: tuple[Source, ...]
    subjects: int
    with_subjects: bool
    scores: tuple[dict[str, Any], ...]


def export_model(
    experiment: Experiment, file: Path, *, strategy: str | None = None, with_subjects: bool = False
) -> Card:
    """Write an experiment's trained decoders (every seed and fold of one method) to one file.

    What belongs to single people is left out unless ``with_subjects``: their adapters, their scaling, and what is
    known of clips that fewer than two of them saw. What stays are means over people: the common part of the
    adapters (or the newcomers' map), the trunk, the population's scaling, and each clip's mean latent or answer.

    Raises:
        UsageError: if nothing would be left.
    """
    if file.is_dir():
        raise UsageError(f"{file} is a folder", expected="the name of a file to write")
    plan = read_plan(experiment)
    known = [method.name for method in plan.methods]
    method = next((method for method in plan.methods if strategy in (None, method.name)), None)
    if method is None:
        raise UsageError(f"the experiment has no strategy {alternatives(strategy or '', known)}")
    members: dict[str, bytes] = {}
    model = None
    for seed, fold, path in decoder_files(experiment, method):
        model = Aligner.load(path)
        if not with_subjects:
            model.decoder_ = without_subjects(model.decoder_, model.origin_.viewers)
        members[f"decoders/seed-{seed}/fold-{fold}.safetensors"] = model.dump()
    assert model is not None
    card = Card(
        strategy=method.name,
        target=plan.target,
        encoder=model.origin_.encoder,
        folds=plan.folds,
        settings=model.config.affecting(),
        sources=model.origin_.sources,
        subjects=len(model.origin_.subjects),
        with_subjects=with_subjects,
        scores=tuple(_scores(experiment, method)),
    )
    members = {
        CARD: model_card(card.model_dump(), len(members), file.name).encode(),
        MODEL: card.model_dump_json(indent=1).encode(),
        **members,
    }
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    members[SUMS] = json.dumps(sums, indent=1).encode()
    write_bytes(file, _zip(members))
    return card


def import_model(file: Path, out: Path) -> Card:
    """Make an experiment that `brainreel adapt` accepts of an exported file.

    Nothing in the file is executed; names, sizes, checksums and shapes are verified before anything is written.

    Raises:
        ExperimentError: if the file is not an intact export.
        UsageError: if there is something at ``out`` already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists already", expected="a new or empty folder", do="choose another --out")
    members = _unzip(file)
    try:
        card = Card.model_validate_json(members[MODEL])
    except ValidationError as error:
        raise _broken(file, f"{MODEL}: {error.errors()[0]['msg']}") from error
    if card.format != FORMAT or card.version != 1:
        raise _broken(file, f"format {card.format!r}, version {card.version}")
    job = re.sub(r"[^a-z0-9-]", "-", card.strategy)
    method = Method(name=card.strategy, job=job, facts={"trained_subjects": card.subjects, "imported": True})
    plan = Plan(recipe="import", stores=(), targets=None, target=card.target, folds=card.folds, methods=(method,))

    def fill(folder: Path) -> None:
        for name, content in members.items():
            if MEMBER.fullmatch(name):
                path = folder / "align" / job / Path(name).relative_to("decoders").with_suffix("")
                write_bytes(path / "decoder.safetensors", content)
                Aligner.load(path / "decoder.safetensors")
        write_text(folder / CARD, members[CARD].decode())
        write_json(folder / MODEL, json.loads(members[MODEL]))
        plan.write(Experiment(folder))

    write_folder(out, fill)
    return card


def without_subjects(decoder: Decoder, viewers: tuple[int, ...]) -> Decoder:
    """A decoder for newcomers: what two or more people have in common.

    Args:
        decoder: Trained on people.
        viewers: How many of them saw each clip.
    """
    seen = np.array([count >= LEAST_PEOPLE for count in viewers])[:, None]
    if isinstance(decoder, LinearDecoder):
        return _common_maps(decoder, seen)
    assert isinstance(decoder, NetworkDecoder)
    members_of = {
        space: [subject for subject, (where, _) in decoder.seats.items() if where == space]
        for space in decoder.shape["spaces"]
    }
    spaces = [space for space, people in members_of.items() if len(people) >= LEAST_PEOPLE]
    if not spaces:
        raise _nothing_common("no two people share a space")
    shape = {**decoder.shape, "spaces": {space: (1, decoder.shape["spaces"][space][1]) for space in spaces}}
    return NetworkDecoder(
        scalings={f"{POPULATION}/{space}": decoder.population(space) for space in spaces},
        seats={f"{POPULATION}/{space}": (space, 0) for space in spaces},
        weights={space: decoder.weights[space] for space in spaces},
        members=[_common_network(member, shape) for member in decoder.members],
        shape=shape,
        clip_latents=[torch.where(torch.from_numpy(seen), latents, torch.nan) for latents in decoder.clip_latents],
    )


def _common_network(network: AlignNetwork, shape: dict[str, Any]) -> AlignNetwork:
    """The network with one person per space, who is everybody's mean: no ΔW, the mean bias."""
    common = AlignNetwork(**shape, noise=generator("empty"))
    common.trunk = copy.deepcopy(network.trunk)
    with torch.no_grad():
        common.log_temperature.copy_(network.log_temperature)
        for space in shape["spaces"]:
            theirs, ours = network.adapter(space), common.adapter(space)
            ours.common.copy_(theirs.common)
            ours.delta.zero_()
            ours.bias.copy_(theirs.bias.mean(0, keepdim=True))
    return common.eval().requires_grad_(False)


def _common_maps(decoder: LinearDecoder, seen: np.ndarray) -> LinearDecoder:
    if not decoder.newcomers:
        raise _nothing_common("ridge has one map per person")
    spaces = list(decoder.spaces.values())
    kept = {space: found for space, found in decoder.newcomers.items() if spaces.count(space) >= LEAST_PEOPLE}
    if not kept:
        raise _nothing_common("no two people share a space")
    return LinearDecoder(
        scalings={f"{POPULATION}/{space}": decoder.population(space) for space in kept},
        spaces={f"{POPULATION}/{space}": space for space in kept},
        maps={f"{POPULATION}/{space}": found for space, found in kept.items()},
        newcomers=kept,
        answers=None if decoder.answers is None else np.where(seen, decoder.answers, np.float32(np.nan)),
    )


def _nothing_common(why: str) -> UsageError:
    return UsageError(
        f"{why}, so a file without anybody's brain data would be empty",
        expected="a model that people share",
        do="export another --strategy, or say --with-subjects if you may pass their parameters on",
    )


def _scores(experiment: Experiment, method: Method) -> list[dict[str, Any]]:
    """The means over people of the method, if the experiment was evaluated."""
    try:
        rows = json.loads((experiment.root / "metrics.json").read_text())["scores"]
    except FileNotFoundError:
        return []
    return [
        row for row in rows if row["stage"] == "align" and row["strategy"] == method.name and row["subject"] is None
    ]


def _zip(members: dict[str, bytes]) -> bytes:
    """An archive whose bytes depend on nothing but its members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return out.getvalue()


def _unzip(file: Path) -> dict[str, bytes]:
    """The members of an export, after everything about them that can be verified was."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            strange = [n for n in names if n not in (MODEL, CARD, SUMS) and not MEMBER.fullmatch(n)]
            if strange or len(set(names)) < len(names):
                raise _broken(file, f"it holds {(strange or names)[0]!r}")
            if len(names) > MOST_MEMBERS or sum(entry.file_size for entry in entries) > MOST_BYTES:
                raise _broken(file, f"it holds {len(names)} files of {sum(e.file_size for e in entries)} bytes")
            for entry in entries:
                # Stored, not compressed: a small file cannot unpack to a huge one.
                if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 0x1:
                    raise _broken(file, f"{entry.filename} is compressed or encrypted")
                if not MEMBER.fullmatch(entry.filename) and entry.file_size > MOST_TEXT:
                    raise _broken(file, f"{entry.filename} has {entry.file_size} bytes")
            members = {name: archive.read(name) for name in names}
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise _broken(file, str(error)) from error
    lacking = {MODEL, CARD, SUMS} - set(members)
    if lacking or not any(MEMBER.fullmatch(name) for name in members):
        raise _broken(file, f"it lacks {min(lacking) if lacking else 'decoders'}")
    try:
        sums = json.loads(members[SUMS])
        matches = {name: hashlib.sha256(c).hexdigest() for name, c in members.items() if name != SUMS} == sums
    except ValueError as error:
        raise _broken(file, f"{SUMS} cannot be read") from error
    if not matches:
        raise _broken(file, "its checksums do not match its content")
    return members


def _broken(file: Path, why: str) -> ExperimentError:
    return ExperimentError(
        f"{file} is not an intact export ({why})",
        expected="a file that `brainreel export` wrote",
        do="get it again from its author",
    )
