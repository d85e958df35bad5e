"""The datasets that brainreel reads: what is in them, under which licence, whom to cite and how to get them.

Without a name: a list. With one: all its facts.
"""

from __future__ import annotations

import textwrap
from typing import Annotated

from tyro.conf import Positional, arg

from brainreel.cli.output import show, table, write_result
from brainreel.cli.parse import Json
from brainreel.datasets import DATASETS, Facts
from brainreel.errors import UsageError, alternatives

EXAMPLE = "brainreel datasets sherlock"


def run(
    name: Annotated[Positional[str | None], arg(metavar="NAME", help="one dataset; default: a list")] = None,
    *,
    json: Json = None,
) -> None:
    """Print facts.

    Args:
        name: One dataset.
        json: Where to write the facts.
    """
    if name is not None and name not in DATASETS:
        raise UsageError(f"there is no dataset {alternatives(name, DATASETS)}")
    if name is None:
        show(table(("name", "title"), [(key, dataset.facts.title) for key, dataset in DATASETS.items()]))
    else:
        show(_describe(DATASETS[name].facts))
    chosen = DATASETS if name is None else {name: DATASETS[name]}
    write_result(json, {key: dataset.facts.model_dump(mode="json") for key, dataset in chosen.items()})


def _describe(facts: Facts) -> str:
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
    lines += ["", f"brainreel ingest {facts.name} SOURCE --store stores/{facts.name}"]
    return "\n".join(lines)
