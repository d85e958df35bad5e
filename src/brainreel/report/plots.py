"""Curves and scaling plots as inline SVG: the same data give the same bytes, colours follow the page.

Matplotlib draws in stand-in colours that are then replaced by the page's CSS variables, so that one drawing
serves light and dark. Names of lines are the legend's, in HTML.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brainreel.report.sections import Curves, Method, Role, Scaling, Series
from brainreel.report.text import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Each stand-in must be a colour that matplotlib itself never writes.
_STAND_INS = {"#010203": "var(--ink)", "#010204": "var(--muted)", "#010205": "var(--rule)"}
_SERIES = {f"#0102{16 + i:02x}": f"var(--series-{i})" for i in range(6)}
_INK, _MUTED, _RULE = _STAND_INS
_MARKERS = ("o", "s", "^", "D", "v", "P")
_MOST_MARKERS = 12
_SIZES_INCH = {"wide": (8.4, 3.6), "narrow": (4.0, 3.3)}


@dataclass(frozen=True)
class Style:
    """How one line looks, in the drawing and in the legend."""

    name: str
    colour: str
    marker: str
    dash: str

    @property
    def css_colour(self) -> str:
        return {**_STAND_INS, **_SERIES}[self.colour]


def styles(lines: Sequence[Series | Method]) -> list[Style]:
    """Colour and marker by order; controls and ceilings are grey and told apart by their dashes."""
    made, coloured = [], 0
    dashes: dict[Role, str] = {"model": "-", "rival": "-", "control": "--", "ceiling": ":"}
    for line in lines:
        if line.role in ("control", "ceiling"):
            marker = ("x" if line.role == "control" else "_") if _sparse(line) else ""
            made.append(Style(line.name, _MUTED, marker, dashes[line.role]))
        else:
            colour = list(_SERIES)[coloured % len(_SERIES)]
            dash = dashes[line.role] if coloured < len(_SERIES) else "-."
            marker = _MARKERS[coloured % len(_MARKERS)] if _sparse(line) else ""
            made.append(Style(line.name, colour, marker, dash))
            coloured += 1
    return made


def _sparse(line: Series | Method) -> bool:
    return isinstance(line, Method) or len(line.x) <= _MOST_MARKERS


def plot(section: Curves | Scaling, anchor: str) -> dict[str, str]:
    """The section drawn for a wide and for a narrow page: {"wide": svg, "narrow": svg}."""
    return {size: _svg(section, inches, f"{anchor}-{size}") for size, inches in _SIZES_INCH.items()}


def described(section: Curves | Scaling) -> str:
    """The plot in a sentence, for those who cannot see it."""
    parts = []
    for name, xs, ys in _lines(section):
        known = [(x, y) for x, y in zip(xs, ys, strict=True) if y is not None]
        if known:
            (x0, y0), (x1, y1) = known[0], known[-1]
            parts.append(f"{name} goes from {number(y0)} at {x0:g} to {number(y1)} at {x1:g}")
    head = f"{section.y_label} over {section.x_label}"
    return f"{head}: {'; '.join(parts)}." if parts else f"{head}: nothing to draw."


def _lines(section: Curves | Scaling) -> list[tuple[str, list[float], list[float | None]]]:
    if isinstance(section, Curves):
        return [(s.name, list(s.x), list(s.y)) for s in section.series]
    return [(m.name, [p.x for p in m.points], [p.value for p in m.points]) for m in section.methods]


def _svg(section: Curves | Scaling, inches: tuple[float, float], prefix: str) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "svg.hashsalt": "brainreel",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "axes.edgecolor": _RULE,
        "xtick.color": _RULE,
        "ytick.color": _RULE,
        "xtick.labelcolor": _MUTED,
        "ytick.labelcolor": _MUTED,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.unicode_minus": True,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=inches, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        if section.log_x:
            axes.set_xscale("log")
        axes.grid(axis="y", color=_RULE, linewidth=0.6, alpha=0.6)
        axes.set_axisbelow(True)
        (_draw_curves if isinstance(section, Curves) else _draw_scaling)(axes, section)  # type: ignore[operator]
        if section.chance is not None:
            axes.axhline(section.chance, color=_MUTED, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
            axes.annotate(
                "chance", (1, section.chance), (4, 0), xycoords=("axes fraction", "data"),
                textcoords="offset points", va="center", color=_MUTED, fontsize=9,
            )  # fmt: skip
        axes.set_xlabel(section.x_label)
        axes.set_ylabel(section.y_label)
        drawing = io.StringIO()
        figure.savefig(drawing, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _for_the_page(drawing.getvalue(), prefix)


def _draw_curves(axes: Axes, section: Curves) -> None:
    for line, style in zip(section.series, styles(section.series), strict=True):
        ys = [math.nan if y is None else y for y in line.y]
        axes.plot(
            line.x, ys, color=style.colour, linestyle=style.dash, linewidth=1.8,
            marker=style.marker, markersize=5,
        )  # fmt: skip
        if line.low is not None and line.high is not None:
            low = [math.nan if y is None else y for y in line.low]
            high = [math.nan if y is None else y for y in line.high]
            axes.fill_between(line.x, low, high, color=style.colour, alpha=0.16, linewidth=0)


def _draw_scaling(axes: Axes, section: Scaling) -> None:
    xs = sorted({p.x for m in section.methods for p in m.points})
    for line, style in zip(section.methods, styles(section.methods), strict=True):
        known = [p for p in line.points if p.value is not None]
        axes.plot(
            [p.x for p in known], [p.value or 0.0 for p in known], color=style.colour, linestyle=style.dash,
            linewidth=1.8, marker=style.marker, markersize=6,
        )  # fmt: skip
        for point in known:
            if point.ci95 is not None:
                axes.vlines(point.x, *point.ci95, color=style.colour, linewidth=1.4, alpha=0.55)
    if 0 < len(xs) <= _MOST_MARKERS:
        axes.set_xticks(xs, [f"{x:g}" for x in xs])
        axes.set_xticks([], minor=True)


def _for_the_page(svg: str, prefix: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for stand_in, variable in {**_STAND_INS, **_SERIES}.items():
        svg = svg.replace(stand_in, variable)
    # Ids must be unique in the page although every drawing numbers its parts alike.
    used = set(re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"", svg))
    kept = {name for pair in used for name in pair if name}
    svg = re.sub(r' id="([^"]+)"', lambda m: m.group(0) if m.group(1) in kept else "", svg)
    for name in sorted(kept):
        svg = svg.replace(f'id="{name}"', f'id="{prefix}-{name}"')
        svg = svg.replace(f"#{name})", f"#{prefix}-{name})").replace(f'"#{name}"', f'"#{prefix}-{name}"')
    opening = re.match(r"<svg[^>]*>", svg)
    box = re.search(r'viewBox="([^"]+)"', svg)
    if opening is None or box is None:
        raise RuntimeError("matplotlib drew an SVG without a viewBox")
    svg = f'<svg viewBox="{box.group(1)}" aria-hidden="true" focusable="false">' + svg[opening.end() :]
    return svg.replace("xlink:href", "href")
