"""The benchmark runs, agrees with the rivals it is timed against, and can be written as JSON."""

from __future__ import annotations

import json

import pytest

from brainreel.bench import metrics as bench

pytest.importorskip("cv2")
pytest.importorskip("moten")


def test_it_prints_a_table_and_returns_what_json_can_hold(capsys, monkeypatch):
    monkeypatch.setattr(bench, "REPEATS", 1)
    monkeypatch.setattr(bench, "CLIPS", 20)
    result = bench.run(pairs=2, size=32, flow_clips=1)
    assert json.loads(json.dumps(result)) == result
    printed = capsys.readouterr().out
    for row in result["timings"]:
        assert row["difference"] < (0.05 if row["name"].startswith("n_way") else 1e-6), row
        assert row["ours"]["wall"] > 0
        assert row["name"].split("_")[0] in printed
    assert result["test_set"]["together"]["processor"] > 0
    assert 10 < result["peak_memory_mib"] < 1e5
    bench._print(result)
    assert capsys.readouterr().out == printed
