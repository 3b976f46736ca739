"""Filters as anonlink's tools exchange them; bytes in, arrays out, and back.

- `clks_to_json`: `{"clks": [base64, ...]}`, which clkhash writes and anonlink's service takes.
- `clks_to_binary`: the filters' bytes one after another, which the service takes as
  `binaryclks` with their number and size in the headers Hash-Count and Hash-Size.
- `clks_to_numbered`: each filter behind its row number, 4 bytes big-endian: what the service
  stores.
- Bit 0 of a filter is the most significant bit of its first byte; bits that fill the last byte
  are 0.
"""

from __future__ import annotations

import base64
import binascii
import json

import numpy as np
import numpy.typing as npt

from linkage.errors import InputError

Words = npt.NDArray[np.uint64]
_Bytes = npt.NDArray[np.uint8]

_ID_BYTES = 4
_REVERSED = np.packbits(
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1), axis=1, bitorder="little"
).ravel()


def clks_to_json(words: Words, bits: int) -> bytes:
    """Write filters, (rows, bits / 64) uint64 rounded up, as JSON."""
    filters = [base64.b64encode(row).decode() for row in _to_bytes(words, bits)]
    return json.dumps({"clks": filters}).encode()


def clks_from_json(data: bytes, bits: int) -> Words:
    """Read filters of a length from JSON.

    Raises:
        InputError: not such JSON, or filters of another length.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise InputError("the file is not valid JSON in UTF-8") from None
    filters = document.get("clks") if isinstance(document, dict) else None
    if not isinstance(filters, list):
        raise InputError("the file has no list of filters named clks")
    size = filter_bytes(bits)
    try:
        raw = [base64.b64decode(text, validate=True) for text in filters]
    except (binascii.Error, TypeError, ValueError):
        raise InputError("a filter of the file is not base64 text") from None
    if any(len(row) != size for row in raw):
        raise InputError(f"a filter of the file is not {size} bytes long")
    return _from_bytes(np.frombuffer(b"".join(raw), dtype=np.uint8).reshape(-1, size), bits)


def clks_to_binary(words: Words, bits: int) -> bytes:
    """Write filters one after another."""
    return _to_bytes(words, bits).tobytes()


def clks_from_binary(data: bytes, bits: int) -> Words:
    """Read filters that stand one after another.

    Raises:
        InputError: the bytes are not a whole number of filters.
    """
    return _from_bytes(_rows(data, filter_bytes(bits)), bits)


def clks_to_numbered(words: Words, bits: int, ids: npt.NDArray[np.uint32] | None = None) -> bytes:
    """Write filters behind their row numbers; 0, 1, ... where `ids` does not say others."""
    numbers = np.arange(len(words), dtype=np.uint32) if ids is None else ids
    before = numbers.astype(">u4").view(np.uint8).reshape(len(words), _ID_BYTES)
    return np.hstack([before, _to_bytes(words, bits)]).tobytes()


def clks_from_numbered(data: bytes, bits: int) -> tuple[npt.NDArray[np.uint32], Words]:
    """Read row numbers and filters.

    Raises:
        InputError: the bytes are not a whole number of numbered filters.
    """
    rows = _rows(data, _ID_BYTES + filter_bytes(bits))
    ids = np.ascontiguousarray(rows[:, :_ID_BYTES]).view(">u4").ravel().astype(np.uint32)
    return ids, _from_bytes(rows[:, _ID_BYTES:], bits)


def filter_bytes(bits: int) -> int:
    """Bytes of one filter."""
    return -(-bits // 8)


def _rows(data: bytes, size: int) -> _Bytes:
    if len(data) % size:
        raise InputError(f"the file is not a whole number of filters of {size} bytes each")
    return np.frombuffer(data, dtype=np.uint8).reshape(-1, size)


def _to_bytes(words: Words, bits: int) -> _Bytes:
    little = np.ascontiguousarray(words.astype("<u8", copy=False)).view(np.uint8)
    return _REVERSED[little[:, : filter_bytes(bits)]]


def _from_bytes(rows: _Bytes, bits: int) -> Words:
    spare = 8 * filter_bytes(bits) - bits
    if spare and bool((rows[:, -1] & ((1 << spare) - 1)).any()):
        raise InputError(f"a filter of the file has more than {bits} bits")
    little = np.zeros((len(rows), -(-bits // 64) * 8), dtype=np.uint8)
    little[:, : filter_bytes(bits)] = _REVERSED[rows]
    return little.view("<u8").astype(np.uint64)
