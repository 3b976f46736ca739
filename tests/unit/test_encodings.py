"""The encoding matrix: one run of bytes, and nothing in it that no encoder of ours writes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from linkage.agreement.fields import MAX_VARIANTS
from linkage.encodings import ALIGNMENT, EncodingLayout, EncodingMatrix
from linkage.errors import InvalidRequestError

ROWS = 13
LAYOUT = EncodingLayout(
    "saul-v1", 1024, ("name_dob", "dob_phone"), ROWS, "ab" * 32, ("race", "sex")
)


@pytest.fixture
def matrix() -> EncodingMatrix:
    random = np.random.default_rng(5)
    presence = random.random((2, ROWS)) < 0.7
    words = random.integers(1, 2**63, (2, ROWS, LAYOUT.words_per_row), np.uint64)
    words[~presence] = 0
    # Rows 2 and 3 are two spellings of one record, row 5 a second record of the same person.
    handles = random.integers(0, 256, (ROWS, 16), np.uint8)
    groups = random.integers(0, 256, (ROWS, 16), np.uint8)
    handles[3], groups[[3, 5]] = handles[2], groups[2]
    strata = random.integers(0, 4, (ROWS, 2), np.uint8)
    return EncodingMatrix(LAYOUT, handles, groups, strata, presence, words)


@pytest.fixture
def data(matrix: EncodingMatrix) -> np.ndarray:
    return np.frombuffer(b"".join(matrix.sections()), np.uint8).copy()


def test_the_layout_alone_fixes_the_size(data: np.ndarray) -> None:
    assert LAYOUT.size == len(data)
    for offset in (
        LAYOUT.handles_offset,
        LAYOUT.groups_offset,
        LAYOUT.strata_offset,
        LAYOUT.presence_offset,
        LAYOUT.words_offset,
    ):
        assert offset % ALIGNMENT == 0


def test_what_is_written_is_read(matrix: EncodingMatrix, data: np.ndarray) -> None:
    again = EncodingMatrix.from_buffer(data, LAYOUT)
    again.validate(chunk_rows=3)
    np.testing.assert_array_equal(again.handles, matrix.handles)
    np.testing.assert_array_equal(again.groups, matrix.groups)
    np.testing.assert_array_equal(again.strata, matrix.strata)
    np.testing.assert_array_equal(again.presence, matrix.presence)
    np.testing.assert_array_equal(again.words, matrix.words)


def test_words_are_a_view_not_a_copy(data: np.ndarray) -> None:
    assert np.shares_memory(EncodingMatrix.from_buffer(data, LAYOUT).words, data)


@pytest.mark.parametrize("size", [0, 1, LAYOUT.size - 1, LAYOUT.size + 1])
def test_another_size_is_refused(size: int) -> None:
    with pytest.raises(InvalidRequestError, match="bytes"):
        EncodingMatrix.from_buffer(np.zeros(size, np.uint8), LAYOUT)


def test_another_header_is_refused(data: np.ndarray) -> None:
    other = EncodingLayout("saul-v1", 1024, LAYOUT.match_keys, ROWS, "cd" * 32, LAYOUT.strata)
    with pytest.raises(InvalidRequestError, match="header"):
        EncodingMatrix.from_buffer(data, other)


def test_padding_carries_nothing(data: np.ndarray) -> None:
    ends = (
        LAYOUT.presence_offset - 1,
        LAYOUT.words_offset - 1,
        LAYOUT.handles_offset + ROWS * 16,
    )
    for place in ends:
        altered = data.copy()
        altered[place] |= 0x40
        with pytest.raises(InvalidRequestError, match="padding"):
            EncodingMatrix.from_buffer(altered, LAYOUT)
    for key in range(2):
        altered = data.copy()
        altered[LAYOUT.presence_offset + (key + 1) * LAYOUT.presence_bytes - 1] |= 0x80
        with pytest.raises(InvalidRequestError, match="padding"):
            EncodingMatrix.from_buffer(altered, LAYOUT)


@pytest.mark.parametrize("fill", [0, 0xFFFF_FFFF_FFFF_FFFF])
def test_a_present_encoding_is_neither_all_zeros_nor_all_ones(
    matrix: EncodingMatrix, fill: int
) -> None:
    row = int(np.flatnonzero(matrix.presence[1])[-1])
    matrix.words[1, row] = np.uint64(fill)
    with pytest.raises(InvalidRequestError, match="'dob_phone'"):
        matrix.validate(chunk_rows=4)


@pytest.mark.parametrize("ones", [0, 30, 380, 644, 1000], ids=str)
def test_about_half_of_the_bits_of_saul_are_set(matrix: EncodingMatrix, ones: int) -> None:
    """A fill out of these bounds would be near to everybody's encoding, or to nobody's."""
    row = int(np.flatnonzero(matrix.presence[1])[-1])
    bits = np.zeros(1024, np.uint8)
    bits[np.random.default_rng(ones).permutation(1024)[: max(ones, 1)]] = 1
    matrix.words[1, row] = np.packbits(bits, bitorder="little").view("<u8")
    with pytest.raises(InvalidRequestError, match="'dob_phone': far more or fewer than half"):
        matrix.validate(chunk_rows=4)


def test_a_bloom_filter_is_as_full_as_its_record_is_long(matrix: EncodingMatrix) -> None:
    """Of `clk-v1` nothing can be said: a short name sets few bits, a long address most."""
    layout = replace(LAYOUT, scheme="clk-v1")
    matrix.words[matrix.presence] &= np.uint64(0x0101_0101_0101_0101)
    matrix.words[matrix.presence, 0] |= np.uint64(1)
    replace(matrix, layout=layout).validate()


def test_an_absent_encoding_is_all_zeros(matrix: EncodingMatrix) -> None:
    row = int(np.flatnonzero(~matrix.presence[0])[0])
    matrix.words[0, row, 3] = 1
    with pytest.raises(InvalidRequestError, match="'name_dob'"):
        matrix.validate()


def test_rows_of_one_handle_stand_together(matrix: EncodingMatrix) -> None:
    matrix.handles[9] = matrix.handles[4]
    with pytest.raises(InvalidRequestError, match="stand together"):
        matrix.validate()


def test_a_handle_has_few_rows() -> None:
    rows = MAX_VARIANTS + 1
    layout = EncodingLayout("saul-v1", 1024, ("k",), rows, "0" * 64)
    same = np.full((rows, 16), 7, np.uint8)
    none = np.empty((rows, 0), np.uint8)
    words = np.zeros((1, rows, 16), np.uint64)
    matrix = EncodingMatrix(layout, same, same, none, np.zeros((1, rows), np.bool_), words)
    with pytest.raises(InvalidRequestError, match="more than 16 rows"):
        matrix.validate()


def test_a_record_is_one_person(matrix: EncodingMatrix) -> None:
    matrix.groups[3] = matrix.groups[0]
    with pytest.raises(InvalidRequestError, match="group handles"):
        matrix.validate()


def test_records_and_persons_are_known_by_their_first_rows(matrix: EncodingMatrix) -> None:
    assert matrix.first_rows().tolist() == [row for row in range(ROWS) if row != 3]
    persons = list(range(ROWS))
    persons[3] = persons[5] = 2
    assert matrix.persons().tolist() == persons
