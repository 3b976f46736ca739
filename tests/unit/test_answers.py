import numpy as np
import pytest

from linkage.answers import (
    FIELD_BYTES,
    REQUEST_BYTES,
    Answers,
    Requests,
    answer_bytes,
    verify_quota,
)
from linkage.errors import InvalidRequestError, QuotaError

PAIRS, FIELDS = 5, 3


@pytest.fixture
def answers() -> Answers:
    random = np.random.default_rng(1)
    present = random.random((PAIRS, FIELDS)) < 0.7
    words = random.integers(0, 2**64, (PAIRS, FIELDS, 4), np.uint64)
    words[~present] = 0
    frequency = random.integers(0, 4, (PAIRS, FIELDS), np.uint8)
    return Answers(words, present, present & (frequency == 1), np.where(present, frequency, 0))


def test_requests_are_read_as_written() -> None:
    random = np.random.default_rng(2)
    requests = Requests(random.integers(0, 256, (7, 16), np.uint8), np.arange(7) << 25)
    data = requests.to_bytes()
    assert len(data) == 7 * REQUEST_BYTES
    again = Requests.from_bytes(data)
    np.testing.assert_array_equal(again.pair_ids, requests.pair_ids)
    np.testing.assert_array_equal(again.rows, requests.rows)


def test_a_broken_request_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="20 bytes each"):
        Requests.from_bytes(b"x" * (REQUEST_BYTES + 1))


def test_answers_are_read_as_written(answers: Answers) -> None:
    data = answers.to_bytes()
    assert len(data) == PAIRS * answer_bytes(FIELDS) == PAIRS * FIELDS * FIELD_BYTES
    again = Answers.from_bytes(data, fields=FIELDS)
    for name, value in vars(answers).items():
        np.testing.assert_array_equal(getattr(again, name), value)


def test_the_first_answer_is_laid_out_as_the_reference_says(answers: Answers) -> None:
    data = answers.to_bytes()
    assert data[:8] == int(answers.words[0, 0, 0]).to_bytes(8, "little")
    flags = data[FIELDS * 32 : FIELDS * 33]
    assert [flag & 1 for flag in flags] == answers.present[0].tolist()
    assert [flag >> 1 & 1 for flag in flags] == answers.initial[0].tolist()
    assert [flag >> 2 for flag in flags] == answers.frequency[0].tolist()


def test_pieces_join(answers: Answers) -> None:
    parts = [answers.take(slice(0, 2)), answers.take(np.array([2, 3, 4]))]
    assert Answers.joined(parts).to_bytes() == answers.to_bytes()


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (FIELDS * 32, 0x10, "unknown flag"),
        (FIELDS * 32, 0x02, "missing field"),
        (0, 0x01, "missing field"),
    ],
)
def test_an_answer_that_no_agent_writes_is_refused(place: int, value: int, message: str) -> None:
    data = bytearray(answer_bytes(FIELDS))
    data[place] = value
    with pytest.raises(InvalidRequestError, match=message):
        Answers.from_bytes(bytes(data), fields=FIELDS)


def test_a_broken_answer_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="99 bytes each"):
        Answers.from_bytes(b"x" * 98, fields=FIELDS)


QUOTA = 2


def _list(rows: list[int], ids: list[int] | None = None) -> Requests:
    """A list of two entries for each of three rows; ids count up where not given."""
    numbers = list(range(len(rows))) if ids is None else ids
    raw = b"".join(number.to_bytes(16, "big") for number in numbers)
    return Requests(np.frombuffer(raw, np.uint8).reshape(-1, 16), np.array(rows, np.int64))


def _verify(requests: Requests, *, within: bool = False) -> None:
    verify_quota(requests, 3, quota=QUOTA, within=within)


def test_a_list_within_the_quota_passes() -> None:
    _verify(_list([2, 0, 1, 1, 0, 2]))
    _verify(_list([2, 0, 1, 1, 0, 2], [0, 255, 256, 2**64 - 1, 2**64, 2**127]))
    verify_quota(_list([]), 0, quota=QUOTA, within=False)


def test_a_list_within_one_file_passes_with_twins_and_dummies() -> None:
    _verify(_list([0, 1, 2, 0, 2, 1], [5, 5, 6, 7, 8, 9]), within=True)
    _verify(_list([0, 1, 1, 2, 0, 2], [5, 5, 6, 6, 8, 8]), within=True)


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize(
    ("rows", "ids", "message"),
    [
        ([2, 0, 1, 1, 0], None, "5 entries, not 2 for each of 3"),
        ([2, 0, 1, 1, 0, 2, 2], None, "7 entries"),
        ([2, 0, 1, 1, 0, 3], None, "not in the upload"),
        ([2, 0, 1, 1, 0, -1], None, "not in the upload"),
        ([2, 0, 1, 1, 1, 2], None, "exactly 2 times"),
        ([2, 0, 1, 1, 0, 2], [0, 1, 2, 4, 3, 5], "ascending"),
        ([2, 0, 1, 1, 0, 2], [0, 1, 2, 2**64, 3, 5], "ascending"),
    ],
)
def test_a_list_that_breaks_the_quota_is_refused(
    rows: list[int], ids: list[int] | None, message: str, within: bool
) -> None:
    with pytest.raises(QuotaError, match=message) as caught:
        _verify(_list(rows, ids), within=within)
    assert caught.value.reason == "QUOTA_BROKEN"


def test_a_repeated_pair_is_refused_between_files() -> None:
    with pytest.raises(QuotaError, match="more than once"):
        _verify(_list([0, 1, 2, 0, 2, 1], [5, 5, 6, 7, 8, 9]))


@pytest.mark.parametrize(
    ("rows", "ids", "message"),
    [
        ([0, 1, 2, 0, 2, 1], [5, 5, 5, 7, 8, 9], "more than twice"),
        ([0, 0, 2, 1, 2, 1], [5, 5, 6, 7, 8, 9], "with itself"),
        ([1, 0, 2, 0, 2, 1], [5, 5, 6, 7, 8, 9], "not in order"),
    ],
)
def test_a_broken_pair_is_refused_within_a_file(
    rows: list[int], ids: list[int], message: str
) -> None:
    with pytest.raises(QuotaError, match=message):
        _verify(_list(rows, ids), within=True)
