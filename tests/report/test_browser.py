"""A real browser: the page's script runs, answers to keys and pointer, logs no error, and fits a phone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from brainreel.report import render
from brainreel.report.film import galleries

from . import example

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on PATH")

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"),
    *("--virtual-time-budget=4000", "--dump-dom"),
]
ACTIONS = """
const scrub = document.querySelector(".scrub");
const time = () => document.querySelector(".panel-time").textContent;
const press = (key) => scrub.dispatchEvent(new KeyboardEvent("keydown", {key, cancelable: true}));
const said = {};
press("Home"); said.home = time(); press("ArrowRight"); said.right = time(); press("End"); said.end = time();
press("ArrowRight"); said.beyond = time();
const box = scrub.getBoundingClientRect();
const point = (type, share) => scrub.dispatchEvent(new PointerEvent(type,
  {clientX: box.left + share * box.width, clientY: box.top + 5, pointerType: "mouse", bubbles: true}));
point("pointermove", 0.001); said.hover = time(); point("pointerleave", 0.001); said.left = time();
point("pointerdown", 0.001); said.click = time();
const cards = () => [...document.querySelectorAll(".card-name")].map((node) => node.textContent).join("|");
said.cards = cards(); document.querySelector("button.strip-label").click(); said.fewer = cards();
said.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
document.body.dataset.said = JSON.stringify(said);
"""


def opened(html: str, folder: Path, width: int = 1280) -> tuple[str, list[str]]:
    """The page's elements after its script ran, and what the console said."""
    page = folder / "report.html"
    page.write_text(html, encoding="utf-8")
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [str(BROWSER), *FLAGS, profile, f"--window-size={width},900", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if not done.stdout:
        pytest.skip(f"the browser gave nothing: {done.stderr[-300:]}")
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def said_by(html: str) -> dict:
    (found,) = re.findall(r'data-said="([^"]*)"', html)
    return json.loads(unescape(found))


def with_script(html: str, script: str) -> str:
    # The page's policy refuses every script but its own, so an acting one needs the policy out of the way.
    html, removed = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    assert removed == 1
    return html.replace("</body>", f"<script>{{{script}}}</script></body>")


def test_the_median_window_is_shown_and_the_console_is_silent(tmp_path):
    section = example.film(windows=40)
    dom, console = opened(render(example.report(section)), tmp_path)
    assert console == []
    panel = dom[dom.index('<div class="panel"') : dom.index("<noscript>")]
    assert 'hidden=""' not in panel.split(">")[0]
    shown = galleries(section)
    window = section.windows[shown.median]
    for text in (*window.truths, *(d.text for d in shown.reader.readings[shown.median].decoded)):
        assert text in unescape(panel)
    assert f'aria-valuenow="{shown.median + 1}"' in dom


def test_the_policy_refuses_a_foreign_script(tmp_path):
    html = render(example.report(example.film(windows=6)))
    foreign = '<script>document.body.dataset.foreign = "ran"</script><img src="https://example.org/x.png"></body>'
    dom, console = opened(html.replace("</body>", foreign), tmp_path)
    assert "data-foreign" not in dom
    assert len([line for line in console if "Content Security Policy" in line]) >= 2


def test_keys_pointer_and_names_choose_what_is_shown(tmp_path):
    section = example.film(windows=40)
    dom, console = opened(with_script(render(example.report(section)), ACTIONS), tmp_path, width=400)
    assert console == []
    said = said_by(dom)
    first, second, last = "0:00 to 0:15", "0:15 to 0:30", "9:45 to 10:00"
    assert said["home"].startswith(first)
    assert said["right"].startswith(second)
    assert said["end"].startswith(last)
    assert said["beyond"].startswith(last)
    assert said["hover"].startswith(first)
    assert said["left"].startswith(last)
    assert said["click"].startswith(first)
    names = [reader.name for reader in section.readers]
    assert said["cards"].split("|") == names
    assert said["fewer"].split("|") == names[1:]
    assert said["overflow"] <= 0
