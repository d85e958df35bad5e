"""`brainreel align`: one strategy on any stores, in all folds, so that `evaluate` and `report` find it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from brainreel.align.aligner import check_subjects, wanted
from brainreel.align.config import AlignConfig
from brainreel.align.jobs import AlignJob, Group
from brainreel.errors import ExperimentError, UsageError
from brainreel.evaluate.methods import Method
from brainreel.experiment import Experiment
from brainreel.pipeline.outlook import Outlook, align_outlook, training_size
from brainreel.pipeline.parallel import align_all
from brainreel.pipeline.plan import FOLD_LISTS, Plan, portable, read_plan
from brainreel.pipeline.stages import align_step
from brainreel.store.fold_files import FoldList, keep_lists
from brainreel.store.reader import Store
from brainreel.store.several import agreed_folds
from brainreel.store.targets import Targets, read_targets

RECIPE = "align"


@dataclass(frozen=True)
class Training:
    """One strategy on some stores: its jobs, one per fold, and what they read."""

    stores: list[Store]
    targets: list[Targets]
    jobs: list[AlignJob]
    folder: Path | None
    lists: list[FoldList] = field(default_factory=list)

    def outlook(self, experiment: Experiment) -> Outlook:
        """What running it would do."""
        size = max((training_size(s, self.jobs[0].config) for s in self.stores), key=lambda z: z.trials * z.features)
        return Outlook(tuple(align_outlook(experiment, self.jobs, size, self.stores, self.targets)))

    def run(self, experiment: Experiment, device: str, workers: int | None = 1) -> int:
        """Train what is not up to date, and write the plan; returns how many folds were trained."""
        with experiment.lock():
            plan = self.plan(experiment)
            keep_lists(self.lists, experiment.root / FOLD_LISTS)
            ran = align_all(experiment, self.jobs, self.stores, self.targets, device, workers)
            plan.write(experiment)
        return ran

    def plan(self, experiment: Experiment) -> Plan:
        """The experiment's plan with this strategy in it.

        Raises:
            ExperimentError: if the experiment is on other stores, targets or folds, or is a recipe's.
        """
        job = self.jobs[0]
        name, people = job.name, job.groups[0].train
        facts: dict[str, object] = {"trained_subjects": len(people)}
        if name == "ridge":
            facts = {"trained_subjects": 1, "role": "rival"}
        elif name == "contrastive" and job.config.contrastive.refit and len(people) > 1:
            facts["refit"] = True
        new = Plan(
            recipe=RECIPE,
            stores=tuple(portable(store.root, experiment) for store in self.stores),
            targets=None if self.folder is None else portable(self.folder, experiment),
            target=job.config.target,
            folds=job.folds,
            methods=(Method(name=name, job=name, seeds=self._seeds(experiment), facts=facts),),
            seed=0,
        )
        if (experiment.root / "plan.json").exists():
            old = read_plan(experiment)
            for field in ("recipe", "stores", "targets", "target", "folds"):
                was, now = getattr(old, field), getattr(new, field)
                if was != now:
                    raise ExperimentError(
                        f"{experiment.root} holds an experiment with {field} {was!r}",
                        expected=f"{now!r}",
                        do="choose another --out",
                    )
            others = tuple(method for method in old.methods if method.name != name)
            # The model comes first in tables and in what is read out, its rival after it.
            methods = sorted((*others, *new.methods), key=lambda method: method.facts.get("role") == "rival")
            new = new.model_copy(update={"methods": tuple(methods)})
        return new.model_copy(update={"differences": self._differences(experiment, new)})

    def _seeds(self, experiment: Experiment) -> tuple[int, ...]:
        """Seeds of this strategy that were trained with the same settings, this one included."""
        first = self.jobs[0]
        seeds = {first.config.seed}
        for path in experiment.root.glob(f"align/{first.name}/seed-*"):
            seed = int(path.name.split("-")[1])
            same = [
                job.model_copy(update={"config": job.config.model_copy(update={"seed": seed})}) for job in self.jobs
            ]
            if all(align_step(job, self.stores, self.targets).state(experiment) == "up to date" for job in same):
                seeds.add(seed)
        return tuple(sorted(seeds))

    def _differences(self, experiment: Experiment, plan: Plan) -> tuple[tuple[str, str], ...]:
        """Every strategy against ridge, where both were trained on the same people."""
        people = {method.name: _people(experiment, method) for method in plan.methods}
        people[self.jobs[0].name] = set(self.jobs[0].groups[0].train)
        return tuple((name, "ridge") for name in people if name != "ridge" and people[name] == people.get("ridge"))


def prepare(
    config: AlignConfig,
    stores: Sequence[Path],
    *,
    folds: str | None = None,
    subjects: Sequence[str] | None = None,
    targets: Path | None = None,
) -> Training:
    """Everything `brainreel align` needs, read and checked before anything is trained.

    Args:
        config: Settings of stage 1.
        stores: Folders of the stores.
        folds: A name that all stores have, a file, or names per store (`named_folds`); None: each store's own first.
        subjects: Only these (``s1``, or ``dataset/s1``).
        targets: Where the targets lie; None: in the stores.
    """
    if not stores:
        raise UsageError("no store", expected="one or more folders that `brainreel ingest` made")
    opened = [Store(path) for path in stores]
    names = [store.name for store in opened]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"two stores are called {twice!r}", expected="different datasets", do="ingest one anew")
    check_subjects(opened, subjects)
    found = [read_targets(store, config.target, targets) for store in opened]
    identities = {json.dumps({**t.identity, "store": ""}, sort_keys=True) for t in found}
    if len(identities) > 1:
        raise UsageError(
            "the stores' targets were made with different weights",
            expected="one encoder for all",
            do="run `brainreel encode` with the same --weights on all of them",
        )
    agreed, count, lists = agreed_folds(opened, folds)
    people = tuple(f"{s.name}/{who}" for s in opened for who in s.subjects if wanted(s, who, subjects))
    jobs = [
        AlignJob(name=config.strategy, config=config, folds=agreed, fold=fold, groups=(Group(train=people),))
        for fold in range(count)
    ]
    return Training(opened, found, jobs, targets, lists)


def _people(experiment: Experiment, method: Method) -> set[str]:
    """Whom a method that was trained before was trained on."""
    for path in sorted(experiment.root.glob(f"align/{method.job}/seed-*/fold-*/config.json")):
        return set(json.loads(path.read_text())["settings"]["groups"][0]["train"])
    return set()
