"""What the sandbox's claims compare: the same people read by models that know more and less of them.

The people who are left out of the recipe's training are read by it (zero-shot), by a model of everybody, them too, by
a model of each of them alone, and, in stage 1, by a model of their own dataset and by the true vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

from brainreel.align.jobs import Group
from brainreel.evaluate.methods import Method
from brainreel.evaluate.video_clips import MEAN, ORACLE
from brainreel.experiment import Experiment, Stage
from brainreel.pipeline.gathered_conditions import gather_conditions, gathered_steps
from brainreel.pipeline.generate_stage import Part
from brainreel.pipeline.plan import NEWCOMER
from brainreel.pipeline.regress_stage import Regression
from brainreel.pipeline.stages import Step
from brainreel.pipeline.true_vectors import NAME as TRUE
from brainreel.sandbox.config import SandboxConfig

ALL, ALONE, ONE_DATASET, ZERO_SHOT = "contrastive-all", "contrastive-alone", "one-dataset", "newcomer-zero-shot"
FILMED = (ALL, ALONE, NEWCOMER)
"""The methods whose videos are made."""


def groups(everyone: Sequence[str], left_out: Sequence[str]) -> dict[str, Group]:
    """Job of stage 1 → whom it trains together. One person's job leaves a decoder that stage 2 can be fitted to."""
    known = (*everyone, *left_out)
    dataset = left_out[0].split("/", 1)[0]
    return {
        ALL: Group(train=known),
        ONE_DATASET: Group(train=tuple(name for name in known if name.startswith(f"{dataset}/"))),
        **{job_of(name): Group(train=(name,)) for name in left_out},
    }


def job_of(name: str) -> str:
    """What the job of ``dataset/subject`` alone is called."""
    return f"alone-{name.replace('/', '-')}"


def methods(everyone: Sequence[str], left_out: Sequence[str]) -> tuple[Method, ...]:
    """What stage 1 scores beside the recipe's own methods."""
    jobs = groups(everyone, left_out)
    return (
        *(
            Method(name=name, job=name, facts={"trained_subjects": len(jobs[name].train)})
            for name in (ALL, ONE_DATASET)
        ),
        Method(name=TRUE, job=TRUE, facts={"role": "oracle"}),
    )


def differences() -> tuple[tuple[str, str], ...]:
    """What stage 1 compares beside that."""
    return (
        (TRUE, ALL),
        *((ALL, other) for other in (ALONE, ZERO_SHOT, ONE_DATASET)),
        (ZERO_SHOT, f"{ZERO_SHOT}, shuffled"),
        *((f"{name}, shuffled", f"{name}, chance") for name in (ALL, ZERO_SHOT)),
    )


def fitted(config: SandboxConfig, regression: Regression, left_out: Sequence[str]) -> list[Regression]:
    """Stage 2 of the model of everybody, then of each person alone, like ``regression``."""
    seeds = tuple(config.align.seed + offset for offset in range(config.seeds))
    return [regression.of(Method(name=job, job=job, seeds=seeds)) for job in (ALL, *map(job_of, left_out))]


def gathered(experiment: Experiment, fits: Sequence[Regression]) -> list[Step]:
    """What `gather_alone` would run."""
    return [step for step, _ in gathered_steps(experiment, ALONE, fits[1:], ALL)] if fits else []


def gather_alone(experiment: Experiment, fits: Sequence[Regression]) -> list[Stage]:
    """Put the people who were fitted alone (all ``fits`` but the first) side by side as one method."""
    return gather_conditions(experiment, ALONE, fits[1:], ALL) if fits else []


def filmed(parts: Sequence[Part], left_out: Sequence[str], variant: str) -> list[Part]:
    """The videos that are compared, the model of everybody first; of another variant than the first, which costs more,
    only this model's, of its first seed.
    """
    first = min((part.seed for part in parts if part.method == ALL), default=0)
    wanted = [
        part for part in parts if ((part.method, part.seed) == (ALL, first) if variant else part.method in FILMED)
    ]
    there = [
        part
        for part in wanted
        if f"{part.dataset}/{part.subject}" in left_out or (_controls(part, left_out) and part.is_control)
    ]
    return sorted(there, key=lambda part: FILMED.index(part.method))


def _controls(part: Part, left_out: Sequence[str]) -> bool:
    """Whether a control is of a dataset that people were left out of; the mean response is made once, of everybody."""
    here = any(name.startswith(f"{part.dataset}/") for name in left_out)
    return here and (part.subject == ORACLE or (part.subject == MEAN and part.method == ALL))
