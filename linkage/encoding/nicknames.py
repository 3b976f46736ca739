"""Names that a nickname stands for, from the packaged open table.

- The table and where it is from: `linkage/encoding/data/README.md`. At most two names each.
- A name is never replaced. What it stands for is added as further words, whose tokens then meet
  those of the full name.

    full_names("bill")        # ("william",)
    with_full_names(["bill"]) # ["bill", "william"]
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType


def full_names(word: str) -> tuple[str, ...]:
    """The names that a normalised word stands for; none for most words."""
    return _table().get(word, ())


def with_full_names(words: Iterable[str]) -> list[str]:
    """The words, then what they stand for, each once."""
    found = list(words)
    added = dict.fromkeys(full for word in found for full in full_names(word))
    return [*found, *(full for full in added if full not in set(found))]


@cache
def _table() -> Mapping[str, tuple[str, ...]]:
    """The public table; nothing of a partner is kept here."""
    found: dict[str, tuple[str, ...]] = {}
    file = resources.files("linkage.encoding").joinpath("data", "nicknames.csv")
    for row in csv.DictReader(file.read_text("utf-8").splitlines()):
        found[row["nickname"]] = (*found.get(row["nickname"], ()), row["name"])
    return MappingProxyType(found)
