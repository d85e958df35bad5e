"""`plan.json`: what an experiment is made of, so that every later command finds it without being told again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from brainreel.align.jobs import AlignJob
from brainreel.errors import ExperimentError
from brainreel.evaluate.methods import Method
from brainreel.experiment import Experiment
from brainreel.files import write_json
from brainreel.store.fold_files import attach_lists
from brainreel.store.reader import Store
from brainreel.store.targets import Targets, read_targets

NEWCOMER = "newcomer"
"""In the place of a method below ``regress`` and ``generate``: somebody whom nothing was trained on."""

FOLD_LISTS = "folds"
"""Where an experiment keeps folds that came from a file."""


class Plan(BaseModel):
    """Stores, targets, and which methods are compared.

    Attributes:
        recipe: Which recipe wrote it, or ``align`` for the single command.
        stores: Folders of the stores, relative to the experiment where they lie inside it.
        targets: Folder of the targets; None: in the stores.
        target: The encoder.
        folds: Name of the folds, or store → name.
        methods: What is compared, in the order of tables.
        differences: Pairs of method names whose paired difference is reported (see `side_of`).
        seed: Seed of the bootstrap.
        final_folds: Folds that no choice of the recipe was made on; tables show them apart.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    recipe: str
    stores: tuple[str, ...]
    targets: str | None
    target: str
    folds: str | dict[str, str]
    methods: tuple[Method, ...]
    differences: tuple[tuple[str, str], ...] = ()
    seed: int = 0
    final_folds: tuple[int, ...] = ()

    def counting(self, jobs: Sequence[AlignJob]) -> Plan:
        """The same plan, in which only the seeds of ``jobs`` count: an earlier run may have left others."""
        seeds: dict[str, set[int]] = {}
        for job in jobs:
            seeds.setdefault(job.name, set()).add(job.config.seed)
        methods = [
            method.model_copy(update={"seeds": tuple(sorted(seeds.get(method.job, ())))}) for method in self.methods
        ]
        return self.model_copy(update={"methods": tuple(methods)})

    def write(self, experiment: Experiment) -> None:
        """Put the plan into an experiment's folder."""
        write_json(experiment.root / "plan.json", json.loads(self.model_dump_json()))

    def open_stores(self, experiment: Experiment) -> list[Store]:
        """The stores, which know the experiment's own folds by name."""
        stores = [Store(experiment.root / path) for path in self.stores]
        attach_lists(stores, experiment.root / FOLD_LISTS)
        return stores

    def read_targets(self, experiment: Experiment, stores: list[Store]) -> list[Targets]:
        """The targets of the stores, in their order."""
        folder = None if self.targets is None else experiment.root / self.targets
        return [read_targets(store, self.target, folder) for store in stores]


def read_plan(experiment: Experiment) -> Plan:
    """The plan of an experiment.

    Raises:
        ExperimentError: if the folder is not an experiment.
    """
    path = experiment.root / "plan.json"
    try:
        return Plan.model_validate_json(path.read_text())
    except (OSError, ValueError) as error:
        raise ExperimentError(
            f"{experiment.root} is no experiment ({path.name}: {str(error).splitlines()[0]})",
            expected="a folder that `brainreel align` or `brainreel run` made",
            do="check the path, or train a model first",
        ) from error


def portable(path: Path, experiment: Experiment) -> str:
    """A path as plans store it: relative if it lies in the experiment, so that the folder can be moved."""
    full, root = path.resolve(), experiment.root.resolve()
    return full.relative_to(root).as_posix() if full.is_relative_to(root) else str(full)
