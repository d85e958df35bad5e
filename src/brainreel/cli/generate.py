"""Stage 3: make the videos of everybody's test clips from the conditions that `brainreel regress` left in RUN.

Video-to-video where the conditions hold latents: these get as much noise as --strength says and are denoised under the
same text. Else text-to-video. Killed, the same command goes on with the next clips. Arrays without any loss go below
RUN/generate, for scores; playable files below RUN/reconstructions, for people. --variant NAME keeps videos of other
settings beside the first ones, so that `brainreel evaluate` compares them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from brainreel.cli.output import show, write_result
from brainreel.cli.parse import DryRun, Json
from brainreel.generate.config import GenerateConfig

EXAMPLE = "brainreel generate runs/mine --weights Wan-AI/Wan2.1-T2V-1.3B-Diffusers --clips 20"


def run(
    experiment: Annotated[Positional[Path], arg(metavar="RUN", help="an experiment's folder")],
    *,
    weights: Annotated[str, arg(metavar="ID_OR_DIR", help="the video model: hub id or folder of a diffusers pipeline")],
    generator: Annotated[str, arg(metavar="NAME", help="which family of video models")] = "wan",
    clips: Annotated[
        int | None, arg(metavar="N", help="only so many of each dataset, the same for everybody; default: all")
    ] = None,
    variant: Annotated[
        str,
        arg(metavar="NAME", help="keep these beside the first ones, as METHOD+NAME; files for people stay the first's"),
    ] = "",
    device: Annotated[str, arg(help="auto, cpu, cuda, cuda:N or mps; CUDA computes in bfloat16")] = "auto",
    dry_run: DryRun = False,
    json: Json = None,
    config: Annotated[GenerateConfig, arg(name="")] = GenerateConfig(),  # noqa: B008  frozen
) -> None:
    """Generate."""
    from brainreel.cli.run import foretell
    from brainreel.experiment import Experiment
    from brainreel.generate.registry import GeneratorSource
    from brainreel.pipeline.generate_stage import find_parts, generate_outlook, generate_stages, plan_tasks
    from brainreel.pipeline.reconstruct import remember_generator
    from brainreel.pipeline.reconstructions import write_reconstructions
    from brainreel.progress import say

    source, opened = GeneratorSource(generator, weights, device), Experiment(experiment)
    parts = find_parts(opened, clips=clips, variant=variant)
    if not dry_run:
        source.fetch()
    tasks = plan_tasks(opened, parts, config, source)
    outlook = generate_outlook(opened, tasks)
    if not (outlook.idle or source.parameters):
        say(f"{weights} has not been fetched to this machine yet: the estimate knows no time")
    if foretell(outlook, dry_run, json):
        return
    with opened.lock():
        stages = generate_stages(opened, tasks, config, source)
        # A variant is an aside: `reconstruct` goes on as the experiment's own videos were made.
        if not variant:
            remember_generator(opened, source, config)
        if not any(stage.ran for stage in stages):
            say("everything is up to date: nothing to do")
        top = None if variant else write_reconstructions(opened, tasks, stages)
    made = sum(len(task.part.clip_id) for task in tasks)
    result = {
        "videos": made,
        "reconstructions": None if top is None else str(top),
        "stages": [str(stage.path) for stage in stages],
    }
    write_result(json, {**result, "ran": sum(stage.ran for stage in stages), "generator": source.identity})
    watch = "" if top is None else f", to watch: {top}"
    show(f"{made} videos below {experiment / 'generate'}{watch}\nnext: brainreel evaluate {experiment}")
