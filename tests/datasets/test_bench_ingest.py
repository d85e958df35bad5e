"""The benchmark of reading a release runs, and its numbers are those of the work it names."""

import json

import pytest

from brainreel.bench import ingest as bench
from brainreel.datasets.twin_cortex import TwinCortex


def test_it_prints_a_table_and_returns_what_json_can_hold(capsys):
    size = len(TwinCortex.grow("tiny"))
    result = bench.run(clips=22, grayordinates=size)
    assert json.loads(json.dumps(result)) == result
    assert result["bytes"] == pytest.approx((20 * 3 + 2 * 10) * size * 8, rel=0.01)
    assert result["unpickle"]["seconds"] > 0
    assert result["ingest"]["seconds"] > 0
    assert result["checksum_seconds"] > 0
    assert result["ratio"] == pytest.approx(result["ingest"]["seconds"] / result["unpickle"]["seconds"])
    # A process with numpy alone, and one with the whole product.
    assert 10 < result["unpickle"]["peak_memory_mib"] <= result["ingest"]["peak_memory_mib"] < 3000
    assert "checksums" in capsys.readouterr().out
