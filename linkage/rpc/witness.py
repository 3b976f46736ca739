"""What a party remembers of the hub's log, so that the hub cannot tell it two stories.

    witness = Witness(home)
    witness.check(connection)                 # at every contact
    witness.require_receipt(connection, receipt, "upload.finished", subject=upload, ...)

Below the home: `log.vkey`, the log's public key as the invitation brought it, and `log/`, with the
last verified checkpoint, receipts, and evidence.

- What was verified once must be how every later tree begins. A log that forks, shrinks or is not
  signed is refused from then on, and what shows it is kept: both checkpoints are signed by the hub.
- One process at a time looks: two of one home cannot mistake each other's progress for a fork.
"""

from __future__ import annotations

import base64
import fcntl
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from linkage.agreement.canonical import canonical
from linkage.errors import LogInconsistentError, TrustError
from linkage.files import PRIVATE, private_directory, write_atomic
from linkage.rpc.channel import Connection
from linkage.trust.checkpoint import Checkpoint, LogVerifier
from linkage.trust.transparency import (
    Entry,
    Opening,
    leaf_hash,
    require_hashes,
    verify_consistency,
    verify_inclusion,
)
from linkage.v1 import log_pb2 as pb
from linkage.v1.log_pb2_grpc import LogServiceStub

LOG_KEY = "log.vkey"
REMEDY = (
    "Stop working with this hub. The evidence is signed by it: show it to the other partners and"
    " to the steward"
)
T = TypeVar("T")


