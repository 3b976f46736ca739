"""What a linkage schema says of a feature's cells: which are valid, and in which form they count.

- What is wrong with a cell is said without the cell.
- Valid columns take a quick way through whole lists; cells are looked at one by one only where a
  column holds one that is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import cast

from linkage.agreement.linkage_features import (
    DateFormat,
    EnumFormat,
    Feature,
    NumberFormat,
    Numeric,
    TextFormat,
)

_ENDLESS = 1 << 62

Formatted = tuple[list[str], dict[int, str]]
_One = Callable[[str], str]
_Many = Callable[[list[str]], list[str]]


class _RefusedError(Exception):
    """A cell is not as declared; says how."""


def formatter(feature: Feature) -> Callable[[Sequence[str | None]], Formatted]:
    """How cells of a feature become the texts that are cut into tokens.

    Returns:
        A function from distinct cells to their texts and to what is wrong, by place; the text of
        a wrong cell is empty.
    """
    one, many = _FORMATS[type(feature.format)](feature.format)
    missing = feature.hashing.missing
    codec = codec_of(feature)

    def formatted(given: Sequence[str | None]) -> Formatted:
        # What is no text is refused below.
        cells = cast(list[str], list(given))
        if missing is not None and missing.sentinel in cells:
            place = cells.index(missing.sentinel)
            texts, wrong = regular(cells[:place] + cells[place + 1 :])
            wrong = {i + (i >= place): why for i, why in wrong.items()}
            texts.insert(place, missing.replacement)
        else:
            texts, wrong = regular(cells)
        if not _can_encode("".join(texts), codec):
            for i, text in enumerate(texts):
                if not _can_encode(text, codec):
                    wrong[i], texts[i] = f"cannot be written in {codec}", ""
        return texts, wrong

    def regular(cells: list[str]) -> Formatted:
        try:
            if set(map(type, cells)) <= {str}:
                return many(cells), {}
        except (_RefusedError, ValueError):
            pass
        texts: list[str] = []
        wrong: dict[int, str] = {}
        for i, cell in enumerate(cells):
            try:
                texts.append(one(_text(cell)))
            except _RefusedError as error:
                wrong[i] = str(error)
                texts.append("")
        return texts, wrong

    return formatted


def expected(feature: Feature) -> str:
    """What is wrong with a cell that the schema refuses, without the cell."""
    form = feature.format
    match form:
        case TextFormat(pattern=None):
            longest = "" if form.max_length >= _ENDLESS else f" to {form.max_length}"
            cased = "" if form.case == "mixed" else f" in {form.case} case"
            said = f"text{cased} of {form.min_length}{longest or ' or more'} characters"
            said += "" if form.encoding.startswith("utf") else f" in {form.encoding}"
        case TextFormat():
            said = "text of the declared pattern"
        case NumberFormat():
            low = "" if form.minimum is None else f" from {form.minimum}"
            high = "" if form.maximum is None else f" up to {form.maximum}"
            said = f"a whole number{low}{high}"
        case DateFormat():
            said = f"a date of the format {form.format}"
        case EnumFormat():
            said = "one of the declared values"
    if isinstance(feature.hashing.comparison, Numeric):
        said += " that is a number"
    return f"not {said}, as the linkage schema's feature {feature.identifier!r} says"


def codec_of(feature: Feature) -> str:
    """The name of the codec in which a feature's tokens are hashed."""
    return feature.format.encoding if isinstance(feature.format, TextFormat) else "utf-8"


def _text(cell: object) -> str:
    if not isinstance(cell, str):
        raise _RefusedError("is not text")
    return cell


def _can_encode(text: str, codec: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _one_by_one(one: _One) -> _Many:
    return lambda cells: [one(cell) for cell in cells]


_CASED: dict[str, _One] = {"upper": str.upper, "lower": str.lower, "mixed": str}


def _texts(settings: TextFormat) -> tuple[_One, _Many]:
    if settings.pattern is not None:
        match = re.compile(settings.pattern).fullmatch

        def patterned(cell: str) -> str:
            if match(cell) is None:
                raise _RefusedError("does not match the pattern")
            return cell

        return patterned, _one_by_one(patterned)
    shortest, longest = settings.min_length, settings.max_length
    cased = _CASED[settings.case]

    def plain(cell: str) -> str:
        if len(cell) < shortest:
            raise _RefusedError("is too short")
        if len(cell) > longest:
            raise _RefusedError("is too long")
        if cased(cell) != cell:
            raise _RefusedError(f"is not in {settings.case} case")
        return cell

    def plains(cells: list[str]) -> list[str]:
        lengths = list(map(len, cells))
        if lengths and (min(lengths) < shortest or max(lengths) > longest):
            raise _RefusedError
        if settings.case != "mixed" and list(map(cased, cells)) != cells:
            raise _RefusedError
        return list(cells)

    return plain, plains


def _numbers(settings: NumberFormat) -> tuple[_One, _Many]:
    low, high = settings.minimum, settings.maximum

    def number(cell: str) -> str:
        try:
            value = int(cell)
            text = str(value)
        except ValueError:
            raise _RefusedError("is not a whole number") from None
        if low is not None and value < low:
            raise _RefusedError("is below the minimum")
        if high is not None and value > high:
            raise _RefusedError("is above the maximum")
        return text

    def numbers(cells: list[str]) -> list[str]:
        values = list(map(int, cells))
        if low is not None and min(values, default=low) < low:
            raise _RefusedError
        if high is not None and max(values, default=high) > high:
            raise _RefusedError
        return list(map(str, values))

    return number, numbers


def _dates(settings: DateFormat) -> tuple[_One, _Many]:
    """As `strptime` reads them; dates written to their full width are read more quickly."""
    declared = settings.format
    literals = re.split("%[Ymd]", declared)
    parts = re.findall("%[Ymd]", declared)
    quick = sorted(parts) == ["%Y", "%d", "%m"] and not re.search("[0-9%]", "".join(literals))
    place, places, fixed = 0, {}, []
    for literal, part in zip(literals, [*parts, ""], strict=True):
        fixed.append((slice(place, place + len(literal)), literal))
        place += len(literal)
        width = {"%Y": 4, "": 0}.get(part, 2)
        places[part] = slice(place, place + width)
        place += width
    length = place

    def parsed(cell: str) -> str:
        try:
            return datetime.strptime(cell, declared).strftime("%Y%m%d")
        except (ValueError, re.error):
            raise _RefusedError("is not a date in the declared format") from None

    if not quick:
        return parsed, _one_by_one(parsed)
    at_year, at_month, at_day = places["%Y"], places["%m"], places["%d"]
    fixed = [(where, literal) for where, literal in fixed if literal]

    def sliced(cell: str) -> str:
        if len(cell) == length and all(cell[where] == literal for where, literal in fixed):
            year, month, day = cell[at_year], cell[at_month], cell[at_day]
            try:
                date.fromisoformat(f"{year}-{month}-{day}")
            except ValueError:
                return parsed(cell)
            # Platforms differ in how they write a year before 1000.
            return f"{year}{month}{day}" if year >= "1000" else parsed(cell)
        return parsed(cell)

    return sliced, _one_by_one(sliced)


def _members(settings: EnumFormat) -> tuple[_One, _Many]:
    values = frozenset(settings.values)

    def member(cell: str) -> str:
        if cell not in values:
            raise _RefusedError("is not one of the declared values")
        return cell

    return member, _one_by_one(member)


_FORMATS: dict[type, Callable[..., tuple[_One, _Many]]] = {
    TextFormat: _texts,
    NumberFormat: _numbers,
    DateFormat: _dates,
    EnumFormat: _members,
}
