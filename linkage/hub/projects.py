"""Projects: the manifest in force, who has signed it, and who belongs to it.

- Whoever does not belong to a project gets the answer for one that does not exist.
- What a party is in a project is what its manifest says, whatever else it may be to the hub.
- A project is active once every partner has signed exactly its fingerprint, and until it expires.
- The next version of a manifest takes its place once every partner of the new one has signed it,
  and begins an epoch; until then the old one is in force, and the new parties see the new one only.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from linkage.agreement import Manifest, parse_manifest
from linkage.errors import (
    AlreadyExistsError,
    FingerprintMismatchError,
    InvalidRequestError,
    ManifestError,
    NotFoundError,
    StateError,
    TooLateError,
)
from linkage.hub import succession
from linkage.hub.log import record
from linkage.hub.project import (
    Account,
    Project,
    Proposal,
    audits_of,
    committed_to,
    read_project,
    revealed_by,
    signatures_of,
    today,
)
from linkage.rpc.policy import Scope
from linkage.rpc.scopes import nothing_there
from linkage.store import tables
from linkage.store.sql import Database, Row, find, find_all, insert, now, update
from linkage.trust.identity import PartyId, Role
from linkage.trust.signing import verify
from linkage.trust.statements import manifest_statement


class Projects:
    """The use cases around projects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, caller: PartyId, document: bytes) -> Account:
        """Open a project, or propose the next version of a running one's manifest.

        The same manifest again finds what was opened or proposed.

        Raises:
            ManifestError: not a valid canonical manifest, expired, or not the next version.
            AlreadyExistsError: another manifest waits for signatures.
        """
        manifest = parse_manifest(document)
        if manifest.canonical != document:
            raise ManifestError("the manifest is not in canonical form")
        if today() > manifest.expires:
            raise ManifestError(f"the manifest expired on {manifest.expires}")
        name = manifest.project
        with self._database.transaction() as connection:
            succession.lock(connection, name)
            row = find(connection, tables.project, name=name)
            about = {"project": name, "fingerprint": manifest.fingerprint}
            if row is None:
                succession.open_project(connection, manifest)
                record(connection, "project.created", party=caller, **about)
            elif (version := find(connection, tables.version, **about)) is None:
                _require_next(connection, row, manifest)
                succession.propose(connection, manifest)
                number = manifest.version
                record(connection, "manifest.proposed", party=caller, **about, version=number)
            elif version["in_force_at"] and row["fingerprint"] != manifest.fingerprint:
                raise AlreadyExistsError(
                    f"version {manifest.version} of project {name!r} was in force before",
                    remedy="Give the manifest the number of the next version",
                )
            return self._account(connection, name, caller)

    def get(self, caller: PartyId, name: str) -> Project:
        """Raises NotFoundError unless it exists and the caller belongs to it."""
        with self._database.transaction() as connection:
            return self.require(connection, name, caller)

    def account(self, caller: PartyId, name: str) -> Account:
        """The same, with how it goes on; also for those whom only the proposed version names."""
        with self._database.transaction() as connection:
            return self._account(connection, name, caller)

    def list(self, caller: PartyId, *, after: str, size: int) -> Sequence[str]:
        """Names of the caller's projects, in order, starting behind `after`."""
        table = tables.project
        query = sa.select(table.c.name).where(table.c.name > after).order_by(table.c.name)
        if caller.role is not Role.STEWARD:
            query = query.join(tables.member, tables.member.c.project == table.c.name)
            query = query.where(tables.member.c.party == caller.name)
        with self._database.transaction() as connection:
            return list(connection.execute(query.limit(size)).scalars())

    def sign(self, caller: PartyId, name: str, fingerprint: str, signature: bytes) -> Account:
        """Record a partner's signature; the last one puts a manifest in force.

        Raises:
            FingerprintMismatchError: it signed another manifest than the hub has.
            SignatureError: the signature does not hold.
            NotAgreedError: the manifest has expired.
        """
        with self._database.transaction() as connection:
            succession.lock(connection, name)
            project = self.candidate(connection, name, caller, fingerprint)
            project.require_partner(caller)
            if fingerprint != project.fingerprint:
                raise FingerprintMismatchError(
                    f"the manifest you signed is not the one of project {name!r}",
                    remedy="Compare your file with the steward's before you sign",
                )
            project.require_not_expired()
            verify(
                self.signing_key(connection, caller.name),
                signature,
                manifest_statement(name, fingerprint, caller.name),
                what="the manifest",
                by=caller.name,
            )
            key = {"project": name, "fingerprint": fingerprint, "partner": caller.name}
            known = find(connection, tables.signature, **key)
            if known is None:
                insert(connection, tables.signature, **key, signature=signature, signed_at=now())
            elif known["signature"] != signature:
                # With keys that the partner has changed to since.
                update(connection, tables.signature, key, signature=signature, signed_at=now())
            if known is None or known["signature"] != signature:
                record(
                    connection,
                    "manifest.signed",
                    project=name,
                    party=caller,
                    subject=fingerprint,
                )
            self._put_in_force(connection, name, project.manifest)
            return self._account(connection, name, caller)

    def withdraw(self, caller: PartyId, name: str, fingerprint: str) -> None:
        """Take back a manifest that is not in force; its signatures count for nothing then.

        Raises:
            NotFoundError: no such manifest waits.
            StateError: it is in force, or was.
        """
        with self._database.transaction() as connection:
            succession.lock(connection, name)
            self.require(connection, name, caller)
            row = find(connection, tables.version, project=name, fingerprint=fingerprint)
            if row is None:
                raise NotFoundError(f"no such manifest of project {name!r} is proposed")
            if row["in_force_at"] is not None:
                raise StateError(
                    "a manifest that every partner has signed cannot be withdrawn",
                    remedy="Propose the next version instead",
                )
            succession.withdraw(connection, name, fingerprint)
            record(
                connection,
                "manifest.withdrawn",
                project=name,
                party=caller,
                fingerprint=fingerprint,
            )

    def rotate(self, caller: PartyId, name: str, reason: str, request_id: str) -> Account:
        """Begin an epoch under the manifest in force; the same request again changes nothing.

        Raises:
            NotAgreedError: the manifest is not in force.
            StateError: a run is under way.
            InvalidRequestError: the reason is too long, or not one line.
        """
        if len(reason) > succession.MAX_REASON or not reason.isprintable():
            raise InvalidRequestError(
                f"a reason is one line of at most {succession.MAX_REASON} characters"
            )
        with self._database.transaction() as connection:
            succession.lock(connection, name)
            self.require(connection, name, caller).require_active()
            about = {"project": name, "request_id": request_id}
            if find(connection, tables.epoch, **about) is None:
                for run in succession.runs_under_way(connection, name):
                    raise StateError(
                        f"run {run['id']} is under way, and a new epoch would end it",
                        remedy=f"Wait for it, or: linkage hub cancel {run['id']}",
                    )
                row = find(connection, tables.project, name=name)
                assert row is not None  # noqa: S101 - it was there above
                succession.begin_epoch(connection, row, reason, request_id, by=caller)
            return self._account(connection, name, caller)

    def require(self, connection: sa.Connection, name: str, caller: PartyId) -> Project:
        """The project, if it exists and the caller belongs to it; else NotFoundError."""
        row = find(connection, tables.project, name=name)
        if row is None or not self._belongs(connection, name, caller, in_force=True):
            raise nothing_there(Scope.REQUEST)
        return read_project(connection, parse_manifest(row["manifest"]), row["epoch"])

    def candidate(
        self, connection: sa.Connection, name: str, caller: PartyId, fingerprint: str
    ) -> Project:
        """The project under the version with that fingerprint, if it waits for signatures.

        Any other fingerprint gives the project as the caller sees it: who is named by the proposed
        version alone sees nothing but that.
        """
        row = find(connection, tables.project, name=name)
        if row is None or not self._belongs(connection, name, caller):
            raise nothing_there(Scope.REQUEST)
        waiting = succession.proposed(connection, row)
        outside = not self._belongs(connection, name, caller, in_force=True)
        if waiting is not None and (outside or waiting.fingerprint == fingerprint):
            return read_project(connection, waiting, row["epoch"] + 1)
        return self.require(connection, name, caller)

    def made_under(
        self,
        connection: sa.Connection,
        caller: PartyId,
        name: str,
        fingerprint: str,
        epoch: int,
    ) -> Project:
        """The project as it was when a run or release was made, for who belonged to it then and
        still does; else NotFoundError.
        """
        project = self.require(connection, name, caller)
        if (project.fingerprint, project.epoch) == (fingerprint, epoch):
            return project
        manifest = succession.manifest_of(connection, name, fingerprint)
        if caller.role is not Role.STEWARD and caller.name not in manifest.party_names:
            raise nothing_there(Scope.REQUEST)
        return read_project(connection, manifest, epoch)

    def versions(self, connection: sa.Connection, name: str, caller: PartyId) -> frozenset[str]:
        """The fingerprints of all versions, past ones too, that name the caller."""
        self.require(connection, name, caller)
        return frozenset(
            row["fingerprint"]
            for row in find_all(connection, tables.version, project=name)
            if caller.role is Role.STEWARD
            or caller.name in parse_manifest(row["manifest"]).party_names
        )

    def require_in_force(self, connection: sa.Connection, project: Project) -> None:
        """Raises TooLateError unless a project's manifest is the one in force."""
        row = find(connection, tables.project, name=project.name)
        if row is None or row["fingerprint"] != project.fingerprint:
            raise TooLateError(
                f"version {project.manifest.version} of the manifest is in force no more",
                remedy="Runs and releases of an earlier version take nothing new",
            )

    def signing_key(self, connection: sa.Connection, name: str) -> bytes:
        row = find(connection, tables.party, name=name)
        if row is None:
            raise NotFoundError(f"there is no party {name!r}")
        return bytes(row["signing_key"])

    def _account(self, connection: sa.Connection, name: str, caller: PartyId) -> Account:
        project = self.candidate(connection, name, caller, "")
        row = find(connection, tables.project, name=name)
        assert row is not None  # noqa: S101 - it was there above
        if project.fingerprint != row["fingerprint"]:
            return Account(project, None, committed_to(connection, project), [], [], {})
        proposal = None
        if (waiting := succession.proposed(connection, row)) is not None:
            signatures = signatures_of(connection, waiting)
            proposal = Proposal(waiting, signatures, project.epoch + 1)
        return Account(
            project,
            proposal,
            committed_to(connection, project),
            revealed_by(connection, project),
            succession.epochs(connection, name),
            audits_of(connection, project),
        )

    @staticmethod
    def _put_in_force(connection: sa.Connection, name: str, manifest: Manifest) -> None:
        row = find(connection, tables.project, name=name)
        about = {"project": name, "fingerprint": manifest.fingerprint}
        version = find(connection, tables.version, **about)
        signed = {one["partner"] for one in find_all(connection, tables.signature, **about)}
        assert row is not None and version is not None  # noqa: S101 - signed just now
        if version["in_force_at"] is None and signed >= set(manifest.partner_names):
            succession.put_in_force(connection, row, manifest)

    @staticmethod
    def _belongs(
        connection: sa.Connection, name: str, caller: PartyId, *, in_force: bool = False
    ) -> bool:
        if caller.role is Role.STEWARD:
            return True
        found = find(connection, tables.member, project=name, party=caller.name)
        return found is not None and (found["in_force"] or not in_force)


def _require_next(connection: sa.Connection, row: Row, manifest: Manifest) -> None:
    """Raises unless a manifest can be proposed as the next version of a project's."""
    name = manifest.project
    present = parse_manifest(row["manifest"])
    about = {"project": name, "fingerprint": present.fingerprint}
    first = find(connection, tables.version, **about)
    if succession.proposed(connection, row) is not None or (
        first is not None and first["in_force_at"] is None
    ):
        raise AlreadyExistsError(
            f"another manifest of project {name!r} waits for signatures",
            remedy=f"Withdraw it first: linkage hub retract {name};"
            " or give the project another name",
        )
    if manifest.version != present.version + 1:
        raise ManifestError(
            f"version {present.version} of project {name!r} is in force, and this is version"
            f" {manifest.version}",
            remedy=f"The next one is version {present.version + 1}",
        )
