"""The datasets that brainreel reads: what is in them, under which licence, whom to cite and how to get them.

Without a name: a list. With one: all its facts. With --download: the files that `brainreel ingest` needs, from the
release's public server; the same command goes on where an earlier one stopped, and changes nothing that is there.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from brainreel.cli.output import show, table, write_result
from brainreel.cli.parse import DryRun, Json, Subjects
from brainreel.datasets import DATASETS, ByHand, Dataset, Remote
from brainreel.errors import UsageError, alternatives

EXAMPLE = "brainreel datasets bmd --download data/bmd --subjects sub-01 sub-02"


def run(
    name: Annotated[Positional[str | None], arg(metavar="NAME", help="one dataset; default: a list")] = None,
    *,
    download: Annotated[Path | None, arg(metavar="DEST", help="the folder to download into, new or not")] = None,
    subjects: Subjects = None,
    space: Annotated[str | None, arg(metavar="NAME", help="which responses, as for ingest; default: ingest's")] = None,
    mirror: Annotated[str | None, arg(metavar="URL", help="another server with the bucket's keys")] = None,
    connections: Annotated[int, arg(help="files at a time")] = 4,
    dry_run: DryRun = False,
    json: Json = None,
) -> None:
    """Print facts, or download."""
    if name is not None and name not in DATASETS:
        raise UsageError(f"there is no dataset {alternatives(name, DATASETS)}")
    if download is not None:
        if name is None:
            raise UsageError("--download without a dataset", expected="its NAME", do="see `brainreel datasets`")
        _download(DATASETS[name], download, subjects, space, mirror, connections, dry_run, json)
        return
    if subjects or space or mirror or dry_run:
        raise UsageError("--subjects, --space, --mirror and --dry-run say what to download", expected="--download DEST")
    if name is None:
        show(table(("name", "title"), [(key, dataset.facts.title) for key, dataset in DATASETS.items()]))
    else:
        show(_describe(DATASETS[name]))
    chosen = DATASETS if name is None else {name: DATASETS[name]}
    write_result(json, {key: dataset.facts.model_dump(mode="json") for key, dataset in chosen.items()})


def _download(
    dataset: Dataset,
    folder: Path,
    subjects: tuple[str, ...] | None,
    space: str | None,
    mirror: str | None,
    connections: int,
    dry_run: bool,
    json: Path | None,
) -> None:
    from brainreel.datasets.obtain import obtain
    from brainreel.progress import say

    name, remote = dataset.facts.name, dataset.download
    if isinstance(remote, ByHand):
        show(remote.told())
    plan = obtain(
        dataset,
        folder,
        subjects=subjects,
        space=space,
        mirror=mirror,
        connections=connections,
        dry_run=dry_run,
        tell=show if dry_run else say,
    )
    if not dry_run:
        show(f"{folder}: {len(plan.files)} files, verified")
        if isinstance(remote, Remote) and remote.by_hand:
            show("\n".join(textwrap.wrap(remote.by_hand, 100)))
        chosen = f" --space {space}" if space else ""
        show(f"next: brainreel ingest {name} {folder} --store stores/{name}{chosen}")
    write_result(
        json,
        {
            "dataset": name,
            "folder": str(folder),
            "files": [{"path": file.path, "bytes": file.size, "etag": file.etag} for file in plan.files],
            "bytes": plan.bytes,
            "missing_files": 0 if not dry_run else len(plan.missing),
            "missing_bytes": 0 if not dry_run else plan.missing_bytes,
        },
    )


def _describe(dataset: Dataset) -> str:
    facts, download = dataset.facts, dataset.download
    lines = [facts.title, ""]
    told = {
        "licence": facts.licence,
        "cite": facts.citation,
        "how to get": facts.how_to_get,
        "from": facts.url,
        "design": f"{facts.kind}, TR {facts.tr_s:g} s" if facts.tr_s else facts.kind,
        "people": "whoever is there" if facts.subjects is None else str(facts.subjects),
        "responses": facts.responses,
        "spaces": ", ".join(f"{space} ({count} vertices)" for space, count in facts.spaces.items()),
        "runs": ", ".join(f"{run} ({count} volumes)" for run, count in facts.run_volumes.items()),
    }
    for key, value in told.items():
        if value:
            lines += textwrap.wrap(value, 100, initial_indent=f"{key:<12}", subsequent_indent=" " * 12)
    for caveat in facts.notes:
        lines += textwrap.wrap(caveat, 100, initial_indent=f"{'note':<12}", subsequent_indent=" " * 12)
    if isinstance(download, ByHand):
        lines += ["", download.told(), ""]
    else:
        lines += ["", f"brainreel datasets {facts.name} --download SOURCE"]
    return "\n".join([*lines, f"brainreel ingest {facts.name} SOURCE --store stores/{facts.name}"])
