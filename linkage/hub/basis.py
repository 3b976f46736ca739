"""What a run stands on: a version of the manifest, an epoch, and one upload of every partner.

All of it is fixed when the run is made: a later version, epoch or upload changes no run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import sqlalchemy as sa

from linkage.agreement.audits import AuditSummary
from linkage.errors import KeyCheckMismatchError, NotFoundError, NotReadyError
from linkage.hub.project import Project
from linkage.hub.projects import Projects
from linkage.hub.results import Results
from linkage.matching import Source, pairs_to_compare
from linkage.store import tables
from linkage.store.sql import Row, find, find_all
from linkage.trust.headers import EncodingsHeader, parse_header
from linkage.trust.identity import PartyId


@dataclass(frozen=True)
class Basis:
    """What one run stands on.

    Attributes:
        run: its row, as it was when it was read.
        project: as it was when the run was made.
        uploads: by partner, the upload's row.
        results: where the uploads' bytes are.
    """

    run: Row
    project: Project
    uploads: Mapping[str, Row]
    results: Results

    @cached_property
    def sources(self) -> Sequence[Source]:
        """The uploads ready to be compared, in the manifest's order; read when first asked for."""
        return [
            Source(p.name, self.results.matrix(self.uploads[p.name]), p.unique)
            for p in self.project.manifest.partners
        ]

    @property
    def pairs(self) -> Sequence[tuple[Source, Source]]:
        """Which sources are compared, in a fixed order."""
        return pairs_to_compare(self.sources)


def basis_of(
    connection: sa.Connection, projects: Projects, results: Results, caller: PartyId, run: Row
) -> Basis:
    """What a run stands on.

    Raises:
        NotFoundError: the caller does not belong to the project, or encodings are gone.
    """
    project = project_of(projects, connection, caller, run)
    return Basis(run, project, uploads_of(connection, run), results)


def project_of(projects: Projects, connection: sa.Connection, caller: PartyId, run: Row) -> Project:
    """The project as it was when a run was made; see `Projects.made_under`."""
    return projects.made_under(connection, caller, run["project"], run["fingerprint"], run["epoch"])


def uploads_of(connection: sa.Connection, run: Row) -> dict[str, Row]:
    """The uploads that a run stands on, by partner."""
    found = {}
    for partner, upload in json.loads(run["uploads"]).items():
        row = find(connection, tables.upload, id=upload)
        if row is None:
            raise NotFoundError(f"the encodings of {partner!r} that the run stood on are gone")
        found[partner] = row
    return found


def encodings_of(connection: sa.Connection, project: Project) -> dict[str, Row]:
    """Every partner's newest finished upload in this epoch, in the manifest's order.

    Raises:
        NotReadyError: names the partners whose upload is missing.
    """
    rows = find_all(
        connection,
        tables.upload,
        order="round",
        project=project.name,
        kind="encodings",
        epoch=project.epoch,
    )
    finished = {row["partner"]: row for row in rows if row["finished_at"] is not None}
    names = project.manifest.partner_names
    missing = [name for name in names if name not in finished]
    if missing:
        raise NotReadyError(
            f"the encodings of {', '.join(missing)} have not arrived",
            remedy="Each of them must run: linkage agent submit",
        )
    return {name: finished[name] for name in names}


def audit_of(upload: Row) -> AuditSummary:
    """What the audit of a partner's encodings found, as its signed header says."""
    return _header(upload).audit


def require_same_secret(uploads: Mapping[str, Row]) -> None:
    """Raises KeyCheckMismatchError unless all uploads were made with one project secret."""
    checks: dict[str, list[str]] = {}
    for partner, row in uploads.items():
        checks.setdefault(_header(row).key_check, []).append(partner)
    if len(checks) > 1:
        groups = " / ".join(", ".join(partners) for partners in checks.values())
        raise KeyCheckMismatchError(
            f"the partners do not hold the same project secret: {groups}",
            remedy="Nothing was matched; those who differ must fetch the secret and submit again",
        )


def _header(upload: Row) -> EncodingsHeader:
    header = parse_header(upload["header"])
    assert isinstance(header, EncodingsHeader)  # noqa: S101 - narrowing for the type checker
    return header
