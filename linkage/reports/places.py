"""Charts that compare: estimates before and after a correction, places on a map, need and supply.

Drawn as `linkage.reports.charts` draws, under its rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from linkage.reports.drawing import COLOURS, WIDTH, Rows, draw
from linkage.reports.html import Chart, DataTable

SEEN, CORRECTED, TRUE = "as seen", "corrected", "true (rehearsal)"


def corrections(
    rows: Rows, *, title: str, description: str, x_title: str, table: DataTable
) -> Chart:
    """Shares as seen and as corrected, each with its interval, one category below the other.

    Args:
        rows: with `category`, `seen`, `seen_low`, `seen_high`, `share`, `low`, `high` (None where
            they may not be shown) and, where known, `true`.
    """
    order = list(dict.fromkeys(row["category"] for row in rows))
    series = [SEEN, CORRECTED]
    drawn = []
    for row in rows:
        if row["share"] is None:
            continue
        drawn += [
            {"category": row["category"], "series": SEEN, "share": row["seen"],
             "low": row["seen_low"], "high": row["seen_high"]},
            {"category": row["category"], "series": CORRECTED, "share": row["share"],
             "low": row["low"], "high": row["high"]},
        ]  # fmt: skip
    known = [
        {"category": row["category"], "series": CORRECTED, "share": row["true"], "kind": TRUE}
        for row in rows
        if row["share"] is not None and row.get("true") is not None
    ]
    hidden = [
        {"category": row["category"], "share": 0.0, "label": "not shown"}
        for row in rows
        if row["share"] is None
    ]
    top = min(1.0, 1.1 * max((row["high"] for row in drawn), default=1.0) or 1.0)
    x = alt.X(
        "low:Q", title=x_title, scale=alt.Scale(domain=[0, top], nice=False),
        axis=alt.Axis(format="%", tickCount=6),
    )  # fmt: skip
    y = alt.Y(
        "category:N", title=None, sort=order, scale=alt.Scale(domain=order),
        axis=alt.Axis(labelLimit=220),
    )  # fmt: skip
    offset = alt.YOffset("series:N", sort=series, scale=alt.Scale(domain=series))
    scale = alt.Scale(domain=series, range=[COLOURS[6], COLOURS[0]])
    colour = alt.Color(
        "series:N", title=None, scale=scale, legend=alt.Legend(orient="top", symbolType="circle")
    )
    data = alt.Chart(alt.Data(values=drawn)).encode(y=y, yOffset=offset, color=colour)
    bars = data.mark_rule(strokeWidth=3, opacity=0.6).encode(x=x, x2="high")
    dots = data.mark_point(size=60, filled=True, opacity=1).encode(x="share:Q")
    words = (
        alt.Chart(alt.Data(values=hidden))
        .mark_text(align="left", dx=4, fontSize=11)
        .encode(x="share:Q", y=y, text="label:N")
    )
    drawing: Any = bars + dots + words
    if known:
        drawing += (
            alt.Chart(alt.Data(values=known))
            .mark_tick(thickness=3, size=16, color=COLOURS[1])
            .encode(x="share:Q", y=y, yOffset=offset)
        )
    chart = drawing.properties(width=WIDTH - 120, height=alt.Step(17))
    return Chart(draw(chart, title), title, description, table)


def place_map(
    rows: Rows,
    *,
    title: str,
    description: str,
    size_title: str,
    colour_title: str,
    table: DataTable,
    sites: Sequence[tuple[float, float]] = (),
) -> Chart:
    """Places at their coordinates: as large as they are many, as dark as they score.

    Args:
        rows: with `name`, `x`, `y`, `size` and `value` (None where there is none).
        sites: coordinates to mark with a cross.
    """
    xs, ys = [row["x"] for row in rows], [row["y"] for row in rows]
    wide, high = (max(span) - min(span) or 1.0 for span in (xs, ys))
    margin = 0.06 * max(wide, high)

    def axis(name: str, values: Sequence[float]) -> dict[str, Any]:
        domain = [min(values) - margin, max(values) + margin]
        scale = alt.Scale(domain=domain, nice=False, zero=False)
        return {"field": name, "type": "quantitative", "scale": scale, "axis": None}

    drawn = [{**row, "shown": row["value"] is not None} for row in rows]
    base = alt.Chart(alt.Data(values=drawn)).encode(
        x=alt.X(**axis("x", xs)), y=alt.Y(**axis("y", ys))
    )
    circles: Any = base.mark_circle(stroke="currentColor", strokeWidth=0.6, opacity=0.9).encode(
        size=alt.Size(
            "size:Q", title=size_title, scale=alt.Scale(range=[40, 700]),
            legend=alt.Legend(symbolFillColor="transparent", symbolStrokeColor="currentColor"),
        ),
        color=alt.Color(
            "value:Q", title=colour_title, scale=alt.Scale(scheme="viridis", reverse=True)
        ),
    )  # fmt: skip
    if sites:
        crosses = alt.Chart(alt.Data(values=[{"x": x, "y": y} for x, y in sites]))
        circles += crosses.mark_point(
            shape="cross", size=90, color=COLOURS[1], filled=True, opacity=1
        ).encode(x="x:Q", y="y:Q")
    size = WIDTH - 180
    chart = circles.properties(width=size, height=max(160, min(size, round(size * high / wide))))
    return Chart(draw(chart, title), title, description, table)


def scatter(
    rows: Rows, *, title: str, description: str, x_title: str, y_title: str, table: DataTable
) -> Chart:
    """Two measures of the same places against each other.

    Args:
        rows: with `x`, `y`, and `series`, which colours and shapes the points.
    """
    series = list(dict.fromkeys(row["series"] for row in rows))
    scale = alt.Scale(domain=series)
    chart = (
        alt.Chart(alt.Data(values=list(rows)))
        .mark_point(size=55, filled=True, opacity=0.85)
        .encode(
            x=alt.X("x:Q", title=x_title, axis=alt.Axis(tickCount=6, format="~s")),
            y=alt.Y("y:Q", title=y_title, axis=alt.Axis(tickCount=6, format="~s")),
            color=alt.Color("series:N", title=None, scale=alt.Scale(
                domain=series, range=[COLOURS[n % len(COLOURS)] for n in range(len(series))]
            )),
            shape=alt.Shape("series:N", title=None, scale=scale),
        )
        .properties(width=WIDTH - 180, height=260)
    )  # fmt: skip
    return Chart(draw(chart, title), title, description, table)
