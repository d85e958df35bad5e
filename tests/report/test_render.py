"""The page: well-formed, self-contained, escaped, deterministic, complete without JavaScript."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from brainreel.report import (
    SECTIONS,
    Curves,
    Decoded,
    FilmTimeline,
    Headline,
    Prose,
    Reader,
    Reading,
    Report,
    Scaling,
    ScoreTable,
    Window,
    render,
    write,
)

from . import example

VOID = {"meta", "col", "br", "hr", "img", "input", "link"}
EVIL = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp; {{ 7*7 }}"


class Page(HTMLParser):
    """What a page holds, and whether its elements close in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.inside: dict[str, list[str]] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"<{tag}> has an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        where = self.open[-1] if self.open else ""
        self.inside.setdefault(where, []).append(data)
        if where not in ("script", "style"):
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="module")
def html() -> str:
    return render(example.report())


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


def test_elements_close_and_ids_are_unique(page):
    assert page.open == []
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(set(ids)) == len(ids)


def test_contents_link_to_every_section(page):
    links = [a["href"].removeprefix("#") for a in page.all("a") if a["href"] != "#content"]
    assert links == [attrs["id"] for attrs in page.all("section")]
    assert len(links) == len(SECTIONS)


def test_every_reference_to_an_id_has_its_target(page):
    ids = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    for _, attrs in page.elements:
        for name in ("aria-labelledby", "href", "data-film"):
            if name in attrs:
                assert attrs[name].removeprefix("#") in ids
        assert set(re.findall(r"url\(#([^)]+)\)", " ".join(v or "" for v in attrs.values()))) <= ids


def test_one_h1_and_no_skipped_heading(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1


def test_nothing_outside_the_file_is_asked_for(html, page):
    for tag, attrs in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        assert attrs.get("src", "data:image/webp;base64,").startswith("data:image/")
        assert not any(name.startswith("on") for name in attrs), f"<{tag}> has an inline handler"
        for name in ("href", "xlink:href", "action", "poster", "data"):
            assert (attrs.get(name) or "#").startswith("#")
    style = "".join(page.inside["style"])
    assert "@import" not in style
    assert re.findall(r"url\(", style) == []
    assert re.findall(r"url\((?!#)", html) == []
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy


def test_what_matters_reads_without_javascript(page):
    headline = example.report().sections[0]
    assert headline.claim in page.words
    for chip in headline.chips:
        assert chip in page.words
    for words in ("0.861", "0.830 to 0.890", "↓ lower is better", "circular", "+0.057", "Best by score",
                  "Median by score", "Worst by score", "ties in film order",
                  "6 min 28 s", "1.5 GiB"):  # fmt: skip
        assert words in page.words
    section = example.film()
    worst = min(r.score for r in section.readers[0].readings if r.score is not None)
    assert f"{worst:.2f} rank" in page.words


def test_videos_are_told_in_words_too(page):
    pictures = page.all("img")
    # Three rows of three videos, and the two of the median row that the headline opens with.
    assert len(pictures) == 3 * 3 + 2
    assert all(picture["alt"] for picture in pictures)
    for words in ("Median rank 2 of 3 by score", "Something bright moves.", "no video", "means of 100 shuffles",
                  "A typical clip The median of 3 clips by score"):  # fmt: skip
        assert words in page.words


def test_unknown_numbers_are_dashes_and_never_none_or_nan(page):
    assert "Ridge, mean over 13 viewers – – –" in page.words
    assert not re.search(r"\b(None|nan|NaN|null)\b", page.words)


def test_no_row_is_singled_out_as_best(html):
    table = html[html.index('<table class="scores">') :]
    table = table[: table.index("</table>")]
    assert "best" not in table.lower()
    assert "<strong>" not in table


def test_same_report_same_bytes(html):
    again = render(Report.model_validate_json(example.report().model_dump_json()))
    assert again == html


def test_another_number_other_bytes(html):
    report = example.report()
    assert render(report.model_copy(update={"date": "2026-11-23"})) != html


def evil_film(text: str) -> FilmTimeline:
    windows = tuple(Window(start_s=i, end_s=i + 1, truths=(text,), scan=text, block=text) for i in range(3))
    readings = tuple(Reading(decoded=(Decoded(text=text, similarity=0.5),), score=i / 2) for i in range(3))
    return FilmTimeline(title=text, metric=text, definition=text, windows=windows,
                        readers=(Reader(name=text, note=text, readings=readings),))  # fmt: skip


def test_texts_are_text_wherever_they_stand():
    sections = (
        Headline(title=EVIL, claim=EVIL, chips=(EVIL,)),
        evil_film(EVIL),
        Prose(title=EVIL, points=(EVIL,)),
    )
    html = render(Report(title=EVIL, sections=sections, made_with=EVIL, date=EVIL))
    page = Page(html)
    assert page.open == []
    assert page.all("img") == []
    # The film's data and the page's own script, nothing else.
    assert [s.get("type") for s in page.all("script")] == ["application/json", None]
    assert "alert(1)" not in "".join(page.inside["script"][-1])
    assert page.words.count(EVIL) >= 10
    data = json.loads(next(text for text in page.inside["script"] if text.startswith("{")))
    assert data["texts"] == [EVIL]


def test_every_section_may_be_empty():
    sections = (
        Headline(title="h", claim="c"),
        FilmTimeline(title="f", windows=(), readers=()),
        FilmTimeline(title="g", windows=(), readers=(Reader(name="r", readings=()),)),
        ScoreTable(title="s", metrics=(), rows=()),
        SECTIONS["difference_table"](title="d", metric=example.Metric(name="m", label="m"), rows=()),
        Curves(title="k", series=(), x_label="x", y_label="y"),
        Scaling(title="l", methods=(), x_label="x", y_label="y"),
        SECTIONS["what_ran"](title="w", stages=()),
        SECTIONS["video_gallery"](title="v", rows=()),
        Prose(title="p"),
    )
    words = Page(render(Report(title="t", sections=sections))).words
    for said in (
        "No windows were read.",
        "No scores.",
        "No differences.",
        "No curves.",
        "No points.",
        "Nothing ran.",
        "No videos.",
    ):
        assert said in words
    assert "no sections" in Page(render(Report(title="t", sections=()))).words


def test_a_film_without_scores_shows_dashes_and_no_gallery():
    section = example.film(windows=4)
    silent = Reader(name="r", readings=(Reading(),) * 4)
    words = Page(render(Report(title="t", sections=(section.model_copy(update={"readers": (silent,)}),)))).words
    assert "Fewer than three windows have a score" in words
    assert "by score" not in words.replace("Fewer", "")


def test_a_large_film_stays_below_three_megabytes():
    # 13 people × 4 readers, with description lengths of a real film.
    texts = [f"{i} " + "x" * 120 for i in range(900)]
    html = render(Report(title="t", sections=(example.film(windows=197, viewers=49, texts=texts),)))
    assert len(html.encode()) < 3_000_000


def test_writing_replaces_the_whole_file_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "report.html"
    report = Report(title="t", sections=(Prose(title="first"),))
    assert write(report, path) == path
    assert path.read_text(encoding="utf-8") == render(report)

    def fails(*_):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.replace", fails)
    with pytest.raises(OSError, match="disk full"):
        write(Report(title="t", sections=(Prose(title="second"),)), path)
    assert "first" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
