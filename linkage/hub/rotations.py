"""Parties change their keys: the old ones sign for the new, and everybody can see it.

- Both signing keys sign one statement; the hub keeps it and shows it to who trusts the old keys.
- The certificate that comes with it begins a generation: earlier ones are refused once it is used.
- The hub has the party's earlier signatures on manifests and releases still; whoever checks them
  checks with the new key, so the party signs again.
"""

from __future__ import annotations

from linkage.errors import EnrolmentError, LimitError, NotAuthorisedError
from linkage.hub.keys import Certified, Enrolment, replace_keys
from linkage.hub.log import record
from linkage.hub.membership import note_certificate
from linkage.store import tables
from linkage.store.sql import Database, find, find_all, insert, now
from linkage.trust.identity import PartyId
from linkage.trust.rotation import Rotation
from linkage.trust.sealing import check_public_key
from linkage.trust.signing import key_fingerprint

MAX_ROTATIONS = 100
MAX_REPORTS = 1000


class Rotations:
    """The use cases around changed keys."""

    def __init__(self, database: Database, enrolment: Enrolment) -> None:
        self._database = database
        self._enrolment = enrolment

    def rotate(
        self,
        caller: PartyId,
        request: bytes,
        signing_key: bytes,
        sealing_key: bytes,
        *,
        statement: bytes,
        signature: bytes,
        proof: bytes,
    ) -> Certified:
        """Give the caller new keys; repeating it gives another certificate for the same.

        Raises:
            NotAuthorisedError: the caller has no such keys, as a steward.
            SignatureError, InvalidRequestError: the old keys do not vouch for the new ones.
            EnrolmentError: the new keys are the old ones, or keys were changed too often.
        """
        check_public_key(sealing_key)
        with self._database.transaction() as connection:
            row = find(connection, tables.party, name=caller.name)
            if row is None or not row["signing_key"]:
                raise NotAuthorisedError("a steward has no keys but that of TLS")
            told = find_all(connection, tables.rotation, order="number", party=caller.name)
            former = (row["signing_key"], row["sealing_key"])
            repeated = former == (signing_key, sealing_key)
            if repeated:
                if not told or told[-1]["statement"] != statement:
                    raise EnrolmentError("the new keys are the present ones")
                former = (told[-1]["signing_key"], told[-1]["sealing_key"])
            made = Rotation(statement, *former, signature, proof)
            made.require(caller.name, signing_key, sealing_key)
            generation = max(row["generation"], 1) + 1
            if not repeated:
                if len(told) >= MAX_ROTATIONS:
                    raise EnrolmentError(f"keys can be changed {MAX_ROTATIONS} times")
                replace_keys(connection, caller.name, signing_key, sealing_key)
                insert(
                    connection,
                    tables.rotation,
                    party=caller.name,
                    number=len(told),
                    statement=statement,
                    signing_key=former[0],
                    sealing_key=former[1],
                    signature=signature,
                    proof=proof,
                    rotated_at=now(),
                )
                record(
                    connection,
                    "party.rotated",
                    party=caller,
                    former=key_fingerprint(*former),
                    keys=key_fingerprint(signing_key, sealing_key),
                )
            certified, leaf = self._enrolment.issue(caller, request, signing_key, sealing_key)
            note_certificate(connection, caller.name, leaf, generation)
        return certified

    def report(self, caller: PartyId, party: str, shown: str) -> None:
        """Write down, once, that the caller was shown keys that differ from those it trusts.

        Raises:
            LimitError: it reported so many already that it fills the log.
        """
        with self._database.transaction() as connection:
            by = f"{caller.role}/{caller.name}"
            told = find_all(connection, tables.log_entry, kind="key.refused", party=by)
            if any(one["subject"] == shown for one in told):
                return
            if len(told) >= MAX_REPORTS:
                raise LimitError(f"a party reports {MAX_REPORTS} refused keys at most")
            record(connection, "key.refused", party=caller, subject=shown, about=party, shown=shown)
