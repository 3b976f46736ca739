"""`linkage evaluator follow-up`: police contact, then service within N days, by group.

Figures as seen and as corrected for linkage error stand side by side, in a CSV and on a page.

    follow_up(extract, Options(days=30)).write(Path("reports"))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from linkage.evaluator.followup import MONTH
from linkage.evaluator.followup_tables import (
    EVERYBODY,
    Options,
    Pair,
    Row,
    Truth,
    followed_pair,
    table_pairs,
)
from linkage.evaluator.linkerror import LinkError, Range, correct
from linkage.evaluator.output import Output
from linkage.evaluator.protection import HIDDEN
from linkage.evaluator.reading import Extract
from linkage.reports.html import (
    Block,
    DataTable,
    Figure,
    KeyFigures,
    Paragraph,
    Section,
    page,
    percent,
)
from linkage.reports.places import corrections

NAME = "follow_up"


def follow_up(
    extract: Extract, options: Options | None = None, *, truth: Truth | None = None
) -> Output:
    """The whole output.

    Args:
        truth: of a rehearsal: true shares by column and group, for (events, services), shown
            beside the estimates.

    Raises:
        NotFoundError: the extract has no such tables or columns.
        InputError: the choices do not fit the tables.
    """
    options = options or Options()
    pairs = [
        followed_pair(extract, *names, options, (truth or {}).get(names, {}))
        for names in table_pairs(extract, options)
    ]
    sections = [_section(pair, options) for pair in pairs]
    sections.append(Section("How to read this", list(_reading(options))))
    title = f"What follows what: {extract.manifest['title']}"
    return Output(
        NAME,
        page(title, sections, subtitle=extract.subtitle),
        {NAME: pd.DataFrame([_record(pair, row, options) for pair in pairs for row in pair.rows])},
        {"pairs": [_figures(pair) for pair in pairs]} | _recovered(pairs),
    )


# -- what is written ---------------------------------------------------------------------------


def _record(pair: Pair, row: Row, options: Options) -> dict[str, Any]:
    """A row of the CSV; empty where it may not be shown."""
    counts, found = row.counts, row.found
    figures: dict[str, Any] = {
        "people": counts and counts.people,
        "events": counts and counts.events,
        "followed": counts and counts.followed,
        **_range("seen", found.raw),
        **_range("corrected", found.true if pair.error else None),
        "half_width_sampling": found.sampling,
        "half_width_missed_links": found.missed if pair.error else None,
        "half_width_wrong_links": found.wrong if pair.error else None,
    }
    if not options.every:
        del figures["events"]
    shown = {
        name: None if row.hidden else round(value, 3) if isinstance(value, float) else value
        for name, value in figures.items()
    }
    record = {
        "event_table": pair.events,
        "service_table": pair.services,
        "days": options.days,
        "by": row.by or EVERYBODY,
        "group": row.name,
        **{name: _whole(value) for name, value in shown.items()},
        "suppressed": row.hidden,
    }
    return record if row.true is None else {**record, "true_share": row.true}


def _whole(value: Any) -> Any:
    # As text, so that an empty cell beside it does not make a count a fraction.
    return str(value) if isinstance(value, int) else value


def _range(name: str, range_: Range | None) -> dict[str, float | None]:
    if range_ is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    return {name: range_.value, f"{name}_low": range_.low, f"{name}_high": range_.high}


def _figures(pair: Pair) -> dict[str, Any]:
    everybody = next(row for row in pair.rows if not row.by)
    found = everybody.found
    return {
        "events": pair.events,
        "services": pair.services,
        "unit": pair.unit,
        "seen": None if everybody.hidden else round(found.raw.value, 3),
        "corrected": None
        if everybody.hidden or pair.error is None
        else [round(v, 3) for v in (found.true.value, found.true.low, found.true.high)],
    }


def _recovered(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Of the groups whose truth is known, how many intervals hold it; hidden ones among them."""
    known = [(row, row.true) for pair in pairs for row in pair.rows if row.true is not None]
    if not known:
        return {}
    inside = sum(row.found.true.low <= true <= row.found.true.high for row, true in known)
    return {"recovered": {"inside": inside, "of": len(known)}}


# -- the page ----------------------------------------------------------------------------------


def _section(pair: Pair, options: Options) -> Section:
    everybody = next(row for row in pair.rows if not row.by)
    blocks: list[Block] = [
        _key_figures(pair, everybody, options),
        *_statement(pair, everybody, options),
    ]
    for by, rows in pair.by():
        shown = [everybody, *rows]
        title = f"{pair.events}, then {pair.services}, by {by}"
        true = any(row.true is not None for row in rows)
        table = DataTable(
            title,
            (by, "People", "Followed", "Share as seen (95%)", "Corrected (95%)")
            + (("True",) if true else ()),
            [
                _cells(pair, row) + ((percent(row.true),) if true else ())
                for row in shown
            ],
        )  # fmt: skip
        blocks.append(
            corrections(
                [_drawn(row) for row in shown],
                title=title,
                description="Share followed, as seen in the linked data and as corrected for"
                f" wrong and missing links, with 95% intervals, by {by}.",
                x_title="Share followed",
                table=table,
            )
        )
    if pair.error is not None and not everybody.hidden:
        blocks.append(_sensitivity(everybody, pair.error))
    return Section(f"{pair.events}, then {pair.services}", blocks)


