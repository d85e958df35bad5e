"""A real browser plays the gallery: all videos of a row on one clock, frame for frame, and its console stays silent."""

from __future__ import annotations

import pytest

from brainreel.report import Report, Sheet, render

from . import example
from .driven import BROWSER, opened

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on PATH")

HELPERS = """
const row = document.querySelector(".section-video_gallery [data-reel]");
const canvases = () => [...row.querySelectorAll("canvas")];
const scrub = row.querySelector(".reel-scrub"), button = row.querySelector(".reel-play");
const drawn = () => [Number(scrub.value), ...canvases().map((canvas) => Number(canvas.dataset.frame))];
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const frame = () => new Promise((done) => requestAnimationFrame(done));
const press = (key) => scrub.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const count = row.querySelectorAll(".reel-frame").length;
while (canvases().length < count) await wait(20);
"""
PLAYED = """
const said = { before: drawn(), samples: [] };
button.click();
for (let i = 0; i < 20; i++) { await wait(30); await frame(); said.samples.push(drawn()); }
said.pressed = button.textContent;
button.click();
said.stopped = drawn();
await wait(250);
said.rested = drawn();
return said;
"""
STEPPED = """
scrub.value = 0.51;
scrub.dispatchEvent(new Event("input"));
const said = { scrubbed: drawn() };
said.pixels = canvases().map((canvas) => [...canvas.getContext("2d").getImageData(0, 11, canvas.width, 1).data]);
press("ArrowRight"); said.stepped = drawn();
press("ArrowLeft"); press("ArrowLeft"); said.back = drawn();
said.texts = canvases().map((canvas) => canvas.getAttribute("aria-label"));
said.value = scrub.getAttribute("aria-valuetext");
said.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
return said;
"""
LOOKED_AT = """
const rows = [...document.querySelectorAll("[data-reel]")], last = rows.at(-1);
const playing = (one) => one.hasAttribute("data-playing");
await wait(100);
const said = { first: playing(rows[0]), far: playing(last) };
last.scrollIntoView({ block: "center", behavior: "instant" });
await wait(200);
said.seen = playing(last); said.left = playing(rows[0]);
document.querySelector(".reels-toggle").click();
said.all = rows.some(playing);
rows[0].scrollIntoView({ block: "center", behavior: "instant" });
await wait(200);
said.stays = rows.some(playing);
return said;
"""


def page_of(section, folder):
    path = folder / "report.html"
    path.write_text(render(Report(title="t", sections=(section,))), encoding="utf-8")
    return path


def frame_at(time_s: float, sheet: Sheet) -> int:
    return min(sheet.frames - 1, int(time_s * sheet.fps + 1e-6))


def test_the_videos_of_a_row_play_on_one_clock(tmp_path):
    section = example.videos()
    sheets = [cell.sheet for cell in section.rows[0].cells if cell.sheet]
    with opened(page_of(section, tmp_path), tmp_path / "profile", calm=True) as page:
        said = page.run(HELPERS + PLAYED)
        assert page.complaints == []
    assert said["before"] == [0, 0, 0, 0], "who asked for calm has to press play"
    assert said["pressed"] == "Pause"
    times = [time for time, *_ in said["samples"]]
    assert len(set(times)) > 10
    assert max(times) > 0.4
    for time, *frames in said["samples"]:
        assert frames == [frame_at(time, sheet) for sheet in sheets]
    assert said["stopped"] == said["rested"]


def test_the_slider_and_its_keys_show_the_very_frame(tmp_path):
    section = example.videos()
    sheets = [cell.sheet for cell in section.rows[0].cells if cell.sheet]
    with opened(page_of(section, tmp_path), tmp_path / "profile", width=400, calm=True, dark=True) as page:
        said = page.run(HELPERS + STEPPED)
        assert page.complaints == []
    assert said["scrubbed"] == [pytest.approx(0.51), 8, 4, 4]
    assert said["stepped"] == [pytest.approx(9 / 16), 9, 4, 4]
    assert said["back"] == [pytest.approx(7 / 16), 7, 3, 3]
    assert said["value"] == "0.44 s of 2.00 s"
    assert said["texts"][0] == "What was shown: A square moves to the right."
    assert said["overflow"] <= 0
    shown = (example.clip(32), example.clip(16, seed=1), example.clip(8))
    for pixels, sheet, video in zip(said["pixels"], sheets, shown, strict=True):
        row = video[frame_at(0.51, sheet), 11].tolist()
        assert [pixels[i : i + 3] for i in range(0, len(pixels), 4)] == row, "to the last grey level"


def test_what_is_in_view_plays_until_somebody_stops_it(tmp_path):
    with opened(page_of(example.videos(rows=9), tmp_path), tmp_path / "profile", width=1280) as page:
        said = page.run(HELPERS + LOOKED_AT)
        assert page.complaints == []
    assert said == {"first": True, "far": False, "seen": True, "left": False, "all": False, "stays": False}
