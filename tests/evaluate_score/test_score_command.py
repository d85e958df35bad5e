"""The command, on files: videos, frame folders and arrays, bad input, what it writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from brainreel.cli.main import main
from brainreel.video import write_video
from shared_files import shared_clips

from .clips import moving, noisy, rows_of

NAMES = ("apple", "boat", "cat")


@pytest.fixture(scope="module")
def truth():
    return moving(3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, truth):
    """The same clips as lossless videos, as frames and as an array, and two methods."""
    root = tmp_path_factory.mktemp("score")
    for name, videos in {"shown": truth, "ours": noisy(truth, 15), "theirs": noisy(truth, 40)}.items():
        np.save(root / f"{name}.npy", videos)
        for clip, frames in zip(NAMES, videos, strict=True):
            write_video(root / name / f"{clip}.mp4", frames, fps=16, lossless=True)
            (root / f"{name}_frames" / clip).mkdir(parents=True)
            for index, frame in enumerate(frames):
                # 8.png comes before 10.png.
                Image.fromarray(frame).save(root / f"{name}_frames" / clip / f"{index + 8}.png")
    return root


def run(*arguments: object) -> int:
    return main(["score", *map(str, arguments)])


def test_videos_frames_and_arrays_score_alike(folder, tmp_path, capsys):
    documents = []
    for suffix in ("", "_frames", ".npy"):
        file = tmp_path / f"{len(documents)}.json"
        assert (
            run(
                "--truth",
                f"{folder}/shown{suffix}",
                "--recon",
                f"ours={folder}/ours{suffix}",
                "--fps",
                16,
                "--json",
                file,
            )
            == 0
        )
        documents.append(json.loads(file.read_text()))
    # A container's clock rounds the times, never the pixels.
    for document in documents[1:]:
        assert document["scores"] == documents[0]["scores"]
    assert rows_of(documents[0], "ours")["direction_agreement", "mean-flow"]["value"] > 0.9
    assert "size: none; time: none" in capsys.readouterr().out


def test_two_methods_leave_everything_in_a_folder(folder, tmp_path, capsys):
    out = tmp_path / "out"
    code = run(
        *("--truth", folder / "shown.npy", "--recon", folder / "ours.npy", "--recon", folder / "theirs.npy"),
        *("--out", out, "--json", tmp_path / "same.json"),
    )
    assert code == 0
    assert {path.name for path in out.iterdir()} == {"metrics.json", "per_clip.tsv", "scores.md", "scores.tex"}
    document = json.loads((out / "metrics.json").read_text())
    assert document == json.loads((tmp_path / "same.json").read_text())
    assert document["methods"] == ["ours", "theirs"]
    table = pd.read_csv(out / "per_clip.tsv", sep="\t")
    assert len(table) == 2 * 3 * 17
    shown = capsys.readouterr().out
    assert "| ssim (gaussian-rgb) ↑" in shown
    assert "### Paired differences" in shown


def test_markdown_and_latex_are_well_formed(folder, tmp_path):
    out = tmp_path / "out"
    recons = ("--recon", f"under_score&100%={folder / 'ours.npy'}", "--recon", folder / "theirs.npy")
    assert run("--truth", folder / "shown.npy", *recons, "--out", out) == 0
    for block in (out / "scores.md").read_text().split("### ")[1:]:
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) == 1
        assert re.fullmatch(r"\|( -+ \|)+", lines[1])
    latex = (out / "scores.tex").read_text()
    assert latex.isascii()
    assert r"under\_score\&100\%" in latex
    for begin, end in (("table", "table"), ("tabular", "tabular")):
        assert latex.count(rf"\begin{{{begin}}}") == latex.count(rf"\end{{{end}}}") == 2
    for columns, body in re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", latex, flags=re.S):
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(columns) - 1}
    assert latex.replace(r"\{", "").replace(r"\}", "").count("{") == latex.replace(r"\{", "").replace(r"\}", "").count(
        "}"
    )
    assert r"\textbf{" in latex


def test_dry_run_estimates_and_writes_nothing(folder, tmp_path, capsys):
    assert run("--truth", folder / "shown", "--recon", folder / "ours", "--out", tmp_path / "out", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert re.search(r"3 clips of 4 frames at 32×32, 1 method\(s\): about \d+ s on 2 cores, .* GiB of memory", shown)
    assert not (tmp_path / "out").exists()


def test_help_opens_with_a_runnable_line(capsys):
    assert run("--help") == 0
    assert capsys.readouterr().out.startswith("brainreel score --truth ")


def grey_images(root: Path) -> None:
    for path in root.rglob("*.png"):
        Image.open(path).convert("L").save(path)


def transparent_images(root: Path) -> None:
    for path in root.rglob("*.png"):
        Image.open(path).convert("RGBA").save(path)


def one_smaller_image(root: Path) -> None:
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(root / "cat" / "9.png")


def broken_image(root: Path) -> None:
    (root / "cat" / "9.png").write_bytes((root / "cat" / "9.png").read_bytes()[:100])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (grey_images, "is grey"),
        (transparent_images, "alpha"),
        (one_smaller_image, "2 sizes"),
        (broken_image, "cannot be read as an image"),
        (lambda root: [path.unlink() for path in (root / "cat").iterdir()], "holds no images"),
        (lambda root: (root / "cat").rename(root / "dog"), "not in"),
        (lambda root: [(root / "cat" / f"{index}.png").unlink() for index in (8, 9)], "4 frames .* 2"),
    ],
)
def test_bad_frames_are_one_sentence(folder, tmp_path, capsys, damage, said):
    import shutil

    shutil.copytree(folder / "ours_frames", tmp_path / "bad")
    damage(tmp_path / "bad")
    refused(capsys, said, "--truth", folder / "shown_frames", "--recon", tmp_path / "bad")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda root, truth: write_video(root / "cat.mp4", np.concatenate([truth[2]] * 2), fps=16), "lasts"),
        (
            lambda root, truth: (root / "cat.mp4").write_bytes((root / "cat.mp4").read_bytes()[:900]),
            "cannot be read as video",
        ),
        (lambda root, truth: (root / "cat.mp4").write_bytes(b""), "cannot be read as video"),
        (lambda root, truth: (root / "cat.mp4").unlink(), "1 of 3 clips .* not in"),
        (lambda root, truth: write_video(root / "dog.mp4", truth[0], fps=16), "1 of 4 clips .* not in"),
        (lambda root, truth: write_video(root / "cat.mkv", truth[0], fps=16), "2 videos named cat"),
        (lambda root, truth: [path.unlink() for path in root.iterdir()], "holds no videos"),
        (lambda root, truth: (root / "frames").mkdir(), "holds videos .* and folders"),
    ],
)
def test_bad_videos_are_one_sentence(folder, tmp_path, capsys, truth, make, said):
    import shutil

    shutil.copytree(folder / "ours", tmp_path / "bad")
    make(tmp_path / "bad", truth)
    refused(capsys, said, "--truth", folder / "shown", "--recon", tmp_path / "bad")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda v: v[:2], "3 clips .* 2"),
        (lambda v: v[:, :2], "4 frames .* 2"),
        (lambda v: np.where(v > 250, np.nan, v / 255), "NaN"),
        (lambda v: v[..., 0], "shape"),
        (lambda v: np.concatenate([v, v[..., :1]], -1), "alpha"),
        (lambda v: v[:, :, :8, :8], None),
        (lambda v: np.array([{"a": 1}]), "cannot be read as an array"),
    ],
)
def test_bad_arrays_are_one_sentence(folder, tmp_path, capsys, truth, make, said):
    np.save(tmp_path / "bad.npy", make(truth))
    arguments = "--truth", folder / "shown.npy", "--recon", tmp_path / "bad.npy"
    if said is None:
        assert run(*arguments) == 0
    else:
        refused(capsys, said, *arguments)


def test_bad_usage_is_one_sentence(folder, tmp_path, capsys):
    shown = "--truth", folder / "shown"
    refused(capsys, "not there", *shown, "--recon", tmp_path / "nowhere")
    refused(capsys, "folder of videos", "--truth", folder / "shown" / "cat.mp4", "--recon", folder / "ours")
    refused(
        capsys,
        "two methods named same",
        *shown,
        "--recon",
        f"same={folder / 'ours'}",
        "--recon",
        f"same={folder / 'theirs'}",
    )
    refused(capsys, "nothing to score", *shown)
    refused(capsys, "cut off|whole .npy", *shown, "--recon", cut(folder / "ours.npy", tmp_path / "cut.npy"))
    refused(capsys, "positive", "--truth", folder / "shown.npy", "--recon", folder / "ours.npy", "--fps", 0)


def test_methods_are_called_after_their_folders(tmp_path):
    from brainreel.evaluate.score import open_all

    for each in ("a/recon", "b/recon", "c/other", "shown"):
        write_video(tmp_path / each / "cat.mp4", moving(1)[0], fps=16)
    given = [f"{tmp_path}/a/recon", f"{tmp_path}/b/recon/", f"{tmp_path}/c/other", f"mine={tmp_path}/shown"]
    _, recons, _ = open_all(tmp_path / "shown", given, train=None, fps=None, recon_fps=None)
    assert list(recons) == ["a/recon", "b/recon", "other", "mine"]


def cut(source: Path, to: Path) -> Path:
    to.write_bytes(source.read_bytes()[:-500])
    return to


def refused(capsys, said: str, *arguments: object) -> None:
    capsys.readouterr()
    assert run(*arguments) == 2
    printed = capsys.readouterr()
    last = printed.err.strip().splitlines()[-1]
    assert last.startswith("brainreel: ")
    assert "Traceback" not in printed.err
    assert re.search(said, last), last


def test_other_files_are_ignored_and_it_is_said(folder, tmp_path, capsys, truth):
    for name, videos in (("a", truth), ("b", noisy(truth, 10))):
        write_video(tmp_path / name / "cat.mp4", videos[2], fps=16, lossless=True)
    (tmp_path / "b" / "captions.tsv").write_text("clip_id\tcaption\n")
    assert run("--truth", tmp_path / "a", "--recon", tmp_path / "b", "--json", tmp_path / "o.json") == 0
    assert "captions.tsv" in capsys.readouterr().err
    assert json.loads((tmp_path / "o.json").read_text())["controls"]["ignored"] == ["captions.tsv"]


@pytest.mark.shared
def test_real_clips_against_their_small_lossy_copies(tmp_path):
    from brainreel.video import Grid, even_times, read_video

    for file in shared_clips(3):
        frames = read_video(file, Grid(96, 96, even_times(6, 2))).frames
        write_video(tmp_path / "shown" / file.name, frames, fps=2, lossless=True)
        write_video(tmp_path / "small" / file.name, read_video(file, Grid(48, 48, even_times(15, 5))).frames, fps=5)
    assert run("--truth", tmp_path / "shown", "--recon", tmp_path / "small", "--json", tmp_path / "o.json") == 0
    document = json.loads((tmp_path / "o.json").read_text())
    assert document["resampling"][0]["spatial"].endswith("48×48 → 96×96")
    ssim = rows_of(document, "small")["ssim", "gaussian-rgb"]
    assert ssim["mismatched"] + 0.3 < ssim["value"] < 0.99
