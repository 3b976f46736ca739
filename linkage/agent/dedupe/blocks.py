"""Which records are compared at all: those that share a block.

The rule: each of `RECIPES` whose field types the file has is a block; with two fields of a type,
each. A block of very many pairs (over `PAIRS_PER_RECORD` per record) is narrowed by further
fields, in the order of `NARROWING`, until it has few enough. If that does not do, its largest
groups of records are left out, and counted.

- Names are compared by their sound (metaphone of a word, or the word itself where it has none),
  given name and surname in either order.
- Memory: at most 10 pairs per record and recipe, at 16 bytes each while they are collected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd
import recordlinkage
from recordlinkage.preprocessing import phonetic

from linkage.agent.dedupe.recordset import Column, Progress, RecordSet, Rows
from linkage.agreement import FieldType

PAIRS_PER_RECORD = 10
FEWEST_PAIRS = 20_000

Part = tuple[FieldType, str]
"""A field's type, and what of it counts: `whole`, `first` or `last` word's sound, `initial`,
`year`."""

RECIPES: tuple[tuple[Part, ...], ...] = (
    ((FieldType.NATIONAL_ID, "whole"),),
    ((FieldType.PHONE, "whole"),),
    ((FieldType.EMAIL, "whole"),),
    ((FieldType.EXACT, "whole"),),
    ((FieldType.DATE_OF_BIRTH, "whole"),),
    ((FieldType.ADDRESS, "whole"),),
    ((FieldType.SURNAME, "first"), (FieldType.GIVEN_NAME, "first")),
    ((FieldType.SURNAME, "last"), (FieldType.GIVEN_NAME, "first")),
    (
        (FieldType.SURNAME, "first"),
        (FieldType.GIVEN_NAME, "initial"),
        (FieldType.DATE_OF_BIRTH, "year"),
    ),
    ((FieldType.GIVEN_NAME, "first"), (FieldType.DATE_OF_BIRTH, "year")),
    ((FieldType.GIVEN_NAME, "first"), (FieldType.POSTCODE, "whole")),
    ((FieldType.SURNAME, "first"), (FieldType.POSTCODE, "whole")),
    ((FieldType.FULL_NAME, "first"), (FieldType.FULL_NAME, "last")),
    ((FieldType.FULL_NAME, "first"), (FieldType.DATE_OF_BIRTH, "year")),
    ((FieldType.FULL_NAME, "last"), (FieldType.DATE_OF_BIRTH, "year")),
    ((FieldType.FULL_NAME, "last"), (FieldType.POSTCODE, "whole")),
)
NARROWING: tuple[Part, ...] = (
    (FieldType.DATE_OF_BIRTH, "year"),
    (FieldType.GIVEN_NAME, "initial"),
    (FieldType.SURNAME, "initial"),
    (FieldType.FULL_NAME, "initial"),
    (FieldType.SEX, "whole"),
    (FieldType.POSTCODE, "whole"),
)


@dataclass(frozen=True)
class Block:
    """One block that was searched.

    Attributes:
        parts: field names and what of each counts.
        pairs: pairs of records that share it.
        left_out: records in groups too large to be compared.
    """

    parts: tuple[tuple[str, str], ...]
    pairs: int
    left_out: int


@dataclass(frozen=True)
class Candidates:
    """Pairs of records to compare, ascending, each once with `left` < `right`.

    Attributes:
        left, right: (pairs,) numbers of records.
        blocks: where they are from.
    """

    left: Rows
    right: Rows
    blocks: tuple[Block, ...]


def find_candidates(table: RecordSet, progress: Progress) -> Candidates:
    """All pairs that share a block."""
    limit = max(PAIRS_PER_RECORD * table.records, FEWEST_PAIRS)
    keys = _Keys(table)
    chosen = list(_chosen(table))
    blocks: list[Block] = []
    found = np.empty(0, np.int64)
    for done, parts in enumerate(chosen):
        codes, used = _narrowed(table, keys, parts, limit)
        codes, left_out = _bounded(codes, limit)
        pairs = _pairs(codes, table.records)
        shown = tuple((column.field.name, what) for column, what in used)
        blocks.append(Block(shown, len(pairs), left_out))
        found = _ascending(np.concatenate([found, pairs]))
        progress("block", done + 1, len(chosen))
    return Candidates(found // table.records, found % table.records, tuple(blocks))


def _chosen(table: RecordSet) -> Iterator[list[tuple[Column, str]]]:
    """The recipes with the file's columns in the place of types."""
    for recipe in RECIPES:
        kinds = list(dict.fromkeys(kind for kind, _ in recipe))
        for columns in product(*(table.of(kind) for kind in kinds)):
            column = dict(zip(kinds, columns, strict=True))
            yield [(column[kind], what) for kind, what in recipe]


