"""List the recipes: what `brainreel run` can do from a release to a report, with one command."""

from __future__ import annotations

from typing import NamedTuple

from brainreel.cli.output import show, table

EXAMPLE = "brainreel recipes"


class Recipe(NamedTuple):
    """What the list says of a recipe, and the module of the command line that runs it.

    Its ``run`` takes the recipe's settings as flags and hands an outlook and the work to `brainreel.cli.run.carry_out`.
    """

    about: str
    module: str


RECIPES = {
    "sandbox": Recipe(
        "three simulated datasets through all three stages, to videos of everybody and of a person never trained on",
        "brainreel.cli.recipe_sandbox",
    ),
    "sherlock": Recipe(
        "the real-fMRI benchmark: reading a film from 15 s of one person's brain activity at a time",
        "brainreel.cli.recipe_sherlock",
    ),
}


def run() -> None:
    """Print the list."""
    show(table(("recipe", ""), [(name, recipe.about) for name, recipe in RECIPES.items()]))
    show("\nbrainreel run RECIPE --help explains one.")
