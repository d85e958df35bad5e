"""The report of a whole run: which clips it shows, that it shows their very frames, and what it says of them."""

from __future__ import annotations

import base64
import io
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from brainreel.cli.main import main
from brainreel.experiment import Experiment
from brainreel.pipeline.evaluate_videos import evaluate_videos
from brainreel.pipeline.plan import read_plan
from brainreel.pipeline.video_scores import leading, read_video_scores
from brainreel.pipeline.video_sections import READ, SHOWN, SHUFFLED, TRUE_VECTORS, UNSEEN, choose, video_gallery
from brainreel.pipeline.write_report import write_report
from brainreel.regress import Conditions
from brainreel.report.videos import Sheet
from brainreel.sandbox.config import RELEASES
from brainreel.store.clips import clip_frames
from report.driven import BROWSER, opened

EVENT = RELEASES[0]


@pytest.fixture(scope="module")
def scored(ran, tmp_path_factory):
    """The run with its videos scored, without any network."""
    to = tmp_path_factory.mktemp("report") / "run"
    shutil.copytree(ran, to, ignore=shutil.ignore_patterns("evaluate-videos"))
    experiment = Experiment(to)
    with experiment.lock():
        evaluate_videos(experiment)
    return experiment


@pytest.fixture(scope="module")
def plan(scored):
    return read_plan(scored)


@pytest.fixture(scope="module")
def gallery(scored, plan):
    scores = read_video_scores(scored)
    return video_gallery(scored, plan.open_stores(scored), scores, leading(scores.rows))


@pytest.fixture(scope="module")
def page(scored, plan):
    return write_report(scored, plan)


def frames_of(sheet: Sheet) -> np.ndarray:
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet.src.partition(",")[2]))).convert("RGB"))
    tiles = picture.reshape(sheet.rows, sheet.height, sheet.columns, sheet.width, 3).swapaxes(1, 2)
    return tiles.reshape(-1, sheet.height, sheet.width, 3)[: sheet.frames]


def cells_of(row):
    return {cell.name: cell for cell in row.cells}


def test_without_networks_the_leading_measure_is_ssim(scored):
    assert leading(read_video_scores(scored).rows) == ("ssim", "gaussian-rgb", None, None)


