"""`linkage evaluator disparities`: race and ethnicity, how complete, how alike, and outcomes.

- Tables of counts are protected with their totals; a group of few people is empty everywhere.
- Outcomes are those of each person's first event in a table; follow-up is as `follow-up` gives
  it, corrected for linkage error.

    disparities(extract).write(Path("reports"))
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from linkage.errors import NotFoundError
from linkage.evaluator import completeness as race
from linkage.evaluator.disparities import Line, followed, outcomes
from linkage.evaluator.linkerror import MEASURED, LinkError, ModelError, Range
from linkage.evaluator.output import Output
from linkage.evaluator.protection import TOTAL, hidden_cells, smallest
from linkage.evaluator.reading import Extract
from linkage.evaluator.smallcells import HIDDEN, is_small
from linkage.reports.charts import grouped_bars, intervals
from linkage.reports.html import Block, DataTable, Paragraph, Section, page, percent

NAME = "disparities"

Outcome = tuple[str, str, str, str]
MAX_CHARTS = 8


def disparities(
    extract: Extract,
    *,
    days: int = 30,
    model_error: ModelError = MEASURED,
    truth: Mapping[Outcome, float] | None = None,
) -> Output:
    """The whole output.

    Args:
        truth: of a rehearsal: true shares by table, outcome, value and category.

    Raises:
        NotFoundError: no person table of the extract has race and ethnicity.
    """
    columns = race.race_columns(extract)
    if not columns:
        raise NotFoundError("no person table of the extract has a column that means race_ethnicity")
    complete = _protected(extract, race.completeness(columns))
    categories = _protected(extract, race.by_category(columns)).drop(columns=TOTAL)
    unlike = list(_disagreements(extract, columns, model_error))
    lines = [*outcomes(extract), *followed(extract, days, model_error)]
    sections = [
        Section("How complete", list(_completeness(complete, categories))),
        Section("How far partners agree", list(_agreement(unlike))),
        Section("Outcomes by race and ethnicity", list(_drawn(lines))),
        Section("How to read this", list(_reading())),
    ]
    tables = {
        "race_completeness": _flat(complete, "state"),
        "race_categories": _flat(categories, "category"),
        "race_disagreement": pd.DataFrame([_unlike_record(*row) for row in unlike]),
        NAME: pd.DataFrame([_record(line) for line in lines]),
    }
    title = f"Completeness and disparities: {extract.manifest['title']}"
    figures: dict[str, Any] = {
        "not_known_or_declined": {
            name: _share(complete, name, (race.DECLINED, race.UNKNOWN)) for name in columns
        }
    }
    figures |= _recovered(lines, truth or {})
    return Output(NAME, page(title, sections, subtitle=extract.subtitle), tables, figures)


def _recovered(lines: list[Line], truth: Mapping[Outcome, float]) -> dict[str, Any]:
    """Of the shares whose truth is known, how many intervals hold it."""
    known = [
        (line.share, truth[key])
        for line in lines
        if (key := (line.table, line.outcome, line.value, line.category)) in truth
    ]
    if not known:
        return {}
    inside = sum(share.low <= true <= share.high for share, true in known)
    return {"recovered": {"inside": inside, "of": len(known)}}


def _protected(extract: Extract, counts: pd.DataFrame) -> pd.DataFrame:
    """Counts with totals by partner, empty where they may not be shown."""
    hidden = hidden_cells(counts, k=smallest(extract.manifest))
    table = counts.assign(**{TOTAL: counts.sum(axis=1)})
    return table.astype("Int64").mask(hidden.loc[table.index, table.columns].to_numpy(np.bool_))


def _flat(table: pd.DataFrame, name: str) -> pd.DataFrame:
    long = table.rename_axis("partner").reset_index()
    return long.melt(id_vars="partner", var_name=name, value_name="records")


def _share(table: pd.DataFrame, partner: str, states: tuple[str, ...]) -> float | None:
    cells: pd.Series[Any] = table.T[partner][[*states, TOTAL]]
    if cells.isna().any() or not int(cells[TOTAL]):
        return None
    return round(int(cells[list(states)].sum()) / int(cells[TOTAL]), 4)


# -- what is computed --------------------------------------------------------------------------


def _disagreements(
    extract: Extract, columns: dict[str, pd.Series[Any]], model_error: ModelError
) -> Iterator[tuple[str, str, race.Disagreement]]:
    for one, other in itertools.combinations(columns, 2):
        error = LinkError.between(extract.quality, one, other, model_error=model_error)
        found = race.disagreement(columns[one], columns[other], error)
        if found is not None:
            yield one, other, found


# -- what is written ---------------------------------------------------------------------------


def _record(line: Line) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "people": str(line.people),
        "with_value": str(line.part),
        "share": round(line.share.value, 3),
        "share_low": round(line.share.low, 3),
        "share_high": round(line.share.high, 3),
        "difference_from_others": round(line.difference.value, 3),
        "difference_low": round(line.difference.low, 3),
        "difference_high": round(line.difference.high, 3),
    }
    return {
        "table": line.table,
        "outcome": line.outcome,
        "value": line.value,
        "race_ethnicity": line.category,
        **(dict.fromkeys(figures) if line.hidden else figures),
        "suppressed": line.hidden,
    }


def _unlike_record(one: str, other: str, found: race.Disagreement) -> dict[str, Any]:
    hidden = _few(found)
    parts = (found.overlapping, found.different)
    figures: dict[str, Any] = {
        "people": str(found.people),
        "same": str(found.same),
        "not_alike": str(sum(parts)),
        "overlapping": None if any(map(is_small, parts)) else str(parts[0]),
        "different": None if any(map(is_small, parts)) else str(parts[1]),
        "unlike_seen": found.seen.value,
        "unlike_corrected": found.corrected and found.corrected.value,
        "unlike_low": found.corrected and found.corrected.low,
        "unlike_high": found.corrected and found.corrected.high,
    }
    return {"one": one, "other": other} | (dict.fromkeys(figures) if hidden else figures)


def _few(found: race.Disagreement) -> bool:
    return any(map(is_small, (found.people, found.same, found.people - found.same)))


def _completeness(complete: pd.DataFrame, categories: pd.DataFrame) -> Iterator[Block]:
    rows = [
        {
            "category": partner,
            "series": name,
            "value": _share(complete, str(partner), (name,)),
        }
        for partner in complete.index
        for name in race.STATES
    ]
    yield grouped_bars(
        rows,
        title="Race and ethnicity by partner: what is given",
        description="For each partner, the share of records with one category, several, declined"
        " or not known.",
        x_title="Partner",
        y_title="Share of records",
        share=True,
    )
    for title, table in (
        ("Records by what is given", complete),
        ("Records by category, alone or in combination", categories),
    ):
        yield DataTable(
            title,
            ("Partner", *map(str, table.columns)),
            [(str(n), *(HIDDEN if pd.isna(c) else f"{c:,}" for c in r)) for n, r in
             zip(table.index, table.to_numpy(object), strict=True)],
        )  # fmt: skip


def _agreement(unlike: list[tuple[str, str, race.Disagreement]]) -> Iterator[Block]:
    if not unlike:
        yield Paragraph("No two partners give race and ethnicity of the same people.")
        return
    rows = []
    for one, other, found in unlike:
        if _few(found):
            rows.append((f"{one} and {other}", *[HIDDEN] * 6))
            continue
        parts = (found.overlapping, found.different)
        texts = [HIDDEN if any(map(is_small, parts)) else f"{part:,}" for part in parts]
        corrected = _text(found.corrected) if found.corrected else HIDDEN
        rows.append(
            (f"{one} and {other}", f"{found.people:,}", f"{found.same:,}", *texts,
             _text(found.seen), corrected)
        )  # fmt: skip
    yield DataTable(
        "What two partners say of one person",
        ("Partners", "People", "Alike", "Some alike", "Nothing alike", "Not alike, as seen (95%)",
         "Corrected for wrong links (95%)"),
        rows,
        note="Of the people of whom both give a category.",
    )  # fmt: skip


def _drawn(lines: list[Line]) -> Iterator[Block]:
    if not lines:
        yield Paragraph("No table of events has an outcome, and nothing can be followed.")
        return
    drawn = 0
    for (table, outcome, value), part in itertools.groupby(
        lines, lambda line: (line.table, line.outcome, line.value)
    ):
        rows = list(part)
        title = f"{table}: {outcome}, {value}"
        listing = DataTable(
            title,
            ("Race and ethnicity", "People", "Share (95%)", "Difference from all others (95%)"),
            [_cells(line) for line in rows],
        )
        if drawn < MAX_CHARTS and any(not line.hidden for line in rows):
            drawn += 1
            yield intervals(
                [_interval(line) for line in rows],
                title=title,
                description="Share with 95% interval; groups overlap, a person counts in each"
                " category given.",
                x_title="Share",
            )
        yield listing


def _cells(line: Line) -> tuple[str, ...]:
    if line.hidden:
        return line.category, HIDDEN, HIDDEN, HIDDEN
    gap = line.difference
    points = f"{100 * gap.value:+.1f} ({100 * gap.low:+.1f} to {100 * gap.high:+.1f}) points"
    return line.category, f"{line.people:,}", _text(line.share), points


def _interval(line: Line) -> dict[str, Any]:
    if line.hidden:
        return {
            "category": line.category,
            "share": None,
            "low": None,
            "high": None,
            "label": HIDDEN,
        }
    share = line.share
    return {"category": line.category, "share": share.value, "low": share.low, "high": share.high,
            "label": percent(share.value)}  # fmt: skip


def _text(range_: Range) -> str:
    return f"{percent(range_.value)} ({percent(range_.low)} to {percent(range_.high)})"


def _reading() -> Iterator[Block]:
    yield Paragraph(
        "What the disclosure gate took out of the extract's rows, so that nobody is alone with a"
        " value, is missing here and counts as not known, small categories first. The extract's"
        " suppression log says how many values of which column it is."
    )
    yield Paragraph(
        "Race and ethnicity are those that the partner of the events holds, or else the first other"
        " partner that gives any. A person counts in every category given. Nothing is inferred: who"
        " gives none is in no group. Follow-up is corrected for linkage error; outcomes of one"
        " partner's own events need no link. What is recorded wrongly is not corrected, and makes"
        " groups look more alike than they are."
    )
    yield Paragraph(
        "Many comparisons stand here: of twenty without any true difference, one interval leaves 0"
        " out by chance."
    )
