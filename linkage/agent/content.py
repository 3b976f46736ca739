"""Content: de-identified here, put under index ids, sealed to the assembler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from linkage.agent.contact import Contact
from linkage.agent.lookups import Found, Lookups
from linkage.agent.plan import sorted_order
from linkage.agent.planted import OwnIdentifiers
from linkage.agent.rowmap import RowMap
from linkage.agent.source import SourceFile
from linkage.agreement import ContentTable, Manifest, Partner, Transform
from linkage.encodings import HANDLE_BYTES
from linkage.errors import AgreementError, InputError, Problem, SourceError
from linkage.release.days import Shifts, read_shifts
from linkage.release.deidentify import (
    attach_index_ids,
    deidentify_table,
    is_open,
    sort_rows,
)
from linkage.release.lookups import LookupCount, with_counts
from linkage.release.parcels import ParcelAddress, pack
from linkage.rpc.channel import Connection
from linkage.rpc.member import trusted_party
from linkage.trust.sealing import seal
from linkage.v1 import release_pb2
from linkage.v1.release_pb2_grpc import ReleaseServiceStub

Ids = npt.NDArray[np.uint8]
Places = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Packed:
    """A sealed parcel.

    Attributes:
        left_out: per table, rows of skipped records that are not in it.
        lookups: per table and field, how many cells were looked up, and how many had no entry.
    """

    parcel: bytes
    left_out: dict[str, int]
    lookups: dict[str, dict[str, LookupCount]]

    @property
    def told(self) -> dict[str, dict[str, dict[str, int]]]:
        """The counts as plain values."""
        return {
            table: {name: count.model_dump() for name, count in counts.items()}
            for table, counts in self.lookups.items()
        }


@dataclass(frozen=True)
class Coarse:
    """A table's rows as they may leave.

    Attributes:
        records: the place of each one's record among those sent; empty where it is about none.
        left_out: rows that were left out with the records that were skipped.
        lookups: by field, for those that were looked up; rows without an entry are 0-based rows
            of the file.
    """

    table: pa.Table
    records: Places
    left_out: int
    lookups: Mapping[str, Found] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, LookupCount]:
        return {name: found.count for name, found in self.lookups.items()}


def pack_content(
    contact: Contact,
    release: str,
    *,
    sent: RowMap,
    file: Path,
    submitted: str,
    content: Mapping[str, Path],
    lookups: Mapping[str, Path],
) -> Packed:
    """This partner's parcel for a release.

    Args:
        sent: which rows of the identifier file were submitted.
        submitted: SHA-256 of the identifier file that was submitted, whose rows these are.
        content: file per content table.
        lookups: file per lookup.

    Raises:
        InputError: a file is given for a table or lookup that the manifest does not have, or lacks.
        SourceError: content that may not leave, or rows of unknown records.
        DigestMismatchError: a lookup file is not the one that was agreed on.
    """
    manifest, partner = contact.manifest, contact.partner
    _require_files(partner, content)
    files = Lookups(partner, lookups)
    for table in partner.content:
        files.require(table)
    recipient = trusted_party(contact.keyring, contact.shown, manifest.assembler)
    index_ids, shifts = _index_ids(
        contact.connection, release, sent.handles, days=_has_days(partner)
    )
    tables: dict[str, pa.Table] = {}
    left_out, counts = {}, {}
    if has_open_codes(partner):
        _require_submitted(SourceFile(file), submitted)
    own = own_identifiers(manifest, partner, SourceFile(file), sent)
    for table in partner.content:
        source = SourceFile(content.get(table.name, file))
        if table.is_personal and table.record_id is None:
            _require_submitted(source, submitted)
        coarse = coarsened(table, source, partner, sent, own, files)
        if coarse.left_out:
            left_out[table.name] = coarse.left_out
        if coarse.lookups:
            counts[table.name] = coarse.counts
        if table.is_personal:
            row_shifts = None if shifts is None else shifts[coarse.records]
            ready = attach_index_ids(coarse.table, index_ids[coarse.records], row_shifts)
        else:
            ready = sort_rows(coarse.table)
        tables[table.name] = with_counts(ready, coarse.counts)
    address = ParcelAddress(
        manifest.project, manifest.fingerprint, release, partner.name, recipient.name
    )
    parcel = pack(tables, address, lambda raw, info: seal(recipient.sealing_key, raw, info))
    return Packed(parcel, left_out, counts)


def coarsened(
    table: ContentTable,
    source: SourceFile,
    partner: Partner,
    sent: RowMap,
    own: OwnIdentifiers | None,
    files: Lookups,
) -> Coarse:
    """What of a table may leave, or why it may not.

    Raises:
        SourceError: content that may not leave, or rows of unknown records.
        InputError: a lookup lacks its file.
    """
    frame = _frame(table, source)
    rows, records, look = np.arange(len(frame)), np.empty(0, np.intp), None
    if table.is_personal:
        places = _records(table, source, frame, sent)
        rows = np.flatnonzero(places >= 0)
        records = places[rows]
        look = None if own is None else own.look_at(records)
    kept = frame.drop(columns=_JOIN, errors="ignore").iloc[rows].reset_index(drop=True)
    found = files.find(table, kept)
    with _rows_of_the_file(rows):
        coarse = deidentify_table(
            table,
            kept,
            file=source.name,
            missing=partner.missing,
            look=look,
            looked_up={name: one.looked_up for name, one in found.items()},
        )
    found = {name: replace(one, unmatched=rows[one.unmatched]) for name, one in found.items()}
    return Coarse(coarse, records, len(frame) - len(rows), found)


_JOIN = "\0record"


@contextmanager
def _rows_of_the_file(rows: npt.NDArray[np.intp]) -> Iterator[None]:
    """Let problems name rows of the file, not of what is left of it."""
    try:
        yield
    except SourceError as error:
        problems = [
            replace(p, row=int(rows[p.row - 1]) + 1 if p.row else 0) for p in error.problems
        ]
        raise SourceError(error.file, problems, total=error.total, remedy=error.remedy) from None


def require_tables(partner: Partner, content: Mapping[str, Path]) -> None:
    """Raises InputError where a file is given for a table that the manifest does not have."""
    names = [table.name for table in partner.content]
    if unknown := sorted(set(content) - set(names)):
        raise InputError(
            f"the manifest gives {partner.name!r} no content table {unknown[0]!r}",
            remedy=f"Its tables are {', '.join(names) or 'none'}",
        )


def _require_files(partner: Partner, content: Mapping[str, Path]) -> None:
    require_tables(partner, content)
    for table in partner.content:
        own_file = table.record_id is not None or not table.is_personal
        if own_file and table.name not in content:
            raise InputError(
                f"content table {table.name!r} needs a file",
                remedy=f"Give it as --content {table.name}=FILE",
            )


def _frame(table: ContentTable, source: SourceFile) -> pd.DataFrame:
    """The table's columns as text, with the joining column under a name of its own."""
    parts = [pd.DataFrame(batch, dtype=object) for batch in source.batches(table.columns)]
    frame = pd.concat(parts, ignore_index=True)
    if table.record_id is not None:
        frame[_JOIN] = frame[table.record_id]
    return frame


