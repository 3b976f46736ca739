"""Lists of standard codes: one of our own, and any other from a table of codes.

- Ours, `crisis`, is small and made for crisis calls. It is no standard of anybody else's.
- APCO's incident types as NIEM publishes them, NIBRS offence codes and the like come as a CSV of
  codes and descriptions, under a name and version that the reader gives; none is bundled.

    bundled_list("crisis")
    list_from_csv(data, name="apco", version="2.103.2-2019")
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources

from linkage.errors import InputError, LimitError, Problem
from linkage.release.crosswalk.checking import parse_list, require_sound_list
from linkage.release.crosswalk.documents import (
    MAX_STANDARD,
    StandardCode,
    StandardList,
    clean_code,
    faulty,
)
from linkage.release.crosswalk.tables import Row, build, header_of, read_table

BUNDLED = ("crisis",)
CODE_COLUMNS = ("code", "value", "facet", "nibrs_code", "offense_code")
DESCRIPTION_COLUMNS = ("description", "definition", "literal", "meaning", "offense_description")
MAX_DESCRIPTION = 300


@cache
def bundled_list(name: str) -> StandardList:
    """A list that comes with this software.

    Raises:
        InputError: there is none of this name.
    """
    if name not in BUNDLED:
        raise InputError(
            f"there is no bundled list {name!r}",
            remedy=f"Bundled: {', '.join(BUNDLED)}; others come from a file",
        )
    file = resources.files("linkage.release.crosswalk").joinpath("data", f"{name}.json")
    return parse_list(file.read_bytes(), source=name)


def list_from_csv(
    data: bytes,
    *,
    name: str,
    version: str,
    title: str = "",
    origin: str = "",
    code_column: str = "",
    description_column: str = "",
    source: str = "list of codes",
) -> StandardList:
    """A list from a table with a header; a column `merged_into` names what a code became.

    Args:
        origin: where the list is from, for people.
        code_column, description_column: as the table calls them; by default what such tables
            usually call them, in any case.

    Raises:
        LimitError: too many codes.
        InputError: no such column, or no CSV.
        SourceError: names every wrong row.
    """
    header = header_of(data, source)
    code = code_column or _usual(header, CODE_COLUMNS, source, "codes")
    described = description_column or _usual(header, DESCRIPTION_COLUMNS, source, "descriptions")
    rows = read_table(data, source=source, required=(code, described), optional=("merged_into",))
    if len(rows) > MAX_STANDARD:
        raise LimitError(f"{source} has more than {MAX_STANDARD} codes")
    entries: list[StandardCode] = []
    problems: list[Problem] = []
    for place, row in enumerate(rows, 1):
        if any(row.values()):
            entry, wrong = build(StandardCode, _values(row, code, described), place)
            problems += wrong
            entries += [entry] if entry else []
    if problems:
        raise faulty(source, problems)
    made, problems = build(
        StandardList,
        {
            "linkage": "codes/1",
            "name": name,
            "version": version,
            "title": title,
            "source": origin,
            "codes": tuple(entries),
        },
    )
    if made is None:
        raise faulty(source, problems)
    return require_sound_list(made, source)


def _values(row: Row, code: str, described: str) -> dict[str, object]:
    return {
        "code": clean_code(row.get(code, "")),
        "description": clean_code(row.get(described, ""))[:MAX_DESCRIPTION].rstrip(),
        "merged_into": row.get("merged_into") or None,
    }


def _usual(header: Sequence[str], names: Sequence[str], source: str, what: str) -> str:
    folded = {name.casefold().replace(" ", "_"): name for name in header}
    found = next((folded[name] for name in names if name in folded), None)
    if found is None:
        raise InputError(
            f"{source}: which column holds the {what} is not clear",
            remedy=f"Name it, or call it {names[0]!r}",
        )
    return found
