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
    result = bench.run(pairs=2, size=32, clips=3, train=3)
    assert json.loads(json.dumps(result)) == result
    printed = capsys.readouterr().out
    for row in result["timings"]:
        assert row["difference"] < (0.05 if row["name"].startswith("n_way") else 1e-6), row
        assert row["ours"]["wall"] > 0
        assert row["name"].split("_")[0] in printed
    scored = result["test_set"]
    assert scored["seconds"]["processor"] > 0
    # Scoring cannot be faster than the flows it needs, but for noise in the clock.
    assert scored["ratio"] > 0.5
    # One row needs a network; all other metrics and definitions were scored.
    assert (scored["rows"], scored["missing"]) == (17, ["frame_consistency"])
    assert 10 < result["peak_memory_mib"] < 1e5
    bench._print(result)
    assert capsys.readouterr().out == printed
