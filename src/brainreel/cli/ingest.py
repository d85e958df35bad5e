"""Read a public release, or your own recordings, into a store: the one format everything else reads.

Every file is checked on the way. Whatever is wrong stops the command with one sentence, and no half store stays.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from brainreel.cli.output import show
from brainreel.cli.parse import DryRun, Subjects

EXAMPLE = "brainreel ingest sherlock data/sherlock_kit --store stores/sherlock"


def run(
    dataset: Annotated[Positional[str], arg(metavar="DATASET", help="as `brainreel datasets` lists them")],
    source: Annotated[Positional[Path], arg(metavar="SOURCE", help="the release's folder")],
    *,
    store: Annotated[Path, arg(metavar="DIR", help="the store to make; must not exist yet")],
    subjects: Subjects = None,
    space: Annotated[str | None, arg(metavar="NAME", help="which space, for datasets that have several")] = None,
    stimuli: Annotated[Path | None, arg(metavar="PATH", help="the clips or the film, if not in the release")] = None,
    replace: Annotated[bool, arg(help="put the new store in the place of an existing one")] = False,
    dry_run: DryRun = False,
) -> None:
    """Make the store."""
    from brainreel.pipeline.stages import check_ingest, ingest

    if dry_run:
        from brainreel.pipeline.costs import ingest_cost

        check_ingest(dataset, source, store, replace=replace)
        show(f"ingest {dataset} from {source} into {store}: {ingest_cost(source)}")
        return
    made = ingest(dataset, source, store=store, subjects=subjects, space=space, stimuli=stimuli, replace=replace)
    show(
        f"{made.root}: {len(made.subjects)} people, {len(made.clips)} clips, {len(made.trials)} trials, "
        f"folds {', '.join(made.manifest.folds) or 'none'}\nnext: brainreel encode {made.root} --encoder text-minilm"
    )
