"""What docs/scoring.md shows runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from brainreel.cli.main import main
from brainreel.video import write_video

from .clips import moving, noisy

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scoring.md").read_text()


def test_the_python_example_runs():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
    exec(compile(code, "docs/scoring.md", "exec"), {})


def test_the_command_runs_and_leaves_what_the_page_names(tmp_path, monkeypatch):
    truth = moving(2)
    for name, videos in {"shown": truth, "ours": noisy(truth, 10), "theirs": noisy(truth, 30)}.items():
        for clip, frames in zip(("a", "b"), videos, strict=True):
            write_video(tmp_path / name / f"{clip}.mp4", frames, fps=8, lossless=True)
    monkeypatch.chdir(tmp_path)
    command = re.search(r"^brainreel (score .*)$", PAGE, flags=re.M)
    assert command is not None
    assert main(shlex.split(command[1])) == 0
    for name in ("metrics.json", "per_clip.tsv", "scores.md", "scores.tex"):
        assert f"`{name}`" in PAGE
        assert (tmp_path / "scores" / name).stat().st_size > 0