def _narrowed(
    table: RecordSet, keys: _Keys, parts: list[tuple[Column, str]], limit: int
) -> tuple[Rows, list[tuple[Column, str]]]:
    """The block's codes, by as many more fields as it takes to have few pairs."""
    codes = keys.joined(parts)
    used = list(parts)
    for kind, what in NARROWING:
        if _count(codes) <= limit:
            break
        for column in table.of(kind)[:1]:
            if column.field.name not in [there.field.name for there, _ in used]:
                codes = _join(codes, keys.part(column, what))
                used.append((column, what))
    return codes, used


def _bounded(codes: Rows, limit: int) -> tuple[Rows, int]:
    """The codes without the largest groups, if there are too many pairs; and their records."""
    if _count(codes) <= limit:
        return codes, 0
    sizes = np.bincount(codes[codes >= 0])
    order = np.argsort(sizes, kind="stable")
    pairs = np.cumsum(sizes[order] * (sizes[order] - 1) // 2)
    out = np.zeros(len(sizes) + 1, np.bool_)
    out[order[pairs > limit]] = True
    lost = out[codes]
    return np.where(lost, -1, codes), int(lost.sum())


def _count(codes: Rows) -> int:
    sizes = np.bincount(codes[codes >= 0])
    return int((sizes * (sizes - 1) // 2).sum())


def _pairs(codes: Rows, records: int) -> Rows:
    """Pairs within groups, as left * records + right."""
    sizes = np.bincount(codes[codes >= 0], minlength=1)
    useful = np.flatnonzero((codes >= 0) & (sizes[codes] > 1))
    if not len(useful):
        return np.empty(0, np.int64)
    indexer = recordlinkage.Index()
    indexer.block("key")
    found = indexer.index(pd.DataFrame({"key": codes[useful]}))
    one, other = (useful[found.levels[level].to_numpy()[found.codes[level]]] for level in (0, 1))
    pairs: Rows = np.minimum(one, other) * records + np.maximum(one, other)
    return pairs


def _ascending(pairs: Rows) -> Rows:
    """Each once."""
    pairs.sort()
    new: npt.NDArray[np.bool_] = np.diff(pairs, prepend=-1) > 0
    return pairs[new]


class _Keys:
    """Numbers for parts of fields: equal numbers, equal parts; -1 where not known."""

    def __init__(self, table: RecordSet) -> None:
        self._sounds: dict[str, int] = {}
        self._records = table.records
        self._made: dict[tuple[str, str], Rows] = {}

    def joined(self, parts: list[tuple[Column, str]]) -> Rows:
        """One number for all parts. Two sounds of names count in either order."""
        sounds = [self.part(column, what) for column, what in parts if what in ("first", "last")]
        rest = [self.part(column, what) for column, what in parts if what not in ("first", "last")]
        if len(sounds) == 2:
            low, high = np.minimum(*sounds), np.maximum(*sounds)
            sounds = [np.where(low < 0, -1, low), high]
        whole, *others = sounds + rest
        for codes in others:
            whole = _join(whole, codes)
        return whole

    def part(self, column: Column, what: str) -> Rows:
        name = column.field.name, what
        if name not in self._made:
            of_text = self._numbers(column.texts, what)
            self._made[name] = np.append(of_text, np.int64(-1))[column.codes]
        return self._made[name]

    def _numbers(self, texts: npt.NDArray[np.object_], what: str) -> Rows:
        if what == "whole":
            return np.arange(len(texts))
        if what in ("first", "last"):
            place = 0 if what == "first" else -1
            sounds = sounds_of([text.split(" ")[place] for text in texts])
            return np.array(
                [self._sounds.setdefault(s, len(self._sounds)) for s in sounds], np.int64
            )
        cut: Callable[[str], str] = _CUTS[what]
        return pd.factorize(np.array([cut(text) for text in texts], dtype=np.object_))[0].astype(
            np.int64
        )


_CUTS: dict[str, Callable[[str], str]] = {
    "initial": lambda text: text[:1],
    "year": lambda text: text[:4],
}


def sounds_of(words: list[str]) -> list[str]:
    """The metaphone of each word; the word itself where it has none, as in other scripts."""
    distinct = list(dict.fromkeys(words))
    codes = phonetic(pd.Series(distinct, dtype=object), method="metaphone", concat=False)
    sound = {word: code or word for word, code in zip(distinct, codes, strict=True)}
    return [sound[word] for word in words]


def _join(one: Rows, other: Rows) -> Rows:
    both = (one >= 0) & (other >= 0)
    joined = np.where(both, one * (int(other.max(initial=0)) + 1) + other, -1)
    codes, _ = pd.factorize(joined)
    return np.where(both, codes, -1).astype(np.int64)
