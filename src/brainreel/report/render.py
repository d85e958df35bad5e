"""A report becomes one HTML file: no network, no other file, readable without JavaScript."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from brainreel.report import film, pick, plots, text
from brainreel.report.scale import scale_of, track
from brainreel.report.sections import FilmTimeline, Report
from brainreel.report.videos import VideoGallery

# One script element, hence one hash in the page's policy.
SCRIPTS = ("timeline.js", "videos.js")


def render(report: Report) -> str:
    """The report as an HTML document. The same report gives the same characters.

    All texts of the report are escaped. The page's content security policy admits its own script (by hash)
    and inline styles only, so that opening it can fetch nothing.
    """
    names = text.anchors(section.nav or section.title for section in report.sections)
    script = "".join(map(_template_text, SCRIPTS))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    films = [s for s in report.sections if isinstance(s, FilmTimeline)]
    return _environment().get_template("page.html").render(
        report=report,
        sections=list(zip(names, report.sections, strict=True)),
        first_film=films[0] if films else None,
        first_gallery=next((s for s in report.sections if isinstance(s, VideoGallery)), None),
        style=Markup(_template_text("style.css")),
        script=Markup(script),
        script_sha256=digest,
    )  # fmt: skip


def write(report: Report, path: Path | str) -> Path:
    """Renders the report into `path`: the old file or the whole new one, never half of it."""
    path = Path(path)
    html = render(report)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".unfinished")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(html)
        # mkstemp makes files that only their owner may read; a report is for colleagues.
        Path(unfinished).chmod(0o644)
        Path(unfinished).replace(path)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise
    return path


def _template_text(name: str) -> str:
    return files("brainreel.report").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(_template_text),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=text.number,
        interval=text.interval,
        integer=text.integer,
        film_time=text.film_time,
        duration=text.duration,
        memory=text.memory,
    )
    environment.globals.update(
        UNKNOWN=text.UNKNOWN,
        PICK_RULE=pick.PICK_RULE,
        BINS=film.BINS,
        script_json=lambda data: Markup(text.script_json(data)),
        strip=film.strip,
        payload=film.payload,
        galleries=film.galleries,
        score_bin=film.score_bin,
        plot=lambda section, anchor: {k: Markup(v) for k, v in plots.plot(section, anchor).items()},
        described=plots.described,
        plot_styles=plots.styles,
        pretty_json=lambda data: json.dumps(data, indent=2, ensure_ascii=False, sort_keys=True),
        scale_of=scale_of,
        track=track,
    )
    return environment
