"""Decode somebody the model was not trained on: at once, or after a few minutes of their own data.

--minutes 0 is zero-shot: nothing of the person is used but their test trials. Otherwise the first minutes (or
trials) of their training trials fit an adapter of their own, in closed form. Test trials are scored in every fold
of the experiment; the model of a fold has never seen what they show.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from brainreel.cli.output import show, write_result
from brainreel.cli.parse import Device, Json

EXAMPLE = "brainreel adapt runs/mine stores/sherlock --subject s1 --minutes 5"


def run(
    experiment: Annotated[Positional[Path], arg(metavar="RUN", help="an experiment, trained or imported")],
    store: Annotated[Positional[Path], arg(metavar="STORE", help="the store with the person's recordings")],
    *,
    subject: Annotated[str, arg(metavar="S", help="who")],
    minutes: Annotated[
        float | None, arg(metavar="M", help="of their training time; 0: zero-shot; default: all")
    ] = None,
    trials: Annotated[int | None, arg(metavar="N", help="a number of trials, instead of --minutes")] = None,
    strategy: Annotated[str | None, arg(metavar="NAME", help="of several in RUN; default: the first")] = None,
    targets: Annotated[
        Path | None, arg(metavar="DIR", help="where STORE's targets lie; default: in RUN or in STORE")
    ] = None,
    device: Device = "cpu",
    json: Json = None,
) -> None:
    """Adapt and score."""
    from brainreel.cli.scores import score_table
    from brainreel.experiment import Experiment
    from brainreel.pipeline.newcomers import Amount, adapt_newcomer
    from brainreel.progress import say
    from brainreel.store import Store

    amount = Amount(minutes, trials)
    folder, scores = adapt_newcomer(
        Experiment(experiment), Store(store), subject, amount, strategy=strategy, targets=targets, device=device
    )
    rows = [row for row in scores["scores"] if "fold" not in row]
    if rows[0]["in_training"]:
        say(f"warning: {subject} was among the people this model was trained on, so they are no newcomer to it")
    show(f"{score_table(rows)}\n\n{folder}")
    write_result(json, scores)
