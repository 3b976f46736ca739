"""Comparison rounds: lists that wait for answers, and what has been answered.

- A run that waits has one list for each side of each comparison. A list is open until it is
  answered, its deadline passes, or the run stops waiting, whichever comes first; then it is shut
  for good.
- Answers are uploads like any other (`uploads`); here is what they must fit.
- Who may read a list: the partner it is for, while the run waits.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from linkage.answers import REQUEST_BYTES
from linkage.errors import (
    AlreadyExistsError,
    CancelledError,
    InvalidRequestError,
    NotFoundError,
    TooLateError,
)
from linkage.hub.log import record
from linkage.hub.project import Project
from linkage.hub.projects import Projects
from linkage.hub.results import Results
from linkage.hub.states import RUNNING, WAITING
from linkage.store import tables
from linkage.store.sql import Database, Row, find, find_all, insert, now, update
from linkage.trust.headers import AnswersHeader
from linkage.trust.identity import PartyId, Role

_STEP = 200


@dataclass(frozen=True)
class RequestList:
    """One side of a comparison: `partner`'s rows against `other`'s.

    Attributes:
        upload: the partner's encodings.
        digest: SHA-256 of the list's bytes, hex.
    """

    partner: str
    other: str
    upload: str
    digest: str
    entries: int


class Comparisons:
    """The use cases around comparison rounds.

    Attributes:
        changed: set when a list has been answered.
    """

    def __init__(self, database: Database, results: Results, projects: Projects) -> None:
        self._database = database
        self._projects = projects
        self._results = results
        self.changed = threading.Event()

    def open(self, run: str, lists: Sequence[RequestList], deadline: int) -> None:
        """Let a run wait for answers; repeating it changes nothing.

        Raises:
            CancelledError: the run was cancelled.
        """
        with self._database.transaction() as connection:
            if find_all(connection, tables.comparison, run=run):
                return
            for one in lists:
                values = {"deadline": deadline, "answers": None, "answered_at": None}
                insert(connection, tables.comparison, run=run, **vars(one), **values)
            known = {"id": run, "state": RUNNING}
            step = _step(*waiting_for(connection, run))
            if not update(connection, tables.run, known, state=WAITING, step=step):
                raise CancelledError("the run was cancelled")
            row = find(connection, tables.run, id=run) or {}
            about: dict[str, Any] = {"project": row["project"], "subject": run}
            for one in lists:
                to = {"partner": one.partner, "other": one.other, "digest": one.digest}
                record(connection, "list.issued", **about, **to)
            record(connection, "run.waiting", **about, deadline=deadline)

    def list(self, caller: PartyId, name: str) -> Sequence[Row]:
        """The caller's lists in the project's runs that wait; with the run's fingerprint and
        epoch.
        """
        with self._database.transaction() as connection:
            self._projects.require(connection, name, caller).require_partner(caller)
            return [
                {**row, "project": name, "fingerprint": run["fingerprint"], "epoch": run["epoch"]}
                for run in find_all(
                    connection, tables.run, order="created_at", project=name, state=WAITING
                )
                for row in find_all(
                    connection,
                    tables.comparison,
                    order="other",
                    run=run["id"],
                    partner=caller.name,
                )
            ]

    def requests(self, caller: PartyId, run: str, other: str, offset: int) -> Iterator[bytes]:
        """A list's bytes from an offset on.

        Raises:
            NotFoundError: the caller has no such list.
            TooLateError: the run does not wait any more.
            InvalidRequestError: the offset lies behind the list's end.
        """
        with self._database.transaction() as connection:
            row = _require(connection, run, caller.name, other)
            if find(connection, tables.run, id=run, state=WAITING) is None:
                raise _too_late()
        if offset > row["entries"] * REQUEST_BYTES:
            raise InvalidRequestError("the offset lies behind the end of the list")
        return self._results.requests(run, caller.name, other, offset)

    def require_open(
        self, connection: sa.Connection, project: Project, header: AnswersHeader
    ) -> None:
        """Refuse answers to anything but an open list of the sender.

        Raises:
            NotFoundError: there is no such list.
            AlreadyExistsError: it is answered.
            TooLateError: its deadline has passed, or the run does not wait any more.
            InvalidRequestError: the header speaks of another list.
        """
        row = _require(connection, header.run, header.partner, header.other)
        run = find(connection, tables.run, id=header.run, project=project.name)
        if run is None:
            raise NotFoundError("there is no such comparison for you")
        if row["answered_at"] is not None:
            raise AlreadyExistsError(
                f"{header.partner!r} has answered this comparison with {header.other!r} already"
            )
        if run["state"] != WAITING or row["deadline"] <= now():
            raise _too_late()
        fields = len(project.manifest.fields)
        expected = (row["digest"], row["entries"], fields)
        if (header.requests, header.entries, header.fields) != expected:
            raise InvalidRequestError("the answers are not to the list that the hub asked")

    def take(
        self, connection: sa.Connection, project: Project, header: AnswersHeader, upload: str
    ) -> None:
        """Record that a list is answered; raises as `require_open` does."""
        # Holds on to the run's row: from here to the commit it can't stop waiting.
        update(connection, tables.run, {"id": header.run, "state": WAITING}, state=WAITING)
        self.require_open(connection, project, header)
        place = {"run": header.run, "partner": header.partner, "other": header.other}
        update(connection, tables.comparison, place, answers=upload, answered_at=now())
        record(
            connection,
            "list.answered",
            project=project.name,
            party=f"{Role.PARTNER}/{header.partner}",
            subject=header.run,
            other=header.other,
            list=header.requests,
            upload=upload,
        )
        step = _step(*waiting_for(connection, header.run))
        update(connection, tables.run, {"id": header.run}, step=step)

    def due(self) -> Sequence[str]:
        """Runs that wait no longer: everything is answered, or the deadline has passed."""
        with self._database.transaction() as connection:
            runs = find_all(connection, tables.run, order="created_at", state=WAITING)
            waits = {run["id"]: waiting_for(connection, run["id"]) for run in runs}
        return [run for run, (names, until) in waits.items() if not names or until <= now()]

    def spent(self, project: Project, epoch: int) -> Sequence[str]:
        """Partners who have answered as many runs of an epoch as the manifest allows."""
        most = project.manifest.matching.answer_runs
        which = {"project": project.name, "fingerprint": project.manifest.fingerprint}
        answered: dict[str, set[str]] = {name: set() for name in project.manifest.partner_names}
        with self._database.transaction() as connection:
            for run in find_all(connection, tables.run, **which, epoch=epoch):
                for row in find_all(connection, tables.comparison, run=run["id"]):
                    if row["answered_at"] is not None:
                        answered[row["partner"]].add(run["id"])
        return [name for name, runs in answered.items() if len(runs) >= most]

    def of(self, run: str) -> Mapping[tuple[str, str], Row]:
        """A run's lists by (partner, other)."""
        with self._database.transaction() as connection:
            rows = find_all(connection, tables.comparison, run=run)
        return {(row["partner"], row["other"]): row for row in rows}


def waiting_for(connection: sa.Connection, run: str) -> tuple[Sequence[str], int]:
    """Who has still to answer, and until when; seconds since the epoch."""
    rows = find_all(connection, tables.comparison, order="partner", run=run)
    names = [row["partner"] for row in rows if row["answered_at"] is None]
    return list(dict.fromkeys(names)), max((row["deadline"] for row in rows), default=0)


def time_text(seconds: int) -> str:
    """A time as people read it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _step(names: Sequence[str], deadline: int) -> str:
    if not names:
        return "all answers are there"
    text = f"waits for answers of {', '.join(names)} until {time_text(deadline)}"
    if len(text) <= _STEP:
        return text
    return f"waits for answers of {len(names)} partners until {time_text(deadline)}"


def _require(connection: sa.Connection, run: str, partner: str, other: str) -> Row:
    row = find(connection, tables.comparison, run=run, partner=partner, other=other)
    if row is None:
        raise NotFoundError("there is no such comparison for you")
    return row


def _too_late() -> TooLateError:
    return TooLateError(
        "the run does not wait for these answers any more",
        remedy="Nothing is left to do; the quality report says what was compared without them",
    )
