"""The benchmark of reading CC2017 runs, and its numbers are those of the work it names."""

import json

import pytest

from brainreel.bench import ingest_cc2017 as bench
from brainreel.datasets import DATASETS
from brainreel.datasets.twin_cortex import TwinCortex


def test_it_prints_a_table_and_returns_what_json_can_hold(capsys):
    result = bench.run(runs=3, size="tiny")
    assert json.loads(json.dumps(result)) == result
    assert result["runs"] == 4, "training movies were shown twice"
    assert result["bytes"] > 4 * 245 * len(TwinCortex.grow("tiny")) * 4
    assert result["nibabel"]["seconds"] > 0
    assert set(result["ingest"]) == set(bench.SPACES)
    for found in result["ingest"].values():
        assert found["checksum_seconds"] > 0
        assert found["ratio"] == pytest.approx(found["seconds"] / result["nibabel"]["seconds"])
        assert 10 < found["peak_memory_mib"] < 3000
    assert "times nibabel" in capsys.readouterr().out


def test_a_whole_person_has_86_runs():
    facts = DATASETS["cc2017"].facts
    assert bench._shown(facts, 86) == facts.run_volumes
    assert list(bench._shown(facts, 37)) == [*(f"seg{k}" for k in range(1, 19)), "test1"]
    assert list(bench._shown(facts, 1)) == ["seg1"]
