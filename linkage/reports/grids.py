"""A grid of tiles: counts by two categories, as dark as they are many.

Drawn as `linkage.reports.charts` draws, under its rules.
"""

from __future__ import annotations

import altair as alt

from linkage.reports.drawing import COLOURS, WIDTH, Rows, draw
from linkage.reports.html import Chart, DataTable


def tiles(rows: Rows, *, title: str, description: str, down_title: str, across_title: str) -> Chart:
    """One tile for each pair of categories; what may not be shown is an empty frame.

    Args:
        rows: with `down`, `across`, `value` (None where it may not be shown) and `label`; drawn in
            the order given.
    """
    down = list(dict.fromkeys(row["down"] for row in rows))
    across = list(dict.fromkeys(row["across"] for row in rows))
    base = alt.Chart(alt.Data(values=list(rows))).encode(
        x=alt.X(
            "across:N",
            title=across_title,
            sort=across,
            axis=alt.Axis(orient="top", labelAngle=-35, labelLimit=140, ticks=False, domain=False),
        ),
        y=alt.Y(
            "down:N",
            title=down_title,
            sort=down,
            axis=alt.Axis(labelLimit=180, ticks=False, domain=False),
        ),
    )
    # Dark is many; the number stands in every tile, so that nothing hangs on the shade.
    top = max([1, *(row["value"] or 0 for row in rows)])
    frame = base.mark_rect(fillOpacity=0, stroke="currentColor", strokeOpacity=0.25)
    shade = base.transform_filter("datum.value != null").mark_rect(color=COLOURS[0]).encode(
        opacity=alt.Opacity(
            "value:Q",
            legend=None,
            scale=alt.Scale(domain=[0, top], range=[0.04, 0.55]),
        )
    )  # fmt: skip
    words = base.mark_text(fontSize=10).encode(text="label:N")
    width = alt.Step(max(34, min(84, (WIDTH - 120) // max(1, len(across)))))
    drawing = (frame + shade + words).properties(width=width, height=alt.Step(24))
    labels = {(row["down"], row["across"]): row["label"] for row in rows}
    table = DataTable(
        title,
        (down_title, *across),
        [(name, *(labels.get((name, other), "") for other in across)) for name in down],
    )
    return Chart(draw(drawing, title), title, description, table)