class Witness:
    """A party's memory of the log.

    Args:
        home: of an enrolled party.

    Raises:
        TrustError: the home was enrolled without the log's key.
    """

    def __init__(self, home: Path) -> None:
        try:
            self.verifier = LogVerifier.parse((home / LOG_KEY).read_text())
        except FileNotFoundError:
            raise TrustError(
                f"{home} does not know the key of the hub's log",
                remedy="Ask the steward for an invitation, and enrol with it",
            ) from None
        self.directory = private_directory(home / "log")

    @property
    def last(self) -> Checkpoint | None:
        """The last checkpoint that was verified; None before the first contact."""
        path = self.directory / "checkpoint"
        return self.verifier.open(path.read_bytes()) if path.exists() else None

    def check(self, connection: Connection) -> Checkpoint:
        """Fetch the newest checkpoint, and see that it goes on from the last one.

        Raises:
            LogInconsistentError: it does not; evidence is kept.
        """
        with self._alone():
            last = self.last
            stub = LogServiceStub(connection.channel)
            request = pb.GetCheckpointRequest(since=last.size if last else 0)
            answer = connection.call(stub.GetCheckpoint, request)
            found = self._open(answer.checkpoint)
            if last is not None:
                self._require_grown(last, found, answer.consistency)
            if last is None or not last.same_as(found):
                write_atomic(self.directory / "checkpoint", found.note)
            return found

    def require_consistent(self, connection: Connection, note: bytes, whose: str) -> Checkpoint:
        """See that a checkpoint met elsewhere is of the log that this party knows.

        Args:
            whose: where it was met, for the message.

        Raises:
            LogInconsistentError: one of the two is of another log; evidence is kept.
        """
        with self._alone():
            met, last = self._open(note, whose), self.last
            if last is None:
                write_atomic(self.directory / "checkpoint", met.note)
                return met
            older, newer = sorted((met, last), key=lambda one: one.size)
            proof: Sequence[bytes] = []
            if older.size and not older.same_as(newer):
                stub = LogServiceStub(connection.channel)
                request = pb.GetConsistencyProofRequest(first=older.size, second=newer.size)
                try:
                    proof = connection.call(stub.GetConsistencyProof, request).consistency
                except LogInconsistentError as error:
                    raise self._refused(error, last, met, [], whose) from None
            self._require_grown(older, newer, proof, whose)
            if met.size > last.size:
                write_atomic(self.directory / "checkpoint", met.note)
            return met

    def require_receipt(
        self,
        connection: Connection,
        receipt: pb.LogReceipt,
        kind: str,
        *,
        name: str,
        **expected: str,
    ) -> Entry:
        """See that an act of this party is in the log as it was done, and keep the proof.

        Args:
            name: to keep the receipt under.
            expected: what the entry must say: project, party, subject, or a detail of that name.

        Raises:
            LogInconsistentError: it is not there, or says something else.
        """
        try:
            entry = open_receipt(self.verifier, receipt)
            said = {**entry.details, **entry.model_dump(include={"project", "party", "subject"})}
            if entry.kind != kind or any(said.get(key) != value for key, value in expected.items()):
                raise LogInconsistentError(
                    "the hub's receipt is for something else than what was done"
                )
        except LogInconsistentError as error:
            raise self.refuse(error, receipt.SerializeToString(), "the receipt") from None
        self.require_consistent(connection, receipt.checkpoint, "the receipt")
        place = private_directory(self.directory / "receipts")
        write_atomic(place / f"{name}.json", receipt_file(self.verifier, receipt))
        return entry

    def refuse(self, error: LogInconsistentError, note: bytes, whose: str) -> LogInconsistentError:
        """Keep a checkpoint that cannot be believed; gives the error to raise."""
        place = self._evidence({"theirs": note}, whose)
        return LogInconsistentError(f"{error.message}; evidence is in {place}", remedy=REMEDY)

    def _open(self, note: bytes, whose: str = "") -> Checkpoint:
        try:
            return self.verifier.open(note)
        except LogInconsistentError as error:
            raise self.refuse(error, note, whose) from None

    def _require_grown(
        self, older: Checkpoint, newer: Checkpoint, proof: Sequence[bytes], whose: str = ""
    ) -> None:
        try:
            verify_consistency(
                older.size, older.root, newer.size, newer.root, require_hashes(proof)
            )
        except LogInconsistentError as error:
            raise self._refused(error, older, newer, proof, whose) from None

    def _refused(
        self,
        error: LogInconsistentError,
        one: Checkpoint,
        other: Checkpoint,
        proof: Sequence[bytes],
        whose: str,
    ) -> LogInconsistentError:
        place = self._evidence({"one": one.note, "other": other.note}, whose, proof)
        what = f"{whose} and this party were shown two logs: " if whose else ""
        message = f"{what}{error.message}; evidence is in {place}"
        return LogInconsistentError(message, remedy=REMEDY)

    def _evidence(self, notes: dict[str, bytes], whose: str, proof: Sequence[bytes] = ()) -> Path:
        """A file that shows a third person what the hub signed."""
        place = private_directory(self.directory / "evidence")
        path = place / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}"
        found = {
            "linkage": "log-evidence/1",
            "log": self.verifier.line,
            "met": whose or "the hub",
            "proof": [base64.b64encode(one).decode() for one in proof],
            **{name: note.decode(errors="replace") for name, note in notes.items()},
        }
        write_atomic(path.with_suffix(".json"), canonical(found))
        return path.with_suffix(".json")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        path = self.directory / "lock"
        path.touch(mode=PRIVATE)
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def open_receipt(verifier: LogVerifier, receipt: pb.LogReceipt) -> Entry:
    """What a receipt proves to be in the log.

    Raises:
        LogInconsistentError: it proves nothing.
    """
    shown, checkpoint = receipt.entry, verifier.open(receipt.checkpoint)
    entry = Opening(shown.salt, shown.entry).require(shown.leaf)
    proof = require_hashes(receipt.inclusion)
    verify_inclusion(leaf_hash(shown.leaf), shown.index, checkpoint.size, proof, checkpoint.root)
    return entry


def receipt_file(verifier: LogVerifier, receipt: pb.LogReceipt) -> bytes:
    """A receipt as a file that can be verified by itself; see docs/reference/log.md."""
    encode: Callable[[bytes], str] = lambda data: base64.b64encode(data).decode()  # noqa: E731
    fields: dict[str, Any] = {
        "linkage": "log-receipt/1",
        "log": verifier.line,
        "index": receipt.entry.index,
        "leaf": encode(receipt.entry.leaf),
        "salt": encode(receipt.entry.salt),
        "entry": encode(receipt.entry.entry),
        "inclusion": [encode(one) for one in receipt.inclusion],
        "checkpoint": receipt.checkpoint.decode(),
    }
    return canonical(fields)
