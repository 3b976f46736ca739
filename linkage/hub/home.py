"""The hub's directory: settings, certificate authority, database, blobs.

hub.json         name, address, hosts, database and blob locations
authority.pem    the authority's certificate; authority.key its key, for this machine only
log.vkey         the transparency log's public key; log.key its private one
lock.json        how authority.key is locked by a passphrase, unless the steward chose not to
hub.db, jobs.db  SQLite, unless the settings name another database
blobs/ staging/  finished uploads and results; uploads under way
steward/         the first steward's identity
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field, ValidationError

from linkage import __version__
from linkage.agreement.canonical import canonical
from linkage.agreement.fields import Name, Strict
from linkage.errors import AlreadyExistsError, InputError, NotFoundError
from linkage.files import PRIVATE, private_directory, write_atomic
from linkage.hub.keys import Enrolment, begin_generation, register_or_same
from linkage.hub.log import record
from linkage.rpc.party import Party, tls_key
from linkage.rpc.witness import LOG_KEY
from linkage.store.blobs import Blobs
from linkage.store.sql import Database
from linkage.trust.checkpoint import LogKey, log_name
from linkage.trust.identity import (
    Authority,
    PartyId,
    Role,
    load_authority,
    make_authority,
    make_request,
)
from linkage.trust.secrets import Secret
from linkage.trust.vault import LOCK, Vault


class Settings(Strict):
    """What `hub.json` holds.

    Attributes:
        address: `host:port` to listen on, and what invitations name.
        hosts: names and addresses the hub's certificate is valid for.
        database, jobs, blobs: URLs; empty for SQLite and local disk below the home.
            `LINKAGE_DATABASE_URL`, `LINKAGE_JOBS_URL` and `LINKAGE_BLOBS_URL` in the environment
            take precedence, so that a password need not stand in a file.
        calls_per_minute: of one party outside of projects; inside, the manifest says.
        invitation_days, certificate_days: how long these are good.
    """

    name: Name
    address: str
    hosts: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    database: str = ""
    jobs: str = ""
    blobs: str = ""
    calls_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 3_000
    invitation_days: Annotated[int, Field(ge=1, le=90)] = 7
    certificate_days: Annotated[int, Field(ge=1, le=90)] = 7


@dataclass(frozen=True, repr=False)
class HubHome:
    """An initialised hub directory."""

    path: Path
    settings: Settings

    @classmethod
    def load(cls, path: Path) -> HubHome:
        """Raises NotFoundError unless `path` holds a hub."""
        try:
            settings = Settings.model_validate_json((path / "hub.json").read_bytes())
        except FileNotFoundError:
            raise NotFoundError(
                f"{path} holds no hub", remedy=f"Run: linkage hub init --home {path}"
            ) from None
        except ValidationError as error:
            places = ", ".join(".".join(map(str, e["loc"])) for e in error.errors())
            raise InputError(f"{path / 'hub.json'} is invalid at: {places}") from None
        return cls(path, settings)

    @property
    def vault(self) -> Vault:
        """The hub's own secret files."""
        return Vault(self.path)

    @cached_property
    def authority(self) -> Authority:
        """The certificate authority; unlocks the home, which may ask for the passphrase."""
        certificate = (self.path / "authority.pem").read_bytes()
        return load_authority(certificate, self.vault.read("authority.key"))

    @cached_property
    def log_key(self) -> LogKey:
        """The key that signs the log's checkpoints; unlocks the home."""
        return LogKey.load(log_name(self.settings.name), self.vault.read("log.key"))

    @property
    def log_line(self) -> str:
        """The log's public key, as parties pin it."""
        return (self.path / LOG_KEY).read_text()

    @property
    def jobs_url(self) -> str:
        url = os.environ.get("LINKAGE_JOBS_URL") or self.settings.jobs
        return url or _sqlite(self.path / "jobs.db")

    @property
    def steward(self) -> PartyId:
        """The first steward, who works on the hub's own machine."""
        return PartyId(self.settings.name, Role.STEWARD, "steward")

    def certify_steward(self) -> Party:
        """Give the first steward a fresh certificate; who holds the authority's key may."""
        home = self.path / "steward"
        request = make_request(tls_key(home), self.steward.name)
        database = self.database()
        try:
            chain = self.enrolment(database).certify(self.steward, request)
        finally:
            database.close()
        return Party.save(
            home,
            name=self.steward.name,
            role=Role.STEWARD,
            address=self.settings.address,
            authority=self.authority.certificate_pem,
            log=self.log_line,
            chain=chain,
        )

    def enrolment(self, database: Database) -> Enrolment:
        """Invites and certifies, by the hub's settings."""
        return Enrolment(
            self.settings.name,
            self.authority,
            self.log_line,
            database,
            invitation_lifetime=timedelta(days=self.settings.invitation_days),
            certificate_lifetime=timedelta(days=self.settings.certificate_days),
        )

    def database(self) -> Database:
        url = os.environ.get("LINKAGE_DATABASE_URL") or self.settings.database
        return Database(url or _sqlite(self.path / "hub.db"))

    def blobs(self) -> Blobs:
        url = os.environ.get("LINKAGE_BLOBS_URL") or self.settings.blobs
        return Blobs(url or f"file://{self.path / 'blobs'}", cache=self.path / "cache")


def initialise(
    path: Path,
    *,
    name: str,
    address: str,
    hosts: Sequence[str],
    passphrase: Secret | None = None,
    passphrase_uri: str = "",
) -> HubHome:
    """Make a hub directory, its authority, its database and the first steward.

    Args:
        passphrase: locks the hub's keys; None leaves them to the file system's care.
        passphrase_uri: where the passphrase will be found later, if it is kept anywhere.

    Raises:
        AlreadyExistsError: there is a hub already; it is never overwritten.
        InputError: a setting is malformed.
    """
    if (path / "hub.json").exists():
        raise AlreadyExistsError(f"{path} holds a hub already")
    try:
        settings = Settings(name=name, address=address, hosts=tuple(hosts))
    except ValidationError as error:
        places = ", ".join(".".join(map(str, e["loc"])) for e in error.errors())
        raise InputError(
            f"invalid hub setting: {places}",
            remedy="A name is lower-case letters, digits, - and _, starting with a letter",
        ) from None
    path = private_directory(path.absolute())
    # What an interrupted attempt left is worth nothing without `hub.json`.
    for left in (path / LOCK, *path.glob("*.key")):
        left.unlink(missing_ok=True)
    made = HubHome(path, settings)
    if passphrase is not None:
        # Before there is a key, so that it never lies on the disk in clear.
        made.vault.lock(passphrase, passphrase_uri)
    authority = make_authority(name)
    made.vault.write("authority.key", authority.key_pem)
    write_atomic(path / "authority.pem", authority.certificate_pem)
    log_key = LogKey(log_name(name), Ed25519PrivateKey.generate())
    made.vault.write("log.key", log_key.private)
    write_atomic(path / LOG_KEY, log_key.verifier.line.encode())
    database = made.database()
    database.migrate()
    with database.transaction() as connection:
        register_or_same(connection, made.steward, signing_key=b"", sealing_key=b"")
        begin_generation(connection, made.steward.name)
        record(connection, "hub.initialised", name=name, version=__version__)
    database.close()
    made.certify_steward()
    # Last: a home without it is no hub, and may be initialised again.
    write_atomic(path / "hub.json", canonical(json.loads(settings.model_dump_json())))
    return HubHome.load(path)


def _sqlite(path: Path) -> str:
    """URL of a database file that only its owner may read."""
    path.touch(mode=PRIVATE)
    return f"sqlite:///{path}"
