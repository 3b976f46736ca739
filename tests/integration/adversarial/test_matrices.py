"""What is uploaded: encodings that no encoder writes, and rows other than announced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from linkage.encodings import EncodingLayout, EncodingMatrix
from linkage.errors import InvalidRequestError, LimitError, NotReadyError
from tests.integration.hub.conftest import raw, small_layout, small_matrix

ONES = np.iinfo(np.uint64).max


def _zeros(matrix: EncodingMatrix) -> None:
    matrix.words[0, 3] = 0


def _ones(matrix: EncodingMatrix) -> None:
    matrix.words[1, 7] = ONES


def _all_zeros(matrix: EncodingMatrix) -> None:
    matrix.words[:] = 0


def _all_ones(matrix: EncodingMatrix) -> None:
    matrix.words[:] = ONES


def _too_full(matrix: EncodingMatrix) -> None:
    matrix.words[0, 5, :12] = ONES


def _too_empty(matrix: EncodingMatrix) -> None:
    matrix.words[0, 5, :12] = 0


def _absent_and_there(matrix: EncodingMatrix) -> None:
    matrix.presence[1, 5] = False


def _one_handle_twice(matrix: EncodingMatrix) -> None:
    matrix.handles[20] = matrix.handles[0]


def _one_handle_everywhere(matrix: EncodingMatrix) -> None:
    matrix.handles[:] = matrix.handles[0]
    matrix.groups[:] = matrix.groups[0]


SPOILT: list[Callable[[EncodingMatrix], None]] = [
    _zeros,
    _ones,
    _all_zeros,
    _all_ones,
    _too_full,
    _too_empty,
    _absent_and_there,
    _one_handle_twice,
    _one_handle_everywhere,
]


def _finish(attack: Any, member: Any, manifest: Any, data: bytes, match: str | None = None) -> None:
    upload = member.create(member.header(manifest, data)).upload
    member.write(upload, 0, [data])
    with attack.refused(InvalidRequestError, method="FinishUpload", match=match):
        member.finish(upload)


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__.strip("_"))
def test_encodings_that_no_encoder_writes(
    attack: Any, agreed: Any, sheriff: Any, spoil: Callable[[EncodingMatrix], None]
) -> None:
    matrix = small_matrix(agreed)
    spoil(matrix)
    _finish(attack, sheriff, agreed, raw(matrix))


def test_padding_bits_that_are_set(attack: Any, agreed: Any, sheriff: Any) -> None:
    """Padding could carry whatever a sender likes past everybody's eyes."""
    layout = small_layout(agreed)
    ends = (layout.strata_offset, layout.presence_offset, layout.words_offset)
    for end in ends:
        data = bytearray(raw(small_matrix(agreed)))
        if data[end - 1] == 0:
            data[end - 1] = 1
            _finish(attack, sheriff, agreed, bytes(data), match="padding|presence")


@pytest.mark.parametrize(
    "changes",
    [
        {"bits": 2048},
        {"bits": 64},
        {"rows": 41},
        {"rows": 39},
        {"rows": 100_000_000},
        {"size": 1},
        {"size": 1 << 44},
        {"match_keys": ("all",)},
        {"scheme": "clk-v1"},
    ],
    ids=lambda changes: "-".join(f"{k}-{v}" for k, v in changes.items()),
)
def test_a_wrong_length_is_refused_before_a_byte_comes(
    attack: Any, agreed: Any, sheriff: Any, changes: dict[str, Any]
) -> None:
    """Rows, bits and keys fix the size; what is announced must be the manifest's, and fit."""
    header = sheriff.header(agreed, raw(small_matrix(agreed)), **changes)
    error = LimitError if changes.get("rows") == 100_000_000 else InvalidRequestError
    with attack.refused(error, method="CreateUpload"):
        sheriff.create(header)


def test_fewer_bytes_than_declared(attack: Any, agreed: Any, sheriff: Any) -> None:
    data = raw(small_matrix(agreed))
    upload = sheriff.create(sheriff.header(agreed, data)).upload
    sheriff.write(upload, 0, [data[:-1]])
    with attack.refused(NotReadyError, method="FinishUpload", match="1 bytes"):
        sheriff.finish(upload)


def test_more_bytes_than_declared(attack: Any, agreed: Any, sheriff: Any) -> None:
    data = raw(small_matrix(agreed))
    upload = sheriff.create(sheriff.header(agreed, data)).upload
    with attack.refused(LimitError, method="WriteUpload", match="larger than its header"):
        sheriff.write(upload, 0, [data, b"!"])


def test_rows_other_than_declared(attack: Any, agreed: Any, sheriff: Any) -> None:
    """The right size, filled with a matrix of other rows: its own first bytes tell."""
    layout = small_layout(agreed)
    other = EncodingLayout(layout.scheme, layout.bits, layout.match_keys, 30, layout.fingerprint)
    short = other.header + bytes(layout.size - len(other.header))
    _finish(attack, sheriff, agreed, short, match="not the one that was signed")
