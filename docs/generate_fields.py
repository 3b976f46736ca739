"""Write the reference page of field types, made from the code.

    python docs/generate_fields.py            write it
    python docs/generate_fields.py --check    fail if it is out of date

- What a type accepts and how it is cut are the docstrings of the functions that do it; every
  example is run through them.
- The same code gives the same bytes.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from linkage.agreement import FieldType, IdentifierField
from linkage.encoding import DEFAULT_DATE_FORMATS, normalise_column
from linkage.encoding import dates as dates_module
from linkage.encoding.normalise import NORMALISERS
from linkage.encoding.tokens import CUTTERS, Vocabulary, tokenise
from linkage.encoding.wordlists import (
    ADDRESS_WORDS,
    CITY_WORDS,
    HONORIFICS,
    NAME_WORDS,
    PARTICLES,
    SEXES,
    SUFFIXES,
    TRANSLITERATION,
    UNIT_WORDS,
)

PAGE = Path(__file__).parent / "reference" / "fields.md"
NOTE = "<!-- Made by docs/generate_fields.py; do not edit. -->\n"
MAX_TOKENS = 14

Settings = Mapping[str, Any]
_NICK: Settings = {"nicknames": True}
_PARTLY: Settings = {"date_formats": ("%m/%d/%Y", "%Y-%m-%d", "%Y-%m", "%Y")}
_BRITISH: Settings = {"region": "GB"}

EXAMPLES: Mapping[FieldType, Sequence[tuple[Settings, Sequence[str]]]] = {
    FieldType.GIVEN_NAME: [
        ({}, ["Ng", "Dr. José", "Mary-Ann", "Łukasz", "Jr", "---"]),
        ({"transliterate": False}, ["Łukasz"]),
        (_NICK, ["Bill", "William", "Pat"]),
    ],
    FieldType.MIDDLE_NAME: [({}, ["Q.", "J.R.", "Lee"])],
    FieldType.SURNAME: [
        ({}, ["O'Brien", "van der Berg", "Smith-Jones", "Saint John, Jr.", "Weiß"])
    ],
    FieldType.FULL_NAME: [
        (
            {},
            [
                "Jo Ng",
                "Ng, Jo",
                "Dr. Ludwig van Beethoven III",
                "O'Brien-Smith, Mary Ann, Jr.",
                "John Smith, MD",
                "Van Morrison",
            ],
        ),
        (_NICK, ["Smith, Bill"]),
    ],
    FieldType.DATE_OF_BIRTH: [
        ({}, ["1976-07-04", "19760704", "1976-02-30", "1976-07-00"]),
        ({"date_formats": ("%d-%b-%y",), "latest_short_year": 2015}, ["4-Jul-15", "4-Jul-16"]),
        (_PARTLY, ["7/4/1976", "1976-07", "1976-07-00", "00/00/1976", "1976"]),
    ],
    FieldType.SEX: [({}, ["F", "Male", "2", "Non-binary", "9"])],
    FieldType.PHONE: [
        ({}, ["(651) 555-0123", "+1 651.555.0123 ext. 7", "999-999-9999", "call her"]),
        (_BRITISH, ["020 7946 0958"]),
    ],
    FieldType.ADDRESS: [
        (
            {},
            [
                "7 N. 3rd Street",
                "12 North High Street, Apartment #4",
                "Unit 4, 0012 N High St",
                "P.O. Box 7",
            ],
        )
    ],
    FieldType.CITY: [({}, ["Saint Paul", "St. Paul", "Fort Worth"])],
    FieldType.POSTCODE: [
        ({}, ["55101", "55101-1234", "2139.0", "K1A 0B1", "00000"]),
        (_BRITISH, ["SW1A1AA", "sw1a 1aa", "SW1A"]),
    ],
    FieldType.NATIONAL_ID: [
        ({}, ["078-05-1120", "78051120.0", "XXX-XX-1120", "1120", "999-99-9999"]),
        (_BRITISH, ["AB 12 34 56 C", "AB123456"]),
    ],
    FieldType.EMAIL: [({}, [" Ann.Lee@Example.ORG ", "none"])],
    FieldType.EXACT: [({}, ["Ward  VII", "É"])],
    FieldType.NUMBER: [({}, ["1,234.50", "-0.0", "-12.5", "1e9"])],
}

INTRO = """\
A field's type fixes how its cells are normalised and cut into tokens. Cells are text. An empty cell
is missing, and so is one that the partner declares as such: in `missing` for all its fields, in
`missing_values` for one field, compared without case and outer blanks. How many cells held a
declared value is counted apart from how many are missing.

Examples are shown as cell → normalised value → tokens. *Missing* means that the record has no
encoding for match keys with this field; *error* that the file is refused until the cell is
corrected. Tokens that occur twice count twice. What tokens become is in [saul-v1](saul-v1.md).