def _key_figures(pair: Pair, row: Row, options: Options) -> KeyFigures:
    what = "Events" if options.every else "People with an event"
    if row.counts is None:
        return KeyFigures([Figure(what, HIDDEN), Figure("Followed", HIDDEN)])
    true = row.found.true
    corrected = Figure(
        "Corrected for linkage error",
        percent(true.value) if pair.error else HIDDEN,
        f"95%: {percent(true.low)} to {percent(true.high)}" if pair.error else "not estimated",
    )
    return KeyFigures(
        [
            Figure(what, f"{row.counts.events:,}", "whose whole window lies in the data"),
            Figure(f"Followed within {options.days} days, as seen", percent(row.found.raw.value)),
            corrected,
        ]
    )


def _statement(pair: Pair, everybody: Row, options: Options) -> Iterator[Block]:
    each = "each event" if options.every else "each person's first event"
    text = f"Whether a service starts within {options.days} days of {each}, that day included."
    if pair.unit == MONTH:
        text += (
            " The extract has months, not days: a service counts in the event's own month, when it"
            " may have come before, and in the month in which the window ends."
        )
    yield Paragraph(text)
    if pair.error is None:
        yield Paragraph(
            "The extract has no estimate of linkage error for these partners, so nothing is"
            " corrected. Give --precision and --recall if you know them.",
            warning=True,
        )
        return
    p, r = pair.error.precision, pair.error.recall
    found = everybody.found
    yield Paragraph(
        f"Links: precision {percent(p.value)} ({percent(p.low)} to {percent(p.high)}), recall"
        f" {percent(r.value)} ({percent(r.low)} to {percent(r.high)}); {pair.error.source}."
        " Somebody of the services' partner picked at random has a service in such a window with"
        " chance"
        f" {percent(everybody.group.background)}."
        + (
            ""
            if everybody.hidden
            else f" Of the interval for everybody, sampling by itself gives"
            f" ±{percent(found.sampling)}, missed links ±{percent(found.missed)}, wrong links"
            f" ±{percent(found.wrong)}."
        )
    )


def _cells(pair: Pair, row: Row) -> tuple[str, ...]:
    if row.counts is None:
        return row.name, HIDDEN, HIDDEN, HIDDEN, HIDDEN
    counts, found = row.counts, row.found
    corrected = _with_interval(found.true) if pair.error else HIDDEN
    seen = _with_interval(found.raw)
    return row.name, f"{counts.events:,}", f"{counts.followed:,}", seen, corrected


def _with_interval(range_: Range) -> str:
    return f"{percent(range_.value)} ({percent(range_.low)} to {percent(range_.high)})"


def _drawn(row: Row) -> dict[str, Any]:
    raw, true = row.found.raw, row.found.true
    hide = row.hidden
    return {
        "category": row.name,
        "seen": None if hide else raw.value,
        "seen_low": raw.low,
        "seen_high": raw.high,
        "share": None if hide else true.value,
        "low": true.low,
        "high": true.high,
        "true": row.true,
    }


def _sensitivity(everybody: Row, error: LinkError) -> DataTable:
    """What would come out if the links were worse than estimated."""
    rows = []
    for lost, wrong in ((0, 0), (0.05, 0), (0.1, 0), (0.2, 0), (0, 0.05), (0, 0.1), (0.1, 0.1)):
        recall, precision = error.recall.value - lost, error.precision.value - wrong
        if min(recall, precision) > 0.05:
            other = LinkError(Range.exactly(precision), Range.exactly(recall), "")
            found = correct(
                everybody.group.counted, other, background=everybody.group.background
            ).true
            rows.append((percent(precision), percent(recall), percent(found.value)))
    return DataTable(
        "If the links were worse than estimated",
        ("Precision", "Recall", "Corrected share, everybody"),
        rows,
    )


def _reading(options: Options) -> Iterator[Block]:
    p, r = options.model_error.precision, options.model_error.recall
    yield Paragraph(
        "As seen: what the linked tables show, with sampling error alone. A missed link hides a"
        " follow-up; a wrong link can make one. Corrected: (seen - (1 - precision) × linked ×"
        " background) / recall. Its interval adds the uncertainty of precision and recall: chance,"
        " and how far the linkage's own estimates may be off (precision"
        f" -{percent(p[0], 0)} to +{percent(p[1], 0)}, recall -{percent(r[0], 0)} to"
        f" +{percent(r[1], 0)})."
    )
    yield Paragraph(
        "This holds if links are missed as often among those who were followed as among others."
        " Where groups differ in how well they can be linked, ask for strata in the manifest: the"
        " report's own figures by stratum are then used. A person whose records one partner holds"
        " twice unlinked counts as two. Groups of few people, followed or not, are not shown, nor"
        " what would give them away."
    )
