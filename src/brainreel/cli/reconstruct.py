"""Videos and captions from responses without any truth: imagery, new sessions, somebody new.

RESPONSES is a store, or a .npy file (trials, features) with the features that the model was trained on; a table of the
same name ending in .tsv may name its trials (clip_id), and trials of one name are averaged. Of a store, clips that the
model was trained on are left out unless --clips names them. Somebody the model was not trained on is read zero-shot,
through what all its people have in common. Videos are made as RUN's were, but for what is asked for. Killed, the same
command goes on with the next video.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from brainreel.cli.output import show, table, write_result
from brainreel.cli.parse import DryRun, Json
from brainreel.errors import UsageError
from brainreel.generate.config import SomeSettings

EXAMPLE = "brainreel reconstruct runs/sandbox imagery.npy --subject sandbox-event/sub-01 --out imagined"


def run(
    experiment: Annotated[Positional[Path], arg(metavar="RUN", help="an experiment with stages 1 and 2")],
    responses: Annotated[Positional[Path], arg(metavar="RESPONSES", help="a store, or a .npy file")],
    *,
    subject: Annotated[str, arg(metavar="S", help="whose: a name, or dataset/name where datasets share names")],
    out: Annotated[
        Path | None, arg(metavar="DIR", help="default: RUN/reconstruct/RESPONSES-S, by their bare names")
    ] = None,
    clips: Annotated[tuple[str, ...] | None, arg(metavar="NAME …", help="only these trials")] = None,
    weights: Annotated[
        str | None, arg(metavar="ID_OR_DIR", help="the video model; default: the one that RUN's videos were made with")
    ] = None,
    generator: Annotated[str, arg(metavar="NAME", help="which family of video models")] = "wan",
    strategy: Annotated[
        str | None, arg(metavar="NAME", help="of several in RUN; default: contrastive, or the first")
    ] = None,
    fold: Annotated[int | None, arg(metavar="K", help="the fold whose model reads; default: the first")] = None,
    device: Annotated[str, arg(help="auto, cpu, cuda, cuda:N or mps; CUDA computes in bfloat16")] = "auto",
    dry_run: DryRun = False,
    json: Json = None,
    asked: Annotated[SomeSettings, arg(name="")] = SomeSettings(),  # noqa: B008  frozen
) -> None:
    """Reconstruct."""
    from brainreel.cli.run import foretell
    from brainreel.experiment import Experiment
    from brainreel.generate.registry import GeneratorSource
    from brainreel.pipeline.new_responses import read_responses
    from brainreel.pipeline.reconstruct import (
        find_trained,
        last_settings,
        last_weights,
        reconstruct_outlook,
        write_videos,
    )
    from brainreel.progress import say

    opened = Experiment(experiment)
    trained = find_trained(opened, strategy=strategy, fold=fold)
    weights = weights or last_weights(opened)
    if weights is None:
        raise UsageError(
            f"no --weights, and {experiment} does not say which video model its videos were made with",
            expected="the hub id or folder of a diffusers pipeline",
            do="give --weights",
        )
    source, config = GeneratorSource(generator, weights, device), last_settings(opened, asked)
    read = read_responses(trained.aligner, responses, subject, clips)
    if read.zero_shot:
        say(f"nobody called {read.subject} was trained on: read zero-shot, through what everybody shares")
    if read.left_out:
        say(f"{read.left_out} trials are left out, since the model was trained on their clips (--clips names some)")
    conditions = trained.conditions(read)
    out = out or experiment / "reconstruct" / f"{responses.stem}-{subject.replace('/', '-')}"
    if not dry_run:
        source.fetch()
    if foretell(reconstruct_outlook(conditions, out, config, source), dry_run, json):
        return
    rows = write_videos(trained, read, conditions, out, config, source)
    show(f"{table(('video', 'read as'), [(row['clip_id'], row['caption']) for row in rows])}\n")
    show(f"{len(rows)} videos and captions.tsv in {out}")
    about = {"subject": read.subject, "zero_shot": read.zero_shot, "left_out": read.left_out}
    write_result(json, {"out": str(out), **about, "videos": rows, "generator": source.identity})