def _require_submitted(source: SourceFile, digest: str) -> None:
    """Rows are told by their place, so even the same records in another order are refused."""
    if source.digest() != digest:
        raise SourceError(
            source.name,
            [Problem(0, "", "the file is not the one that was submitted")],
            remedy="Give the same identifier file as to submit; nothing was sent",
        )


def _records(
    table: ContentTable, source: SourceFile, frame: pd.DataFrame, sent: RowMap
) -> npt.NDArray[np.intp]:
    """For every row of content, the place of its record among those sent; -1 if it was skipped."""
    if table.record_id is None:
        places = np.full(len(frame), -1, dtype=np.intp)
        places[sent.rows] = np.arange(len(sent.rows))
        return places
    place: dict[str | None, int] = {record: row for row, record in enumerate(sent.record_ids)}
    unknown_place = -2
    for record in sent.skipped_ids:
        place[record] = -1
    found = np.array([place.get(record, unknown_place) for record in frame[_JOIN]], dtype=np.intp)
    unknown = np.flatnonzero(found == unknown_place)
    if len(unknown):
        shown = [
            Problem(int(row) + 1, table.record_id, "no record with this id was submitted")
            for row in unknown[:1000]
        ]
        raise SourceError(source.name, shown, total=len(unknown), remedy="Nothing was sent")
    return found


def has_open_codes(partner: Partner) -> bool:
    """Whether a field of the partner's may hold any short code."""
    return any(is_open(table, field) for table in partner.content for field in table.fields)


def own_identifiers(
    manifest: Manifest, partner: Partner, file: SourceFile, sent: RowMap
) -> OwnIdentifiers | None:
    """What must not stand in fields of open codes; None where there is no such field."""
    if not has_open_codes(partner):
        return None
    return OwnIdentifiers(file, partner, manifest.fields, sent.rows, sent.record_ids)


def _has_days(partner: Partner) -> bool:
    fields = [field for table in partner.content for field in table.fields]
    return any(field.transform is Transform.DAY for field in fields)


def _index_ids(
    connection: Connection, release: str, handles: Ids, *, days: bool
) -> tuple[Ids, Shifts | None]:
    """This partner's index ids and, where it sends days, its day shifts, in the identifier file's
    order.

    Raises:
        AgreementError: the hub's list is not exactly this partner's rows, or its day shifts are
            not random.
    """
    stub = ReleaseServiceStub(connection.channel)
    request = release_pb2.DownloadIndexIdsRequest(release=release)
    theirs, ids, raw_shifts = bytearray(), bytearray(), bytearray()
    for batch in connection.receive(stub.DownloadIndexIds, request):
        theirs += batch.handles
        ids += batch.index_ids
        raw_shifts += batch.day_shifts
    theirs_array = np.frombuffer(bytes(theirs), np.uint8).reshape(-1, HANDLE_BYTES)
    ids_array = np.frombuffer(bytes(ids), np.uint8).reshape(-1, HANDLE_BYTES)
    if len(theirs_array) != len(handles) or len(ids_array) != len(handles):
        raise AgreementError("the hub's index ids are not those of the rows submitted")
    ours_order = sorted_order(handles)
    theirs_order = sorted_order(theirs_array)
    if not np.array_equal(handles[ours_order], theirs_array[theirs_order]):
        raise AgreementError("the hub's index ids are not those of the rows submitted")
    found = np.empty_like(handles)
    found[ours_order] = ids_array[theirs_order]
    if not days:
        return found, None
    theirs_shifts = read_shifts(bytes(raw_shifts), len(handles))
    shifts = np.empty_like(theirs_shifts)
    shifts[ours_order] = theirs_shifts[theirs_order]
    return found, shifts
