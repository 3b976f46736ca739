"""Parcels: what was packed is unpacked, what was altered is not, and what is not sealed is seen."""

from __future__ import annotations

import io
import json
import secrets
from dataclasses import replace

import pandas as pd
import pyarrow as pa
import pytest

from linkage.errors import InvalidRequestError, SealError
from linkage.release import parcels
from linkage.release.parcels import SEALED_BYTES, ParcelAddress, check_sealed, pack, unpack
from linkage.trust.opening import SealingKey
from linkage.trust.sealing import seal

ADDRESS = ParcelAddress("p", "f" * 64, "0" * 32, "sheriff", "county")
KEY = SealingKey.generate()
TABLES = {
    "people": pa.table({"id": list(range(50)), "sex": ["f", "m"] * 25}),
    "visits": pa.table({"id": [1, 2], "why": ["a", "b"]}),
}


def sealed(tables: dict[str, pa.Table] = TABLES) -> bytes:
    return pack(tables, ADDRESS, lambda raw, info: seal(KEY.public, raw, info))


def unsealed(raw: bytes, table: str = "people") -> bytes:
    index = {"linkage": "parcel/1", "parts": [{"size": len(raw), "table": table}]}
    return json.dumps(index, sort_keys=True, separators=(",", ":")).encode() + b"\n" + raw


def test_what_is_packed_is_unpacked_and_looks_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcels, "PART_ROWS", 20)
    parcel = sealed()
    check_sealed(io.BytesIO(parcel))
    found = unpack(parcel, ADDRESS, KEY.open)
    assert {name: table.to_pydict() for name, table in found.items()} == {
        name: table.to_pydict() for name, table in TABLES.items()
    }


def test_the_smallest_seals_look_sealed() -> None:
    for size in range(100):
        raw = seal(KEY.public, bytes(size), b"")
        assert len(raw) >= SEALED_BYTES
        check_sealed(io.BytesIO(unsealed(raw)))


@pytest.mark.parametrize("change", [{"release": "1" * 32}, {"sender": "health"}, {"project": "q"}])
def test_another_address_opens_nothing(change: dict[str, str]) -> None:
    with pytest.raises(SealError):
        unpack(sealed(), replace(ADDRESS, **change), KEY.open)


def test_another_key_opens_nothing_and_no_part_can_be_moved() -> None:
    with pytest.raises(SealError):
        unpack(sealed(), ADDRESS, SealingKey.generate().open)
    head, _, rest = sealed().partition(b"\n")
    index = json.loads(head)
    index["parts"].reverse()
    sizes = [part["size"] for part in index["parts"]]
    moved = rest[sizes[1] :] + rest[: sizes[1]]
    with pytest.raises(SealError):
        unpack(json.dumps(index).encode() + b"\n" + moved, ADDRESS, KEY.open)


def _csv() -> bytes:
    return pd.DataFrame({"name": ["Zoe", "Adam"] * 900, "n": range(1800)}).to_csv().encode()


def _parquet() -> bytes:
    sink = io.BytesIO()
    pd.DataFrame({"n": [secrets.token_hex(16) for _ in range(5000)]}).to_parquet(sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    "raw",
    [
        _csv(),
        _parquet(),
        b"PAR1" + secrets.token_bytes(4000),
        secrets.token_bytes(4000) + b"PAR1",
        bytes(5000),
        secrets.token_bytes(5000).hex().encode(),
        secrets.token_bytes(100_000) + _csv(),
        secrets.token_bytes(SEALED_BYTES - 1),
    ],
    ids=["csv", "parquet", "magic", "magic at the end", "zeros", "hex", "csv at the end", "short"],
)
def test_what_is_not_sealed_is_seen(raw: bytes) -> None:
    with pytest.raises(InvalidRequestError, match="'people' of the parcel is not sealed"):
        check_sealed(io.BytesIO(unsealed(raw)))


@pytest.mark.parametrize(
    "parcel",
    [
        b"",
        b"\n",
        b"{}\n",
        b"[" * 100_000 + b"\n",
        b"{" * (2 << 20),
        sealed()[:-1],
        sealed() + b"x",
        sealed().partition(b"\n")[0],
        b"\xff\n",
    ],
    ids=["empty", "line", "object", "deep", "long", "cut", "more", "index", "bytes"],
)
def test_what_is_no_parcel_is_refused(parcel: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        check_sealed(io.BytesIO(parcel))
    with pytest.raises(InvalidRequestError):
        unpack(parcel, ADDRESS, KEY.open)
