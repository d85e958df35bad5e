"""What a person would say of a simulated clip, and back from the words to what it shows."""

from __future__ import annotations

import re

import numpy as np

from brainreel.errors import UsageError, alternatives
from brainreel.world.scenes import FACTORS, Scenes

# factor -> option -> phrases, the usual one first; no phrase stands for two options.
PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "kind": {name: (name,) for name in FACTORS["kind"]},
    "colour": {name: (name,) for name in FACTORS["colour"]},
    "size": {"small": ("small", "little"), "large": ("large", "big")},
    "light": {"day": ("by day", "in the sunshine"), "night": ("at night", "in the dark")},
    "place": {
        "beach": ("on a beach", "at the beach"),
        "forest": ("in a forest", "among trees"),
        "city": ("in a city", "on a street"),
        "mountains": ("in snowy mountains", "in the snow"),
        "desert": ("in a desert", "among sand dunes"),
        "kitchen": ("in a kitchen", "beside a kitchen window"),
        "meadow": ("in a meadow", "on green hills"),
        "sea": ("under water", "at the bottom of the sea"),
    },
    "motion": {
        "left": ("moving left", "going to the left"),
        "right": ("moving right", "going to the right"),
        "up": ("rising", "floating up"),
        "down": ("falling", "sinking down"),
        "grow": ("growing", "getting bigger"),
        "shrink": ("shrinking", "getting smaller"),
        "spin": ("spinning", "turning around and around"),
        "still": ("standing still", "not moving"),
    },
}
TEMPLATES: tuple[str, ...] = (
    "a {size} {colour} {kind} {motion} {place} {light}",
    "{light} {place}, a {size} {colour} {kind} is {motion}",
    "{place} {light}: a {colour} {kind}, {size}, {motion}",
)
_VOWEL = re.compile(r"\ba (?=[aeio])")


def caption(scenes: Scenes, index: int) -> str:
    """The plainest caption: «a large red cat moving left on a beach at night»."""
    return _told(TEMPLATES[0], {f: PHRASES[f][name][0] for f, name in scenes.names(index).items()})


def captions(scenes: Scenes, *, variants: int = 3, seed: int = 0) -> list[list[str]]:
    """Several captions of each scene, the plainest first, the others drawn from all phrases and templates."""
    rng = np.random.default_rng(seed)
    out = []
    for index in range(len(scenes)):
        names = scenes.names(index)
        told = [caption(scenes, index)]
        for _ in range(variants - 1):
            words = {f: str(rng.choice(PHRASES[f][name])) for f, name in names.items()}
            told.append(_told(str(rng.choice(TEMPLATES)), words))
        out.append(told)
    return out


def parse_caption(text: str) -> dict[str, str]:
    """The factors a caption names, as `Scenes.names` gives them.

    Raises:
        UsageError: if a factor is missing or named twice: this is no caption of a simulated clip.
    """
    out: dict[str, str] = {}
    left = f" {text.lower()} "
    phrases = [(p, f, name) for f, options in PHRASES.items() for name, said in options.items() for p in said]
    # Long phrases first: «in a kitchen» must not be read out of «beside a kitchen window».
    for phrase, factor, name in sorted(phrases, key=lambda entry: -len(entry[0])):
        left, found = re.subn(rf"\b{phrase}\b", "_", left)
        if found and (found > 1 or factor in out):
            raise UsageError(f"the caption {text!r} names a {factor} twice", expected="one of each factor")
        if found:
            out[factor] = name
    for factor, options in FACTORS.items():
        if factor not in out:
            raise UsageError(f"the caption {text!r} names no {factor}: {alternatives('none', options)}")
    return out


def _told(template: str, words: dict[str, str]) -> str:
    return _VOWEL.sub("an ", template.format(**words))
