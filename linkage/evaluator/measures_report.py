"""`linkage evaluator measures`: measures against goals, month by month, as one tidy table.

measures(extract).write(Path("reports"))
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from linkage.errors import InputError, NotFoundError
from linkage.evaluator.measures import COLUMNS, LINKED, counted, reported, with_goals
from linkage.evaluator.output import Output
from linkage.evaluator.protection import HIDDEN
from linkage.evaluator.reading import Extract
from linkage.reports.charts import months
from linkage.reports.html import Block, DataTable, Figure, KeyFigures, Paragraph, Section, page

NAME = "measures"
MAX_CHARTS = 8


def measures(
    extract: Extract,
    *,
    goals: Mapping[tuple[str, str], float] | None = None,
    not_people: Collection[str] = (),
) -> Output:
    """The whole output.

    Raises:
        NotFoundError: the extract has no measures, and no table with months to count.
    """
    found = pd.concat(
        [reported(extract, not_people=not_people), counted(extract)], ignore_index=True
    )
    if found.empty:
        raise NotFoundError("the extract has no table of measures, and none with months to count")
    found = with_goals(found, goals or {})
    linked = found["group"] == LINKED
    parts = (("Reported by partners", found[~linked], _reported),
             ("From the linked tables", found[linked], _linked))  # fmt: skip
    sections = [
        Section("At a glance", list(_glance(found))),
        *(Section(name, list(drawn(part))) for name, part, drawn in parts if len(part)),
        Section("How to read this", list(_reading())),
    ]
    title = f"Measures: {extract.manifest['title']}"
    figures = {
        "measures": int(found.groupby(["group", "measure"]).ngroups),
        "values": int(found["value"].notna().sum()),
        "suppressed": int(found["suppressed"].sum()),
    }
    return Output(
        NAME,
        page(title, sections, subtitle=extract.subtitle),
        {NAME: found[[*COLUMNS, "suppressed"]]},
        figures,
    )


def read_goals(path: Path) -> dict[tuple[str, str], float]:
    """A CSV file of `group`, `measure` and `goal`.

    Raises:
        InputError: it is not that.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if missing := [name for name in ("group", "measure", "goal") if name not in table]:
        raise InputError(f"{path} has no column {', '.join(missing)}")
    goals = pd.to_numeric(table["goal"], errors="coerce")
    if goals.isna().any():
        row = int(goals.index[goals.isna()][0]) + 1
        raise InputError(f"{path}, row {row}, field 'goal': is no number")
    return {
        (group, name): float(goal)
        for group, name, goal in zip(table["group"], table["measure"], goals, strict=True)
    }


def _glance(found: pd.DataFrame) -> Iterator[Block]:
    last = found.dropna(subset=["value", "goal"]).drop_duplicates(["group", "measure"], keep="last")
    met = int((last["value"] >= last["goal"]).sum())
    yield KeyFigures(
        [
            Figure("Measures", f"{found.groupby(['group', 'measure']).ngroups:,}"),
            Figure("Latest values at their goal or above", f"{met:,}", f"of {len(last):,}"),
            Figure("Values not shown", f"{int(found['suppressed'].sum()):,}", "see below"),
        ]
    )


def _reported(found: pd.DataFrame) -> Iterator[Block]:
    monthly = found.dropna(subset=["month"])
    for number, (name, rows) in enumerate(monthly.groupby("measure", sort=False)):
        if number == MAX_CHARTS:
            yield Paragraph("The other measures are in the table alone.")
            break
        yield months(
            [_point(row, str(row.group)) for row in rows.itertuples()],
            title=f"{name!s}",
            description="The measure by month and group; a gap is a value that is not shown or was"
            " not reported.",
            y_title="Value",
        )
    yield _latest(found)


def _linked(found: pd.DataFrame) -> Iterator[Block]:
    plain = found[~found["measure"].str.contains(", known to ", regex=False)]
    yield months(
        [_point(row, str(row.measure)) for row in plain.itertuples()],
        title="People by month, from the linked tables",
        description="How many people have a row in each table in each month; a gap is a month with"
        " few people.",
        y_title="People",
    )
    yield _latest(found)


def _point(row: Any, series: str) -> dict[str, Any]:
    shown = pd.notna(row.value)
    return {
        "month": _when(row),
        "series": series,
        "value": row.value if shown else None,
        "label": f"{row.value:,g}" if shown else HIDDEN if row.suppressed else "–",
    }


def _latest(found: pd.DataFrame) -> DataTable:
    """The newest value that may be shown of each measure."""
    rows = []
    for (group, name), part in found.groupby(["group", "measure"], sort=False):
        known = list(part.dropna(subset=["value"]).itertuples())
        if known:
            row: Any = known[-1]
            rows.append((str(group), str(name), _number(row.goal), _when(row), _number(row.value)))
        else:
            rows.append((str(group), str(name), "–", "–", HIDDEN))
    return DataTable("Latest values", ("Group", "Measure", "Goal", "Month", "Value"), rows)


def _number(value: Any) -> str:
    return "–" if pd.isna(value) else f"{value:,g}"


def _when(row: Any) -> str:
    return f"{row.year}" if pd.isna(row.month) else f"{row.year}-{row.month:02d}"


def _reading() -> Iterator[Block]:
    yield Paragraph(
        "Values that stand for few people, and those that would give such a value away, are not"
        " shown: empty in the table, never 0. A value that is empty without being marked as"
        " suppressed was not reported."
    )
    yield Paragraph(
        "Measures from the linked tables count people as far as linkage can tell. Those known to a"
        " second partner too are as many too few as links are missed, and too many by wrong ones;"
        " they are not corrected here (follow-up is)."
    )
