"""A run's row goes from state to state, a cancelled run's no more, and each step is logged."""

from __future__ import annotations

from typing import Any, cast

import pytest

from linkage.errors import CancelledError, InternalError, NotFoundError
from linkage.hub import progress
from linkage.hub.progress import Progress, Reporter
from linkage.hub.states import CANCELLED, FAILED, PENDING, RUNNING, SUCCEEDED, WAITING
from linkage.store import tables
from linkage.store.sql import Database, find_all, update

from .conftest import MakeRun


def logged(database: Database) -> list[str]:
    with database.transaction() as connection:
        return sorted(row["kind"] for row in find_all(connection, tables.log_entry))


def test_changes_of_state_are_logged_and_others_are_not(
    database: Database, make_run: MakeRun
) -> None:
    make_run("r", state=PENDING)
    rows = Progress(database)
    rows.change("r", state=RUNNING)
    rows.change("r", step="half-way", progress=0.5)
    rows.change("r", {"report": "digest"}, state=SUCCEEDED)
    assert rows.row("r")["step"] == "half-way"
    assert logged(database) == ["run.started", "run.succeeded"]


def test_a_cancelled_run_changes_no_more(database: Database, make_run: MakeRun) -> None:
    make_run("r", state=RUNNING)
    rows = Progress(database)
    with database.transaction() as connection:
        update(connection, tables.run, {"id": "r"}, state=CANCELLED)
    with pytest.raises(CancelledError):
        rows.change("r", progress=0.5)
    rows.fail("r", InternalError("x"))
    with pytest.raises(CancelledError):
        rows.row("r")
    with pytest.raises(NotFoundError):
        rows.row("other")
    assert logged(database) == []


@pytest.mark.parametrize(("waits", "state"), [(True, FAILED), (False, WAITING)])
def test_a_run_that_waits_fails_only_where_it_is_meant(
    database: Database, make_run: MakeRun, waits: bool, state: str
) -> None:
    make_run("r", state=WAITING)
    rows = Progress(database)
    rows.fail("r", InternalError("x"), waits=waits)
    assert rows.row("r")["state"] == state
    assert logged(database) == (["run.failed"] if waits else [])


class Told:
    """Takes what a reporter writes, until the run is cancelled."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, dict[str, Any]]] = []
        self.gone = False

    def change(self, run: str, **values: Any) -> None:
        if self.gone:
            raise CancelledError("the run was cancelled")
        self.changes.append((run, values))


def test_progress_is_written_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, told = [100.0], Told()
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    reporter = Reporter(cast("Progress", told), "r", "candidates a-b", 0.4, 0.8)
    for share in (0.0, 0.25, 0.5):
        reporter.progress(share)
        clock[0] += 0.3
    done = [values["progress"] for _, values in told.changes]
    assert done == pytest.approx([0.4, 0.6])
    assert {(run, values["step"]) for run, values in told.changes} == {("r", "candidates a-b")}
    assert not reporter.cancelled()


def test_a_cancelled_run_stops_its_step() -> None:
    told = Told()
    told.gone = True
    reporter = Reporter(cast("Progress", told), "r", "candidates a-b", 0.0, 1.0)
    reporter.progress(0.5)
    assert reporter.cancelled()
