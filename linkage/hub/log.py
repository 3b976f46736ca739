"""The hub's transparency log: every act is an entry, written with the change it tells of.

    with database.transaction() as connection:
        insert(connection, tables.run, ...)
        record(connection, "run.created", project=name, party=caller, subject=run)

- `record` writes in the caller's transaction: a killed hub has lost both or neither.
- Entries get their places in the tree afterwards, in one short transaction for many (`logtree`):
  no writer waits for another's place.
- An entry names parties, projects, ids, digests, counts and reasons. No person, no row handle, no
  value of a file: what has not the shape of those is refused here.
"""

from __future__ import annotations

import re
import secrets
import time

import sqlalchemy as sa

from linkage.store import tables
from linkage.store.sql import insert, now
from linkage.trust.identity import PartyId
from linkage.trust.transparency import Entry, Opening

HUB = "hub"
NOBODY = ""
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+-]{0,159}|")

Detail = str | int | bool

KINDS = {
    "hub.initialised": "the hub was made",
    "hub.started": "the hub began to take calls",
    "party.invited": "the steward wrote an invitation",
    "party.enrolled": "a party enrolled; digests of its keys",
    "party.renewed": "a party got a new certificate",
    "party.revoked": "the steward ended a party's access",
    "party.rotated": "a party changed its keys, signed by the old ones; digests of the new",
    "key.refused": "a party was shown keys of another that differ from those it trusts",
    "invitation.withdrawn": "the steward withdrew an invitation that nobody had used",
    "project.created": "the steward proposed a manifest; its fingerprint",
    "manifest.signed": "a partner signed a manifest",
    "manifest.proposed": "the steward proposed the next version of a manifest",
    "manifest.withdrawn": "the steward took back a manifest that was not in force",
    "manifest.in_force": "every partner has signed, and the manifest is in force",
    "epoch.begun": "an epoch began; the partners make a new secret, and digest of the reason",
    "commitment.put": "a partner committed to its part of the project secret",
    "commitments.fetched": "a partner fetched the commitments of all",
    "envelope.put": "a partner left a sealed envelope for another",
    "envelopes.fetched": "a partner fetched the envelopes addressed to it",
    "upload.created": "a partner announced an upload; digest of its header",
    "upload.finished": "an upload arrived whole; of encodings also what their audit found",
    "upload.replaced": "encodings that no run had used gave way to newer ones",
    "run.created": "the steward asked for a run",
    "run.started": "the hub began to match",
    "run.waiting": "the run waits for the partners' answers",
    "run.resumed": "the run waits no longer",
    "run.succeeded": "the run ended well; digest of the quality report",
    "run.failed": "the run failed; why",
    "run.cancelled": "the steward cancelled the run",
    "list.issued": "the hub asked a partner about a list of pairs; its digest",
    "list.fetched": "a partner fetched its list",
    "list.answered": "a partner answered its list",
    "report.read": "a party read a run's quality report",
    "links.read": "the steward read a run's links",
    "pairs.read": "the steward listed pairs to review",
    "pair.explained": "the steward looked at one pair",
    "pair.decided": "the steward decided about a pair",
    "decisions.read": "the steward listed decisions",
    "release.proposed": "the steward proposed a release; digest of its statement",
    "release.confirmed": "a steward confirmed a release; digest of its statement",
    "release.approved": "a partner approved a release",
    "index_ids.fetched": "a partner fetched its index ids",
    "parcels.listed": "the assembler asked which parcels are there",
    "parcel.fetched": "the assembler fetched a sealed parcel",
    "study_map.fetched": "the assembler fetched the study map",
    "study_map.acknowledged": "the assembler has the map whole; the hub deleted its own",
    "call.refused": "a call was refused; method, reason, and how often within the minute",
    "connection.refused": "a connection never came to a call: no TLS, or no certificate that holds;"
    " how often within the minute",
}
"""Every kind of entry, and what it says. A new kind needs a row here."""


def record(
    connection: sa.Connection,
    kind: str,
    *,
    project: str = "",
    party: PartyId | str = HUB,
    subject: str = "",
    **details: Detail,
) -> str:
    """Write an entry, in the transaction of the change that it tells of.

    Args:
        kind: one of `KINDS`.
        party: who did it.
        subject: id of the upload, run, release or decision that it is about.
        details: ids, digests, names of parties, counts, reasons.

    Returns:
        The entry's id.

    Raises:
        ValueError: an unknown kind, or a detail that could be a value.
    """
    if kind not in KINDS:
        raise ValueError(f"the log knows no entry {kind!r}")
    for name, detail in details.items():
        if isinstance(detail, str) and not _WORD.fullmatch(detail):
            raise ValueError(f"the detail {name!r} of {kind!r} is not a name, an id or a digest")
    who = f"{party.role}/{party.name}" if isinstance(party, PartyId) else party
    entry = Entry(
        kind=kind, time=now(), party=who, project=project, subject=subject, details=details
    )
    opening = Opening.of(entry)
    # Entries get their places in this order, as far as they are there when places are given.
    identifier = f"{time.time_ns():016x}{secrets.token_hex(8)}"
    insert(
        connection,
        tables.log_entry,
        id=identifier,
        sequence=None,
        leaf=opening.leaf,
        salt=opening.salt,
        entry=opening.entry,
        kind=kind,
        party=who,
        project=project,
        subject=subject,
    )
    return identifier
