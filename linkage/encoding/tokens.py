"""Cut normalised values into tokens.

- A token is a short text; `docs/reference/saul-v1.md` lists them by field type.
- Words are padded with one blank, so the bigrams of `mary ann` are those of `mary` and of `ann`:
  the order of words does not matter, nor which name field holds which of them.
- Inside, a token is an int64 (kind, two parts) numbered by a `Vocabulary`, so that no text is
  made for any token but a new one. Cutting is vectorised and linear in the length of the values.

    vocabulary = Vocabulary()
    tokens = tokenise(FieldType.SURNAME, ["ng"], vocabulary)
    vocabulary.texts()       # [b"g n", b"gng", b"gg "]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linkage.agreement import FieldType
from linkage.encoding.lists import intern
from linkage.errors import InputError

Codes = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]
_Cut = tuple[Codes, Codes]  # the value each token is from, and the token's code

_KIND_SHIFT, _PART_SHIFT = 56, 21
_PART = (1 << _PART_SHIFT) - 1
_MAX_LENGTH = 1 << 20


@dataclass(frozen=True)
class Tokens:
    """The tokens of some values.

    Attributes:
        numbers: int32, the tokens' numbers in the vocabulary, value after value.
        offsets: (values + 1,) int64; value i has numbers[offsets[i] : offsets[i + 1]].
    """

    numbers: Numbers
    offsets: Codes


class Vocabulary:
    """The distinct tokens of one namespace, numbered as they are first met."""

    def __init__(self) -> None:
        self._slots = np.full(1024, -1, dtype=np.int64)
        self._slot_numbers = np.zeros(1024, dtype=np.int32)
        self._codes = np.empty(0, dtype=np.int64)
        self._whole: dict[str, int] = {}
        self._whole_texts: list[str] = []

    def __len__(self) -> int:
        return len(self._codes)

    def whole(self, kind: str, text: str) -> int:
        """The code of a token that is a whole text."""
        place = self._whole.setdefault(text, len(self._whole))
        if place == len(self._whole_texts):
            self._whole_texts.append(text)
        return ord(kind) << _KIND_SHIFT | place

    def number(self, codes: Codes) -> Numbers:
        """The tokens' numbers; new tokens get the next ones."""
        numbers = np.empty(len(codes), dtype=np.int32)
        done = 0
        while done < len(codes):
            if 2 * len(self) >= len(self._slots):
                self._grow()
            fresh = np.empty(len(self._slots) // 2 - len(self) + 1, dtype=np.int64)
            done, found = intern(
                codes, done, self._slots, self._slot_numbers, len(self), numbers, fresh
            )
            self._codes = np.concatenate([self._codes, fresh[:found]])
        return numbers

    def texts(self, start: int = 0) -> list[bytes]:
        """The tokens from number `start` on, as UTF-8."""
        return [self._text(code).encode() for code in self._codes[start:].tolist()]

    def _grow(self) -> None:
        size = 4 * len(self._slots)
        self._slots = np.full(size, -1, dtype=np.int64)
        self._slot_numbers = np.zeros(size, dtype=np.int32)
        again = np.empty(len(self), dtype=np.int32)
        fresh = np.empty(len(self) + 1, dtype=np.int64)
        intern(self._codes, 0, self._slots, self._slot_numbers, 0, again, fresh)

    def _text(self, code: int) -> str:
        kind = chr(code >> _KIND_SHIFT)
        first, second = code >> _PART_SHIFT & ((1 << 35) - 1), code & _PART
        match kind:
            case "g":
                return f"g{chr(first)}{chr(second)}"
            case "y":
                return f"y{second:04}"
            case "u":
                return f"u{second:02}"
            case "w" | "x" | "l":
                return kind + self._whole_texts[code & ((1 << _KIND_SHIFT) - 1)]
        return f"{kind}{first}:{chr(second)}"


def tokenise(kind: FieldType, values: Sequence[str], vocabulary: Vocabulary) -> Tokens:
    """Cut values of one field.

    Args:
        kind: the field's type.
        values: normalised, not empty.
        vocabulary: of the field's namespace; grows by new tokens.

    Raises:
        InputError: a value is not what its type's normaliser gives, or is longer than a
            million characters.
    """
    try:
        text = _Text.of(values)
    except UnicodeEncodeError:
        raise InputError("a value holds a character that is not Unicode text") from None
    source, codes = CUTTERS[kind](text, vocabulary)
    order = np.argsort(source, kind="stable")
    offsets = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(np.bincount(source, minlength=len(values)), out=offsets[1:])
    return Tokens(vocabulary.number(codes[order]), offsets)


@dataclass(frozen=True)
class _Text:
    """Values as one run of code points.

    Attributes:
        points: int64 code points, value after value.
        source: for each point, the value it is from.
        place: for each point, its place in the value.
        lengths: points per value.
    """

    values: Sequence[str]
    points: Codes
    source: Codes
    place: Codes
    lengths: Codes

    @classmethod
    def of(cls, values: Sequence[str]) -> _Text:
        points = np.frombuffer("".join(values).encode("utf-32-le"), dtype="<u4").astype(np.int64)
        lengths = np.fromiter(map(len, values), np.int64, count=len(values))
        if len(values) and int(lengths.max()) > _MAX_LENGTH:
            raise InputError(f"a value is longer than {_MAX_LENGTH} characters")
        source = np.repeat(np.arange(len(values)), lengths)
        place = np.arange(len(points)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return cls(values, points, source, place, lengths)


def _code(kind: str, first: Codes | int, second: Codes | int) -> Codes:
    return np.asarray(ord(kind) << _KIND_SHIFT | first << _PART_SHIFT | second, dtype=np.int64)


def _bigrams(text: _Text, vocabulary: Vocabulary) -> _Cut:
    """One blank is put before and one after the value; every two neighbouring characters c d give
    `g` + c + d. So the order of words does not matter.
    """
    blank = ord(" ")
    before = np.empty_like(text.points)
    before[1:] = text.points[:-1]
    before[text.place == 0] = blank
    ends = np.cumsum(text.lengths) - 1
    last = _code("g", text.points[ends], blank)
    return (
        np.concatenate([text.source, np.arange(len(text.values))]),
        np.concatenate([_code("g", before, text.points), last]),
    )


def _address(text: _Text, vocabulary: Vocabulary) -> _Cut:
    """Bigrams as of names, and `w` + word for every word that starts with a digit (house, flat,
    numbered street).
    """
    source, codes = _bigrams(text, vocabulary)
    found = [
        (place, vocabulary.whole("w", word))
        for place, value in enumerate(text.values)
        for word in _NUMBERED.findall(value)
    ]
    return _joined(source, codes, found)


_NUMBERED = re.compile(r"(?<!\S)[0-9]\S*")


def _email(text: _Text, vocabulary: Vocabulary) -> _Cut:
    """Bigrams of what stands before the last `@`, and `w` + what stands after it."""
    parts = [value.rpartition("@") for value in text.values]
    if not all(local and domain for local, _, domain in parts):
        raise InputError("a value is not a normalised e-mail address")
    source, codes = _bigrams(_Text.of([local for local, _, _ in parts]), vocabulary)
    domains = [(i, vocabulary.whole("w", domain)) for i, (_, _, domain) in enumerate(parts)]
    return _joined(source, codes, domains)


def _joined(source: Codes, codes: Codes, more: list[tuple[int, int]]) -> _Cut:
    extra = np.array(more, dtype=np.int64).reshape(len(more), 2)
    return np.concatenate([source, extra[:, 0]]), np.concatenate([codes, extra[:, 1]])


def _whole(text: _Text, vocabulary: Vocabulary) -> _Cut:
    """`x` + the value: equal or not, nothing between."""
    codes = [vocabulary.whole("x", value) for value in text.values]
    return np.arange(len(codes)), np.array(codes, dtype=np.int64)


def _postcode(text: _Text, vocabulary: Vocabulary) -> _Cut:
    """For each character `p` + place + `:` + character, places from 0 at the left. Of a value
    with a blank inside only what stands before the first such blank; of what stands behind it `r`
    + place + `:` + character, places from 0 at the right. So a British outward code meets the
    whole postcode.
    """
    inside = (text.place > 0) & (text.place < text.lengths[text.source] - 1)
    blank = np.flatnonzero(inside & (text.points == ord(" ")))
    parted = text.lengths.copy()
    np.minimum.at(parted, text.source[blank], text.place[blank])
    where = parted[text.source]
    right = text.lengths[text.source] - 1 - text.place
    codes = np.where(
        text.place < where,
        _code("p", text.place, text.points),
        _code("r", right, text.points),
    )
    kept = text.place != where
    return text.source[kept], codes[kept]


def _national_id(text: _Text, vocabulary: Vocabulary) -> _Cut:
    """For each character `r` + place + `:` + character, places from 0 at the right, and `l` + the
    last four characters (all where fewer). So a file that holds only the last four digits has
    five tokens, and all five are among the ten of the whole number.
    """
    source, codes = _from_right(text, vocabulary)
    last = [(i, vocabulary.whole("l", value[-4:])) for i, value in enumerate(text.values)]
    return _joined(source, codes, last)


def _from_right(text: _Text, vocabulary: Vocabulary) -> _Cut:
    """For each character `r` + place + `:` + character, places from 0 at the right, so that a
    number without its area code still meets the whole one.
    """
    return text.source, _code("r", text.lengths[text.source] - 1 - text.place, text.points)


def _number(text: _Text, vocabulary: Vocabulary) -> _Cut:
    """For each digit before the point `i` + power of ten + `:` + digit; for each after it `f` +
    place + `:` + digit, places from 1; `i0:-` if negative.
    """
    point = text.points == ord(".")
    where = text.lengths.copy()
    where[text.source[point]] = text.place[point]
    power = where[text.source] - text.place
    codes = np.where(
        power > 0,
        _code("i", np.maximum(power - 1, 0), text.points),
        _code("f", np.maximum(-power, 0), text.points),
    )
    codes[text.points == ord("-")] = _code("i", 0, ord("-"))
    return text.source[~point], codes[~point]


def _date(text: _Text, vocabulary: Vocabulary) -> _Cut:
    """For each digit `p` + place + `:` + digit, places from 0 at the left without the dashes;
    `y` + yyyy; `u` + mm; `u` + dd, as far as they are known. As month and day share the letter
    `u`, a swap of the two keeps both; a wrong digit leaves the other seven; and a date known in
    part meets the whole one in all that it has.
    """
    if not np.isin(text.lengths, list(_DATE_DIGITS)).all():
        raise InputError("a value is not a normalised date (yyyy-mm-dd, yyyy-mm or yyyy)")
    starts = np.cumsum(text.lengths) - text.lengths
    source, codes = [], []
    for length, places in _DATE_DIGITS.items():
        rows = np.flatnonzero(text.lengths == length)
        points = text.points[starts[rows, np.newaxis] + np.arange(length)]
        digits = points[:, places]
        dashes = np.delete(points, places, axis=1) == ord("-")
        if not (dashes.all() and ((digits >= ord("0")) & (digits <= ord("9"))).all()):
            raise InputError("a value is not a normalised date (yyyy-mm-dd, yyyy-mm or yyyy)")
        value = digits - ord("0")
        found = [*_code("p", np.arange(len(places)), digits).T]
        found.append(_code("y", 0, value[:, :4] @ np.array([1000, 100, 10, 1])))
        found += [
            _code("u", 0, value[:, at : at + 2] @ np.array([10, 1]))
            for at in range(4, len(places), 2)
        ]
        codes.append(np.stack(found, axis=1).ravel())
        source.append(np.repeat(rows, len(found)))
    return np.concatenate(source), np.concatenate(codes)


_DATE_DIGITS = {10: [0, 1, 2, 3, 5, 6, 8, 9], 7: [0, 1, 2, 3, 5, 6], 4: [0, 1, 2, 3]}
"""Where the digits stand in dates of each length."""

CUTTERS: dict[FieldType, Callable[[_Text, Vocabulary], _Cut]] = {
    FieldType.GIVEN_NAME: _bigrams,
    FieldType.MIDDLE_NAME: _bigrams,
    FieldType.SURNAME: _bigrams,
    FieldType.FULL_NAME: _bigrams,
    FieldType.DATE_OF_BIRTH: _date,
    FieldType.SEX: _whole,
    FieldType.PHONE: _from_right,
    FieldType.ADDRESS: _address,
    FieldType.CITY: _bigrams,
    FieldType.POSTCODE: _postcode,
    FieldType.NATIONAL_ID: _national_id,
    FieldType.EMAIL: _email,
    FieldType.EXACT: _whole,
    FieldType.NUMBER: _number,
}
"""By type; the docstrings are the reference's text."""
