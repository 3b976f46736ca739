"""Cut records into the tokens that `pairwise-v1` expands for every pair.

- Each distinct value is cut once, each distinct token hashed once: what is left per pair is
  numbers only.
- Tokens are numbered in the order of their nonces, so that the smallest number is the least
  token, whatever rows and columns came first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from linkage.agreement import IdentifierField
from linkage.encoding.frequency import frequency_class
from linkage.encoding.pairkernel import Lists
from linkage.encoding.prf import expand_tokens, namespace_of
from linkage.encoding.tokens import Vocabulary, tokenise
from linkage.errors import InputError

DOMAIN = b"linkage/pairwise-v1/token\0"
MAX_TOKENS = 1 << 21
BLOCK_VALUES = 16_384

_INITIALS_BELOW = 0x590  # Latin, Greek, Cyrillic, Armenian: beyond, one letter may be a name

Objects = npt.NDArray[np.object_]
Keys = Mapping[str, bytearray]


@dataclass(frozen=True)
class Prepared:
    """Records cut into tokens.

    Attributes:
        lengths: tokens per row, all fields together.
        initial: per value, whether it is a name of a single letter.
        frequency: per value, how common a name is, where the field says so; see `frequency`.
    """

    lists: Lists
    lengths: npt.NDArray[np.int64]
    initial: npt.NDArray[np.bool_]
    frequency: npt.NDArray[np.uint8]

    def wipe(self) -> None:
        """Overwrite everything."""
        for part in (*self.lists, self.lengths, self.initial, self.frequency):
            part.fill(0)


def prepare(
    fields: Sequence[IdentifierField], keys: Keys, columns: Mapping[str, Objects]
) -> Prepared:
    """Cut records into tokens.

    Args:
        keys: the token key of each namespace.
        columns: per field a (rows,) object array of normalised values, None where missing.

    Raises:
        InputError: a column is absent, unknown, of another length, or holds what the
            normaliser does not give.
    """
    rows = _checked_rows([field.name for field in fields], columns)
    vocabularies = {namespace: Vocabulary() for namespace in keys}
    codes = np.full((rows, len(fields)), -1, dtype=np.int32)
    initial: list[bool] = []
    frequency: list[int] = []
    numbers: list[tuple[str, npt.NDArray[np.int32]]] = []
    counts = [np.zeros(1, dtype=np.int64)]
    for f, field in enumerate(fields):
        found, values = _distinct(field, columns[field.name])
        codes[:, f] = np.where(found >= 0, found + len(initial), -1)
        initial += [field.type.is_name and _is_initial(value) for value in values]
        frequency += [field.frequency and frequency_class(field.type, value) for value in values]
        namespace = namespace_of(field)
        for start in range(0, len(values), BLOCK_VALUES):
            block = values[start : start + BLOCK_VALUES]
            cut, each = _cut(field, block, vocabularies[namespace])
            numbers.append((namespace, cut))
            counts.append(each)
    count = np.concatenate(counts)
    lengths = np.zeros(rows, dtype=np.int64)
    for f in range(len(fields)):
        lengths += count[codes[:, f] + 1]
    if int(lengths.max(initial=0)) > MAX_TOKENS:
        raise InputError("a record is too long to encode")
    ranks, nonces = _nonces(keys, vocabularies)
    ranked = [ranks[namespace][cut] for namespace, cut in numbers]
    lists = Lists(
        codes=codes,
        offsets=np.cumsum(count),
        numbers=np.concatenate([np.empty(0, dtype=np.int32), *ranked]),
        nonces=nonces,
    )
    classes = np.array(frequency, dtype=np.uint8)
    return Prepared(lists, lengths, np.array(initial, dtype=np.bool_), classes)


def _checked_rows(known: list[str], columns: Mapping[str, Objects]) -> int:
    """The number of rows, where all columns agree on it."""
    for name in columns:
        if name not in known:
            raise InputError(f"column {name!r} is not a field of the manifest")
    for name in known:
        if name not in columns:
            raise InputError(f"field {name!r} has no column")
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise InputError("the columns do not have the same number of rows")
    return lengths.pop()


def _distinct(field: IdentifierField, column: Objects) -> tuple[npt.NDArray[np.int32], list[str]]:
    """Each row's value number, negative where missing, and the values."""
    index: dict[object, int] = {None: 0, "": 1}
    codes = [index.setdefault(value, len(index)) for value in column.tolist()]
    values = list(index)[2:]
    if not all(issubclass(kind, str) for kind in set(map(type, values))):
        raise InputError(f"field {field.name!r}: a value is not text")
    return np.array(codes, dtype=np.int32) - 2, cast(list[str], values)


def _cut(
    field: IdentifierField, values: list[str], vocabulary: Vocabulary
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The tokens of values, and how many each has."""
    try:
        tokens = tokenise(field.type, values, vocabulary)
    except InputError as error:
        raise InputError(f"field {field.name!r}: {error.message}") from None
    counts = np.diff(tokens.offsets)
    if not counts.all():
        raise InputError(f"field {field.name!r}: a value has nothing to encode")
    return tokens.numbers, counts


def _is_initial(value: str) -> bool:
    return len(value) == 1 and ord(value) < _INITIALS_BELOW


def _nonces(
    keys: Keys, vocabularies: Mapping[str, Vocabulary]
) -> tuple[dict[str, npt.NDArray[np.int32]], npt.NDArray[np.uint32]]:
    """Per namespace its tokens' ranks, and all nonces in ascending order."""
    drawn = [
        expand_tokens(DOMAIN, keys[name], vocabulary.texts(), 128)
        for name, vocabulary in vocabularies.items()
    ]
    raw = np.concatenate(drawn).astype("<u8").view("<u4")[:, :3].astype(np.uint32)
    order = np.lexsort((raw[:, 2], raw[:, 1], raw[:, 0]))
    rank = np.empty(len(raw), dtype=np.int32)
    rank[order] = np.arange(len(raw), dtype=np.int32)
    bounds = np.cumsum([len(vocabulary) for vocabulary in vocabularies.values()])[:-1]
    return dict(zip(vocabularies, np.split(rank, bounds), strict=True)), raw[order]
