"""How a chart becomes part of a page: Vega-Lite drawn inside this process, as inline SVG.

- Nothing is fetched while drawing: the data is in the specification, and loading from elsewhere is
  switched off.
- Text and axes take the page's own colour, so that a chart reads in light and dark; marks use
  colours that stand out from both.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

import altair as alt
import vl_convert
from markupsafe import Markup

from linkage.errors import InternalError

WIDTH = 640
COLOURS = ("#2b7bba", "#d95f02", "#1b9e77", "#8a6fc0", "#c2418f", "#97822a", "#7a7a7a")

Rows = Sequence[dict[str, Any]]


def colours(names: Sequence[str]) -> list[str]:
    """One for each name, in turn."""
    return [COLOURS[place % len(COLOURS)] for place in range(len(names))]


def colour(name: str, values: Sequence[str], *, size: int = 100) -> alt.Color:
    """A column of names by colour, with a legend where there are several."""
    shown = legend(size) if len(values) > 1 else None
    scale = alt.Scale(domain=list(values), range=colours(values))
    return alt.Color(f"{name}:N", title=None, sort=list(values), scale=scale, legend=shown)


def legend(size: int = 100) -> alt.Legend:
    """A legend above the chart."""
    return alt.Legend(orient="top", labelLimit=260, symbolStrokeWidth=2.5, symbolSize=size)


def draw(chart: Any, label: str) -> Markup:
    """A chart as inline SVG in the page's colours; `label` is read to those who do not see it."""
    styled = (
        chart.configure(background="transparent", font="system-ui, DejaVu Sans, sans-serif")
        .configure_view(stroke=None)
        .configure_text(color="currentColor")
        .configure_axis(
            labelColor="currentColor",
            titleColor="currentColor",
            domainColor="currentColor",
            tickColor="currentColor",
            gridColor="currentColor",
            gridOpacity=0.12,
            titleFontWeight="normal",
            labelFontSize=11,
            titleFontSize=12,
        )
        .configure_legend(labelColor="currentColor", titleColor="currentColor", labelFontSize=12)
    )
    spec = json.dumps(styled.to_dict(), sort_keys=True)
    return _inline(vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]), label)


_TAG = re.compile(r"<[^>]*>")
_QUOTED = re.compile(r'"[^"]*"')
_ACTIVE = re.compile(
    r"<(script|image|foreignObject|a|use|style|iframe)\b|\s(on\w+|(xlink:)?href)\s*=", re.IGNORECASE
)


def _inline(svg: str, label: str) -> Markup:
    """The drawing as part of a page: no namespaces, ids of its own, one label."""
    tags = (_QUOTED.sub("", tag) for tag in _TAG.findall(svg))
    if not svg.startswith("<svg ") or any(_ACTIVE.search(tag) for tag in tags):
        raise InternalError("a chart came out with more than shapes and text")
    own = hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", svg, count=2)
    svg = re.sub(r'\sid="([^"]*)"', rf' id="c{own}-\1"', svg)
    svg = re.sub(r"url\(#([^)]*)\)", rf"url(#c{own}-\1)", svg)
    opening = Markup('<svg role="img" aria-label="{}" ').format(label)
    rest = svg.removeprefix("<svg ")
    return opening + Markup(rest)  # nosec B704 # noqa: S704 - checked just above