Settings of a field: `region` (default `US`), `transliterate` (default true), `nicknames` (default
false) and, for dates of birth, `latest_short_year`; of a partner: `date_formats`. See
[the manifest](manifest.md). Partners must agree on the settings of a field, as on all of the
manifest: they change what is encoded. Nothing of it is implied: the canonical manifest that is
signed writes every setting of every field out, `"transliterate": true` among them.

One column of whole names may feed several fields: a partner maps each of them to it under
`columns`, and says under `full_names` which part it is (`given`, `middle` or `surname`). The cell
is split as described under `full_name`; a cell that is missing as a whole is missing for all.
"""


def fields_page() -> str:
    """The whole page."""
    lines = [NOTE, "# Field types\n", INTRO]
    for kind in FieldType:
        lines += _section(kind)
    lines += _lists()
    return "\n".join(lines).rstrip() + "\n"


def _section(kind: FieldType) -> list[str]:
    if kind is FieldType.DATE_OF_BIRTH:
        doc = inspect.getdoc(dates_module) or ""
        rules = doc[doc.index("- ") :].partition("\n\n    ")[0]
        accepts = f"{_joined(rules)}\n- Formats where none are declared:"
        accepts += f" {_codes(DEFAULT_DATE_FORMATS)}."
    else:
        accepts = _text(NORMALISERS[kind][0])
    lines = [f"## {kind.value}\n", f"{accepts}\n", f"Tokens: {_text(CUTTERS[kind])}\n"]
    lines += ["| settings | cell | normalised | tokens |", "|---|---|---|---|"]
    for settings, cells in EXAMPLES[kind]:
        lines += [_row(kind, settings, cell) for cell in cells]
    return [*lines, ""]


def _row(kind: FieldType, settings: Settings, cell: str) -> str:
    given = {k: v for k, v in settings.items() if k != "date_formats"}
    field = IdentifierField(name="f", type=kind, **given)
    formats = settings.get("date_formats", DEFAULT_DATE_FORMATS)
    column = normalise_column(field, [cell], date_formats=formats)
    value = column.values[0]
    shown = ", ".join(f"`{k}` {_shown(v)}" for k, v in settings.items())
    if value is None:
        kept = ["*error*" if len(column.invalid) else "*missing*", ""]
    else:
        kept = [f"`{value}`", _tokens(kind, value)]
    return f"| {' | '.join([shown, f'`{cell.strip()}`', *kept])} |".replace("|  |", "| |")


def _tokens(kind: FieldType, value: str) -> str:
    vocabulary = Vocabulary()
    numbers = tokenise(kind, [value], vocabulary).numbers
    texts = [text.decode() for text in vocabulary.texts()]
    found = [f"`{texts[number]}`" for number in numbers]
    more = f" and {len(found) - MAX_TOKENS} more" if len(found) > MAX_TOKENS else ""
    return " ".join(found[:MAX_TOKENS]) + more


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _codes(value) if isinstance(value, tuple) else f"`{value}`"


def _lists() -> list[str]:
    return [
        "## Word lists\n",
        (
            "Compared after folding. They belong to the scheme's version: partners with different"
            " lists would not meet.\n"
        ),
        f"Titles dropped before a name: {_codes(sorted(HONORIFICS))}.\n",
        f"Suffixes dropped behind a name: {_codes(sorted(SUFFIXES))}.\n",
        f"Particles joined to the next word: {_codes(sorted(PARTICLES))}.\n",
        f"In names: {_pairs(NAME_WORDS)}.\n",
        f"In cities: {_pairs(CITY_WORDS)}.\n",
        f"In addresses: {_pairs(ADDRESS_WORDS)}.\n",
        f"Parts of a building, moved behind the street: {_codes(sorted(UNIT_WORDS))}.\n",
        f"Sex: {_pairs(SEXES)}.\n",
        f"Transliterated: {_pairs(TRANSLITERATION)}. `ß` is `ss` always, by case folding.\n",
        (
            "Nicknames and where they are from:"
            " [linkage/encoding/data](../../linkage/encoding/data/README.md).\n"
        ),
    ]


def _codes(items: Sequence[str]) -> str:
    return ", ".join(f"`{item}`" for item in items)


def _pairs(items: Mapping[str, str]) -> str:
    return ", ".join(f"`{word}` → `{short}`" for word, short in items.items())


def _text(thing: Any) -> str:
    return _joined(inspect.getdoc(thing) or "")


def _joined(text: str) -> str:
    """Each paragraph or item on one line."""
    return re.sub(r"\n +(?=\S)|\n(?=[^\n\- ])", " ", text).strip()


def main(arguments: list[str]) -> int:
    page = fields_page()
    if arguments == ["--check"]:
        if PAGE.exists() and PAGE.read_text("utf-8") == page:
            return 0
        sys.stderr.write(f"{PAGE.name} is out of date; run: python docs/generate_fields.py\n")
        return 1
    PAGE.write_text(page, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
