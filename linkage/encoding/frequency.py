"""How common a name is, by the packaged open table: never by a partner's own file.

- The table and where it is from: `linkage/encoding/data/README.md`. It knows the United States;
  elsewhere most names count as rare, so agreement on them is worth no more than on any other.
- Of several words the rarest counts.

    frequency_class(FieldType.SURNAME, "smith")       # 1, common
    frequency_class(FieldType.SURNAME, "smith zyx")   # 3, rare
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

from linkage.agreement import FieldType

NOT_SAID, COMMON, MEDIUM, RARE = range(4)

_TABLES = MappingProxyType(
    {
        FieldType.GIVEN_NAME: ("given",),
        FieldType.MIDDLE_NAME: ("given", "surname"),
        FieldType.SURNAME: ("surname",),
        FieldType.FULL_NAME: ("given", "surname"),
    }
)


def frequency_class(kind: FieldType, value: str) -> int:
    """0 not said, 1 common, 2 medium, 3 rare.

    Args:
        value: normalised; an initial, and what is no name, has no class.
    """
    tables = _TABLES.get(kind)
    words = [word for word in value.split() if len(word) > 1]
    if tables is None or not words:
        return NOT_SAID
    return max(min(_table(name).get(word, RARE) for name in tables) for word in words)


@cache
def _table(name: str) -> Mapping[str, int]:
    """The public table; nothing of a partner is kept here."""
    file = resources.files("linkage.encoding").joinpath("data", "name_frequency.csv")
    rows = csv.DictReader(file.read_text("utf-8").splitlines())
    return MappingProxyType({row["name"]: int(row["class"]) for row in rows if row["kind"] == name})