def test_every_dataset_shows_its_best_and_its_worst_by_score(gallery, scored):
    table = pd.read_csv(scored.root / "evaluate-videos" / "summary" / "per_clip.tsv", sep="\t")
    table = table.loc[(table["metric"] == "ssim") & (table["strategy"] == "contrastive")]
    assert [(row.group, row.place) for row in gallery.rows] == [(d, p) for d in RELEASES for p in ("best", "worst")]
    for best, worst in zip(gallery.rows[::2], gallery.rows[1::2], strict=True):
        mine = table.loc[(table["dataset"] == best.group) & (table["subject"] == best.person)]
        by_score = mine.sort_values("value", ascending=False)["clip_id"].tolist()
        assert [best.clip, worst.clip] == by_score
        assert [(row.rank, row.of) for row in (best, worst)] == [(1, 2), (2, 2)]
        means = table.loc[table["dataset"] == best.group].groupby("subject")["value"].mean().sort_values()
        assert best.person == means.index[(len(means) - 1) // 2]


def test_each_video_is_the_one_it_is_said_to_be(gallery, scored, plan):
    stores = {store.name: store for store in plan.open_stores(scored)}
    made = scored.root / "generate" / "contrastive" / "seed-0" / "fold-0"
    for row in gallery.rows:
        cells, folder = cells_of(row), made / row.group
        np.testing.assert_array_equal(
            frames_of(cells[SHOWN].sheet), clip_frames(stores[row.group], row.clip)[0], err_msg=row.clip
        )
        (other,) = {path.stem for path in (folder / row.person).glob("*.npy")} - {row.clip}
        wanted = {READ: (row.person, row.clip), SHUFFLED: (row.person, other), TRUE_VECTORS: ("_truth", row.clip)}
        for name, (subject, clip) in wanted.items():
            assert cells[name].sheet.exact
            np.testing.assert_array_equal(frames_of(cells[name].sheet), np.load(folder / subject / f"{clip}.npy"))
        assert cells[SHUFFLED].note == f"what was read for {other}"


def test_words_and_scores_are_those_of_the_run(gallery, scored):
    table = pd.read_csv(scored.root / "evaluate-videos" / "summary" / "per_clip.tsv", sep="\t")
    table = table.loc[table["metric"] == "ssim"].set_index(["strategy", "dataset", "subject", "clip_id"])
    for row in gallery.rows:
        cells = cells_of(row)
        path = scored.root / f"regress/contrastive/seed-0/fold-0/conditions/{row.group}/{row.person}.safetensors"
        found = Conditions.read(path)
        assert cells[READ].caption == found.captions[found.clip_id.index(row.clip)]
        mine = table.loc[("contrastive", row.group, row.person, row.clip)]
        for name, column in ((READ, "value"), (TRUE_VECTORS, "ceiling"), (SHUFFLED, "shuffled")):
            assert cells[name].scores[0].value == pytest.approx(float(mine[column]))


def test_the_unseen_person_stands_where_they_saw_the_clip(gallery, scored):
    assert {row.group for row in gallery.rows if UNSEEN in cells_of(row)} == {EVENT}
    for row in gallery.rows:
        if row.group == EVENT:
            cell = cells_of(row)[UNSEEN]
            assert cell.note != row.person
            folder = scored.root / "generate" / "newcomer" / "seed-0" / "fold-0" / EVENT / cell.note
            np.testing.assert_array_equal(frames_of(cell.sheet), np.load(folder / f"{row.clip}.npy"))


def test_the_page_holds_every_section(page):
    words = page.read_text()
    for said in (
        "Videos from simulated brain activity",
        "Truth beside reconstruction",
        "Scores of the videos",
        "Paired differences of the videos",
        "The test clips, read from the brain",
        "Scores and their controls",
        "Learning curves of stage 2",
        "Audit: what else could explain the score",
        f"Responses of {EVENT}",
        "Not measured: ",
        "What ran",
    ):
        assert said in words


def test_the_command_writes_the_same_page(page, scored, capsys):
    before = page.read_bytes()
    assert main(["report", str(scored.root)]) == 0
    assert capsys.readouterr().out.strip() == str(page)
    assert page.read_bytes() == before


def test_without_scores_of_videos_the_report_is_about_words(ran, tmp_path):
    shutil.copytree(ran, tmp_path / "run", ignore=shutil.ignore_patterns("evaluate-videos"))
    words = write_report(Experiment(tmp_path / "run"), read_plan(Experiment(tmp_path / "run"))).read_text()
    assert "Truth beside reconstruction" not in words
    assert "The test clips, read from the brain" in words


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on PATH")
def test_a_browser_plays_it_without_a_complaint(page, tmp_path):
    script = """
    const row = document.querySelector(".section-video_gallery [data-reel]");
    row.scrollIntoView({ block: "center", behavior: "instant" });
    const frames = () => [...row.querySelectorAll("canvas")].map((canvas) => canvas.dataset.frame);
    while (new Set(frames()).size !== 1 || Number(frames()[0]) < 3) await new Promise(requestAnimationFrame);
    return frames();
    """
    with opened(page, tmp_path / "profile") as shown:
        frames = shown.run(script)
        assert shown.complaints == []
    assert len(frames) == 5
    assert len(set(frames)) == 1


def test_fewer_than_three_clips_are_shown_as_they_rank():
    assert [(c.clip, c.place, c.rank, c.of) for c in choose([0.1, 0.9], ["a", "b"], 1, 0)] == [
        ("b", "best", 1, 2),
        ("a", "worst", 2, 2),
    ]
    assert [(c.clip, c.place) for c in choose([float("nan"), 0.5], ["a", "b"], 1, 0)] == [("b", "median")]
    assert choose([float("nan")], ["a"], 1, 0) == []


def test_of_many_clips_ranks_are_places_in_one_ranking():
    values = [0.7, 0.1, 0.5, 0.9, 0.3, float("nan"), 0.6, 0.2]
    found = {c.place: c for c in choose(values, list("abcdefgh"), 1, 3)}
    assert {place: (c.clip, c.rank) for place, c in found.items()} == {
        "best": ("d", 1),
        "median": ("c", 4),
        "worst": ("b", 7),
    }
