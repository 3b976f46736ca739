"""How alike two values of a field are, as a level; one function per kind of field.

- A function takes two arrays of texts, one pair per place and never two equal texts, and gives
  their levels. It is asked once per distinct pair of texts.
- Similarity of names, addresses and cities is Jaro-Winkler (Winkler 1990), as `recordlinkage`
  computes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd
from recordlinkage.compare import String

from linkage.agreement import FieldType
from linkage.encoding.nicknames import full_names

Objects = npt.NDArray[np.object_]
Levels = npt.NDArray[np.int8]


class Level(IntEnum):
    """How alike two records are in one feature.

    Attributes:
        MISSING: at least one of them lacks it.
        DIFFERENT: nothing speaks for the same value.
        ALIKE: somewhat: a name's initial, two of three parts of a date, one digit of a code.
        CLOSE: a spelling, a nickname, a part of a double name, day and month exchanged.
        SAME: equal.
        SWAPPED: given name and surname stand in each other's place.
        SAME_RARE: equal, and not one of the common names.
    """

    MISSING = 0
    DIFFERENT = 1
    ALIKE = 2
    CLOSE = 3
    SAME = 4
    SWAPPED = 5
    SAME_RARE = 6


Compare = Callable[[Objects, Objects], Levels]

CLOSE_NAMES = 0.92
ALIKE_NAMES = 0.80
CLOSE_CITIES = 0.90
CLOSE_EMAILS = 0.95
SHARED_WORDS = 0.6
_TAIL = 4


def jaro_winkler(left: Objects, right: Objects) -> npt.NDArray[np.float64]:
    """Similarity of each pair of texts, 0 to 1."""
    return _similarity(left, right, "jarowinkler")


def _similarity(left: Objects, right: Objects, method: str) -> npt.NDArray[np.float64]:
    if not len(left):
        return np.empty(0)
    pairs = pd.MultiIndex.from_arrays([range(len(left))] * 2)
    texts = pd.DataFrame({"left": left, "right": right}, dtype=object)
    found = String("left", "right", method=method).compute(pairs, texts)
    return np.asarray(found, np.float64)


def _one_slip(left: Objects, right: Objects) -> npt.NDArray[np.bool_]:
    """Whether one letter was changed, added, left out or exchanged with its neighbour."""
    distance = 1 - _similarity(left, right, "damerau_levenshtein")
    longest = np.fromiter(
        (max(len(a), len(b)) for a, b in zip(left, right, strict=True)), np.float64, len(left)
    )
    return np.asarray(distance * longest < 1.5)


def names(left: Objects, right: Objects) -> Levels:
    """Of two spellings, a name and its nickname, a double name and its half, a name and its
    initial."""
    joined_left, joined_right = _joined(left), _joined(right)
    similar = jaro_winkler(joined_left, joined_right)
    found = np.full(len(left), Level.DIFFERENT, np.int8)
    found[similar >= ALIKE_NAMES] = Level.ALIKE
    found[(similar >= CLOSE_NAMES) | (joined_left == joined_right)] = Level.CLOSE
    for place in np.flatnonzero(found != Level.CLOSE):
        one, other = joined_left[place], joined_right[place]
        if 1 in (len(one), len(other)):
            same = one[0] == other[0]
            found[place] = Level.ALIKE if same else Level.DIFFERENT
        elif _share_a_name(left[place].split(" "), right[place].split(" ")):
            found[place] = Level.CLOSE
    return found


def whole_names(left: Objects, right: Objects) -> Levels:
    """All words of the shorter full name in the other, as such, as a nickname or as an initial, is
    close; one of them alike."""
    similar = jaro_winkler(_joined(left), _joined(right))
    found = np.where(similar >= CLOSE_NAMES, Level.CLOSE, Level.DIFFERENT).astype(np.int8)
    for place in np.flatnonzero(found == Level.DIFFERENT):
        short, long = sorted((left[place].split(" "), right[place].split(" ")), key=len)
        met = sum(any(_same_word(word, other) for other in long) for word in short)
        if met == len(short) > 1:
            found[place] = Level.CLOSE
        elif any(len(word) > 1 and word in long for word in short):
            found[place] = Level.ALIKE
    return found


def _same_word(one: str, other: str) -> bool:
    if 1 in (len(one), len(other)):
        return one[0] == other[0]
    return one == other or _share_a_name([one], [other])


def _joined(texts: Objects) -> Objects:
    return np.array([text.replace(" ", "") for text in texts], dtype=np.object_)


def _share_a_name(one: list[str], other: list[str]) -> bool:
    return not _meanings(one).isdisjoint(_meanings(other))


def _meanings(words: list[str]) -> set[str]:
    """The words of a name that are no initials, and what they are nicknames of."""
    long = [word for word in words if len(word) > 2]
    return {*long, *(full for word in words for full in full_names(word))}


def dates(left: Objects, right: Objects) -> Levels:
    """Day and month exchanged or one digit mistaken is close; two of year, month and day, or all
    that is known of a date known in part, is alike."""
    found = np.full(len(left), Level.DIFFERENT, np.int8)
    a, b = _digits(left), _digits(right)
    known = (a >= 0) & (b >= 0)
    whole = known.all(axis=1)
    differs = known & (a != b)
    parts = np.stack(
        [~differs[:, cut].any(axis=1) for cut in (slice(0, 4), slice(4, 6), slice(6, 8))], axis=1
    )
    found[whole & (parts.sum(axis=1) == 2)] = Level.ALIKE
    found[~whole & parts.all(axis=1)] = Level.ALIKE
    exchanged = parts[:, 0] & (a[:, 4:6] == b[:, 6:8]).all(axis=1)
    exchanged &= (a[:, 6:8] == b[:, 4:6]).all(axis=1)
    neighbours = np.zeros(len(left), np.bool_)
    for place in range(7):
        turned = (a[:, place] == b[:, place + 1]) & (a[:, place + 1] == b[:, place])
        rest = differs.sum(axis=1) == differs[:, place : place + 2].sum(axis=1)
        neighbours |= turned & rest
    found[whole & (exchanged | neighbours | (differs.sum(axis=1) == 1))] = Level.CLOSE
    return found


def _digits(texts: Objects) -> npt.NDArray[np.int8]:
    """The eight digits of ISO dates; -1 for those that are not known."""
    plain = "".join(f"{text.replace('-', ''):.<8}" for text in texts)
    codes = np.frombuffer(plain.encode("ascii"), np.uint8).reshape(len(texts), 8)
    return np.where(codes == ord("."), -1, codes.astype(np.int16) - ord("0")).astype(np.int8)


def codes(left: Objects, right: Objects) -> Levels:
    """Of identifiers and telephones: the last digits of the other is close, one slip is alike."""
    found = np.where(_one_slip(left, right), Level.ALIKE, Level.DIFFERENT).astype(np.int8)
    for place in np.flatnonzero(found == Level.DIFFERENT):
        short, long = sorted((left[place], right[place]), key=len)
        if _TAIL <= len(short) < len(long) and long.endswith(short):
            found[place] = Level.CLOSE
    return found


def emails(left: Objects, right: Objects) -> Levels:
    """The same before the @, or nearly the same, is close."""
    found = np.where(jaro_winkler(left, right) >= CLOSE_EMAILS, Level.CLOSE, Level.DIFFERENT)
    local = [a.rpartition("@")[0] == b.rpartition("@")[0] for a, b in zip(left, right, strict=True)]
    return np.where(local, Level.CLOSE, found).astype(np.int8)


def addresses(left: Objects, right: Objects) -> Levels:
    """Similar, or most words of the shorter one in both, is close."""
    found = np.where(jaro_winkler(left, right) >= CLOSE_NAMES, Level.CLOSE, Level.DIFFERENT)
    for place in np.flatnonzero(found == Level.DIFFERENT):
        one, other = set(left[place].split(" ")), set(right[place].split(" "))
        enough = max(2.0, SHARED_WORDS * min(len(one), len(other)))
        if len(one & other) >= enough:
            found[place] = Level.CLOSE
    return found.astype(np.int8)


def postcodes(left: Objects, right: Objects) -> Levels:
    """One slip is alike."""
    return np.where(_one_slip(left, right), Level.ALIKE, Level.DIFFERENT).astype(np.int8)


def cities(left: Objects, right: Objects) -> Levels:
    """Similar is close."""
    similar = jaro_winkler(left, right) >= CLOSE_CITIES
    return np.where(similar, Level.CLOSE, Level.DIFFERENT).astype(np.int8)


def others(left: Objects, right: Objects) -> Levels:
    """What is not equal is different."""
    del right
    return np.full(len(left), Level.DIFFERENT, np.int8)


COMPARE: Mapping[FieldType, Compare] = MappingProxyType(
    {
        FieldType.GIVEN_NAME: names,
        FieldType.MIDDLE_NAME: names,
        FieldType.SURNAME: names,
        FieldType.FULL_NAME: whole_names,
        FieldType.DATE_OF_BIRTH: dates,
        FieldType.SEX: others,
        FieldType.PHONE: codes,
        FieldType.ADDRESS: addresses,
        FieldType.CITY: cities,
        FieldType.POSTCODE: postcodes,
        FieldType.NATIONAL_ID: codes,
        FieldType.EMAIL: emails,
        FieldType.EXACT: others,
        FieldType.NUMBER: others,
    }
)
