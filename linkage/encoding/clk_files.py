"""Filters as anonlink's tools exchange them; bytes in, arrays out, and back.

- JSON: `{"clks": [base64, ...]}`, which clkhash writes and anonlink's service takes. Read and
  written piece by piece, so that a file need not fit into memory.
- Binary: the filters' bytes one after another, which the service takes as `binaryclks` with their
  number and size in the headers Hash-Count and Hash-Size.
- Numbered: each filter behind its row number, 4 bytes big-endian: what the service stores.
- Bit 0 of a filter is the most significant bit of its first byte; bits that fill the last byte
  are 0.

    for words in blocks_from_json(iter(lambda: file.read(1 << 20), b""), bits=1024): ...
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from linkage.errors import InputError

Words = npt.NDArray[np.uint64]
_Bytes = npt.NDArray[np.uint8]

_ID_BYTES = 4
_REVERSED = np.packbits(
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1), axis=1, bitorder="little"
).ravel()

_START = re.compile(rb'\s*\{\s*"clks"\s*:\s*\[')
_FIRST = re.compile(rb'\s*"([^"\\]*)"')
_NEXT = re.compile(rb'\s*,\s*"([^"\\]*)"')
_END = re.compile(rb"\s*\]\s*\}\s*")
_LONGEST_GAP = 4096  # what may stand between two filters


def clks_to_json(words: Words, bits: int) -> bytes:
    """Write filters, (rows, bits / 64) uint64 rounded up, as JSON."""
    return b"".join(blocks_to_json([words], bits))


def blocks_to_json(blocks: Iterable[Words], bits: int) -> Iterator[bytes]:
    """The pieces of a JSON file of the filters of all blocks."""
    yield b'{"clks": ['
    before = b""
    for words in blocks:
        texts = [b'"' + base64.b64encode(row) + b'"' for row in _to_bytes(words, bits)]
        yield before + b", ".join(texts) if texts else b""
        before = b", " if texts else before
    yield b"]}"


def clks_from_json(data: bytes, bits: int) -> Words:
    """Read filters of a length from JSON; see `blocks_from_json`."""
    none = np.empty((0, -(-bits // 64)), dtype=np.uint64)
    return np.concatenate([none, *blocks_from_json([data], bits)])


def blocks_from_json(chunks: Iterable[bytes], bits: int) -> Iterator[Words]:
    """Read filters of a length from the pieces of a JSON file, in about one piece's memory.

    Raises:
        InputError: not such JSON, or not such a filter; names it by its number, from 1.
    """
    rest, wanted, count = b"", _START, 0
    for chunk in chunks:
        rest, place = rest + chunk, 0
        found: list[bytes] = []
        while wanted is not _END:
            end = None if wanted is _START else _END.match(rest, place)
            match = end or wanted.match(rest, place)
            if match is None:
                break
            if not end and wanted is not _START:
                found.append(match[1])
            wanted = _END if end else _FIRST if wanted is _START else _NEXT
            place = match.end()
        rest = rest[place:] if wanted is not _END else rest[place:].strip()
        if found:
            yield _decoded(found, count + 1, bits)
        count += len(found)
        if len(rest) > (0 if wanted is _END else 4 * filter_bytes(bits) + _LONGEST_GAP):
            raise _no_filters(count)
    if wanted is not _END:
        raise _no_filters(count)


def _decoded(texts: list[bytes], first: int, bits: int) -> Words:
    size = filter_bytes(bits)
    rows = []
    for number, text in enumerate(texts, first):
        try:
            rows.append(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError):
            raise InputError(f"filter {number} is not base64 text") from None
        if len(rows[-1]) != size:
            raise InputError(f"filter {number} is {len(rows[-1])} bytes long, not {size}")
    return _from_bytes(np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(-1, size), bits, first)


def _no_filters(count: int) -> InputError:
    where = f"after {count} filters it goes on otherwise, or ends" if count else "it is not JSON so"
    return InputError(
        f'the file is not {{"clks": [...]}} with a filter in base64 each: {where}',
        remedy="Give the file that clkhash wrote, made without blocks",
    )


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


def _from_bytes(rows: _Bytes, bits: int, first: int = 1) -> Words:
    spare = 8 * filter_bytes(bits) - bits
    if spare and (over := np.flatnonzero(rows[:, -1] & ((1 << spare) - 1))).size:
        raise InputError(f"filter {first + int(over[0])} has more than {bits} bits")
    little = np.zeros((len(rows), -(-bits // 64) * 8), dtype=np.uint8)
    little[:, : filter_bytes(bits)] = _REVERSED[rows]
    return little.view("<u8").astype(np.uint64)
