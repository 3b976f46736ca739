"""What every case of this suite must end in, whatever was tried.

    with attack.refused(SignatureError, method="CreateUpload"):
        sheriff.create(header, signature)

- the error says why, and crosses the wire under the status that belongs to it;
- the hub's line about the call, and its leaf in the transparency log, say who was refused what;
- no table and no finished file has changed;
- the hub's memory has not grown beyond `MOST_MIB`, at its highest in between;
- the hub goes on serving others.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from linkage.errors import HubUnavailableError, LimitError, LinkageError
from linkage.hub.steward import Steward
from linkage.rpc.status import code_of
from linkage.store import tables
from linkage.store.sql import find
from tests.integration.hub.conftest import Hub

MOST_MIB = 64.0
"""How much an attack may let the hub grow; most take none, the largest message is 4 MiB."""
LOG_SECONDS = 10.0
OF_THE_LOG = {"log_entry", "log_node", "log_size", "log_head", "spending"}
"""Tables that a refusal is meant to change: it is a leaf, and the bytes it cost are counted."""


@dataclass
class Attack:
    """Judges attacks on one hub.

    Attributes:
        growth: MiB, by test.
    """

    hub: Hub
    steward: Steward
    growth: dict[str, float] = field(default_factory=dict)
    name: str = ""

    @contextmanager
    def refused(
        self,
        error: type[LinkageError],
        *,
        method: str,
        by: str = "partner/sheriff",
        match: str | None = None,
        most_mib: float = MOST_MIB,
    ) -> Iterator[None]:
        """The block must raise just that error, and leave everything as it was.

        Args:
            method: name of the method that refuses.
            by: role and name of the party that is refused.
        """
        with self.unmoved(most_mib=most_mib), self.logged(method, by, error.reason):
            with pytest.raises(LinkageError, match=match) as caught:
                yield
            assert type(caught.value) is error, repr(caught.value)
            status = caught.value.__context__
            assert isinstance(status, grpc.RpcError), "the hub did not say it, the client did"
            assert status.code().value[0] == code_of(error(""))

    @contextmanager
    def unmoved(self, *, most_mib: float = MOST_MIB) -> Iterator[None]:
        """The hub's state stays, its memory is bounded, and it is alive afterwards."""
        self._settle()
        before, base = state_of(self.hub), self._reset_peak()
        yield
        assert self.hub.process is not None
        assert self.hub.process.is_alive(), "the hub has died"
        grown = memory_of(self.hub.process.pid, "VmHWM") - base
        self.growth[self.name] = max(grown, self.growth.get(self.name, 0.0))
        assert grown <= most_mib, f"the hub grew by {grown:.0f} MiB"
        after = state_of(self.hub)
        assert {t for t in before if before[t] != after.get(t)} == set(), "the hub's state changed"
        self.alive()

    @contextmanager
    def shut_out(self) -> Iterator[None]:
        """The block ends in the handshake: nothing moves, and a leaf counts such connections.

        Those of one minute are one leaf and a count.
        """
        with self.unmoved():
            yield
        until(lambda: turned_away(self.hub))

    @contextmanager
    def logged(self, method: str, by: str, reason: str) -> Iterator[None]:
        """A line of the hub's log, and a leaf of the transparency log, say that this call of this
        party ended so. Leaves of one kind within a minute are one leaf and a count.
        """
        start = self.hub.log.stat().st_size
        yield
        party = f"spiffe://{self.hub.home.settings.name}/{by}"
        give_up = time.monotonic() + LOG_SECONDS
        while True:
            with self.hub.log.open("rb") as file:
                file.seek(start)
                lines = [line for line in file.read().splitlines() if b'"call"' in line]
            calls = [_line(line) for line in lines]
            if any(
                call.get("method", "").rpartition("/")[2] == method
                and call.get("party") == party
                and call.get("outcome") == reason
                for call in calls
            ):
                break
            assert time.monotonic() < give_up, (method, party, reason, calls[-5:])
            time.sleep(0.02)
        until(lambda: (method, by, reason) in refusals_of(self.hub))

    def alive(self, *, seconds: float = 10.0) -> None:
        """Somebody else's legitimate call succeeds; in a flood it may have to be repeated."""
        give_up = time.monotonic() + seconds
        while True:
            try:
                assert list(self.steward.project_names()) is not None
                return
            except (LimitError, HubUnavailableError):
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.1)

    def _settle(self) -> None:
        """Let the hub tidy up after runs that have ended: that is not the attacker's doing."""
        database = self.hub.database()

        def tidy() -> bool:
            with database.transaction() as connection:
                runs = connection.execute(tables.run.select()).mappings().all()
            return all(run["cleared_at"] or not run["ended_at"] for run in runs)

        until(tidy)
        database.close()

    def _reset_peak(self) -> float:
        assert self.hub.process is not None
        pid = self.hub.process.pid
        Path(f"/proc/{pid}/clear_refs").write_text("5")
        return memory_of(pid, "VmRSS")


def memory_of(pid: int, what: str) -> float:
    """MiB of a process: `VmRSS` now, or `VmHWM` at its highest."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(what)


def state_of(hub: Hub) -> dict[str, str]:
    """A digest of every table but the log's, and of the names and sizes of finished files.

    Certificates are left out too: the attacker that has the hub's own sign one writes it down.
    """
    found: dict[str, str] = {}
    database = hub.database()
    with database.transaction() as connection:
        for table in tables.metadata.sorted_tables:
            if table.name not in {*OF_THE_LOG, tables.certificate.name}:
                rows = sorted(repr(tuple(row)) for row in connection.execute(table.select()))
                found[table.name] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    database.close()
    blobs = hub.home.path / "blobs"
    files = sorted(
        f"{p.relative_to(blobs)} {p.stat().st_size}" for p in blobs.rglob("*") if p.is_file()
    )
    found["blobs"] = hashlib.sha256("\n".join(files).encode()).hexdigest()
    return found


def refusals_of(hub: Hub) -> set[tuple[str, str, str]]:
    """Method, party and reason of every refusal that is a leaf of the hub's log."""
    database = hub.database()
    with database.transaction() as connection:
        query = tables.log_entry.select().where(tables.log_entry.c.kind == "call.refused")
        rows = connection.execute(query).mappings().all()
    database.close()
    details = [(row["party"], json.loads(row["entry"])["details"]) for row in rows]
    return {(said["method"].rpartition("/")[2], by, said["reason"]) for by, said in details}


def turned_away(hub: Hub) -> bool:
    """Whether a leaf of the hub's log tells of connections that never came to a call."""
    database = hub.database()
    with database.transaction() as connection:
        found = find(connection, tables.log_entry, kind="connection.refused")
    database.close()
    return found is not None


def until(reached: Callable[[], Any], *, seconds: float = 20.0) -> None:
    """Wait until something is so."""
    give_up = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def _line(line: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line)
    return found
