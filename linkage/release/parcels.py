"""A parcel: one partner's de-identified tables for one release, sealed to the assembler.

One line of canonical JSON lists the parts; the sealed parts follow, one after another. Each part
is a Parquet file of at most `PART_ROWS` rows, sealed on its own; its seal is bound to project,
manifest, release, sender, recipient, table, and its place among the parts, so that no part can be
dropped, repeated, moved or taken from another parcel.

Sealing and opening are passed in: this module holds no key. Who relays a parcel can still tell
that it is sealed: `check_sealed`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, ValidationError

from linkage.agreement.canonical import canonical
from linkage.agreement.fields import Name, Strict
from linkage.errors import InvalidRequestError
from linkage.trust.sealing import binding

PART_ROWS = 200_000
# Encapsulated key (ML-KEM-768 ciphertext, X25519 public key) and tag, at the least.
SEALED_BYTES = 1088 + 32 + 16
LOOKED_AT = 1 << 16
MAX_INDEX_BYTES = 1 << 20
_PARQUET = b"PAR1"

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
    index = _index(head)
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


def check_sealed(file: BinaryIO) -> None:
    """Refuse a parcel of which a part is not sealed; for a relay that cannot open any.

    What is sealed looks like noise: of its first and last 64 KiB, no value of a byte stands more
    often, or less, than chance allows. Text, tables and what holds long runs fail; so does a part
    too short to be sealed. What is compressed through and through may pass: this finds mistakes,
    the assembler's key finds the rest.

    Raises:
        InvalidRequestError: naming the table, never a byte.
    """
    head = file.readline(MAX_INDEX_BYTES + 1)
    if len(head) > MAX_INDEX_BYTES or not head.endswith(b"\n"):
        raise InvalidRequestError("the parcel's list of parts is too long")
    index, start = _index(head[:-1]), len(head)
    if start + sum(part.size for part in index.parts) != file.seek(0, io.SEEK_END):
        raise InvalidRequestError("the parcel is truncated or has bytes too many")
    for part in index.parts:
        if part.size < SEALED_BYTES:
            raise _unsealed(part.table)
        for place in (start, start + max(part.size - LOOKED_AT, 0)):
            file.seek(place)
            look = file.read(min(part.size, LOOKED_AT))
            if look.startswith(_PARQUET) or look.endswith(_PARQUET) or not _like_noise(look):
                raise _unsealed(part.table)
        start += part.size


def _unsealed(table: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"table {table!r} of the parcel is not sealed",
        remedy="Content leaves an agent sealed to the assembler only; nothing was kept",
    )


def _like_noise(data: bytes) -> bool:
    """Pearson's chi-squared test of bytes against the uniform, at 10 standard deviations."""
    counts = np.bincount(np.frombuffer(data, np.uint8), minlength=256)
    expected = len(data) / 256
    distance = float(((counts - expected) ** 2 / expected).sum())
    return bool(distance < 255 + 10 * (2 * 255) ** 0.5)


def _index(head: bytes) -> _Index:
    try:
        return _Index.model_validate(json.loads(head))
    except (ValidationError, ValueError, RecursionError):
        raise InvalidRequestError("the parcel's list of parts cannot be read") from None


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
    except (pa.ArrowException, OSError, ValueError):
        raise InvalidRequestError("a part of the parcel is not a Parquet file") from None
