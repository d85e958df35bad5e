"""The benchmark of streamed training runs, and streaming takes less memory."""

import json

import pytest

from brainreel.bench import stream as bench


def test_it_prints_a_table_and_streaming_saves_memory(capsys, monkeypatch):
    monkeypatch.setattr(bench, "REPEATS", 1)
    result = bench.run(clips=3000, vertices=2000, subjects=2, batch=64, memory_budget="6MB", steps=6, latent=4)
    assert json.loads(json.dumps(result)) == result
    assert result["response_bytes"] == 48_000_000
    assert result["batch_bytes"] == 64 * 2000 * 4
    assert result["ratio"] == pytest.approx(result["stream"]["steps_per_s"] / result["memory"]["steps_per_s"])
    assert result["floor_s"] > 0
    # In memory the responses are held twice, 92 MiB; streamed, 6 MB of them. What the optimiser imports is in both.
    assert result["memory"]["peak_memory_mib"] - result["stream"]["peak_memory_mib"] > 60
    printed = capsys.readouterr().out
    assert "streamed" in printed
    assert "budget 6 MB" in printed
