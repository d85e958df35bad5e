"""Does the sandbox show what it claims? Its recipe with 200 test clips and three seeds, and a table of claims.

Two people of the event dataset are left out. Each is read by a model that never saw them, by one of everybody, them
too, and by one of them alone; all claims are differences over these people and the same clips.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..experiment import Experiment
from ..files import write_json, write_text
from ..pipeline.outlook import Outlook
from ..progress import say
from ..sandbox.config import RELEASES, SandboxConfig
from ..sandbox.outlook import sandbox_outlook
from ..sandbox.recipe import run_sandbox
from .claims import CLIPS, SEEDS, markdown, read_claims

CONFIG = SandboxConfig(
    size="small", people=4, left_out=2, test_clips=CLIPS, clips=None, seeds=SEEDS, compare=True, text_to_video=True
)
OUT = Path("runs/sandbox-claims")


def outlook(*, out: Path = OUT, weights: Path | None = None, clips: int = CLIPS) -> Outlook:
    """What `run` would do with the same arguments; writes nothing."""
    return sandbox_outlook(_config(clips), out, weights=weights)


def run(
    *,
    out: Path = OUT,
    weights: Path | None = None,
    clips: int = CLIPS,
    workers: int | None = None,
    config: SandboxConfig | None = None,
) -> dict[str, Any]:
    """Run the experiment, or what is missing of it, and read the claims from its scores.

    Args:
        out: The experiment's folder; ``claims.md`` and ``claims.json`` go there.
        weights: The sandbox's networks; None: those that were installed with the package.
        clips: Test clips.
        workers: Trainings of stage 1 at a time; None: one per core.
        config: Settings of the recipe instead of the bench's.

    Returns:
        What `read_claims` found, and ``config``.
    """
    config = config or _config(clips)
    run_sandbox(config, out, weights=weights, workers=workers)
    document = json.loads((out / "metrics.json").read_text())
    found = {**read_claims(document, RELEASES[0]), "config": json.loads(config.model_dump_json())}
    with Experiment(out).lock():
        write_text(out / "claims.md", markdown(found))
        write_json(out / "claims.json", found)
    print(markdown(found))
    say(f"the same in {out / 'claims.md'}")
    return found


def _config(clips: int) -> SandboxConfig:
    return CONFIG.model_copy(update={"test_clips": clips})
