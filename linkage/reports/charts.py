"""Charts, each with the table of what it draws (see `drawing` for how).

- Marks tell by shape or dash besides colour.
- What is suppressed is not in the drawing either: give None, and a label such as "not shown".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from linkage.reports.drawing import COLOURS, WIDTH, Rows, colour, draw, legend
from linkage.reports.html import Chart, DataTable, decimal, percent


def histogram(
    edges: Sequence[float],
    counts: Sequence[float],
    *,
    title: str,
    description: str,
    x_title: str,
    y_title: str,
    part: Sequence[float] = (),
    part_title: str = "",
    threshold: float | None = None,
    threshold_text: str = "threshold",
    log: bool = False,
) -> Chart:
    """Counts between edges, with a line where the threshold lies.

    Args:
        edges: one more than counts, rising.
        part: how much of each count is of a kind worth showing apart, named `part_title`.
        log: a logarithmic count axis, for counts of very different size.
    """
    floor = 0.5 if log else 0
    kinds = [y_title, part_title][: 2 if part else 1]
    bins = [
        {"low": low, "high": high, "count": number, "floor": floor, "kind": kind}
        for kind, numbers in zip(kinds, (counts, part), strict=False)
        for low, high, number in zip(edges[:-1], edges[1:], numbers, strict=True)
        if number > floor
    ]
    top = max([1, *counts])
    scale = alt.Scale(type="log", domain=[0.5, top * 1.5]) if log else alt.Scale()
    span = alt.Scale(domain=[edges[0], edges[-1]], nice=False)
    bars: Any = (
        alt.Chart(alt.Data(values=bins))
        .mark_rect(stroke="none")
        .encode(
            x=alt.X("low:Q", title=x_title, scale=span),
            x2="high",
            y=alt.Y("count:Q", title=y_title, scale=scale, axis=alt.Axis(tickCount=5, format="~s")),
            y2="floor",
            color=colour("kind", kinds),
        )
    )
    if threshold is not None:
        bars = bars + _threshold_line(threshold, threshold_text)
    numbers = [counts, part] if part else [counts]
    table = DataTable(
        title,
        ("From", "To", *kinds),
        [(f"{low:g}", f"{high:g}", *(f"{n:,g}" for n in each))
         for low, high, *each in zip(edges[:-1], edges[1:], *numbers, strict=True)],
    )  # fmt: skip
    return Chart(draw(bars.properties(width=WIDTH, height=240), title), title, description, table)


def curves(
    points: Rows,
    *,
    title: str,
    description: str,
    threshold: float | None = None,
    x_title: str = "Threshold (match probability)",
) -> Chart:
    """Measures over the threshold.

    Args:
        points: with `threshold`, `measure` ("precision"), `source` ("estimated", "true") and
            `value` between 0 and 1.
    """
    measures = list(dict.fromkeys(p["measure"] for p in points))
    sources = list(dict.fromkeys(p["source"] for p in points))
    lowest = min((p["value"] for p in points), default=0.0)
    floor = 0.0 if lowest < 0.5 else 0.5 if lowest < 0.8 else 0.8
    drawing: Any = (
        alt.Chart(alt.Data(values=list(points)))
        .mark_line(strokeWidth=2.5, interpolate="linear")
        .encode(
            x=alt.X("threshold:Q", title=x_title, scale=alt.Scale(domain=[0, 1])),
            y=alt.Y(
                "value:Q",
                title="Share",
                scale=alt.Scale(domain=[floor, 1]),
                axis=alt.Axis(format="%"),
            ),
            color=colour("measure", measures, size=400),
            strokeDash=alt.StrokeDash(
                "source:N", title=None, sort=sources, scale=_dashes(sources), legend=legend(400)
            ),
        )
    )
    if threshold is not None:
        drawing = drawing + _threshold_line(threshold)
    by_threshold: dict[float, dict[tuple[str, str], float]] = {}
    for p in points:
        by_threshold.setdefault(p["threshold"], {})[p["measure"], p["source"]] = p["value"]
    kinds = [(m, s) for s in sources for m in measures]
    table = DataTable(
        title,
        ("Threshold", *(f"{m}, {s}" for m, s in kinds)),
        [
            (decimal(at, 2), *(percent(found.get(kind)) for kind in kinds))
            for at, found in sorted(by_threshold.items())
        ],
    )
    chart = drawing.properties(width=WIDTH, height=260)
    return Chart(draw(chart, title), title, description, table)


def grouped_bars(
    rows: Rows, *, title: str, description: str, x_title: str, y_title: str, share: bool = False
) -> Chart:
    """Bars by category and, within it, series.

    Args:
        rows: with `category`, `series`, `value` (None where it may not be shown) and,
            optionally, `label`.
        share: values are shares of 1.
    """
    values = [{"label": _label(row, share), **row} for row in rows]
    drawn = [{**row, "value": row["value"] or 0} for row in values]
    series = list(dict.fromkeys(row["series"] for row in rows))
    order = list(dict.fromkeys(row["category"] for row in rows))
    axis = alt.Axis(format="%" if share else "~s", tickCount=5)
    base = alt.Chart(alt.Data(values=drawn)).encode(
        y=alt.Y("category:N", title=x_title, sort=order, axis=alt.Axis(labelLimit=220)),
        yOffset=alt.YOffset("series:N", sort=series),
        x=alt.X("value:Q", title=y_title, axis=axis),
    )
    bars = base.mark_bar().encode(color=colour("series", series))
    words = base.mark_text(align="left", dx=4, fontSize=11).encode(text="label:N")
    height = alt.Step(20 if len(series) == 1 else 16)
    drawing = (bars + words).properties(width=WIDTH - 120, height=height)
    table = DataTable(
        title,
        (x_title, "Series", y_title),
        [(row["category"], row["series"], row["label"]) for row in values],
    )
    return Chart(draw(drawing, title), title, description, table)


def months(
    rows: Rows, *, title: str, description: str, y_title: str, x_title: str = "Month"
) -> Chart:
    """Counts over months, one line per series.

    Args:
        rows: with `month` ("2024-05"), `series`, `value` (None where it may not be shown)
            and `label`.
    """
    series = list(dict.fromkeys(row["series"] for row in rows))
    order = sorted({row["month"] for row in rows})
    every = max(1, len(order) // 12)
    base = alt.Chart(alt.Data(values=list(rows))).encode(
        x=alt.X(
            "month:O",
            title=x_title,
            scale=alt.Scale(domain=order),
            axis=alt.Axis(values=order[::every], labelAngle=-45),
        ),
        y=alt.Y("value:Q", title=y_title, scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=5)),
        color=colour("series", series),
    )
    marks = base.mark_line(strokeWidth=2) + base.mark_point(size=28, filled=True).encode(
        shape=alt.Shape(
            "series:N",
            title=None,
            sort=series,
            scale=alt.Scale(domain=series),
            legend=legend() if len(series) > 1 else None,
        )
    )
    cells = {(row["month"], row["series"]): row["label"] for row in rows}
    table = DataTable(
        title,
        (x_title, *series),
        [(month, *(cells.get((month, name), "0") for name in series)) for month in order],
    )
    chart = marks.properties(width=WIDTH, height=240)
    return Chart(draw(chart, title), title, description, table)


def intervals(rows: Rows, *, title: str, description: str, x_title: str) -> Chart:
    """Shares with their intervals, one per row.

    Args:
        rows: with `category`, `share`, `low`, `high` (None where they may not be shown) and
            `label`.
    """
    order = list(dict.fromkeys(row["category"] for row in rows))
    drawn = [row for row in rows if row["share"] is not None]
    hidden = [{**row, "share": 0} for row in rows if row["share"] is None]
    top = min(1.0, 1.15 * max((row["high"] for row in drawn), default=1.0))
    place = alt.Y(
        "category:N", title=None, sort=order, scale=alt.Scale(domain=order),
        axis=alt.Axis(labelLimit=220),
    )  # fmt: skip
    scale = alt.Scale(domain=[0, top], nice=False)
    axis = alt.Axis(format="%", tickCount=6)
    data = alt.Chart(alt.Data(values=drawn))
    bars = data.mark_rule(strokeWidth=3, color=COLOURS[0], opacity=0.55).encode(
        x=alt.X("low:Q", title=x_title, scale=scale, axis=axis), x2="high", y=place
    )
    dots = data.mark_point(size=70, filled=True, color=COLOURS[0], opacity=1).encode(
        x="share:Q", y=place
    )
    words = (
        alt.Chart(alt.Data(values=hidden))
        .mark_text(align="left", dx=4, fontSize=11)
        .encode(x="share:Q", y=place, text="label:N")
    )
    drawing = (bars + dots + words).properties(width=WIDTH - 120, height=alt.Step(24))
    table = DataTable(title, ("Group", x_title), [(row["category"], row["label"]) for row in rows])
    return Chart(draw(drawing, title), title, description, table)


def combinations(
    rows: Rows, sets: Sequence[str], *, title: str, description: str, y_title: str
) -> Chart:
    """How many are in exactly which sets: bars over a matrix of dots.

    Args:
        rows: with `members` (a sequence of sets), `value` (None where it may not be shown)
            and `label`; drawn in the order given.
    """
    bars_data, dots_data, lines_data = [], [], []
    for place, row in enumerate(rows):
        bars_data.append({"place": place, "value": row["value"] or 0, "label": row["label"]})
        inside = [name for name in sets if name in row["members"]]
        dots_data += [{"place": place, "set": name, "in": name in inside} for name in sets]
        if len(inside) > 1:
            lines_data.append({"place": place, "first": inside[0], "last": inside[-1]})
    blank = alt.Axis(labels=False, ticks=False, domain=False, grid=False, title=None)
    across = alt.X("place:O", axis=blank, scale=alt.Scale(domain=list(range(len(rows)))))
    down = alt.Y(
        "set:N", title=None, scale=alt.Scale(domain=list(sets)),
        axis=alt.Axis(grid=False, ticks=False, domain=False, labelLimit=200),
    )  # fmt: skip
    width = alt.Step(max(26, min(56, WIDTH // max(1, len(rows)))))
    base = alt.Chart(alt.Data(values=bars_data)).encode(
        x=across, y=alt.Y("value:Q", title=y_title, axis=alt.Axis(tickCount=5, format="~s"))
    )
    upper = (
        base.mark_bar(color=COLOURS[0])
        + base.mark_text(dy=-6, fontSize=10).encode(text="label:N")
    ).properties(width=width, height=200)  # fmt: skip
    lines = (
        alt.Chart(alt.Data(values=lines_data))
        .mark_rule(strokeWidth=3, color=COLOURS[0])
        .encode(x=across, y=alt.Y("first:N", scale=alt.Scale(domain=list(sets))), y2="last:N")
    )
    dots = (
        alt.Chart(alt.Data(values=dots_data))
        .mark_circle(size=130, opacity=1)
        .encode(
            x=across,
            y=down,
            color=alt.condition("datum.in", alt.value(COLOURS[0]), alt.value("#a9b2bd")),
            opacity=alt.condition("datum.in", alt.value(1), alt.value(0.35)),
        )
    )
    lower = (dots + lines).properties(width=width, height=alt.Step(24))
    drawing = alt.vconcat(upper, lower, spacing=4).resolve_scale(x="shared")
    table = DataTable(
        title, ("In", y_title), [(" and ".join(row["members"]), row["label"]) for row in rows]
    )
    return Chart(draw(drawing, title), title, description, table)


def _label(row: dict[str, Any], share: bool) -> str:
    value = row["value"]
    if value is None:
        return "not shown"
    return percent(value) if share else f"{value:,}"


def _dashes(sources: Sequence[str]) -> alt.Scale:
    dashes = [[1, 0], [6, 4], [2, 3]]
    return alt.Scale(domain=list(sources), range=dashes[: len(sources)])


def _threshold_line(at: float, name: str = "threshold") -> Any:
    base = alt.Chart(alt.Data(values=[{"at": at, "text": f"{name} {at:.3g}"}]))
    line = base.mark_rule(color="currentColor", strokeWidth=2, strokeDash=[5, 3]).encode(x="at:Q")
    text = base.mark_text(align="right", dx=-5, dy=10, fontSize=11).encode(
        x="at:Q", y=alt.value(0), text="text:N"
    )
    return line + text
