"""Rows of an agency's file → the incidents of a month, and what became of every row.

- The reason for the dispatch decides whether an incident is reported, not how it ended (section
  1244.300 (b)): also one whose subject was not located, or that is still open, is reported.
- Not reported are rows without a dispatch, and those that reached the officer otherwise, as a
  broadcast or by what the officer saw (1244.300 (c)).
- An incident belongs to the month of its first reported dispatch, in local time: one at midnight
  belongs to the day that begins.
- Rows of one incident are one incident: levels are united, and of outcomes the last one counts. Of
  two outcomes without a time neither is chosen: that stops the report.
- All faulty rows are named at once, by row and column, never with a cell.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from linkage.agent.illinois.layout import OUTCOME_PENDING, Layout, Month
from linkage.agent.illinois.settings import Columns, Settings
from linkage.errors import InputError, InternalError, Problem, SourceError
from linkage.release.crosswalk.applying import Mapper
from linkage.release.crosswalk.documents import Crosswalk, clean_code

MAX_PROBLEMS = 1000
LONGEST = timedelta(days=7)
"""Dispatches of one incident are not further apart."""
_INCIDENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/-]{0,39}", re.ASCII)

Batch = Mapping[str, Sequence[str | None]]


@dataclass(frozen=True)
class Incident:
    """One reported incident.

    Attributes:
        dispatched: local time, without a zone.
        levels: in the layout's order.
    """

    number: str
    dispatched: datetime
    levels: tuple[str, ...]
    outcome: str


@dataclass
class RowAccounts:
    """What became of the rows: every row is in exactly one of these."""

    reported: int = 0
    other_month: int = 0
    other_reason: int = 0
    unknown_reason: int = 0
    without_reason: int = 0
    nobody_dispatched: int = 0
    otherwise: int = 0

    @property
    def total(self) -> int:
        return sum(vars(self).values())


@dataclass(frozen=True)
class MonthReport:
    """The incidents of one month.

    Attributes:
        incidents: in order of dispatch, then of number.
        last: the last dispatch in the whole file, whatever its reason; None without any.
    """

    month: Month
    incidents: tuple[Incident, ...]
    rows: int
    accounts: RowAccounts
    last: datetime | None

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(incident.outcome for incident in self.incidents)

    @property
    def levels(self) -> Counter[str]:
        return Counter(level for incident in self.incidents for level in incident.levels)

    @property
    def pending(self) -> int:
        return self.outcomes[OUTCOME_PENDING]


@dataclass
class _Found:
    """What is known of one incident so far; `outcomes` by when they were written."""

    dispatched: datetime
    ended: datetime
    rows: int = 0
    levels: set[str] = field(default_factory=set)
    outcomes: dict[datetime, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))


def month_report(
    batches: Iterable[Batch],
    *,
    settings: Settings,
    layout: Layout,
    month: Month,
    file: str,
    crosswalk: Crosswalk | None = None,
) -> MonthReport:
    """The report of one month from all rows of an agency's file.

    Args:
        batches: the settings' columns, every cell a text or None.
        file: how messages name the file.
        crosswalk: a sound one, where the settings name standard codes.

    Raises:
        InputError: a crosswalk is missing, or does not know the agency.
        SourceError: cells cannot be read, or codes are not known; names all of them.
    """
    reader = _Reader(settings, layout, month, _crisis(settings, crosswalk))
    for batch in batches:
        reader.take(batch)
    reader.require_sound(file)
    return reader.report()


def _crisis(settings: Settings, crosswalk: Crosswalk | None) -> Callable[[str], bool | None]:
    """Whether a reason means a crisis; None where that is not known."""
    if settings.crisis:
        codes = frozenset(settings.crisis)
        return lambda code: code in codes
    agency = settings.crosswalk_agency or ""
    if crosswalk is None or agency not in crosswalk.agencies:
        raise InputError(
            "the settings name standard codes, so a crosswalk with the agency"
            f" {agency!r} is needed",
            remedy="Give it with --crosswalk",
        )
    mapper, wanted = Mapper(crosswalk), frozenset(settings.crisis_standard)

    def crisis(code: str) -> bool | None:
        (standard,) = mapper.standard_codes(agency, [code])
        return None if standard is None else standard in wanted

    return crisis


class _Reader:
    def __init__(
        self,
        settings: Settings,
        layout: Layout,
        month: Month,
        crisis: Callable[[str], bool | None],
    ) -> None:
        self._settings, self._month, self._crisis = settings, month, crisis
        self._order = {one.code: place for place, one in enumerate(layout.levels)}
        self._zone = ZoneInfo(settings.time_zone)
        self._missing = {word.casefold() for word in settings.missing} | {""}
        self._otherwise = frozenset(settings.not_dispatched)
        self._no_time = f"the cell is not a time of the form {settings.date_format}"
        self._moments: dict[str, datetime | None] = {}
        self._reasons: dict[str, bool | None] = {}
        self._found: dict[str, _Found] = {}
        self._accounts = RowAccounts()
        self._problems: list[Problem] = []
        self._faults = 0
        self._row = 0
        self._last: datetime | None = None

    def take(self, batch: Batch) -> None:
        columns = self._settings.columns
        named = {
            name: batch[column]
            for name, column in columns.model_dump().items()
            if column is not None
        }
        count = len(named["incident"])
        nothing: Sequence[str | None] = [None] * count
        for place in range(count):
            self._row += 1
            self._take_row(
                {name: self._cell(named.get(name, nothing)[place]) for name in Columns.model_fields}
            )

    def _take_row(self, row: Mapping[str, str]) -> None:
        """File one row under exactly one account."""
        moment = self._look(row["dispatched"])
        if moment is not None and (self._last is None or moment > self._last):
            self._last = moment
        accounts = self._accounts
        reason = row["reason"]
        if not reason:
            accounts.without_reason += 1
            return
        if reason not in self._reasons:
            self._reasons[reason] = self._crisis(reason)
        meant = self._reasons[reason]
        if meant is None:
            accounts.unknown_reason += 1
        elif not meant:
            accounts.other_reason += 1
        elif row["source"] in self._otherwise:
            accounts.otherwise += 1
        elif not row["dispatched"]:
            accounts.nobody_dispatched += 1
        elif moment is None:
            self._fault("dispatched", self._no_time)
        elif not _INCIDENT.fullmatch(row["incident"]):
            text = "is no number of an incident" if row["incident"] else "is empty"
            self._fault("incident", f"the cell {text}")
        else:
            self._take_dispatch(row, moment)

    def _take_dispatch(self, row: Mapping[str, str], moment: datetime) -> None:
        found = self._found.setdefault(row["incident"], _Found(moment, moment))
        found.rows += 1
        found.dispatched = min(found.dispatched, moment)
        found.ended = max(found.ended, moment)
        if found.ended - found.dispatched > LONGEST:
            self._fault(
                "incident",
                f"the number stands with dispatches more than {LONGEST.days} days apart; where"
                " numbers begin anew each year, put the year before them",
            )
        found.levels |= self._levels(row["level"])
        local = row["outcome"]
        if local:
            outcome = self._settings.outcomes.get(local)
            if outcome is None:
                self._fault("outcome", "the settings do not say what this code means")
            else:
                written = self._look(row["updated"])
                if written is None and row["updated"]:
                    self._fault("updated", self._no_time)
                found.outcomes[written or datetime.min].setdefault(outcome, self._row)

    def _levels(self, cell: str) -> set[str]:
        separator = self._settings.level_separator
        parts = cell.split(separator) if separator else [cell]
        locals_ = [clean_code(part) for part in parts if part.strip()]
        if not locals_:
            self._fault("level", "the cell does not say who responded")
        found: set[str] = set()
        for local in locals_:
            if local not in self._settings.levels:
                self._fault("level", "the settings do not say what this code means")
            found |= set(self._settings.levels.get(local, ()))
        return found

    def _look(self, text: str) -> datetime | None:
        """A cell as local time without a zone; None where it is none."""
        if text not in self._moments:
            self._moments[text] = self._parsed(text)
        return self._moments[text]

    def _parsed(self, text: str) -> datetime | None:
        try:
            moment = datetime.strptime(text, self._settings.date_format)
            if moment.tzinfo is not None:
                moment = moment.astimezone(self._zone)
        except (ValueError, OverflowError):
            return None
        return moment.replace(tzinfo=None)

    def _cell(self, cell: str | None) -> str:
        text = clean_code(cell or "")
        return "" if text.casefold() in self._missing else text

    def _fault(self, name: str, message: str) -> None:
        self._faults += 1
        if len(self._problems) < MAX_PROBLEMS:
            column = str(getattr(self._settings.columns, name))
            self._problems.append(Problem(self._row, column, message))

    def require_sound(self, file: str) -> None:
        for found in self._found.values():
            last = max(found.outcomes, default=None)
            if last is not None and len(found.outcomes[last]) > 1:
                self._row = max(found.outcomes[last].values())
                self._fault("outcome", "the incident has another outcome, and none is the later")
        if self._faults:
            raise SourceError(
                file,
                sorted(self._problems),
                total=self._faults,
                remedy="Nothing was written. Correct the file, or the settings",
            )

    def report(self) -> MonthReport:
        incidents = []
        for number, found in self._found.items():
            if not self._month.holds(found.dispatched):
                self._accounts.other_month += found.rows
                continue
            self._accounts.reported += found.rows
            last = max(found.outcomes, default=None)
            outcome = OUTCOME_PENDING if last is None else next(iter(found.outcomes[last]))
            levels = tuple(sorted(found.levels, key=self._order.__getitem__))
            incidents.append(Incident(number, found.dispatched, levels, outcome))
        if self._accounts.total != self._row:
            raise InternalError(
                f"{self._row} rows were read and {self._accounts.total} accounted for"
            )
        incidents.sort(key=lambda one: (one.dispatched, one.number))
        return MonthReport(self._month, tuple(incidents), self._row, self._accounts, self._last)
