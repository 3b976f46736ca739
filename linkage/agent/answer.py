"""A partner's part in one pair-keyed comparison round: check what the hub asks, then answer it.

- Nothing is encoded before the whole round is checked: it must belong to the manifest this partner
  signed and to the upload it sent, and every list must name each row exactly as often as the
  manifest's quota says. What a list could tell a curious hub is bounded by that alone.
- All lists of a run are answered in one reading of the file. A killed agent goes on from its last
  checkpoint; answers that have arrived are deleted here.

Byte formats: docs/reference/comparison-round.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage import files
from linkage.agent.contact import Contact
from linkage.agent.outbox import Outbox
from linkage.agent.records import Progress
from linkage.agreement import Manifest
from linkage.agreement.canonical import canonical
from linkage.answers import REQUEST_BYTES, Requests, answer_bytes, verify_quota
from linkage.encoding.pairwise import PairwiseEncoder
from linkage.errors import AgreementError, DigestMismatchError, NotReadyError
from linkage.rpc.channel import Connection
from linkage.trust.headers import AnswersHeader, EncodingsHeader, expiry, new_nonce
from linkage.v1 import comparison_pb2 as pb
from linkage.v1.comparison_pb2_grpc import ComparisonServiceStub

CHECKPOINT_ROWS = 1 << 18
ENCODED_PAIRS = 1 << 16

Columns = Mapping[str, npt.NDArray[np.object_]]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Terms:
    """What this partner agreed to, and sent: every list is held against it.

    Attributes:
        upload: the hub's id of this partner's encodings.
        rows: how many rows they have.
    """

    manifest: Manifest
    epoch: int
    partner: str
    upload: str
    rows: int

    @classmethod
    def of(cls, contact: Contact) -> Terms:
        """Raises NotReadyError unless this partner's encodings have arrived at the hub."""
        sent = contact.kept.encodings(contact.epoch)
        receipt, header = sent.receipt, sent.header
        if receipt is None or not isinstance(header, EncodingsHeader):
            raise NotReadyError(
                "this agent has submitted no encodings", remedy="Run: linkage agent submit"
            )
        return cls(contact.manifest, contact.epoch, contact.name, receipt.upload, header.rows)

    @property
    def most_runs(self) -> int:
        return self.manifest.matching.answer_runs

    def require_covers(self, asked: pb.Comparison) -> None:
        """Raises AgreementError unless the comparison is one that was agreed to."""
        manifest, matching = self.manifest, self.manifest.matching
        if not matching.pair_keyed:
            raise AgreementError("the manifest has no pair-keyed comparison")
        claimed = (asked.project, asked.fingerprint, asked.epoch, asked.upload)
        if claimed != (manifest.project, manifest.fingerprint, self.epoch, self.upload):
            raise AgreementError(
                "the hub asks about another manifest, epoch or upload than this agent's",
                remedy="Tell the steward: nothing was answered",
            )
        alone = asked.other == self.partner
        if asked.other not in manifest.partner_names or (
            alone and manifest.partner(self.partner).unique
        ):
            raise AgreementError("the hub asks for a comparison that the manifest does not have")
        if asked.entries != self.rows * matching.quota:
            raise AgreementError(
                f"the hub asks {asked.entries} times, not {matching.quota} times for each of"
                f" {self.rows} rows",
                remedy="Tell the steward: nothing was answered",
            )


