"""docs/metrics.md says what the code computes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from brainreel.bench.cheats import (
    CHEATS,
    cheat_table,
    fact_table,
    replace_between,
    shares,
    values,
)
from brainreel.errors import UsageError
from brainreel.metrics import DEFINITIONS, FACTS, n_way_chance

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "metrics.md").read_text()
# Flow and resizing differ a little between versions of OpenCV and Pillow.
SLACK = 0.05


@pytest.fixture(scope="module")
def computed() -> dict[str, dict[str, float]]:
    return values()


def between(name: str) -> str:
    return PAGE.split(f"<!-- {name} -->\n")[1].split(f"\n<!-- /{name} -->")[0]


def test_every_definition_has_a_fact_and_the_page_lists_them_all():
    assert {m: list(d) for m, d in FACTS.items()} == {m: list(DEFINITIONS[m]) for m in FACTS}
    assert set(FACTS) == set(DEFINITIONS)
    assert between("facts") == fact_table()
    blind = PAGE.split("## What each is blind to")[1].split("##")[0]
    assert [metric for metric in DEFINITIONS if f"`{metric}`" not in blind] == []


def test_the_table_of_cheats_is_what_is_computed(computed):
    told = [line.split("|")[1:-1] for line in between("cheats").splitlines()]
    assert [cell.strip() for cell in told[0][1:]] == list(CHEATS)
    ours = [line.split("|")[1:-1] for line in cheat_table(computed).splitlines()]
    assert [row[0] for row in told] == [row[0] for row in ours]
    for written, now in zip(told[2:], ours[2:], strict=True):
        for a, b in zip(written[1:], now[1:], strict=True):
            before, after = (re.search(r"\((.*)\)", cell).group(1) for cell in (a, b))
            if "undefined" in (before, after):
                assert a == b
                continue
            assert float(before) == pytest.approx(float(after), abs=SLACK), written[0]
            if abs(float(after) - 0.5) > SLACK:
                assert a.split()[0] == b.split()[0], written[0]


def test_what_the_page_concludes_from_the_table_holds(computed):
    found = shares(computed)
    for blind in ("n_way_accuracy · published-top3", "frame_consistency · published-all-pairs"):
        assert found[blind]["flat grey"] > 0.5
    assert all(found["n_way_accuracy · exact"][cheat] > 0.5 for cheat in CHEATS[:4])
    assert found["direction_agreement · mean-flow"]["time-reversed"] < -0.9
    assert found["frame_consistency · matched"]["still image"] < 0
    within = found["two_way_identification, within the category"]["category-only guess"]
    assert within < 0.5 < found["two_way_identification · centred-cosine"]["category-only guess"]
    for motion in (
        "endpoint_error · relative",
        "direction_agreement · mean-flow",
        "motion_energy_correlation · pymoten-96",
    ):
        assert max(found[motion].values()) < 0.5
    # Every cheat passes some metric.
    assert all(any(row[cheat] > 0.5 for row in found.values()) for cheat in CHEATS)


def test_the_examples_on_the_page_run(capsys):
    exec(PAGE.split("```python\n")[1].split("```")[0], {})
    assert capsys.readouterr().out.splitlines()[1:] == ["higher", "0.75"]


def test_published_numbers_stand_beside_their_definition_and_chance():
    page = (DOCS / "published.md").read_text()
    assert "secondary notes" in page
    for name in re.findall(r"`([a-z_0-9]+)` `(published-[a-z0-9-]+)`", page):
        assert FACTS[name[0]][name[1]].published
    assert f"{n_way_chance(2, 1, 'published-top3'):.3f}" in page
    assert f"{n_way_chance(50, 1, 'published-top3'):.4f}" in page


def test_a_page_without_markers_is_refused():
    assert replace_between("a <!-- x -->old<!-- /x --> b", "x", "new") == "a <!-- x -->\nnew\n<!-- /x --> b"
    with pytest.raises(UsageError, match="no <!-- x -->"):
        replace_between("nothing", "x", "new")
