"""The encoding matrix: what encoders write and matchers read.

One upload is one contiguous run of bytes, so that it can be hashed, streamed, resumed and
memory-mapped as it is:

    header     64-byte aligned: magic, then the layout as canonical JSON, padded with spaces
    handles    rows x 16 bytes, a random row handle each
    groups     rows x 16 bytes, a random group handle each
    strata     rows x strata bytes, the code of each permitted stratum, 0 where not given
    presence   match keys x ceil(rows / 8) bytes, bit `row % 8` of byte `row // 8`
    words      match keys x rows x (bits / 64) little-endian uint64

- The layout alone fixes the total size: a receiver knows it before the first byte arrives.
- A record with aliases fills several rows, one under the other, that share its row handle; records
  that the partner found to be one person share a group handle, and so do a record's rows.
- A row without an encoding for a match key has presence bit 0 and all-zero words.
- The layout carries scheme and manifest fingerprint; a reader refuses another's matrix.

    layout = EncodingLayout("saul-v1", 2048, ("name_dob",), 5000, fingerprint)
    data = np.memmap(path, np.uint8, "r")
    matrix = EncodingMatrix.from_buffer(data, layout)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linkage.agreement.fields import MAX_VARIANTS
from linkage.errors import InvalidRequestError

MAGIC = b"LINKAGE-ENCODINGS-2\n"
ALIGNMENT = 64
HANDLE_BYTES = 16

# Schemes of which every bit of every encoding is as often one as zero.
_BALANCED = {"minhash-v1", "saul-v1"}

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True)
class EncodingLayout:
    """What an encoding matrix is made of; fixes every offset.

    Attributes:
        scheme: name of the encoding scheme, for example `saul-v1`.
        bits: bits of one encoding, a multiple of 64.
        match_keys: names, in the manifest's order.
        rows: number of rows.
        fingerprint: SHA-256 of the manifest, 64 hex digits.
        strata: names, in the manifest's order.
    """

    scheme: str
    bits: int
    match_keys: tuple[str, ...]
    rows: int
    fingerprint: str
    strata: tuple[str, ...] = ()

    @property
    def words_per_row(self) -> int:
        return self.bits // 64

    @property
    def header(self) -> bytes:
        fields = {
            "bits": self.bits,
            "fingerprint": self.fingerprint,
            "match_keys": list(self.match_keys),
            "rows": self.rows,
            "scheme": self.scheme,
            "strata": list(self.strata),
        }
        raw = MAGIC + json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"
        return raw.ljust(_aligned(len(raw)), b" ")

    @property
    def handles_offset(self) -> int:
        return len(self.header)

    @property
    def groups_offset(self) -> int:
        return self.handles_offset + _aligned(self.rows * HANDLE_BYTES)

    @property
    def strata_offset(self) -> int:
        return self.groups_offset + _aligned(self.rows * HANDLE_BYTES)

    @property
    def presence_offset(self) -> int:
        return self.strata_offset + _aligned(self.rows * len(self.strata))

    @property
    def presence_bytes(self) -> int:
        """Bytes of one match key's presence bits."""
        return -(-self.rows // 8)

    @property
    def words_offset(self) -> int:
        return self.presence_offset + _aligned(len(self.match_keys) * self.presence_bytes)

    @property
    def size(self) -> int:
        """Bytes of the whole matrix."""
        return self.words_offset + len(self.match_keys) * self.rows * self.bits // 8


@dataclass(frozen=True)
class EncodingMatrix:
    """The encodings of one upload.

    Attributes:
        layout: shapes and provenance.
        handles: (rows, 16) uint8, a random row handle each; rows of one record stand together.
        groups: (rows, 16) uint8, a random group handle each; rows of one person share it.
        strata: (rows, strata) uint8 codes, 0 where not given.
        presence: (match keys, rows) bool.
        words: (match keys, rows, bits / 64) uint64, little-endian on every platform.
    """

    layout: EncodingLayout
    handles: Bytes
    groups: Bytes
    strata: Bytes
    presence: Bools
    words: Words

    @classmethod
    def from_buffer(cls, data: Bytes, layout: EncodingLayout) -> EncodingMatrix:
        """View `data` (1-d uint8, for example a memory map) as a matrix without copying words.

        Raises:
            InvalidRequestError: size or header are not those of `layout`, or padding is not zero.
        """
        if data.shape != (layout.size,):
            raise InvalidRequestError(
                f"the upload holds {data.size} bytes where its layout needs {layout.size}"
            )
        if data[: layout.handles_offset].tobytes() != layout.header:
            raise InvalidRequestError("the upload's header is not the one that was signed")
        keys, rows = len(layout.match_keys), layout.rows
        _require_zero_padding(data, layout)

        def section(start: int, width: int) -> Bytes:
            return data[start : start + rows * width].reshape(rows, width)

        handles = section(layout.handles_offset, HANDLE_BYTES)
        groups = section(layout.groups_offset, HANDLE_BYTES)
        strata = section(layout.strata_offset, len(layout.strata))
        start = layout.presence_offset
        packed = data[start : start + keys * layout.presence_bytes]
        presence = np.unpackbits(
            packed.reshape(keys, layout.presence_bytes), axis=1, count=rows, bitorder="little"
        ).astype(np.bool_)
        words = data[layout.words_offset :].view("<u8").reshape(keys, rows, layout.words_per_row)
        return cls(layout, handles, groups, strata, presence, words)

    def sections(self) -> Iterator[bytes]:
        """The matrix as bytes, section by section (match key by match key for the words)."""
        layout = self.layout
        yield layout.header
        yield _padded(self.handles.tobytes())
        yield _padded(self.groups.tobytes())
        yield _padded(self.strata.tobytes())
        yield _padded(np.packbits(self.presence, axis=1, bitorder="little").tobytes())
        for words in self.words:
            yield words.astype("<u8", copy=False).tobytes()

    def first_rows(self) -> npt.NDArray[np.int64]:
        """The first row of each record, ascending."""
        new = np.ones(self.layout.rows, np.bool_)
        new[1:] = (self.handles[1:] != self.handles[:-1]).any(axis=1)
        return np.flatnonzero(new)

    def persons(self) -> npt.NDArray[np.int32]:
        """(rows,) the first row of the person each row belongs to: what a row is known as when
        rows of one group are to be one.
        """
        _, first, group = np.unique(_as_void(self.groups), return_index=True, return_inverse=True)
        return first[group].astype(np.int32)

    def validate(self, *, chunk_rows: int = 65_536) -> None:
        """Refuse what no encoder of ours writes.

        Checks that rows of one handle stand together, are few and share their group, that a row
        present for a match key is neither all zeros nor all ones, and that an absent one is all
        zeros; and, of `minhash-v1` and `saul-v1`, that about half of the bits are set.
        Memory is O(rows + chunk_rows x words).

        Raises:
            InvalidRequestError: naming the match key, never a row's content.
        """
        first = self.first_rows()
        if len(np.unique(_as_void(self.handles[first]))) != len(first):
            raise InvalidRequestError("rows of one row handle do not stand together")
        if int(np.diff(first, append=self.layout.rows).max(initial=0)) > MAX_VARIANTS:
            raise InvalidRequestError(f"a row handle has more than {MAX_VARIANTS} rows")
        record = np.repeat(first, np.diff(first, append=self.layout.rows))
        if (self.groups != self.groups[record]).any():
            raise InvalidRequestError("rows of one row handle have different group handles")
        ones = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
        for name, present, words in zip(
            self.layout.match_keys, self.presence, self.words, strict=True
        ):
            for start in range(0, self.layout.rows, chunk_rows):
                block = words[start : start + chunk_rows]
                here = present[start : start + chunk_rows]
                empty = ~block.any(axis=1)
                if bool((empty == here).any()):
                    raise InvalidRequestError(
                        f"match key {name!r}: presence bits disagree with the encodings"
                    )
                if bool((block == ones).all(axis=1).any()):
                    raise InvalidRequestError(f"match key {name!r}: an encoding is all ones")
                if self.layout.scheme in _BALANCED and _far_from_half(block[here]):
                    raise InvalidRequestError(
                        f"match key {name!r}: far more or fewer than half of an encoding's bits"
                        " are set"
                    )


def _far_from_half(words: Words) -> bool:
    """Whether a row's number of ones is no plausible outcome of as many fair coins as it has bits.

    Within 8 standard deviations: of a thousand million honest encodings less than one in a
    thousand is refused.
    """
    bits = 64 * words.shape[1]
    ones = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    return bool((np.abs(2 * ones - bits) > 8 * np.sqrt(bits)).any())


def _require_zero_padding(data: Bytes, layout: EncodingLayout) -> None:
    """Padding could carry whatever a sender likes: it must be zero."""
    keys, rows = len(layout.match_keys), layout.rows
    gaps = [
        data[layout.handles_offset + rows * HANDLE_BYTES : layout.groups_offset],
        data[layout.groups_offset + rows * HANDLE_BYTES : layout.strata_offset],
        data[layout.strata_offset + rows * len(layout.strata) : layout.presence_offset],
    ]
    used = layout.presence_offset + keys * layout.presence_bytes
    gaps.append(data[used : layout.words_offset])
    if layout.rows % 8:
        last = data[layout.presence_offset : used].reshape(keys, layout.presence_bytes)[:, -1]
        gaps.append(last >> np.uint8(layout.rows % 8))
    if any(bool(gap.any()) for gap in gaps):
        raise InvalidRequestError("the upload's padding is not zero")


def _as_void(handles: Bytes) -> npt.NDArray[np.void]:
    return np.ascontiguousarray(handles).view(f"V{HANDLE_BYTES}").ravel()


def _padded(raw: bytes) -> bytes:
    return raw.ljust(_aligned(len(raw)), b"\0")