class Round:
    """This partner's lists of one run.

    Args:
        directory: where lists and answers are kept until they have arrived.
    """

    def __init__(self, directory: Path, terms: Terms, asked: Sequence[pb.Comparison]) -> None:
        self.directory = files.private_directory(directory)
        self.run = asked[0].run
        self._terms = terms
        self._asked = asked

    def fetch(self, connection: Connection) -> list[_List]:
        """The lists, complete and checked.

        Raises:
            AgreementError: a list is not covered by what was agreed.
            DigestMismatchError: a list did not arrive as announced.
            QuotaError: a list names a row more or less often than the quota.
        """
        for asked in self._asked:
            self._terms.require_covers(asked)
        return [self._fetch(connection, asked) for asked in self._asked if not asked.answered]

    def outbox(self, other: str) -> Outbox:
        return Outbox(self.directory / other)

    def _fetch(self, connection: Connection, asked: pb.Comparison) -> _List:
        place = files.private_directory(self.outbox(asked.other).directory)
        path, size = place / "requests", int(asked.entries) * REQUEST_BYTES
        with path.open("ab") as file:
            if file.tell() < size:
                stub = ComparisonServiceStub(connection.channel)
                request = pb.DownloadRequestsRequest(
                    run=asked.run, other=asked.other, offset=file.tell()
                )
                for answer in connection.receive(stub.DownloadRequests, request):
                    file.write(answer.data)
                    if file.tell() > size:
                        break
        raw = path.read_bytes()
        if len(raw) != size or hashlib.sha256(raw).hexdigest() != asked.digest:
            path.unlink()
            raise DigestMismatchError(
                f"the list of the comparison with {asked.other!r} did not arrive as announced",
                remedy="Try again; if it happens again, tell the steward",
            )
        requests = Requests.from_bytes(raw)
        within = asked.other == self._terms.partner
        verify_quota(
            requests, self._terms.rows, quota=self._terms.manifest.matching.quota, within=within
        )
        return _List(self.outbox(asked.other), self._terms, asked, requests)

    def encode(
        self,
        lists: Sequence[_List],
        encoder: PairwiseEncoder,
        records: Iterable[tuple[Columns, Places]],
        *,
        threads: int,
        progress: Progress,
    ) -> None:
        """Write every list's answers, from the last checkpoint on.

        Args:
            records: all rows of the upload, in the same order each time: their values, and their
                row numbers.
        """
        checkpoint = self.directory / "done.json"
        known = {one.other: one.digest for one in lists}
        done = _rows_done(checkpoint, known, lists)
        if not done:
            for one in lists:
                one.create()
        seen = marked = 0
        for columns, places in records:
            seen += len(places)
            if seen <= done:
                continue
            encoder.prepare(columns)
            for one in lists:
                one.answer(encoder, places, threads=threads)
            if seen - marked >= CHECKPOINT_ROWS or seen >= self._terms.rows:
                for one in lists:
                    one.flush()
                files.write_atomic(checkpoint, canonical({"rows": seen, "lists": known}))
                marked = seen
            progress("answer", seen, self._terms.rows)

    def send(self, contact: Contact, one: _List, progress: Progress) -> None:
        """Send one list's answers, and delete here what the hub has then."""
        outbox = one.outbox
        if not (outbox.made_from == {"requests": one.digest} and outbox.live):
            one.announce()
        contact.send(outbox, f"to {one.other}", progress)
        for path in (outbox.payload, outbox.directory / "requests"):
            path.unlink(missing_ok=True)


class _List:
    """One list and its answers."""

    def __init__(
        self, outbox: Outbox, terms: Terms, asked: pb.Comparison, requests: Requests
    ) -> None:
        self.other, self.digest = asked.other, asked.digest
        self.outbox = outbox
        self._terms = terms
        self._run = asked.run
        self._pair_ids = requests.pair_ids
        # Every row stands equally often: its entries are one row of this table.
        order = np.argsort(requests.rows, kind="stable")
        self._entries = order.reshape(terms.rows, -1)
        same = (requests.pair_ids[1:] == requests.pair_ids[:-1]).all(axis=1)
        self._twin = np.r_[False, same]
        self._width = answer_bytes(len(terms.manifest.fields))

    def __len__(self) -> int:
        return len(self._pair_ids)

    @property
    def size(self) -> int:
        return len(self) * self._width

    @property
    def context(self) -> str:
        """What both sides bind the pair keys to."""
        one, other = sorted((self._terms.partner, self.other))
        return f"run {self._run}: {one}, {other}"

    def create(self) -> None:
        path = self.outbox.payload
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        with path.open("r+b") as file:
            file.truncate(self.size)

    def answer(self, encoder: PairwiseEncoder, places: Places, *, threads: int) -> None:
        """Encode the entries of some rows, which the encoder holds in the order of `places`."""
        shape = (len(self), self._width)
        out = np.memmap(self.outbox.payload, np.uint8, "r+", shape=shape)
        entries = self._entries[places]
        rows = np.repeat(np.arange(len(places)), entries.shape[1])
        flat = entries.ravel()
        # Within one file both rows of a pair carry its id; no call may repeat one.
        for second in (False, True):
            chosen = np.flatnonzero(self._twin[flat] == second)
            for start in range(0, len(chosen), ENCODED_PAIRS):
                part = chosen[start : start + ENCODED_PAIRS]
                found = encoder.encode(
                    self._pair_ids[flat[part]], rows[part], context=self.context, threads=threads
                )
                raw = np.frombuffer(found.to_bytes(), np.uint8)
                out[flat[part]] = raw.reshape(-1, self._width)

    def flush(self) -> None:
        files.sync_file(self.outbox.payload)

    def announce(self) -> None:
        """The answers are complete: say what they are."""
        with self.outbox.payload.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        terms = self._terms
        header = AnswersHeader(
            project=terms.manifest.project,
            fingerprint=terms.manifest.fingerprint,
            epoch=terms.epoch,
            partner=terms.partner,
            digest=digest,
            size=self.size,
            nonce=new_nonce(),
            expires=expiry(),
            run=self._run,
            other=self.other,
            requests=self.digest,
            entries=len(self),
            fields=len(terms.manifest.fields),
        )
        self.outbox.announce(header, {"requests": self.digest})


def _rows_done(path: Path, lists: Mapping[str, str], parts: Sequence[_List]) -> int:
    """How many rows the last checkpoint covers, if it is of these lists."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return 0
    whole = all(
        part.outbox.payload.exists() and part.outbox.payload.stat().st_size == part.size
        for part in parts
    )
    return int(found["rows"]) if whole and found.get("lists") == lists else 0
