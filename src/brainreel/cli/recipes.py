"""List the recipes: what `brainreel run` can do from a release to a report, with one command."""

from __future__ import annotations

from brainreel.cli.output import show, table

EXAMPLE = "brainreel recipes"
RECIPES = {"sherlock": "the real-fMRI benchmark: reading a film from 15 s of one person's brain activity at a time"}


def run() -> None:
    """Print the list."""
    show(table(("recipe", ""), list(RECIPES.items())))
    show("\nbrainreel run RECIPE --help explains one.")
