"""`linkage evaluator disparities`: race and ethnicity, how complete, how alike, and outcomes.

- All tables of counts pass the disclosure gate; a group of few people is empty everywhere.
- Outcomes are those of each person's first event in a table; follow-up is as `follow-up` gives
  it, corrected for linkage error.

    disparities(extract).write(Path("reports"))
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from linkage.errors import NotFoundError
from linkage.evaluator import completeness as race
from linkage.evaluator.disparities import Line, followed, outcomes
from linkage.evaluator.linkerror import MEASURED, LinkError, ModelError, Range
from linkage.evaluator.output import Output
from linkage.evaluator.protection import HIDDEN, TOTAL, Cells, protect, text
from linkage.evaluator.reading import Extract
from linkage.release.disclosure import ProtectedTable
from linkage.reports.charts import grouped_bars, intervals
from linkage.reports.html import Block, DataTable, Paragraph, Section, page, percent

NAME = "disparities"

Outcome = tuple[str, str, str, str]
MAX_CHARTS = 8
ALIKE = (race.SAME, race.UNLIKE, race.OVERLAPPING, race.DIFFERENT)


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
    answers = race.answers_of(extract)
    tables = [race.completeness(answers), race.by_category(answers), *race.against_rest(answers)]
    complete, categories = (_grid(one) for one in protect(extract, tables, totals=True)[:2])
    unlike = list(_disagreements(extract, columns, model_error))
    lines = [*outcomes(extract), *followed(extract, days, model_error)]
    sections = [
        Section("How complete", list(_completeness(complete, categories))),
        Section("How far partners agree", list(_agreement(unlike))),
        Section("Outcomes by race and ethnicity", list(_drawn(lines))),
        Section("How to read this", list(_reading())),
    ]
    files = {
        "race_completeness": _flat(complete, "state"),
        "race_categories": _flat(categories, "category"),
        "race_disagreement": pd.DataFrame([_unlike_record(row) for row in unlike]),
        NAME: pd.DataFrame([_record(line) for line in lines]),
    }
    title = f"Completeness and disparities: {extract.manifest['title']}"
    figures: dict[str, Any] = {
        "not_known_or_declined": {
            name: _share(complete, name, (race.DECLINED, race.UNKNOWN)) for name in columns
        }
    }
    figures |= _recovered(lines, truth or {})
    return Output(NAME, page(title, sections, subtitle=extract.subtitle), files, figures)


def _recovered(lines: list[Line], truth: Mapping[Outcome, float]) -> dict[str, Any]:
    """Of the shares that are shown and whose truth is known, how many intervals hold it."""
    known = [
        (line.figures.share, truth[key])
        for line in lines
        if line.figures and (key := (line.table, line.outcome, line.value, line.category)) in truth
    ]
    if not known:
        return {}
    inside = sum(share.low <= true <= share.high for share, true in known)
    return {"recovered": {"inside": inside, "of": len(known)}}


def _grid(table: ProtectedTable) -> pd.DataFrame:
    """Counts by partner, empty where they may not be shown; with totals where they are shown."""
    rows, columns = table.table.dimensions
    cells = table.cells
    grid = cells.pivot(index=rows.name, columns=columns.name, values="count")
    there = set(cells[columns.name])
    return grid.loc[list(rows.codes), [node for node in columns.nodes if node in there]]


def _flat(table: pd.DataFrame, name: str) -> pd.DataFrame:
    long = table.rename_axis("partner").reset_index()
    return long.melt(id_vars="partner", var_name=name, value_name="records")


def _share(table: pd.DataFrame, partner: str, states: tuple[str, ...]) -> float | None:
    cells: pd.Series[Any] = table.T[partner][[*states, TOTAL]]
    if cells.isna().any() or not int(cells[TOTAL]):
        return None
    return round(int(cells[list(states)].sum()) / int(cells[TOTAL]), 4)


# -- what is computed --------------------------------------------------------------------------


@dataclass(frozen=True)
class Unlike:
    """Two partners' answers about the same people.

    Attributes:
        counts: None where they may not be shown.
        seen: the share of those who are not alike, of the counts that are shown; None where those
            are not.
        corrected: None where linkage error is not known, either.
    """

    one: str
    other: str
    counts: Mapping[str, int | None]
    seen: Range | None
    corrected: Range | None


def _disagreements(
    extract: Extract, columns: Mapping[str, pd.Series[Any]], model_error: ModelError
) -> Iterator[Unlike]:
    found = {}
    for one, other in itertools.combinations(columns, 2):
        compared = race.disagreement(columns[one], columns[other])
        if compared is not None:
            found[one, other] = compared
    tables = [race.disagreement_table(*names, compared) for names, compared in found.items()]
    protected = protect(extract, tables, totals=True)
    for (names, compared), cells in zip(found.items(), map(Cells, protected), strict=True):
        counts = {n: cells.count(answer=n) for n in (TOTAL, *ALIKE)}
        people, unlike = counts[TOTAL], counts[race.UNLIKE]
        if people is None or unlike is None or counts[race.SAME] is None:
            yield Unlike(*names, counts, None, None)
            continue
        seen = race.share_of(unlike, people)
        error = LinkError.between(extract.quality, *names, model_error=model_error)
        corrected = None if error is None else compared.corrected(seen, error)
        yield Unlike(*names, counts, seen, corrected)


# -- what is written ---------------------------------------------------------------------------


def _record(line: Line) -> dict[str, Any]:
    shown = line.figures
    return {
        "table": line.table,
        "outcome": line.outcome,
        "value": line.value,
        "race_ethnicity": line.category,
        "people": shown and str(shown.people),
        "with_value": shown and str(shown.part),
        **_range("share", "share", None if shown is None else shown.share),
        **_range(
            "difference_from_others", "difference", None if shown is None else shown.difference
        ),
        "suppressed": shown is None,
    }


def _unlike_record(row: Unlike) -> dict[str, Any]:
    names = {"people": TOTAL, "same": race.SAME, "not_alike": race.UNLIKE,
             "overlapping": race.OVERLAPPING, "different": race.DIFFERENT}  # fmt: skip
    counts = {name: row.counts[of] if row.seen else None for name, of in names.items()}
    return {
        "one": row.one,
        "other": row.other,
        **{name: None if n is None else str(n) for name, n in counts.items()},
        "unlike_seen": row.seen and round(row.seen.value, 3),
        **_range("unlike_corrected", "unlike", row.corrected),
    }


def _range(name: str, bounds: str, range_: Range | None) -> dict[str, float | None]:
    if range_ is None:
        return dict.fromkeys((name, f"{bounds}_low", f"{bounds}_high"))
    low, high = round(range_.low, 3), round(range_.high, 3)
    return {name: round(range_.value, 3), f"{bounds}_low": low, f"{bounds}_high": high}


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


def _agreement(unlike: list[Unlike]) -> Iterator[Block]:
    if not unlike:
        yield Paragraph("No two partners give race and ethnicity of the same people.")
        return
    rows = []
    for row in unlike:
        names = f"{row.one} and {row.other}"
        if row.seen is None:
            rows.append((names, *[HIDDEN] * 6))
            continue
        counts = [text(row.counts[n]) for n in (TOTAL, race.SAME, race.OVERLAPPING, race.DIFFERENT)]
        corrected = _text(row.corrected) if row.corrected else HIDDEN
        rows.append((names, *counts, _text(row.seen), corrected))
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
        if drawn < MAX_CHARTS and any(line.figures for line in rows):
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
    shown = line.figures
    if shown is None:
        return line.category, HIDDEN, HIDDEN, HIDDEN
    gap = shown.difference
    points = f"{100 * gap.value:+.1f} ({100 * gap.low:+.1f} to {100 * gap.high:+.1f}) points"
    return line.category, f"{shown.people:,}", _text(shown.share), points


def _interval(line: Line) -> dict[str, Any]:
    if line.figures is None:
        return {
            "category": line.category,
            "share": None,
            "low": None,
            "high": None,
            "label": HIDDEN,
        }
    share = line.figures.share
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
