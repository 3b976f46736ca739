"""The pairwise encoder: what compares, what does not, what is refused, what is wiped."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import linkage.encoding.pairlists as lists
import linkage.encoding.pairwise as module
from linkage.answers import Answers
from linkage.encoding.pairwise import PairwiseEncoder
from linkage.errors import InputError, InvalidRequestError, StateError

SECRET = bytes(range(32))
CONTEXT = "run 1: a, b"
GIVEN, MIDDLE, SURNAME, DOB, SEX, PHONE, ADDRESS, CITY = range(8)


def ids(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 16), dtype=np.uint8)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """The share of bits that differ."""
    return float(np.bitwise_count(a ^ b).mean() / 64)


@pytest.fixture
def answer(make_manifest, columns):
    """Encode rows of the columns, some of them changed."""

    def run(
        rows=range(40),
        pair_ids=None,
        *,
        secret=SECRET,
        epoch=1,
        context=CONTEXT,
        threads=1,
        change=None,
        **settings,
    ) -> Answers:
        with PairwiseEncoder(make_manifest(**settings), secret, epoch=epoch) as encoder:
            encoder.prepare(columns | (change or {}))
            rows = np.array(list(rows), dtype=np.int64)
            pair_ids = ids(len(rows)) if pair_ids is None else pair_ids
            return encoder.encode(pair_ids, rows, context=context, threads=threads)

    return run


def test_shapes_and_missing_fields(answer) -> None:
    found = answer()
    assert found.words.shape == (40, 13, 4)
    assert found.words.dtype == np.uint64
    assert found.present.shape == found.initial.shape == (40, 13)
    missing = set(zip(*map(np.ndarray.tolist, np.nonzero(~found.present)), strict=True))
    assert missing == {(5, DOB), (6, DOB), (7, DOB), (0, CITY), (39, 10)}
    assert (found.words.any(axis=2) == found.present).all()


def test_equal_values_of_one_pair_have_equal_bits(answer) -> None:
    """Rows repeat every three, so that both partners hold the same people elsewhere."""
    pairs = ids(10)
    ours = answer(range(10, 20), pairs)
    theirs = answer(range(13, 23), pairs)
    assert (ours.words == theirs.words).all()
    other = answer(range(14, 24), pairs)
    assert distance(ours.words[:, SURNAME], other.words[:, SURNAME]) > 0.2


def test_another_pair_gives_independent_bits_of_the_same_record(answer) -> None:
    found = answer([10] * 40)
    for a, b in combinations(found.words, 2):
        assert 0.43 < distance(a, b) < 0.57
    bits = np.unpackbits(found.words.view(np.uint8), axis=2)
    assert abs(bits.mean() - 0.5) < 4 * 0.5 / np.sqrt(bits.size)


@pytest.mark.parametrize(
    "change",
    [{"epoch": 2}, {"project": "other"}, {"secret": bytes(32)}, {"context": "run 2: a, b"}],
    ids=str,
)
def test_everything_the_key_is_made_of_matters(answer, change) -> None:
    assert 0.49 < distance(answer().words, answer(**change).words) < 0.51


def test_fields_of_other_kinds_do_not_compare(answer, columns) -> None:
    elm = np.array(["elm"] * 40, dtype=object)
    words = answer(change={"city": elm, "address": elm, "surname": elm}).words
    for a, b in combinations((CITY, ADDRESS, SURNAME), 2):
        assert 0.48 < distance(words[:, a], words[:, b]) < 0.52


def test_names_compare_across_fields(answer, columns) -> None:
    pairs = ids(40)
    ours = answer(pair_ids=pairs).words
    swapped = {"given": columns["surname"], "surname": columns["given"]}
    theirs = answer(pair_ids=pairs, change=swapped).words
    assert (ours[:, GIVEN] == theirs[:, SURNAME]).all()
    assert (ours[:, SURNAME] == theirs[:, GIVEN]).all()
    moved = answer(pair_ids=pairs, change={"middle": columns["surname"]}).words
    assert (ours[:, SURNAME] == moved[:, MIDDLE]).all()


def test_changing_a_field_changes_that_field_alone(answer, columns) -> None:
    pairs = ids(40)
    ours = answer(pair_ids=pairs).words
    theirs = answer(pair_ids=pairs, change={"dob": np.array(["2000-01-01"] * 40, dtype=object)})
    same = (ours == theirs.words).all(axis=(0, 2))
    assert same.tolist() == [field != DOB for field in range(13)]


def test_single_letters_are_flagged_as_initials(answer) -> None:
    given = np.array(["j", "и", "金", "jo", None] * 8, dtype=object)
    sex = np.array(["f"] * 40, dtype=object)
    found = answer(change={"given": given, "sex": sex})
    assert found.initial[:5, GIVEN].tolist() == [True, True, False, False, False]
    assert found.initial[:, MIDDLE].tolist() == [i % 3 > 0 for i in range(40)]
    assert not found.initial[:, SURNAME:].any()


def test_ties_go_either_way_and_only_where_there_are_ties(answer) -> None:
    """Two tokens tie in one place of sixteen; a tie-break biased to 0 would show."""
    given = np.array(["j"] * 40, dtype=object)
    bits = answer([0] * 4000, ids(4000), change={"given": given}).words[:, GIVEN]
    ones = np.bitwise_count(bits).sum() / (256 * 4000)
    assert abs(ones - 0.5) < 0.003


def test_chunks_threads_and_order_change_nothing(answer, monkeypatch) -> None:
    pairs = ids(40)
    whole = answer(pair_ids=pairs)
    order = np.random.default_rng(2).permutation(40)
    moved = answer(order, pairs[order])
    for name in ("words", "present", "initial"):
        assert (getattr(moved, name) == getattr(whole, name)[order]).all()
    monkeypatch.setattr(module, "BLOCK_PAIRS", 7)
    monkeypatch.setattr(lists, "BLOCK_VALUES", 2)
    for threads in (1, 3):
        assert (answer(pair_ids=pairs, threads=threads).words == whole.words).all()


def test_other_rows_change_nothing(make_manifest, columns) -> None:
    pairs = ids(1)
    with PairwiseEncoder(make_manifest(), SECRET, epoch=1) as encoder:
        encoder.prepare(columns)
        among = encoder.encode(pairs, np.array([20]), context=CONTEXT)
        encoder.prepare({name: column[20:21] for name, column in columns.items()})
        alone = encoder.encode(pairs, np.array([0]), context=CONTEXT)
    assert (among.words == alone.words).all()


def test_long_values_are_summed_in_runs(answer) -> None:
    """Sums are carried over every seventeen tokens; one word more of 2,000 changes little."""
    pairs = ids(1)
    long = np.array(["lane " * 1999 + "ln"] * 40, dtype=object)
    longer = np.array(["lane " * 2000 + "ln"] * 40, dtype=object)
    a = answer([0], pairs, change={"city": long}).words[0, CITY]
    b = answer([0], pairs, change={"city": longer}).words[0, CITY]
    short = answer([0], pairs, change={"city": np.array(["lane"] * 40, dtype=object)})
    assert distance(a, b) < 0.02
    assert distance(a, short.words[0, CITY]) < 0.35


def test_too_long_a_record_is_refused(answer, monkeypatch) -> None:
    monkeypatch.setattr(lists, "MAX_TOKENS", 50)
    with pytest.raises(InputError, match="too long"):
        answer()


def test_no_pairs_and_no_rows(make_manifest, columns) -> None:
    nobody, nothing = np.empty((0, 16), np.uint8), np.empty(0, np.int64)
    with PairwiseEncoder(make_manifest(), SECRET, epoch=1) as encoder:
        encoder.prepare(columns)
        assert encoder.encode(nobody, nothing, context=CONTEXT).words.shape == (0, 13, 4)
        encoder.prepare({name: column[:0] for name, column in columns.items()})
        assert encoder.encode(nobody, nothing, context=CONTEXT).present.shape == (0, 13)
        with pytest.raises(InvalidRequestError, match="not there"):
            encoder.encode(ids(1), np.zeros(1, np.int64), context=CONTEXT)


def test_all_missing(answer, columns) -> None:
    found = answer(change={name: np.full(40, None, dtype=object) for name in columns})
    assert not (found.present.any() or found.words.any() or found.initial.any())


@pytest.mark.parametrize(
    ("pair_ids", "rows", "message"),
    [
        (ids(3)[:, :15], [0, 1, 2], "16 bytes"),
        (ids(3).astype(np.int64), [0, 1, 2], "16 bytes"),
        (ids(3).ravel(), [0, 1, 2], "16 bytes"),
        (ids(3), [0, 1], "equally many"),
        (ids(3), [[0], [1], [2]], "equally many"),
        (ids(3), [0.0, 1.0, 2.0], "equally many"),
        (ids(3), [0, 1, 40], "not there"),
        (ids(3), [0, -1, 2], "not there"),
        (ids(3)[[0, 1, 0]], [0, 1, 2], "repeated"),
    ],
    ids=str,
)
def test_malformed_pairs_are_refused(answer, make_manifest, columns, pair_ids, rows, message):
    with PairwiseEncoder(make_manifest(), SECRET, epoch=1) as encoder:
        encoder.prepare(columns)
        with pytest.raises(InvalidRequestError, match=message):
            encoder.encode(pair_ids, np.array(rows), context=CONTEXT)


def test_pair_ids_with_equal_halves_are_not_repeated_ones(answer) -> None:
    pairs = ids(2)
    pairs[1, :8] = pairs[0, :8]
    found = answer([0, 0], pairs).words
    assert 0.4 < distance(found[0], found[1]) < 0.6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surname": None}, "'surname' has no column"),
        ({"nickname": ["x"] * 40}, "'nickname' is not a field"),
        ({"surname": ["x"] * 39}, "same number of rows"),
        ({"surname": [42] * 40}, "'surname': a value is not text"),
        ({"dob": ["4 July 1976"] * 40}, "'dob': a value is not a normalised date"),
        ({"income": ["."] * 40}, "'income': a value has nothing to encode"),
    ],
    ids=str,
)
def test_wrong_columns_are_refused(make_manifest, columns, change, message) -> None:
    for name, values in change.items():
        if values is None:
            del columns[name]
        else:
            columns[name] = np.array(values, dtype=object)
    with (
        PairwiseEncoder(make_manifest(), SECRET, epoch=1) as encoder,
        pytest.raises(InputError, match=message),
    ):
        encoder.prepare(columns)


@pytest.mark.parametrize(("secret", "epoch"), [(b"short", 1), (bytes(33), 1), (SECRET, -1)])
def test_wrong_secret_or_epoch_is_refused(make_manifest, secret, epoch) -> None:
    with pytest.raises(InputError):
        PairwiseEncoder(make_manifest(), secret, epoch=epoch)


def test_wrong_moments_are_refused(make_manifest, columns) -> None:
    encoder = PairwiseEncoder(make_manifest(), SECRET, epoch=1)
    with pytest.raises(StateError, match="no records"):
        encoder.encode(ids(1), np.zeros(1, np.int64), context=CONTEXT)
    encoder.prepare(columns)
    with pytest.raises(InputError, match="context"):
        encoder.encode(ids(1), np.zeros(1, np.int64), context="")


def test_close_overwrites_keys_and_tokens(make_manifest, columns) -> None:
    encoder = PairwiseEncoder(make_manifest(), SECRET, epoch=1)
    encoder.prepare(columns)
    keys = [encoder._pair_key, *encoder._token_keys.values()]
    prepared = encoder._prepared
    assert prepared is not None
    assert all(any(key) for key in keys)
    encoder.close()
    encoder.close()
    assert not any(any(key) for key in keys)
    assert not any(part.any() for part in (*prepared.lists, prepared.lengths, prepared.initial))
    with pytest.raises(StateError, match="closed"):
        encoder.encode(ids(1), np.zeros(1, np.int64), context=CONTEXT)
    with pytest.raises(StateError, match="closed"):
        encoder.prepare(columns)


def test_working_memory_is_overwritten_even_after_a_fault(answer, monkeypatch) -> None:
    made = []
    of = module.Scratch.of

    def remembered(pairs: int, tokens: int) -> module.Scratch:
        made.append(of(pairs, tokens))
        return made[-1]

    monkeypatch.setattr(module.Scratch, "of", remembered)
    answer()

    def broken(*arguments: object) -> None:
        made[-1].keys[:] = 1
        raise MemoryError

    monkeypatch.setattr(module, "encode_pairs", broken)
    with pytest.raises(MemoryError):
        answer()
    assert len(made) == 2
    assert not any(part.any() for scratch in made for part in scratch)
