"""A parcel: one partner's de-identified tables for one release, sealed to the assembler.

One line of canonical JSON lists the parts; the sealed parts follow, one after another. Each part
is a Parquet file of at most `PART_ROWS` rows, sealed on its own; its seal is bound to project,
manifest, release, sender, recipient, table, and its place among the parts, so that no part can be
dropped, repeated, moved or taken from another parcel.

Sealing and opening are passed in: this module holds no key.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, ValidationError

from linkage.agreement.canonical import canonical
from linkage.agreement.fields import Name, Strict
from linkage.errors import InvalidRequestError
from linkage.trust.sealing import binding

PART_ROWS = 200_000
MAX_INDEX_BYTES = 1 << 20

# Plain or sealed bytes, and what the seal is bound to.
Crypt = Callable[[bytes, bytes], bytes]


@dataclass(frozen=True)
class ParcelAddress:
    """What a parcel belongs to, and between whom it goes."""

    project: str
    fingerprint: str
    release: str
    sender: str
    recipient: str


class _Part(Strict):
    table: Name
    size: Annotated[int, Field(ge=1, le=1 << 32)]


class _Index(Strict):
    linkage: str
    parts: Annotated[tuple[_Part, ...], Field(max_length=100_000, strict=False)]


def pack(tables: Mapping[str, pa.Table], address: ParcelAddress, seal: Crypt) -> bytes:
    """Seal tables into one parcel."""
    plain = [
        (name, _to_parquet(part)) for name, table in sorted(tables.items()) for part in _cut(table)
    ]
    sealed = [
        (name, seal(raw, _bound(address, name, place, len(plain))))
        for place, (name, raw) in enumerate(plain)
    ]
    index = {
        "linkage": "parcel/1",
        "parts": [{"size": len(raw), "table": name} for name, raw in sealed],
    }
    return canonical(index) + b"\n" + b"".join(raw for _, raw in sealed)


def unpack(parcel: bytes, address: ParcelAddress, unseal: Crypt) -> dict[str, pa.Table]:
    """Open a parcel.

    Raises:
        InvalidRequestError: truncated, or not a parcel.
        SealError: whatever `unseal` raises for a part that is not what it should be.
    """
    head, _, rest = parcel.partition(b"\n")
    if len(head) > MAX_INDEX_BYTES:
        raise InvalidRequestError("the parcel's list of parts is too long")
    try:
        index = _Index.model_validate(json.loads(head))
    except (ValidationError, ValueError):
        raise InvalidRequestError("the parcel's list of parts cannot be read") from None
    if sum(part.size for part in index.parts) != len(rest):
        raise InvalidRequestError("the parcel is truncated or has bytes too many")
    found: dict[str, list[pa.Table]] = {}
    start = 0
    for place, part in enumerate(index.parts):
        sealed = rest[start : start + part.size]
        raw = unseal(sealed, _bound(address, part.table, place, len(index.parts)))
        found.setdefault(part.table, []).append(_from_parquet(raw))
        start += part.size
    try:
        return {name: pa.concat_tables(parts) for name, parts in found.items()}
    except pa.ArrowException:
        raise InvalidRequestError("the parts of a table do not fit together") from None


def _cut(table: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, max(table.num_rows, 1), PART_ROWS):
        yield table.slice(start, PART_ROWS)


def _bound(address: ParcelAddress, table: str, place: int, parts: int) -> bytes:
    return binding("parcel", **vars(address), table=table, place=place, parts=parts)


def _to_parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _from_parquet(raw: bytes) -> pa.Table:
    try:
        return pq.read_table(io.BytesIO(raw))
    except pa.ArrowException:
        raise InvalidRequestError("a part of the parcel is not a Parquet file") from None
