"""The names that users import, the definitions they read, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from brainreel import metrics
from brainreel.metrics import DEFINITIONS, FACTS


def test_every_public_name_is_there():
    for name in metrics.__all__:
        assert getattr(metrics, name) is not None
    assert callable(metrics.ssim)


def test_every_definition_is_a_sentence_and_the_published_ones_are_never_the_default():
    for metric, definitions in DEFINITIONS.items():
        for name, sentence in definitions.items():
            assert len(sentence) > 20, (metric, name)
        assert not next(iter(definitions)).startswith("published"), metric


def test_facts_and_definitions_name_the_same_things():
    for metric, facts in FACTS.items():
        assert list(facts) == list(DEFINITIONS[metric]), metric
        for name, fact in facts.items():
            assert fact.published == name.startswith("published")
            assert fact.range[0] < fact.range[1]


def test_chance_of_n_way_follows_n_and_k():
    chance = FACTS["n_way_accuracy"]["published-top3"].chance
    assert callable(chance)
    assert chance(2, 1) == pytest.approx(0.75)


def test_importing_the_metrics_loads_nothing_heavy():
    code = "import sys, brainreel.metrics; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["torch", "cv2", "moten", "skimage", "scipy.stats", "scipy.ndimage", "pandas", "PIL"]
    run = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
