"""One method of stage 2 out of several fits: people who were each fitted alone, side by side as if by one model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from brainreel.experiment import Experiment, Stage
from brainreel.pipeline.regress_fold import Fold
from brainreel.pipeline.regress_stage import Regression
from brainreel.pipeline.stages import Step

CODE = ("pipeline/gathered_conditions.py",)


def gathered_steps(
    experiment: Experiment, name: str, regressions: Sequence[Regression], controls: str
) -> Iterator[tuple[Step, list[Path]]]:
    """For every seed and fold: what ``regress/<name>`` depends on, and the fits it is gathered from.

    Args:
        experiment: With the fits done.
        name: Of the method.
        regressions: One for each person, of the same seeds and folds.
        controls: The method whose mean response stands for this one's: no brain is in it.
    """
    by_place: dict[tuple[int, int], list[tuple[Regression, Fold]]] = {}
    for regression in regressions:
        for fold in regression.folds:
            by_place.setdefault((fold.seed, fold.number), []).append((regression, fold))
    for (seed, number), fits in sorted(by_place.items()):
        folders = [experiment.stage(regression.stage(fold)) for regression, fold in fits]
        inputs = {path.parents[1].name: json.loads((path / "config.json").read_text())["key"] for path in folders}
        yield Step(f"regress/{name}/seed-{seed}/fold-{number}", {"method": controls}, inputs, CODE), folders


def gather_conditions(
    experiment: Experiment, name: str, regressions: Sequence[Regression], controls: str
) -> list[Stage]:
    """Write ``regress/<name>/seed-<s>/fold-<k>`` with everybody's conditions and their truth (see `gathered_steps`)."""

    def copy(folders: Sequence[Path], into: Path) -> None:
        for folder in folders:
            for part in ("conditions", "truth"):
                shutil.copytree(folder / part, into / part, dirs_exist_ok=True)

    return [
        step.run(experiment, lambda into, folders=folders: copy(folders, into))
        for step, folders in gathered_steps(experiment, name, regressions, controls)
    ]
